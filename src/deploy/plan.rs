//! From what was asked and what was found to a plan: every line with its reason.

mod command;
mod lines;
pub mod secrets;

use std::collections::BTreeMap;

use super::{
    containers::{self, Containers, Way},
    dockerfile::{self, Wanted},
    name, scale,
};
use crate::model::{
    command::{DeployRequest, Overrides},
    container_plan::{ContainerPlan, ImagePlan, Upkeep},
    fleet::Fleet,
    ids::{AppId, HostId, ReleaseId},
    log,
    manifest::{Manifest, Process, Runtime},
    plan::{Blueprint, Env, Plan, PlanLine, ProcessPlan, RoutePlan, Sign},
    problem::Problem,
    recipe::Recipe,
    route::Match,
    source::{Source, Survey},
};

/// Everything that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub app: &'a AppId,
    pub release: ReleaseId,
    pub request: &'a DeployRequest,
    pub manifest: &'a Manifest,
    /// The failure of detection counts only when manifest and overrides do not say enough.
    pub recipe: &'a Result<Recipe, Problem>,
    pub containers: &'a Containers,
    /// Images that written Dockerfiles begin with, by language or package manager.
    pub bases: &'a BTreeMap<String, String>,
    /// What the release that serves is made of, with its environment.
    pub before: Option<(&'a Blueprint, &'a Env)>,
    pub survey: &'a Survey,
    pub hosts: &'a [(HostId, String)],
    /// Verdict of the gate, in words.
    pub checks: &'a str,
}

/// Environment of a release: the manifest's, then the request's; that of single processes beside it.
pub fn environment(manifest: &Manifest, overrides: &Overrides, containers: &Containers) -> Env {
    let mut env = manifest.env.clone();
    env.retain(|name, _| !overrides.secrets.contains_key(name));
    env.extend(containers.environment());
    env.extend(overrides.env.0.clone());
    for (process, section) in &manifest.process {
        env.extend(section.env.iter().map(|(name, value)| (Env::of_one(process, name), value.clone())));
    }
    Env(env)
}

/// The plan of a deployment.
pub fn plan(asked: &Asked<'_>, fleet: &Fleet) -> Result<Plan, Problem> {
    let mut blueprint = blueprint(asked, &fleet.edge.domain)?;
    scale::check(&blueprint)?;
    if asked.request.overrides.replicas.is_some() && blueprint.processes.is_empty() {
        return Err(Problem::user("nothing of it is run in instances: the edge serves its files")
            .at("--replicas")
            .hint("leave it out"));
    }
    refuse_claimed(asked.app, &blueprint, fleet)?;
    let app = fleet.apps.get(asked.app);
    let from = app.and_then(|app| app.routed);
    let env = environment(asked.manifest, &asked.request.overrides, asked.containers);
    scale::keep(&mut blueprint, &asked.request.overrides, app, asked.before.map(|(before, _)| before));
    let settled = containers::settle(&mut blueprint, &env, asked.before);
    let mut lines = lines::of(asked, &blueprint, app, fleet);
    let is_named = asked.request.overrides.name.is_some() || asked.manifest.name.is_some();
    if let Some(written) = name::made_from(asked.app, &asked.request.source).filter(|_| !is_named) {
        let why = format!("{}, made from `{}`; --name gives another", asked.app, log::safe(&written));
        lines.push(PlanLine { sign: Sign::Note, what: "name".to_owned(), why });
    }
    lines.extend(settled);
    let undo = match from {
        Some(from) if lines::recreates(asked, &blueprint, fleet) => {
            format!("pilothouse rollback {} {from}: release {from} starts again in its place", asked.app)
        }
        Some(from) => format!(
            "pilothouse rollback {} {from}: one routing change while release {from} is warm ({})",
            asked.app, blueprint.keep.warm
        ),
        None => format!("pilothouse remove {}", asked.app),
    };
    Ok(Plan {
        app: asked.app.clone(),
        release: asked.release,
        from,
        hosts: asked.hosts.iter().map(|(host, _)| host.clone()).collect(),
        version: asked.survey.version(),
        blueprint,
        lines,
        checks: asked.checks.to_owned(),
        command: command::of(asked),
        undo,
    })
}

fn blueprint(asked: &Asked<'_>, domain: &str) -> Result<Blueprint, Problem> {
    let Asked { manifest, request, .. } = asked;
    let overrides = &request.overrides;
    let found = asked.recipe.as_ref().ok();
    let mut recipe =
        found.cloned().unwrap_or_else(|| Recipe { language: "unknown".into(), runtime: "process".into(), ..Recipe::default() });
    let choose = |flag: &Option<String>, file: &Option<String>, seen: &Option<String>| {
        flag.clone().or_else(|| file.clone()).or_else(|| seen.clone()).filter(|command| !command.trim().is_empty())
    };
    let install = choose(&overrides.install, &manifest.build.install, &recipe.install);
    let build = choose(&overrides.build, &manifest.build.command, &recipe.build);
    let asked_start = overrides.start.clone().or_else(|| manifest.process.get("web")?.command.clone());
    let asked_output = overrides.output.clone().or_else(|| manifest.build.output.clone());
    let output = match (&asked_output, &asked_start) {
        (Some(output), _) => Some(output.clone()).filter(|output| !output.trim().is_empty()),
        (None, Some(_)) => None,
        (None, None) => recipe.output.clone(),
    };
    let processes = processes(asked, &recipe, output.is_some())?;
    if processes.is_empty() && output.is_none() {
        return Err(nothing_to_run(asked));
    }
    let routes = routes(asked, &processes, output.is_some(), domain)?;
    let processes: Vec<ProcessPlan> =
        in_one_network(processes).into_iter().map(|process| routed(process, &routes, output.is_some())).collect();
    let commands = [("install", install), ("build", build)];
    let mut build: Vec<(String, String)> =
        commands.into_iter().filter_map(|(name, command)| Some((name.to_owned(), command?))).collect();
    let image = image(asked, &recipe, &build, &processes)?;
    if image.is_some() {
        // They are part of the image.
        build.clear();
    }
    if matches!(image, Some(ImagePlan::Generated { .. })) {
        recipe.port = Some(dockerfile::PORT);
    }
    Ok(Blueprint {
        build,
        image,
        recipe,
        limits: manifest.build.limits.clone(),
        output,
        processes,
        env: environment(manifest, overrides, asked.containers).shared().0.into_keys().collect(),
        secrets: secrets::references(manifest, overrides)?,
        routes,
        strategy: asked.request.overrides.strategy.unwrap_or(manifest.rollout.strategy),
        keep: manifest.rollout.keep.clone(),
    })
}

/// How the image is built that the processes run which name none of their own.
fn image(
    asked: &Asked<'_>,
    recipe: &Recipe,
    commands: &[(String, String)],
    processes: &[ProcessPlan],
) -> Result<Option<ImagePlan>, Problem> {
    let of_app = |process: &&ProcessPlan| process.runtime == Runtime::Docker && process.image.is_none();
    if matches!(asked.request.source, Source::Image { .. }) || !processes.iter().any(|process| of_app(&process)) {
        return Ok(None);
    }
    let Asked { manifest, request, .. } = asked;
    let env: Vec<String> = manifest.env.keys().chain(request.overrides.env.0.keys()).cloned().collect();
    let start = processes.iter().find(|process| process.name == "web").or(processes.iter().find(of_app));
    asked.containers.image(&Wanted {
        recipe,
        survey: asked.survey,
        commands,
        start: start.map(|process| process.command.as_str()).filter(|command| !command.is_empty()),
        env: &env,
        base: manifest.build.base.as_deref(),
        bases: asked.bases,
    })
}

fn nothing_to_run(asked: &Asked<'_>) -> Problem {
    match asked.recipe {
        Err(problem) => problem.clone(),
        Ok(recipe) => Problem::user(format!("it is {}, but nothing says how to start it", recipe.language)).hint(
            "give --start 'COMMAND', or --output FOLDER for static files, or write [process.web] command in pilothouse.toml",
        ),
    }
}

/// The processes by name: the manifest's when it names any, else what was detected.
fn processes(asked: &Asked<'_>, recipe: &Recipe, has_output: bool) -> Result<Vec<ProcessPlan>, Problem> {
    let overrides = &asked.request.overrides;
    if let Some(processes) = asked.containers.processes(overrides) {
        return Ok(processes);
    }
    let mut wanted: BTreeMap<String, Process> = asked.manifest.process.clone();
    if wanted.is_empty() {
        // An image has a command of its own.
        let is_image = matches!(asked.request.source, Source::Image { .. }) || matches!(asked.containers.way, Way::Dockerfile(_));
        if (!has_output && recipe.start.is_some()) || overrides.start.is_some() || is_image {
            wanted.insert("web".to_owned(), Process::default());
        }
        for (name, _) in &recipe.processes {
            wanted.entry(name.clone()).or_default();
        }
    } else if overrides.start.is_some() {
        wanted.entry("web".to_owned()).or_default();
    }
    // The manifest's reader leaves `web` open, which may be detected.
    for (name, process) in &wanted {
        if let Some(unknown) = process.depends_on.iter().find(|other| !wanted.contains_key(*other)) {
            return Err(Problem::user(format!("process `{name}` waits for `{unknown}`, which there is not"))
                .at(format!("pilothouse.toml process.{name}.depends_on"))
                .hint(format!("add [process.{unknown}], or leave it out")));
        }
    }
    wanted.into_iter().map(|(name, process)| process_plan(asked, recipe, name, process)).collect()
}

fn process_plan(asked: &Asked<'_>, recipe: &Recipe, name: String, process: Process) -> Result<ProcessPlan, Problem> {
    let overrides = &asked.request.overrides;
    let is_web = name == "web";
    let detected = || {
        let named = recipe.processes.iter().find(|(other, _)| *other == name).map(|(_, command)| command.clone());
        let start = || is_web.then(|| recipe.start.clone()).flatten();
        // What a Dockerfile starts is the image's own command: Docker knows it better than a line of text.
        named.or_else(start).filter(|_| !matches!(asked.containers.way, Way::Dockerfile(_)))
    };
    let flag = is_web.then(|| overrides.start.clone()).flatten();
    let command = flag.or(process.command.clone()).or_else(detected).filter(|command| !command.trim().is_empty());
    let runtime = runtime_of(asked, &name, &process)?;
    // An image has a command of its own.
    if command.is_none() && runtime != Runtime::Docker {
        return Err(Problem::user(format!("process `{name}` has no command"))
            .at(format!("pilothouse.toml process.{name}.command"))
            .hint("write the command that starts it"));
    }
    if let Some(volume) = process.volumes.first().filter(|_| runtime == Runtime::Process) {
        return Err(Problem::user(format!("process `{name}` is no container: nothing would keep `{volume}`"))
            .at(format!("pilothouse.toml process.{name}.volumes"))
            .hint(format!(
                "write runtime = \"docker\" below [process.{name}], or leave `volumes` out and give a folder by [env]"
            )));
    }
    let port = if is_web { overrides.port.or(process.port) } else { process.port };
    let replicas = if is_web { overrides.replicas.unwrap_or(process.replicas) } else { process.replicas };
    // Each container has all ports for itself.
    if port.is_some() && replicas > 1 && runtime == Runtime::Process {
        return Err(Problem::user(format!("process `{name}` asks for one fixed port and {replicas} replicas"))
            .hint("leave the port out: each instance gets its own by PORT"));
    }
    let in_container = runtime == Runtime::Docker && matches!(asked.containers.way, Way::Generated);
    let command = command.map(|command| if in_container { dockerfile::start_line(&command) } else { command });
    Ok(ProcessPlan {
        name,
        command: command.unwrap_or_default(),
        image: process.image,
        port,
        replicas,
        scaled_from: None,
        runtime,
        resources: process.resources,
        ready: process.ready,
        stop: process.stop,
        env: process.env.into_keys().collect(),
        volumes: process.volumes,
        depends_on: process.depends_on,
        build: None,
        container: None,
        upkeep: Upkeep::default(),
        routed: false,
    })
}

/// What runs a process: what is asked, and Docker for all that is an image.
fn runtime_of(asked: &Asked<'_>, name: &str, process: &Process) -> Result<Runtime, Problem> {
    let has_image = process.image.is_some() || matches!(asked.request.source, Source::Image { .. });
    let is_built = matches!(asked.containers.way, Way::Dockerfile(_) | Way::Generated);
    let named = asked.request.overrides.runtime;
    let wanted = if process.image.is_some() { None } else { named.or(is_built.then_some(Runtime::Docker)) };
    match (wanted, has_image) {
        (Some(Runtime::Process), true) => Err(Problem::user(format!("process `{name}` is an image, which only Docker runs"))
            .at("--runtime process")
            .hint("leave --runtime out")),
        (_, true) => Ok(Runtime::Docker),
        (wanted, false) if wanted.unwrap_or(process.runtime) == Runtime::Docker && !is_built => {
            Err(Problem::user(format!("process `{name}` is to run as a container, and nothing says of which image"))
                .at(format!("pilothouse.toml process.{name}"))
                .hint(format!("write image = \"…\" below [process.{name}], or deploy an image: pilothouse deploy --image REF")))
        }
        (wanted, false) => Ok(wanted.unwrap_or(process.runtime)),
    }
}

fn routes(asked: &Asked<'_>, processes: &[ProcessPlan], has_output: bool, domain: &str) -> Result<Vec<RoutePlan>, Problem> {
    let web = asked.containers.routed();
    let has_web = has_output || processes.iter().any(|process| process.name == web);
    if asked.manifest.route.is_empty() {
        // The name that others can reach comes first: it becomes the URL.
        let names = [domain, "localhost"].into_iter().filter(|domain| has_web && !domain.is_empty());
        let route = |domain| RoutePlan { at: Match::host(format!("{}.{domain}", asked.app)), process: web.to_owned() };
        return Ok(names.map(route).collect());
    }
    let mut routes = Vec::new();
    for (index, route) in asked.manifest.route.iter().enumerate() {
        let known = processes.iter().any(|process| process.name == route.process) || (has_output && route.process == "web");
        if !known {
            let names = processes.iter().map(|process| format!("`{}`", process.name)).collect::<Vec<_>>().join(", ");
            let next = if names.is_empty() {
                "leave `process` out: the files are `web`".to_owned()
            } else {
                format!("there is {names}")
            };
            return Err(Problem::user(format!(
                "the route {} leads to process `{}`, which there is not",
                route.host, route.process
            ))
            .at(format!("pilothouse.toml route[{index}].process"))
            .hint(next));
        }
        let path = route.path.as_deref().unwrap_or_default();
        let at = Match::below(route.host.to_ascii_lowercase(), path, route.strip);
        routes.push(RoutePlan { at, process: route.process.clone() });
    }
    Ok(routes)
}

/// Containers of one app reach each other by the names of their processes; one alone needs no network of its own.
fn in_one_network(mut processes: Vec<ProcessPlan>) -> Vec<ProcessPlan> {
    let many = processes.iter().filter(|process| process.runtime == Runtime::Docker).count() > 1;
    for process in processes.iter_mut().filter(|process| process.runtime == Runtime::Docker) {
        let aliases = if many { vec![process.name.clone()] } else { Vec::new() };
        match &mut process.container {
            Some(container) => container.aliases = aliases,
            None if many => process.container = Some(ContainerPlan { aliases, ..ContainerPlan::default() }),
            None => {}
        }
    }
    processes
}

fn routed(mut process: ProcessPlan, routes: &[RoutePlan], has_output: bool) -> ProcessPlan {
    process.routed = !has_output && routes.iter().any(|route| route.process == process.name);
    process
}

/// No two apps may claim the same host and path: which of them answered would be chance.
fn refuse_claimed(app: &AppId, blueprint: &Blueprint, fleet: &Fleet) -> Result<(), Problem> {
    for other in fleet.apps.values().filter(|other| other.id != *app) {
        let deploying = fleet.active_deployment(&other.id).map(|deployment| deployment.release);
        let releases = [other.routed, other.asked, deploying].into_iter().flatten();
        for theirs in
            releases.filter_map(|release| fleet.release(&other.id, release)).flat_map(|release| &release.blueprint.routes)
        {
            if let Some(claimed) = blueprint.routes.iter().find(|route| route.at.is_same_claim(&theirs.at)) {
                return Err(Problem::conflict(format!("{} belongs to the app {}", claimed.at, other.id))
                    .at("pilothouse.toml route")
                    .hint(format!("choose another host or path, or first run `pilothouse remove {}`", other.id)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
