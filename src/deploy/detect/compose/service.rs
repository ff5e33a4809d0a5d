//! One service of a Compose file.

use std::collections::BTreeMap;

use super::{
    Entry, Node, Reading, Service,
    files::{self, NOT_HTTP},
    place::Place,
};
use crate::model::{Problem, container_plan::HealthCheck};

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
            "build" => files::build(&mut at, value, &mut service)?,
            "command" if value.is_null() => {}
            "command" => service.container.arguments = at.command(value)?,
            "entrypoint" if value.is_null() => {}
            "entrypoint" => service.container.entrypoint = at.command(value)?,
            "environment" => service.env = at.pairs(value)?,
            "env_file" => from_files = files::env_files(&mut at, value)?,
            "ports" => service.port = files::ports(&mut at, value)?.or(service.port),
            "expose" => {
                let exposed =
                    value.list().unwrap_or_default().iter().find_map(|one| one.scalar()?.split('/').next()?.parse().ok());
                service.port = service.port.or(exposed);
            }
            "volumes" => service.volumes = files::volumes(&mut at, value, name)?,
            "tmpfs" => at.note("not carried over: it is a plain folder inside the container"),
            "depends_on" => {
                service.depends_on = depends_on(&mut at, value)?;
                service.depends_on_line = *line;
            }
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
