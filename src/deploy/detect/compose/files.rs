//! What a service takes from the source and from outside: its build, files of variables, ports and volumes.

use std::collections::BTreeMap;

use super::{Node, Service, place::Place, words::environment};
use crate::model::{
    Problem,
    container_plan::ImageBuild,
    mount::{Mount, MountFrom},
};

/// Ports of databases, queues and mail: nothing that a browser asks.
pub(super) const NOT_HTTP: &[u16] = &[
    21, 22, 25, 53, 465, 587, 993, 1025, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5672, 6379, 6432, 7687, 9042, 9092, 11211,
    27017,
];

pub(super) fn build(at: &mut Place<'_, '_>, value: &Node, service: &mut Service) -> Result<(), Problem> {
    let mut context = String::new();
    let mut file = None;
    let mut target = None;
    let outside = |at: &Place<'_, '_>, path: &str| {
        at.wrong(format!("`{}` leads outside the source", path.escape_debug()), "name a folder of the source")
    };
    if let Some(keys) = value.map() {
        for entry in keys {
            let mut at = at.below(entry);
            match entry.key.as_str() {
                "context" => context = at.text(&entry.value)?,
                "dockerfile" => file = Some(at.text(&entry.value)?),
                "target" => target = Some(at.text(&entry.value)?),
                "args" => service.args = at.pairs(&entry.value)?,
                "dockerfile_inline" => {
                    return Err(at.wrong("a Dockerfile inside the Compose file is not read", "put it into a file"));
                }
                "cache_from" | "cache_to" | "tags" | "labels" | "pull" | "platforms" | "no_cache" => {}
                key if key.starts_with("x-") => {}
                _ => at.note("not carried over"),
            }
        }
    } else {
        context = at.text(value)?;
    }
    if context.contains("://") {
        return Err(at.wrong("a context from elsewhere is not fetched", "deploy that repository as an app of its own"));
    }
    let context = below("", &context).ok_or_else(|| outside(at, &context))?;
    let named = file.as_deref().unwrap_or("Dockerfile");
    let file = below(&context, named).ok_or_else(|| outside(at, named))?;
    if at.reading.survey.listing.binary_search(&file).is_err() && !at.reading.survey.truncated {
        let next = format!("add it, or say `dockerfile:` below {}", at.field);
        return Err(at.wrong(format!("there is no `{file}`"), next));
    }
    service.build = Some(ImageBuild { context, file, target, args: service.args.keys().cloned().collect() });
    Ok(())
}

pub(super) fn env_files(at: &mut Place<'_, '_>, value: &Node) -> Result<BTreeMap<String, String>, Problem> {
    let alone = [value.clone()];
    let mut found = BTreeMap::new();
    for item in value.list().unwrap_or(&alone) {
        let required = item.map().and_then(|keys| keys.iter().find(|key| key.key == "required"));
        let is_required = required.is_none_or(|key| key.value.scalar().as_deref() != Some("false"));
        let path = match item.map() {
            Some(keys) => keys.iter().find(|key| key.key == "path").and_then(|key| key.value.scalar()),
            None => item.scalar(),
        };
        let path = path.ok_or_else(|| at.wrong("it must be the path of a file", "write `env_file: web.env`"))?;
        let inside = below("", &path).ok_or_else(|| {
            at.wrong(format!("`{}` leads outside the source", path.escape_debug()), "name a file of the source")
        })?;
        match at.reading.survey.texts.get(&inside) {
            Some(text) => found.extend(environment(text)),
            None if is_required => {
                let next = "add it to the source, or give its variables by --env; `required: false` makes do without";
                return Err(at.wrong(format!("there is no `{}` in the source", path.escape_debug()), next));
            }
            None => at.note(format!("there is no `{path}`: left out")),
        }
    }
    Ok(found)
}

/// The first port inside that is published by TCP, one for HTTP before others.
pub(super) fn ports(at: &mut Place<'_, '_>, value: &Node) -> Result<Option<u16>, Problem> {
    let Some(items) = value.list() else {
        return if value.is_null() {
            Ok(None)
        } else {
            Err(at.wrong(format!("it must be a list, not {}", value.kind()), "write `- \"8080:80\"`"))
        };
    };
    let mut found = Vec::new();
    for item in items {
        let (inside, is_tcp) = if let Some(keys) = item.map() {
            let key = |name: &str| keys.iter().find(|key| key.key == name).and_then(|key| key.value.scalar());
            (key("target").unwrap_or_default(), key("protocol").is_none_or(|protocol| protocol == "tcp"))
        } else {
            let text = item.scalar().unwrap_or_default();
            let (text, protocol) = text.split_once('/').map_or((text.as_str(), "tcp"), |(text, protocol)| (text, protocol));
            (text.rsplit(':').next().unwrap_or_default().to_owned(), protocol == "tcp")
        };
        let first = inside.split('-').next().unwrap_or_default();
        let port: u16 = first.trim().parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            at.reading.wrong(item.line, &at.field, format!("`{}` is not a port", inside.escape_debug()), "write `- \"8080:80\"`")
        })?;
        if is_tcp {
            found.push(port);
        } else {
            at.reading.note(item.line, &at.field, "not carried over: only HTTP comes in from outside");
        }
    }
    let http = found.iter().find(|port| !NOT_HTTP.contains(port)).or(found.first()).copied();
    for other in found.iter().filter(|port| Some(**port) != http) {
        at.note(format!("port {other} is not published: one port of a service is enough for its route"));
    }
    Ok(http)
}

pub(super) fn volumes(at: &mut Place<'_, '_>, value: &Node, service: &str) -> Result<Vec<Mount>, Problem> {
    let mut found = Vec::new();
    for item in value.list().unwrap_or_default() {
        let text = match item.map() {
            Some(keys) => {
                let key = |name: &str| keys.iter().find(|key| key.key == name).and_then(|key| key.value.scalar());
                let (source, target) = (key("source").unwrap_or_default(), key("target").unwrap_or_default());
                let end = if key("read_only").as_deref() == Some("true") { ":ro" } else { "" };
                match key("type").as_deref() {
                    Some("volume" | "bind") | None if source.is_empty() => target,
                    Some("volume" | "bind") | None => format!("{source}:{target}{end}"),
                    Some(other) => {
                        at.reading.note(item.line, &at.field, format!("not carried over: {}", other.escape_debug()));
                        continue;
                    }
                }
            }
            None => item.scalar().unwrap_or_default(),
        };
        let mut parts: Vec<&str> = text.split(':').collect();
        // Of the options, only `ro` matters here; the others are about labels and consistency.
        let options: Vec<&str> = if parts.len() > 2 { parts.remove(2).split(',').collect() } else { Vec::new() };
        let end = if options.contains(&"ro") { ":ro" } else { "" };
        let text = match parts[..] {
            // Without a name it would be another one after each deploy: it gets one.
            [inside] if inside.starts_with('/') => {
                let name: String = inside.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
                format!("{service}{name}:{inside}")
            }
            [".", inside] => format!("./:{inside}{end}"),
            [from, inside] => format!("{from}:{inside}{end}"),
            _ => text.clone(),
        };
        let mount: Mount = text.parse().map_err(|problem: Problem| problem.at(at.reading.at(item.line, &at.field)))?;
        if matches!(&mount.from, MountFrom::Path(path) if path.ends_with("docker.sock")) {
            at.reading.note(item.line, &at.field, "the container steers this machine's Docker: it can do whatever root can");
        }
        found.push(mount);
    }
    Ok(found)
}

/// `path` below `context`, as it stands from the source's root; absent when it leads outside.
fn below(context: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in context.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
