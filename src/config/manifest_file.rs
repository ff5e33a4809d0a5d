//! `pilothouse.toml`: read strictly, checked, described as a JSON Schema, and written for a recipe.

use std::collections::BTreeSet;

use super::strict::{self, Places, nearest};
use crate::model::{
    Problem,
    dependencies::{self, Dependencies},
    ids::AppId,
    manifest::{Manifest, Process},
    recipe::Recipe,
    secret::{Reference, is_variable},
};

/// Name of the file in a source's root.
pub const FILE_NAME: &str = "pilothouse.toml";

/// Reads the manifest `text`, which stands in `file_name`, and checks what the types cannot say.
///
/// A problem is at `pilothouse.toml:LINE field` and names the nearest known key.
pub fn read(text: &str, file_name: &str) -> Result<Manifest, Problem> {
    let (manifest, places) = strict::read::<Manifest>(text, file_name)?;
    check_build(&manifest, &places)?;
    check_env(&manifest, &places)?;
    check_secrets(&manifest, &places)?;
    if let Some(branch) = &manifest.watch {
        check_branch(branch).map_err(|problem| problem.at(places.of("watch")))?;
    }
    for (name, process) in &manifest.process {
        check_process(name, process, &places)?;
    }
    check_dependencies(&manifest, &places)?;
    check_routes(&manifest, &places)?;
    Ok(manifest)
}

/// Where a field of a manifest stands: `pilothouse.toml:12 watch`.
pub fn place(text: &str, file_name: &str, field: &str) -> String {
    strict::read::<Manifest>(text, file_name).map_or_else(|_| format!("{file_name} {field}"), |(_, places)| places.of(field))
}

/// JSON Schema (draft 2020-12) of `pilothouse.toml`, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Manifest).to_value()
}

fn check_build(manifest: &Manifest, places: &Places) -> Result<(), Problem> {
    let field = "build.output";
    if let Some(output) = &manifest.build.output {
        let climbs = output.starts_with('/') || output.split('/').any(|part| part == "..");
        if climbs || output.trim().is_empty() || output.contains('\0') {
            return Err(Problem::user(format!("`{}` is not a folder inside the source", output.escape_debug()))
                .at(places.of(field))
                .hint("write it relative to the root, such as `dist`; `.` is the root itself"));
        }
    }
    let limits = &manifest.build.limits;
    let zero = [("time", limits.time.0), ("memory", limits.memory.0), ("disk", limits.disk.0)];
    match zero.into_iter().find(|(_, limit)| *limit == 0) {
        Some((name, _)) => Err(Problem::user(format!("a limit of 0 would end every build: `{name}`"))
            .at(places.of(&format!("build.limits.{name}")))
            .hint("leave the key out for its default")),
        None => Ok(()),
    }
}

fn check_env(manifest: &Manifest, places: &Places) -> Result<(), Problem> {
    for (name, value) in &manifest.env {
        let place = || places.of(&format!("env.{name}"));
        let shaped = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !shaped || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Problem::user(format!("`{}` cannot be a variable's name", name.escape_debug()))
                .at(place())
                .hint("use letters, digits and `_`, not beginning with a digit"));
        }
        if name == "PORT" {
            return Err(Problem::user("`PORT` is given to each instance by Pilothouse")
                .at(place())
                .hint("leave it out; for a fixed port write `port = …` in [process.web]"));
        }
        if value.contains('\0') {
            return Err(Problem::user(format!("the value of `{name}` holds a NUL character")).at(place()).hint("leave it out"));
        }
    }
    Ok(())
}

fn check_secrets(manifest: &Manifest, places: &Places) -> Result<(), Problem> {
    for (name, reference) in &manifest.secrets {
        let place = || places.of(&format!("secrets.{name}"));
        if !is_variable(name) {
            return Err(Problem::user(format!("`{}` cannot be a variable's name", name.escape_debug()))
                .at(place())
                .hint("use letters, digits and `_`, not beginning with a digit"));
        }
        if name == "PORT" {
            return Err(Problem::user("`PORT` is given to each instance by Pilothouse").at(place()).hint("leave it out"));
        }
        let in_process = manifest.process.iter().find(|(_, process)| process.env.contains_key(name)).map(|(process, _)| process);
        let twice = if manifest.env.contains_key(name) {
            Some("[env]".to_owned())
        } else {
            in_process.map(|of| format!("[process.{of}.env]"))
        };
        if let Some(twice) = twice {
            return Err(Problem::user(format!("`{name}` stands in {twice} too")).at(place()).hint("leave one of them"));
        }
        Reference::parse(reference).map_err(|problem| problem.at(place()))?;
    }
    Ok(())
}

/// Refuses what cannot be a branch's name (git-check-ref-format(1)).
pub fn check_branch(branch: &str) -> Result<(), Problem> {
    let odd = branch.is_empty()
        || branch.starts_with(['-', '/'])
        || branch.ends_with(['/', '.'])
        || branch.contains("..")
        || branch.contains("@{")
        || branch.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c));
    if odd {
        return Err(
            Problem::user(format!("`{}` is not a branch's name", branch.escape_debug())).hint("write a branch, such as main")
        );
    }
    Ok(())
}

fn check_process(name: &str, process: &Process, places: &Places) -> Result<(), Problem> {
    let base = format!("process.{name}");
    let shaped = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !shaped || name.is_empty() || name.len() > 40 {
        return Err(Problem::user(format!("`{}` cannot be a process's name", name.escape_debug()))
            .at(places.of(&base))
            .hint("use lower-case letters, digits, `-` and `_`, at most 40"));
    }
    let wrong = |field: &str, what: String, next: &str| {
        Err(Problem::user(what).at(places.of(&format!("{base}.{field}"))).hint(next.to_owned()))
    };
    if let Some(port) = process.port.filter(|_| process.replicas > 1) {
        let what = format!("{} replicas cannot share the fixed port {port}", process.replicas);
        return wrong("port", what, "leave `port` out, so that each gets its own by `PORT`, or set `replicas = 1`");
    }
    if process.command.as_ref().is_some_and(|command| command.trim().is_empty() || command.contains('\0')) {
        return wrong("command", "the command is empty".to_owned(), "write the start command, or leave the key out");
    }
    let path = &process.ready.http;
    if !path.starts_with('/') || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let what = format!("`{}` is not a path", path.escape_debug());
        return wrong("ready.http", what, "write a path such as `/healthz`");
    }
    if process.ready.within.0 == 0 || process.ready.every.0 == 0 {
        let field = if process.ready.within.0 == 0 { "ready.within" } else { "ready.every" };
        return wrong(field, "a span of 0 leaves no time to answer".to_owned(), "write it as 500ms, 30s, 15m or 2h");
    }
    if process.resources.memory.is_some_and(|memory| memory.0 < 1 << 20) {
        return wrong("resources.memory", "nothing runs in less than 1 MB".to_owned(), "write it as 512M or 2G");
    }
    Ok(())
}

fn check_dependencies(manifest: &Manifest, places: &Places) -> Result<(), Problem> {
    let place = |name: &str| places.of(&format!("process.{name}.depends_on"));
    for (name, process) in &manifest.process {
        // `web` may be detected.
        let is_known = |other: &&String| manifest.process.contains_key(*other) || *other == "web";
        if let Some(unknown) = process.depends_on.iter().find(|other| !is_known(other)) {
            let next = match nearest(unknown, manifest.process.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add [process.{}] with its command", unknown.escape_debug()),
            };
            return Err(Problem::user(format!("no process `{}`", unknown.escape_debug())).at(place(name)).hint(next));
        }
    }
    let waits: Dependencies<'_> =
        manifest.process.iter().map(|(name, process)| (name.as_str(), process.depends_on.as_slice())).collect();
    match dependencies::circle(&waits) {
        Some(circle) => {
            let (what, next) = dependencies::told(&circle, "process");
            Err(Problem::user(what).at(place(circle.first().copied().unwrap_or_default())).hint(next))
        }
        None => Ok(()),
    }
}

fn check_routes(manifest: &Manifest, places: &Places) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (index, route) in manifest.route.iter().enumerate() {
        let place = |field: &str| places.of(&format!("route[{index}].{field}"));
        if let Err((what, next)) = check_host(&route.host) {
            return Err(Problem::user(what).at(place("host")).hint(next));
        }
        let path = route.path.as_deref().unwrap_or_default();
        if let Err((what, next)) = check_path(path) {
            return Err(Problem::user(what).at(place("path")).hint(next));
        }
        if route.strip && path.trim_end_matches('/').is_empty() {
            return Err(Problem::user("there is no path to strip").at(place("strip")).hint("write `path`, or leave `strip` out"));
        }
        if !seen.insert((route.host.as_str(), path.trim_end_matches('/'))) {
            let field = if route.path.is_some() { "path" } else { "host" };
            return Err(Problem::user(format!("`{}{path}` has two routes", route.host))
                .at(place(field))
                .hint("leave one of them"));
        }
        // `web` may be detected. Without any process here all are: by the Compose file, the Procfile or the framework.
        if !manifest.process.is_empty() && route.process != "web" && !manifest.process.contains_key(&route.process) {
            let known = manifest.process.keys().map(String::as_str).chain(["web"]);
            let next = match nearest(&route.process, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add [process.{}] with its command", route.process.escape_debug()),
            };
            return Err(Problem::user(format!("no process `{}`", route.process.escape_debug())).at(place("process")).hint(next));
        }
    }
    Ok(())
}

/// Paths are compared as they are sent: what could be written in two ways is not one (RFC 3986 §3.3).
fn check_path(path: &str) -> Result<(), (String, String)> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&b);
    let odd = path.contains("//") || path.split('/').any(|part| matches!(part, "." | ".."));
    if path.is_empty() || (path.starts_with('/') && path.bytes().all(allowed) && !odd && path.len() <= 1024) {
        return Ok(());
    }
    let next = if !path.starts_with('/') && path.bytes().all(allowed) && !odd {
        format!("write `/{path}`")
    } else {
        "write a path such as `/api`, without query, `%`, `..` and empty segments".to_owned()
    };
    Err((format!("`{}` is not a path", path.escape_debug()), next))
}

/// Host names are DNS names (RFC 1123 §2.1) in lower case, without scheme, port or wildcard.
fn check_host(host: &str) -> Result<(), (String, String)> {
    let label = |label: &str| {
        let shaped = label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        shaped && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.len() <= 253 && host.split('.').all(label) {
        return Ok(());
    }
    let bare = host.to_lowercase();
    let bare = bare.split_once("://").map_or(bare.as_str(), |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default();
    let next = if !bare.is_empty() && bare != host && bare.split('.').all(label) {
        format!("write `{bare}`")
    } else {
        "write a name such as `shop.example.org`, in lower case, without scheme, port or `*`".to_owned()
    };
    Err((format!("`{}` is not a host name", host.escape_debug()), next))
}

/// What says how an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunBy<'a> {
    /// The commands of the recipe.
    Commands,
    /// The Dockerfile at this path.
    Dockerfile(&'a str),
    /// The Compose file at this path.
    Compose(&'a str),
}

/// The manifest of a recipe, for `pilothouse init`: only what was detected, each line with its reason. Deployed by it, an
/// app is planned as without it.
pub fn write(name: &AppId, recipe: &Recipe, run_by: RunBy<'_>) -> String {
    let mut text =
        String::from("# How Pilothouse builds, runs and routes this app. Every key is optional: what is absent is detected.\n");
    for proof in &recipe.proof {
        text.push_str(&format!("# {}: {}\n", printable(&proof.file), printable(&proof.why)));
    }
    text.push_str(&format!("\nname = {}\n", quoted(name.as_str())));
    match run_by {
        RunBy::Commands => {}
        RunBy::Dockerfile(file) => {
            text.push_str("\n# The app runs as a container of the image that it builds, with the image's own command.\n");
            text.push_str(&format!("[build]\ndockerfile = {}\n", quoted(file)));
            return text;
        }
        RunBy::Compose(file) => {
            let file = printable(file);
            text.push_str(&format!("\n# {file} says what runs: images, commands, ports, volumes and who waits for whom.\n"));
            text.push_str("# It is used as long as no [process.NAME] stands here.\n");
            return text;
        }
    }
    let build = [("install", &recipe.install), ("command", &recipe.build), ("output", &recipe.output)];
    if build.iter().any(|(_, value)| value.is_some()) {
        text.push_str("\n[build]\n");
        for (key, value) in build {
            if let Some(value) = value {
                text.push_str(&format!("{key} = {}\n", quoted(value)));
            }
        }
    }
    // The edge serves the files: a process `web` would run beside them.
    let start = recipe.start.as_ref().filter(|_| recipe.output.is_none());
    let web = start.iter().map(|start| ("web", start.as_str()));
    let more =
        recipe.processes.iter().map(|(name, command)| (name.as_str(), command.as_str())).filter(|(name, _)| *name != "web");
    for (process, command) in web.chain(more) {
        let note = if process == "web" { "# It must listen on $PORT.\n" } else { "" };
        text.push_str(&format!("\n[process.{}]\n{note}command = {}\n", key(process), quoted(command)));
    }
    text
}

/// `text` as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

/// Text for a comment line.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[path = "manifest_file_tests.rs"]
mod tests;
