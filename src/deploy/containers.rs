//! Which way a source becomes containers: its Compose file, its Dockerfile, one that is written for it, or none.

use std::collections::BTreeMap;

use super::{
    detect::{compose, compose::Compose, dockerfile as of_dockerfile},
    dockerfile::{self as written, Generated, Wanted},
};
use crate::model::{
    command::Overrides,
    container_plan::{ImageBuild, ImagePlan, Upkeep},
    dockerfile::{self, Dockerfile},
    fleet::Fleet,
    ids::{AppId, InstanceId},
    instance::Instance,
    manifest::{Manifest, Process, Resources, Runtime, Stop},
    mount::MountFrom,
    plan::{Blueprint, Env, PlanLine, ProcessPlan, Sign},
    problem::Problem,
    recipe::Recipe,
    source::Survey,
};

/// What was decided, with what a plan has to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    pub way: Way,
    /// (what, why).
    pub notes: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// No container is built.
    #[default]
    None,
    Compose(Compose),
    Dockerfile(ImageBuild),
    /// A Dockerfile is written from the recipe.
    Generated,
}

/// Chooses the way, and gives the recipe that it leads to.
///
/// A Dockerfile that is named decides. Else, when containers are asked for or nothing else is recognised: the Compose file,
/// when it builds something of this source, then the Dockerfile, then a written one.
pub fn choose(
    survey: &Survey,
    manifest: &Manifest,
    overrides: &Overrides,
    recipe: Result<Recipe, Problem>,
) -> Result<(Containers, Result<Recipe, Problem>), Problem> {
    let web = manifest.process.get("web");
    let named = overrides.dockerfile.clone().or_else(|| manifest.build.dockerfile.clone());
    let runtime = overrides.runtime.or(web.map(|web| web.runtime));
    let mut containers = Containers::default();
    if survey.image.is_some() || web.is_some_and(|web| web.image.is_some()) {
        return Ok((containers, recipe));
    }
    if let Some(file) = named {
        return by_dockerfile(survey, file, recipe);
    }
    let is_asked = runtime == Some(Runtime::Docker);
    let only_files = ["dockerfile", "compose"];
    let is_recognised = recipe.as_ref().is_ok_and(|recipe| !only_files.contains(&recipe.language.as_str()));
    if (!is_asked && is_recognised) || runtime == Some(Runtime::Process) {
        return Ok((containers, recipe));
    }
    let has_dockerfile = survey.texts.contains_key(of_dockerfile::FILE);
    if (manifest.process.is_empty() || !has_dockerfile)
        && let Some(found) = compose::read(survey, &overrides.env.0)?
    {
        let builds = found.services.iter().any(|service| service.build.is_some());
        if manifest.process.is_empty() && (builds || !(is_recognised || has_dockerfile)) {
            containers.notes = found.notes.iter().map(|note| (note.at.clone(), note.what.clone())).collect();
            let recipe = compose::over(recipe.unwrap_or_default(), &found);
            return Ok((Containers { way: Way::Compose(found), ..containers }, Ok(recipe)));
        }
        let why = if builds { "pilothouse.toml says what runs" } else { "it builds nothing of this source" };
        containers.notes.push((format!("{} is not used", found.file), why.to_owned()));
    }
    if has_dockerfile {
        let (mut found, recipe) = by_dockerfile(survey, of_dockerfile::FILE.to_owned(), recipe)?;
        found.notes.splice(0..0, containers.notes);
        return Ok((found, recipe));
    }
    if is_asked && recipe.is_ok() {
        containers.way = Way::Generated;
    }
    Ok((containers, recipe))
}

type Found = (Containers, Result<Recipe, Problem>);

fn by_dockerfile(survey: &Survey, file: String, recipe: Result<Recipe, Problem>) -> Result<Found, Problem> {
    let file = file.trim_start_matches("./").to_owned();
    let inside = !file.is_empty() && !file.starts_with('/') && !file.split('/').any(|part| part == "..");
    let is_there = survey.truncated || survey.listing.binary_search(&file).is_ok();
    if !inside || !is_there {
        let near = survey.listing.iter().filter(|path| path.rsplit('/').next().is_some_and(|name| name.contains("Dockerfile")));
        let near: Vec<&str> = near.map(String::as_str).take(5).collect();
        let next = match near.as_slice() {
            [] => "give its path relative to the root; without one, leave it out".to_owned(),
            near => format!("there are: {}", near.join(", ")),
        };
        return Err(Problem::user(format!("there is no Dockerfile `{}` in the source", file.escape_debug()))
            .at("build.dockerfile")
            .hint(next));
    }
    let recipe = recipe.unwrap_or_default();
    let found = match survey.texts.get(&file) {
        Some(text) => dockerfile::read(text, &file)?,
        // Not among the texts that are taken along: it is read when it is built.
        None => Dockerfile { file: file.clone(), ..Dockerfile::default() },
    };
    let by_buildkit = found.buildkit.first().map(|(line, what)| {
        let what = format!("{what}: BuildKit builds it; its steps have no limit of memory");
        (format!("{file}:{line}"), what)
    });
    let notes = by_buildkit.into_iter().collect();
    let mut recipe = of_dockerfile::over(recipe, &found);
    if recipe.language.is_empty() {
        "dockerfile".clone_into(&mut recipe.language);
    }
    Ok((Containers { way: Way::Dockerfile(ImageBuild { file, ..ImageBuild::default() }), notes }, Ok(recipe)))
}

impl Containers {
    /// The process that requests lead to unless a route says otherwise.
    pub fn routed(&self) -> &str {
        match &self.way {
            Way::Compose(compose) => {
                compose.services.iter().find(|service| service.routed).map_or("", |service| service.name.as_str())
            }
            _ => "web",
        }
    }

    /// Variables of single processes, and values of their builds' arguments.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let Way::Compose(compose) = &self.way else { return BTreeMap::new() };
        let mut env = BTreeMap::new();
        for service in &compose.services {
            env.extend(service.env.iter().map(|(name, value)| (Env::of_one(&service.name, name), value.clone())));
            let of_build = arguments_of(&service.name);
            env.extend(service.args.iter().map(|(name, value)| (Env::of_one(&of_build, name), value.clone())));
        }
        env
    }

    /// The processes of a Compose file; absent for every other way.
    pub fn processes(&self, overrides: &Overrides) -> Option<Vec<ProcessPlan>> {
        let Way::Compose(compose) = &self.way else { return None };
        let plans = compose.services.iter().map(|service| {
            let over = if service.routed { overrides.clone() } else { Overrides::default() };
            let stop = Stop::default();
            ProcessPlan {
                name: service.name.clone(),
                command: over.start.unwrap_or_default(),
                image: service.image.clone(),
                port: over.port.or(service.port),
                replicas: over.replicas.or(service.replicas).unwrap_or(1),
                scaled_from: None,
                runtime: Runtime::Docker,
                resources: Resources { memory: service.memory },
                ready: Process::default().ready,
                stop: Stop { kill: service.kill_after.unwrap_or(stop.kill), ..stop },
                env: service.env.keys().cloned().collect(),
                volumes: service.volumes.clone(),
                depends_on: service.depends_on.clone(),
                build: service.build.clone(),
                container: Some(service.container.clone()),
                upkeep: Upkeep::Beside,
                routed: false,
            }
        });
        Some(plans.collect())
    }

    /// How the app's image is built, for `processes` that are containers of it.
    pub fn image(&self, wanted: &Wanted<'_>) -> Result<Option<ImagePlan>, Problem> {
        match &self.way {
            Way::None | Way::Compose(_) => Ok(None),
            Way::Dockerfile(build) => Ok(Some(ImagePlan::Dockerfile(build.clone()))),
            Way::Generated => written::generate(wanted).map(|Generated { base, text }| Some(ImagePlan::Generated { base, text })),
        }
    }
}

/// Name under which the values of a build's arguments are kept: no process's name has a `:`.
pub fn arguments_of(process: &str) -> String {
    format!("build:{process}")
}

/// Whether containers of it see files of the source.
pub fn sees_source(process: &ProcessPlan) -> bool {
    process.volumes.iter().any(|mount| matches!(&mount.from, MountFrom::Path(path) if !path.starts_with('/')))
}

/// Instances of an app that are what a settled plan of `process` asks for: they stay, and as many fewer are started.
pub fn kept(fleet: &Fleet, app: &AppId, process: &ProcessPlan) -> Vec<InstanceId> {
    let pool = fleet.apps.get(app).map_or(&[] as &[InstanceId], |app| app.pool.as_slice());
    let stays = |instance: &&Instance| {
        process.upkeep == Upkeep::Keep
            && instance.process == process.name
            && instance.wanted
            && instance.state.is_alive()
            && pool.contains(&instance.id)
    };
    fleet.instances_of(app).filter(stays).map(|instance| instance.id.clone()).take(process.replicas as usize).collect()
}

/// Decides what becomes of running instances of the processes that nobody routes to; says which are replaced.
///
/// With a volume they are never two at a time: an unchanged one stays, a changed one ends before the new one starts. Of
/// those without, an unchanged image stays, and everything else is started beside.
pub fn settle(blueprint: &mut Blueprint, env: &Env, before: Option<(&Blueprint, &Env)>) -> Vec<PlanLine> {
    let mut lines = Vec::new();
    for process in &mut blueprint.processes {
        if process.routed || process.runtime != Runtime::Docker {
            continue;
        }
        let old = before.and_then(|(before, env)| Some((before.processes.iter().find(|old| old.name == process.name)?, env)));
        let is_same =
            old.is_some_and(|(old, old_env)| is_same(process, old) && own(env, &process.name) == own(old_env, &old.name));
        let has_volume = !process.volumes.is_empty();
        let (sign, what, why) = match (is_same, has_volume) {
            (true, _) => {
                process.upkeep = Upkeep::Keep;
                continue;
            }
            (false, true) => {
                process.upkeep = Upkeep::Replace;
                if old.is_none() {
                    continue;
                }
                (Sign::Change, "stopped, then started", "it has changed, and two must not have one volume: a short pause")
            }
            (false, false) => continue,
        };
        lines.push(PlanLine { sign, what: process.name.clone(), why: format!("{what}: {why}") });
    }
    lines
}

/// Variables of one process alone: those of all are for what is built here, and do not stop a database.
fn own<'e>(env: &'e Env, process: &str) -> Vec<(&'e String, &'e String)> {
    env.0.iter().filter(|(name, _)| name.split_once('/').is_some_and(|(of, _)| of == process)).collect()
}

/// Whether an instance of `old` is what `new` asks for, as far as a plan tells. What is built here is new each time.
pub fn is_same(new: &ProcessPlan, old: &ProcessPlan) -> bool {
    let plain = |process: &ProcessPlan| ProcessPlan {
        depends_on: Vec::new(),
        ready: Process::default().ready,
        upkeep: Upkeep::Beside,
        replicas: 1,
        scaled_from: None,
        ..process.clone()
    };
    new.image.is_some() && new.build.is_none() && !sees_source(new) && plain(new) == plain(old)
}

#[cfg(test)]
#[path = "containers_tests.rs"]
mod tests;
