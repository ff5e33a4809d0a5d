//! Compose file: one app, its services are processes; what is not carried over is said with its line.
//!
//! Format: <https://docs.docker.com/reference/compose-file/>.

mod files;
mod place;
mod service;
mod words;

use std::collections::BTreeMap;

use super::{
    tree::{Tree, proof},
    yaml::{self, Entry, Node},
};
use crate::model::{
    Problem,
    container_plan::{ContainerPlan, ImageBuild},
    dependencies::{self, Dependencies},
    mount::Mount,
    recipe::Recipe,
    source::Survey,
    units::{Bytes, Millis},
};

/// Names of the file, in the order in which Compose looks for them.
pub const FILES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
/// Variables for `${…}`, beside the Compose file.
pub const VARIABLES: &str = ".env";
/// Most services of a file.
const MOST: usize = 50;

/// What a Compose file asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compose {
    pub file: String,
    /// In the file's order.
    pub services: Vec<Service>,
    pub notes: Vec<Note>,
}

/// Something that is not carried over, or done in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `compose.yaml:12 services.web.networks`.
    pub at: String,
    pub what: String,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// Line of its name.
    pub line: u64,
    pub image: Option<String>,
    pub build: Option<ImageBuild>,
    /// Values of the build's arguments.
    pub args: BTreeMap<String, String>,
    pub container: ContainerPlan,
    pub env: BTreeMap<String, String>,
    /// Port inside on which it answers HTTP, as far as can be told.
    pub port: Option<u16>,
    /// Whether requests from outside lead to it.
    pub routed: bool,
    pub volumes: Vec<Mount>,
    /// Services that are ready before it starts.
    pub depends_on: Vec<String>,
    /// Line on which they stand.
    pub depends_on_line: u64,
    pub replicas: Option<u32>,
    pub memory: Option<Bytes>,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Option<Millis>,
}

/// What is read while a file is read.
struct Reading<'a> {
    file: &'a str,
    survey: &'a Survey,
    variables: &'a BTreeMap<String, String>,
    notes: Vec<Note>,
}

impl Reading<'_> {
    fn at(&self, line: u64, field: &str) -> String {
        format!("{}:{line} {field}", self.file)
    }

    fn note(&mut self, line: u64, field: &str, what: impl Into<String>) {
        let at = self.at(line, field);
        self.notes.push(Note { at, what: what.into() });
    }

    fn wrong(&self, line: u64, field: &str, what: impl Into<String>, next: impl Into<String>) -> Problem {
        Problem::user(what).at(self.at(line, field)).hint(next)
    }
}

/// The Compose file among the surveyed ones.
pub fn file(survey: &Survey) -> Option<&'static str> {
    FILES.iter().copied().find(|file| survey.texts.contains_key(*file))
}

/// Reads the Compose file of a source; absent without one. `given` are variables for `${…}` that win over `.env`.
pub fn read(survey: &Survey, given: &BTreeMap<String, String>) -> Result<Option<Compose>, Problem> {
    let Some((file, text)) = file(survey).and_then(|file| Some((file, survey.texts.get(file)?))) else { return Ok(None) };
    survey.check_whole(file)?;
    let mut variables = survey.texts.get(VARIABLES).map(|text| words::environment(text)).unwrap_or_default();
    variables.extend(given.clone());
    let mut tree = yaml::read(text, file)?;
    let mut reading = Reading { file, survey, variables: &variables, notes: Vec::new() };
    fill(&mut tree, &mut reading)?;
    let top = tree.map().ok_or_else(|| {
        let what = format!("a Compose file is a map with `services`, not {}", tree.kind());
        Problem::user(what).at(format!("{file}:{}", tree.line)).hint("see https://docs.docker.com/reference/compose-file/")
    })?;
    let mut services = Vec::new();
    for Entry { key, line, value } in top {
        match key.as_str() {
            "services" => services = read_services(value, &mut reading)?,
            "version" | "name" => {}
            "volumes" => note_external(value, "volumes", &mut reading),
            "networks" if value.map().is_none_or(|all| all.iter().all(|one| one.key == "default")) => {}
            "networks" => reading.note(*line, key, "all services of the app are in one network of its own"),
            "include" => {
                let next = "write it out as one file: docker compose config > compose.yaml";
                return Err(reading.wrong(*line, key, "other Compose files are not read", next));
            }
            _ if key.starts_with("x-") => {}
            _ => reading.note(*line, key, "not carried over"),
        }
    }
    if services.is_empty() {
        let next = "add a service below `services:`";
        return Err(Problem::user("there is no service to run").at(file.to_owned()).hint(next));
    }
    check_dependencies(&mut services, &mut reading)?;
    choose_routed(&mut services);
    for service in &mut services {
        service.container.aliases = vec![service.name.clone()];
        if let (false, Some(port)) = (service.routed, service.port) {
            let what = format!("port {port} is not published: the other services reach it as {}:{port}", service.name);
            reading.notes.push(Note { at: format!("{file}:{} services.{}.ports", service.line, service.name), what });
        }
    }
    Ok(Some(Compose { file: file.to_owned(), services, notes: reading.notes }))
}

/// Fills in all variables; those without a value are told once, where they first stand.
fn fill(tree: &mut Node, reading: &mut Reading<'_>) -> Result<(), Problem> {
    let (file, variables) = (reading.file, reading.variables);
    let mut known: Vec<String> = Vec::new();
    let mut notes = Vec::new();
    tree.each_text(&mut |text, line| {
        if text.contains('$') {
            let before = known.len();
            let filled = words::filled(text, variables, &mut known, 0);
            *text = filled.map_err(|problem| Problem { at: Some(format!("{file}:{line}")), ..problem })?;
            for name in &known[before..] {
                let what = format!("`{name}` has no value and is empty: give --env {name}=…, or a line in .env");
                notes.push(Note { at: format!("{file}:{line}"), what });
            }
        }
        Ok(())
    })?;
    reading.notes.append(&mut notes);
    Ok(())
}

fn read_services(value: &Node, reading: &mut Reading<'_>) -> Result<Vec<Service>, Problem> {
    let Some(entries) = value.map() else {
        let what = format!("`services` is a map of names, not {}", value.kind());
        return Err(reading.wrong(value.line, "services", what, "write `services:`, below it `web:`"));
    };
    if entries.len() > MOST {
        return Err(reading.wrong(value.line, "services", format!("more than {MOST} services"), "split it into several apps"));
    }
    let mut services = Vec::new();
    for entry in entries {
        if let Some(service) = service::read(entry, reading)? {
            services.push(service);
        }
    }
    Ok(services)
}

fn note_external(volumes: &Node, field: &str, reading: &mut Reading<'_>) {
    for volume in volumes.map().unwrap_or_default() {
        for key in volume.value.map().unwrap_or_default() {
            let what = match key.key.as_str() {
                "external" => "not carried over: the app gets a volume of its own",
                "labels" => continue,
                _ => "not carried over",
            };
            reading.note(key.line, &format!("{field}.{}.{}", volume.key, key.key), what);
        }
    }
}

/// Drops what depends on a service that is left out, and refuses circles and names that there are not.
fn check_dependencies(services: &mut [Service], reading: &mut Reading<'_>) -> Result<(), Problem> {
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let left_out: Vec<String> = reading
        .notes
        .iter()
        .filter_map(|note| note.at.rsplit_once(" services.").map(|(_, name)| name.to_owned()))
        .filter(|name| !name.contains('.') && !names.contains(name))
        .collect();
    for service in services.iter_mut() {
        let field = format!("services.{}.depends_on", service.name);
        service.depends_on.retain(|name| !left_out.contains(name));
        if let Some(unknown) = service.depends_on.iter().find(|name| !names.contains(name)) {
            let next = format!("known services: {}", names.join(", "));
            return Err(reading.wrong(service.depends_on_line, &field, format!("there is no service `{unknown}`"), next));
        }
    }
    let waits: Dependencies<'_> = services.iter().map(|service| (service.name.as_str(), service.depends_on.as_slice())).collect();
    let Some(circle) = dependencies::circle(&waits) else { return Ok(()) };
    let first = services.iter().find(|service| circle.first() == Some(&service.name.as_str()));
    let (line, name) = first.map_or((0, ""), |first| (first.depends_on_line, first.name.as_str()));
    let (what, next) = dependencies::told(&circle, "service");
    Err(reading.wrong(line, &format!("services.{name}.depends_on"), what, next))
}

/// Requests from outside lead to one service: of those with a port for HTTP the one that is named so, else the first.
fn choose_routed(services: &mut [Service]) {
    const NAMES: [&str; 3] = ["web", "app", "frontend"];
    let is_candidate = |service: &&Service| service.port.is_some() && !service::is_store(service);
    let named = NAMES.iter().find_map(|name| services.iter().filter(is_candidate).find(|service| service.name == *name));
    let chosen = named.or_else(|| services.iter().find(is_candidate)).map(|service| service.name.clone());
    // A service that publishes nothing answers on PORT when its name says what it is for.
    let chosen =
        chosen.or_else(|| NAMES.iter().find(|name| services.iter().any(|one| one.name == **name)).map(|name| (*name).to_owned()));
    for service in services {
        service.routed = chosen.as_ref() == Some(&service.name);
    }
}

/// The recipe of a source that nothing else than its Compose file explains.
pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    Ok(read(tree.survey(), &BTreeMap::new())?.map(|compose| over(Recipe::default(), &compose)))
}

/// `recipe`, run as the Compose file says; a language that was recognised stays.
pub fn over(mut recipe: Recipe, compose: &Compose) -> Recipe {
    if recipe.language.is_empty() {
        "compose".clone_into(&mut recipe.language);
    }
    "docker".clone_into(&mut recipe.runtime);
    (recipe.install, recipe.build, recipe.output, recipe.start) = (None, None, None, None);
    (recipe.processes, recipe.env) = (Vec::new(), Vec::new());
    recipe.proof.clear();
    for service in &compose.services {
        let what = match (&service.image, &service.build) {
            (_, Some(build)) => format!("built from {}", build.file),
            (image, None) => format!("image {}", image.as_deref().unwrap_or_default()),
        };
        let role = if service.routed { ", routed" } else { "" };
        recipe
            .proof
            .push(proof(format!("{}:{}", compose.file, service.line), format!("service `{}`: {what}{role}", service.name)));
        let command =
            service.container.entrypoint.iter().chain(&service.container.arguments).cloned().collect::<Vec<_>>().join(" ");
        if service.routed {
            recipe.port = service.port;
            recipe.start = Some(command).filter(|command| !command.is_empty());
        } else {
            recipe.processes.push((service.name.clone(), command));
        }
    }
    recipe
}

#[cfg(test)]
mod tests;
