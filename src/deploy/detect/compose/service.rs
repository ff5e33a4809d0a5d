//! One service of a Compose file.

use std::collections::BTreeMap;

use super::{
    Entry, Node, Reading, Service,
    words::{bytes, environment, span, split},
};
use crate::model::{
    Problem,
    container_plan::{HealthCheck, ImageBuild},
    mount::{Mount, MountFrom},
};

/// Ports of databases, queues and mail: nothing that a browser asks.
const NOT_HTTP: &[u16] = &[
    21, 22, 25, 53, 465, 587, 993, 1025, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5672, 6379, 6432, 7687, 9042, 9092, 11211,
    27017,
];
/// Images that keep data, by the last part of their name.
const STORES: &[&str] = &[
    "cassandra",
    "cockroach",
    "couchdb",
    "elasticsearch",
    "etcd",
    "kafka",
    "mariadb",
    "memcached",
    "mongo",
    "mysql",
    "nats",
    "neo4j",
    "opensearch",
    "postgis",
    "postgres",
    "postgresql",
    "rabbitmq",
    "redis",
    "redpanda",
    "timescaledb",
    "valkey",
    "zookeeper",
];
/// Most replicas of one service.
const MOST_REPLICAS: u32 = 100;

/// Keys that change nothing here.
const SILENT: &[&str] = &[
    "container_name",
    "hostname",
    "stdin_open",
    "tty",
    "labels",
    "annotations",
    "init",
    "pull_policy",
    "platform",
    "develop",
    "attach",
];
/// Keys that are done in another way, with the way.
const OTHERWISE: &[(&str, &str)] = &[
    ("cap_add", "not carried over: a container gets no further rights"),
    ("devices", "not carried over: a container gets no devices"),
    ("external_links", "not carried over: apps reach each other by PILOTHOUSE_URL_<APP>"),
    ("links", "not needed: services reach each other by their names"),
    ("logging", "not carried over: logs are kept by Pilothouse"),
    ("network_mode", "not carried over: all services of the app are in one network of its own"),
    ("networks", "not carried over: all services of the app are in one network of its own"),
    ("privileged", "not carried over: a container gets no further rights"),
];

/// Whether a service keeps data: it is never the one that requests lead to.
pub(super) fn is_store(service: &Service) -> bool {
    let last = |image: &String| {
        let name = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        name.split(':').next().unwrap_or_default().to_ascii_lowercase()
    };
    let by_port = service.port.is_some_and(|port| NOT_HTTP.contains(&port));
    by_port || (service.build.is_none() && service.image.as_ref().is_some_and(|image| STORES.contains(&last(image).as_str())))
}

/// Reads a service; absent when it is not started by itself.
pub(super) fn read(entry: &Entry, reading: &mut Reading<'_>) -> Result<Option<Service>, Problem> {
    let name = &entry.key;
    let field = format!("services.{name}");
    let shaped = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if name.is_empty() || name.len() > 40 || !shaped || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        let what = format!("`{}` cannot be a process's name", name.escape_debug());
        return Err(reading.wrong(entry.line, &field, what, "use lower-case letters, digits, `-` and `_`, at most 40"));
    }
    let Some(keys) = entry.value.map() else {
        let what = format!("a service is a map, not {}", entry.value.kind());
        return Err(reading.wrong(entry.line, &field, what, "write `image:` or `build:` below it"));
    };
    if let Some(profiles) = keys.iter().find(|key| key.key == "profiles" && !key.value.is_null()) {
        reading.note(profiles.line, &field, "left out: a service with a profile is not started by itself");
        return Ok(None);
    }
    let mut service = Service { name: name.clone(), line: entry.line, ..Service::default() };
    let mut from_files = BTreeMap::new();
    for Entry { key, line, value } in keys {
        let mut at = Place { reading: &mut *reading, line: *line, field: format!("{field}.{key}") };
        match key.as_str() {
            "image" => service.image = Some(at.text(value)?),
            "build" => build(&mut at, value, &mut service)?,
            "command" if value.is_null() => {}
            "command" => service.container.arguments = at.command(value)?,
            "entrypoint" if value.is_null() => {}
            "entrypoint" => service.container.entrypoint = at.command(value)?,
            "environment" => service.env = at.pairs(value)?,
            "env_file" => from_files = env_files(&mut at, value)?,
            "ports" => service.port = ports(&mut at, value)?.or(service.port),
            "expose" => {
                let exposed =
                    value.list().unwrap_or_default().iter().find_map(|one| one.scalar()?.split('/').next()?.parse().ok());
                service.port = service.port.or(exposed);
            }
            "volumes" => service.volumes = volumes(&mut at, value, name)?,
            "tmpfs" => at.note("not carried over: it is a plain folder inside the container"),
            "depends_on" => service.depends_on = depends_on(&mut at, value)?,
            "healthcheck" => service.container.health = health(&mut at, value)?,
            "restart" => match value.scalar().as_deref() {
                None | Some("always" | "unless-stopped" | "on-failure") => {}
                Some(other) if other.starts_with("on-failure") => {}
                Some(_) => at.note("done otherwise: what ends by itself is started again"),
            },
            "user" => service.container.user = Some(at.text(value)?),
            "working_dir" => service.container.working_dir = Some(at.text(value)?),
            "mem_limit" => service.memory = Some(at.bytes(value)?),
            "scale" => service.replicas = Some(at.count(value)?),
            "stop_grace_period" => service.kill_after = Some(at.span(value)?),
            "deploy" => deploy(&mut at, value, &mut service)?,
            "extends" => {
                let next = "write it out as one file: docker compose config > compose.yaml";
                return Err(at.wrong("a service that extends another is not read", next));
            }
            _ if key.starts_with("x-") || SILENT.contains(&key.as_str()) => {}
            _ => at.note(OTHERWISE.iter().find(|(known, _)| known == key).map_or("not carried over", |(_, way)| *way)),
        }
    }
    from_files.extend(std::mem::take(&mut service.env));
    service.env = from_files;
    if let Some(port) = service.env.get("PORT").and_then(|port| port.parse().ok()) {
        // Its own way of being told where to listen.
        service.port = service.port.or(Some(port));
    }
    if service.image.is_none() && service.build.is_none() {
        return Err(reading.wrong(entry.line, &field, "it has neither `image` nor `build`", "say which image it runs"));
    }
    if service.build.is_some()
        && let Some(image) = service.image.take()
    {
        reading.note(entry.line, &format!("{field}.image"), format!("the image that is built is not named `{image}`"));
    }
    Ok(Some(service))
}

/// Where in the file something is read.
struct Place<'a, 'r> {
    reading: &'a mut Reading<'r>,
    line: u64,
    field: String,
}

impl<'r> Place<'_, 'r> {
    fn wrong(&self, what: impl Into<String>, next: impl Into<String>) -> Problem {
        self.reading.wrong(self.line, &self.field, what, next)
    }

    fn note(&mut self, what: impl Into<String>) {
        self.reading.note(self.line, &self.field, what);
    }

    /// The same place, one key further down.
    fn below(&mut self, entry: &Entry) -> Place<'_, 'r> {
        let field = format!("{}.{}", self.field, entry.key);
        Place { line: entry.line, field, reading: self.reading }
    }

    fn text(&self, value: &Node) -> Result<String, Problem> {
        let text = value.scalar().filter(|text| !text.trim().is_empty() && !text.contains('\0'));
        text.ok_or_else(|| self.wrong(format!("it must be text, not {}", value.kind()), "write one word or put it in quotes"))
    }

    fn bytes(&self, value: &Node) -> Result<crate::model::units::Bytes, Problem> {
        let text = self.text(value)?;
        bytes(&text).ok_or_else(|| self.wrong(format!("`{}` is not a size", text.escape_debug()), "write it as `512m` or `2g`"))
    }

    fn span(&self, value: &Node) -> Result<crate::model::units::Millis, Problem> {
        let text = self.text(value)?;
        span(&text)
            .ok_or_else(|| self.wrong(format!("`{}` is not a span of time", text.escape_debug()), "write it as `30s` or `1m30s`"))
    }

    fn count(&self, value: &Node) -> Result<u32, Problem> {
        let count = value.scalar().and_then(|text| text.parse().ok()).filter(|count| (1..=MOST_REPLICAS).contains(count));
        count.ok_or_else(|| self.wrong("it must be a number of instances", format!("write 1 to {MOST_REPLICAS}")))
    }

    fn command(&self, value: &Node) -> Result<Vec<String>, Problem> {
        match value.list() {
            Some(items) => items
                .iter()
                .map(|item| item.scalar().ok_or_else(|| self.wrong("a word of it is no text", "put it in quotes")))
                .collect(),
            None => split(&self.text(value)?).map_err(|problem| Problem { at: self.wrong("", "").at, ..problem }),
        }
    }

    /// `- NAME=value` or `NAME: value`; a name alone takes its value from the given variables.
    fn pairs(&mut self, value: &Node) -> Result<BTreeMap<String, String>, Problem> {
        let mut found: Vec<(u64, String, Option<String>)> = Vec::new();
        match (value.list(), value.map()) {
            (Some(items), _) => {
                for item in items {
                    let text = item.scalar().ok_or_else(|| self.wrong("an entry of it is no text", "write `- NAME=value`"))?;
                    let (name, value) =
                        text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
                    found.push((item.line, name.trim().to_owned(), value));
                }
            }
            (_, Some(entries)) => {
                for entry in entries {
                    if entry.value.list().is_some() || entry.value.map().is_some() {
                        return Err(self
                            .wrong(format!("`{}` must be text, not {}", entry.key, entry.value.kind()), "write `NAME: value`"));
                    }
                    found.push((entry.line, entry.key.trim().to_owned(), entry.value.scalar()));
                }
            }
            _ if value.is_null() => {}
            _ => {
                return Err(
                    self.wrong(format!("it must be a map or a list, not {}", value.kind()), "write `NAME: value` below it")
                );
            }
        }
        let mut pairs = BTreeMap::new();
        for (line, name, value) in found {
            let shaped = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            if name.is_empty() || !shaped {
                let what = format!("`{}` cannot be a variable's name", name.escape_debug());
                return Err(self.reading.wrong(line, &self.field, what, "use letters, digits and `_`"));
            }
            match value.or_else(|| self.reading.variables.get(&name).cloned()) {
                Some(value) => {
                    pairs.insert(name, value.replace('\0', ""));
                }
                None => {
                    self.reading.note(line, &self.field, format!("`{name}` has no value and is left out: give --env {name}=…"));
                }
            }
        }
        Ok(pairs)
    }
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

fn build(at: &mut Place<'_, '_>, value: &Node, service: &mut Service) -> Result<(), Problem> {
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

fn env_files(at: &mut Place<'_, '_>, value: &Node) -> Result<BTreeMap<String, String>, Problem> {
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
fn ports(at: &mut Place<'_, '_>, value: &Node) -> Result<Option<u16>, Problem> {
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

fn volumes(at: &mut Place<'_, '_>, value: &Node, service: &str) -> Result<Vec<Mount>, Problem> {
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

fn depends_on(at: &mut Place<'_, '_>, value: &Node) -> Result<Vec<String>, Problem> {
    if let Some(items) = value.list() {
        return Ok(items.iter().filter_map(Node::scalar).collect());
    }
    let Some(entries) = value.map() else {
        return Err(at.wrong(format!("it must be a list or a map, not {}", value.kind()), "write `- db` below it"));
    };
    let mut names = Vec::new();
    for entry in entries {
        let key = |name: &str| entry.value.map().unwrap_or_default().iter().find(|key| key.key == name);
        if let Some(condition) = key("condition")
            && condition.value.scalar().as_deref() == Some("service_completed_successfully")
        {
            let what = "not carried over: services that run once are not known yet; it is started like the others";
            at.reading.note(condition.line, &format!("{}.{}.condition", at.field, entry.key), what);
        }
        names.push(entry.key.clone());
    }
    Ok(names)
}

fn health(at: &mut Place<'_, '_>, value: &Node) -> Result<Option<HealthCheck>, Problem> {
    let mut check = HealthCheck { test: Vec::new(), every: None, within: None, retries: None, grace: None };
    for entry in value.map().unwrap_or_default() {
        let mut at = at.below(entry);
        match entry.key.as_str() {
            "disable" if entry.value.scalar().as_deref() == Some("true") => check.test = vec!["NONE".to_owned()],
            "disable" => {}
            "test" if entry.value.list().is_some() => check.test = at.command(&entry.value)?,
            "test" => check.test = vec!["CMD-SHELL".to_owned(), at.text(&entry.value)?],
            "interval" => check.every = Some(at.span(&entry.value)?),
            "timeout" => check.within = Some(at.span(&entry.value)?),
            "start_period" => check.grace = Some(at.span(&entry.value)?),
            "retries" => check.retries = Some(at.count(&entry.value)?),
            "start_interval" => {}
            _ => at.note("not carried over"),
        }
    }
    match check.test.first().map(String::as_str) {
        // Only figures: they change the image's own check, which stays as it is.
        None => Ok(None),
        Some("CMD" | "CMD-SHELL" | "NONE") => Ok(Some(check)),
        Some(_) => Err(at.wrong("`test` as a list begins with CMD, CMD-SHELL or NONE", "write `test: [\"CMD\", …]`")),
    }
}

fn deploy(at: &mut Place<'_, '_>, value: &Node, service: &mut Service) -> Result<(), Problem> {
    for entry in value.map().unwrap_or_default() {
        let mut at = at.below(entry);
        match entry.key.as_str() {
            "replicas" => service.replicas = Some(at.count(&entry.value)?),
            "resources" => {
                for kind in entry.value.map().unwrap_or_default() {
                    let mut at = at.below(kind);
                    for limit in kind.value.map().unwrap_or_default() {
                        let mut at = at.below(limit);
                        match (kind.key.as_str(), limit.key.as_str()) {
                            ("limits", "memory") => service.memory = Some(at.bytes(&limit.value)?),
                            _ => at.note("not carried over"),
                        }
                    }
                }
            }
            "labels" => {}
            _ => at.note("not carried over"),
        }
    }
    Ok(())
}
