//! What a plan says, line by line, each with its reason.

use super::Asked;
use crate::{
    deploy::{
        containers::{self, Way},
        strategies::recreate,
    },
    model::{
        container_plan::ImagePlan,
        fleet::{App, Fleet},
        manifest::Runtime,
        plan::{Blueprint, PlanLine, ProcessPlan, RoutePlan, Sign},
    },
};

/// Whether something must stop before the release can start.
pub(super) fn recreates(asked: &Asked<'_>, blueprint: &Blueprint, fleet: &Fleet) -> bool {
    !recreate::in_the_way(fleet, asked.app, blueprint, &[]).is_empty()
}

/// The lines of a plan, without those of what stays or is replaced.
pub(super) fn of(asked: &Asked<'_>, blueprint: &Blueprint, app: Option<&App>, fleet: &Fleet) -> Vec<PlanLine> {
    let mut lines = Vec::new();
    let mut line = |sign, what: String, why: String| lines.push(PlanLine { sign, what, why });
    let recipe = &blueprint.recipe;
    let proof = recipe.proof.first().map(|proof| format!("{}: {}", proof.file, proof.why)).unwrap_or_default();
    line(Sign::Add, format!("release {}", asked.release), format!("{} of {}", asked.survey.version(), asked.request.source));
    for (name, command) in &blueprint.build {
        let limits = &blueprint.limits;
        line(
            Sign::Add,
            name.clone(),
            format!("{command}; at most {}, {} memory, {} disk", limits.time, limits.memory, limits.disk),
        );
    }
    let limits = format!("at most {}, {} memory, {} disk", blueprint.limits.time, blueprint.limits.memory, blueprint.limits.disk);
    match &blueprint.image {
        Some(ImagePlan::Dockerfile(build)) => {
            let base = recipe.proof.iter().find_map(|proof| proof.why.strip_prefix("image from "));
            let base = base.map_or(String::new(), |base| format!(" on {base}"));
            line(Sign::Add, "image".to_owned(), format!("built by {}{base}; {limits}", build.file));
        }
        Some(ImagePlan::Generated { base, .. }) => {
            let why = format!("built by a written Dockerfile on {base} (--json shows it); {limits}");
            line(Sign::Add, "image".to_owned(), why);
        }
        None => {}
    }
    for process in &blueprint.processes {
        if let Some(build) = &process.build {
            line(Sign::Add, "image".to_owned(), format!("{}: built by {}; {limits}", process.name, build.file));
        }
    }
    let is_built = blueprint.image.is_some() || blueprint.processes.iter().any(|process| process.build.is_some());
    if is_built && !proof.is_empty() {
        line(Sign::Note, recipe.language.clone(), proof);
    } else if blueprint.build.is_empty() {
        line(Sign::Note, "no build".to_owned(), if proof.is_empty() { "nothing asks for one".to_owned() } else { proof });
    } else if !proof.is_empty() {
        line(Sign::Note, recipe.language.clone(), proof);
    }
    let host = asked.hosts.first().map(|(host, reason)| format!("{host}: {reason}")).unwrap_or_default();
    if let Some(output) = &blueprint.output {
        line(Sign::Add, "static site".to_owned(), format!("{output}, served by the edge"));
        if blueprint.processes.iter().any(|process| process.name == "web") {
            let why = "it runs and gets no requests: the edge answers them with the static site; leave one of them out";
            line(Sign::Note, "web".to_owned(), why.to_owned());
        }
    }
    for process in &blueprint.processes {
        for (sign, what, why) in of_process(asked, blueprint, process, fleet, &host) {
            line(sign, what, why);
        }
    }
    for RoutePlan { at, .. } in &blueprint.routes {
        let address = fleet.edge.url(at).unwrap_or_else(|| format!("http://{at}"));
        match app.and_then(|app| app.routed) {
            Some(from) => {
                line(
                    Sign::Change,
                    "route".to_owned(),
                    format!("{address}  release {from} → {}, once it is proved", asked.release),
                );
            }
            None => line(Sign::Add, "route".to_owned(), format!("{address}, once it is proved")),
        }
    }
    if let Some(from) = app.and_then(|app| app.routed) {
        let kept: usize = blueprint.processes.iter().map(|process| containers::kept(fleet, asked.app, process).len()).sum();
        let running = app.map_or(0, |app| app.pool.len().saturating_sub(kept));
        let recreates = recreates(asked, blueprint, fleet);
        let when = if recreates { "drained".to_owned() } else { format!("after {} warm, drained", blueprint.keep.warm) };
        line(Sign::Remove, format!("{running} of release {from}"), format!("{when} first"));
        if recreates {
            let what = blueprint
                .processes
                .iter()
                .find_map(recreate::fixed_port)
                .map_or("recreate".to_owned(), |port| format!("port {port} is fixed"));
            line(Sign::Note, what, "the old instance stops before the new one starts; 503 with Retry-After meanwhile".to_owned());
        }
    }
    if !blueprint.secrets.is_empty() {
        let named = blueprint.secrets.iter().map(|(name, reference)| format!("{name} from {reference}"));
        line(Sign::Note, "secrets".to_owned(), named.collect::<Vec<_>>().join(", "));
    }
    for (what, why) in &asked.containers.notes {
        line(Sign::Note, what.clone(), why.clone());
    }
    let in_docker = blueprint.processes.iter().any(|process| process.runtime == Runtime::Docker);
    if in_docker && let Some(problem) = fleet.docker.as_ref().filter(|docker| !docker.up).map(|docker| &docker.problem) {
        let why = problem.as_ref().map_or_else(|| "it does not answer".to_owned(), ToString::to_string);
        line(Sign::Note, "Docker cannot be used".to_owned(), why);
    }
    if in_docker && asked.containers.way == Way::Generated && blueprint.output.is_some() {
        line(Sign::Note, "no container".to_owned(), "the edge serves static files by itself".to_owned());
    }
    line(Sign::Note, "dependencies".to_owned(), asked.checks.to_owned());
    lines
}

type Said = (Sign, String, String);

/// What is started of a process, what of it stays, and what it holds.
fn of_process(asked: &Asked<'_>, blueprint: &Blueprint, process: &ProcessPlan, fleet: &Fleet, host: &str) -> Vec<Said> {
    let kept = containers::kept(fleet, asked.app, process).len();
    let fresh = (process.replicas as usize).saturating_sub(kept);
    let mut lines = Vec::new();
    let said = &process.name;
    if kept > 0 {
        let (many, verb) = if kept == 1 { ("", "stays") } else { ("s", "stay") };
        let image = process.image.as_ref().map_or_else(String::new, |image| format!("image {image}, "));
        let why = format!("{said}: {image}runs already, and nothing of it has changed");
        lines.push((Sign::Note, format!("{kept} container{many} {verb}"), why));
    }
    if fresh > 0 {
        let what = if process.runtime == Runtime::Docker { "container" } else { "instance" };
        let many = if fresh == 1 { "" } else { "s" };
        let why = format!("{said}: {}; {}; {host}", runs(blueprint, process), listens(blueprint, process));
        lines.push((Sign::Add, format!("{fresh} {what}{many}"), why));
    }
    if let Some(said) = process.scaled_from {
        let why = format!("{} stays, pilothouse.toml says {said}; --replicas sets it", process.replicas);
        lines.push((Sign::Note, "scaled".to_owned(), why));
    }
    let volumes = process.volumes.iter();
    lines.extend(volumes.map(|volume| (Sign::Note, "volume".to_owned(), format!("{}: {volume}", process.name))));
    lines
}

fn listens(blueprint: &Blueprint, process: &ProcessPlan) -> String {
    match (process.port, process.runtime, blueprint.recipe.port) {
        (None, Runtime::Docker, Some(port)) if process.image.is_none() => format!("port {port} inside"),
        (Some(port), Runtime::Docker, _) => format!("port {port} inside"),
        (Some(port), Runtime::Process, _) => format!("port {port}"),
        (None, ..) => "port by PORT".to_owned(),
    }
}

fn runs(blueprint: &Blueprint, process: &ProcessPlan) -> String {
    match (&process.image, process.command.as_str()) {
        (Some(image), "") => format!("image {image}"),
        (Some(image), command) => format!("image {image}, {command}"),
        (None, "") => match &blueprint.recipe.start {
            Some(start) if process.routed => format!("the image's own command, {start}"),
            _ => "the image's own command".to_owned(),
        },
        (None, command) => command.to_owned(),
    }
}
