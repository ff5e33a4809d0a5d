//! What needs a person: found in the fleet by rules, the worst first, with the keys that help.

use super::world::{Link, World};
use crate::model::{
    deployment::{Aim, Deployment, Phase},
    fleet::{App, AppStatus, TaskState},
    ids::{AppId, DeploymentId, HostId},
    instance::{Health, Instance, InstanceState},
    units::{Bytes, Timestamp, many},
    verbs::{Verb, earlier_releases},
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Danger,
    Warn,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    App(AppId),
    Host(HostId),
    Deployment(DeploymentId, AppId),
    Engine,
    Edge,
    Docker,
    Task(String),
}

/// One thing that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub grade: Grade,
    pub about: About,
    pub what: String,
    pub since: Option<Timestamp>,
    /// What changed before it.
    pub before: Option<String>,
    /// Verbs that help, each with what it does here.
    pub help: Vec<(Verb, String)>,
}

impl Need {
    pub fn name(&self) -> String {
        match &self.about {
            About::App(app) | About::Deployment(_, app) => app.to_string(),
            About::Host(host) => host.to_string(),
            About::Engine => "engine".to_owned(),
            About::Edge => "edge".to_owned(),
            About::Docker => "docker".to_owned(),
            About::Task(name) => name.clone(),
        }
    }

    pub fn app(&self) -> Option<&AppId> {
        match &self.about {
            About::App(app) | About::Deployment(_, app) => Some(app),
            _ => None,
        }
    }
}

/// Everything that needs a person, the worst first, then by name.
pub fn needs(world: &World) -> Vec<Need> {
    let fleet = &world.fleet;
    let mut needs = Vec::new();
    if let Link::Lost { problem, .. } = &world.link {
        needs.push(plain(Grade::Danger, About::Engine, problem.to_string()));
    }
    if let Some(problem) = &fleet.engine.degraded {
        needs.push(plain(Grade::Danger, About::Engine, problem.to_string()));
    }
    if !fleet.edge.up && fleet.edge.generation.0 > 0 {
        needs.push(plain(Grade::Danger, About::Edge, "does not answer; its keeper starts it again".to_owned()));
    }
    if let Some(docker) = fleet.docker.as_ref().filter(|_| fleet.apps.keys().any(|app| fleet.blind(app).is_some())) {
        let what = docker.problem.as_ref().map_or_else(|| "does not answer".to_owned(), ToString::to_string);
        needs.push(plain(Grade::Danger, About::Docker, what));
    }
    for app in fleet.apps.values() {
        needs.extend(of_app(world, app));
    }
    for host in fleet.hosts.values() {
        if host.reachable {
            needs.extend(of_pressure(world, &host.id));
        } else {
            let mut need = plain(Grade::Danger, About::Host(host.id.clone()), "cannot be reached".to_owned());
            need.since = Some(host.last_seen);
            needs.push(need);
        }
    }
    for task in fleet.tasks.values() {
        // A deployment's task says no more than the deployment.
        if task.deployment.is_none() && task.state == TaskState::Failed {
            let what = task.last_error.as_ref().map_or_else(|| "failed".to_owned(), ToString::to_string);
            let mut need = plain(Grade::Warn, About::Task(task.name.clone()), what);
            need.since = task.ended_at;
            needs.push(need);
        }
    }
    needs.sort_by_key(|one| (one.grade, one.name()));
    needs
}

fn plain(grade: Grade, about: About, what: String) -> Need {
    Need { grade, about, what, since: None, before: None, help: Vec::new() }
}

/// At most one of an app: its state, else its last deployment, else its figures.
fn of_app(world: &World, app: &App) -> Option<Need> {
    let fleet = &world.fleet;
    let last = fleet.last_deployment(&app.id);
    match fleet.app_status(&app.id) {
        status @ (AppStatus::Down | AppStatus::Degraded) => Some(of_state(world, app, status, last)),
        AppStatus::Serving | AppStatus::Running | AppStatus::Empty => {
            last.and_then(|last| of_end(world, app, last)).or_else(|| of_figures(world, app))
        }
        AppStatus::UnderWay | AppStatus::Stopped => None,
    }
}

fn of_state(world: &World, app: &App, status: AppStatus, last: Option<&Deployment>) -> Need {
    let fleet = &world.fleet;
    let grade = if status == AppStatus::Down { Grade::Danger } else { Grade::Warn };
    let wanted: Vec<&Instance> = fleet.instances_of(&app.id).filter(|instance| instance.wanted).collect();
    let worst =
        wanted.iter().copied().filter(|it| !is_sound(it)).max_by_key(|it| (it.state == InstanceState::BackOff, it.restarts));
    let what = match (fleet.shut(&app.id), worst) {
        (Some(cause), _) => cause.what,
        // Its next step stands with Docker's own need.
        (None, _) if fleet.blind(&app.id).is_some() => match app.serving {
            Some(_) => "answers through the edge; what runs is not known: Docker does not answer".to_owned(),
            None => "nothing of it answers through the edge, and Docker does not say what runs".to_owned(),
        },
        (None, Some(instance)) => cause_of(instance, wanted.iter().filter(|it| !is_sound(it)).count(), wanted.len()),
        (None, None) if wanted.is_empty() => "no instance runs".to_owned(),
        (None, None) if status == AppStatus::Down => "nothing of it answers through the edge".to_owned(),
        (None, None) => match (app.serving, app.routed) {
            (Some(serving), Some(routed)) if serving.release != routed => {
                format!("release {} serves, {routed} is routed", serving.release)
            }
            _ => "not all of it answers".to_owned(),
        },
    };
    let since = worst.and_then(|instance| instance.last_exit.as_ref().map(|exit| exit.at).or(instance.started_at));
    let before = last.filter(|last| last.is_over()).and_then(|last| {
        let ended = last.ended_at?;
        let since = since.unwrap_or(world.now);
        (since >= ended && ended.age(since).as_secs() < 3600)
            .then(|| format!("began {} after {} {}", super::words::span(ended, since), last.aim.word(), last.release))
    });
    Need { grade, about: About::App(app.id.clone()), what, since, before, help: help_for(world, app, true) }
}

fn is_sound(instance: &Instance) -> bool {
    instance.state == InstanceState::Running && !matches!(instance.health, Health::Failing | Health::Ejected)
}

fn cause_of(instance: &Instance, bad: usize, all: usize) -> String {
    let exit = instance.last_exit.as_ref().map(super::super::model::instance::Exit::words);
    let what = match (instance.state, &exit) {
        (InstanceState::BackOff, Some(exit)) => {
            format!("crash loop: {exit}, {}, since release {}", many(instance.restarts as usize, "restart"), instance.release)
        }
        (InstanceState::Running, _) => format!(
            "{} {}",
            instance.id,
            if instance.health == Health::Ejected { "was ejected from the pool" } else { "fails its health check" }
        ),
        (state, Some(exit)) => format!("{} is {}: {exit}", instance.id, state.word()),
        (state, None) => format!("{} is {}", instance.id, state.word()),
    };
    if bad < all { format!("{what}; {bad} of {all}") } else { what }
}

/// A deployment that did not do what was asked stays until a later one does, for a day.
fn of_end(world: &World, app: &App, last: &Deployment) -> Option<Need> {
    let ended = last.ended_at?;
    if !matches!(last.phase, Phase::Failed | Phase::Reverted | Phase::Stuck) || ended.age(world.now).as_secs() > 86_400 {
        return None;
    }
    let cause = last.cause.as_ref().map_or_else(|| last.phase.word().to_owned(), |cause| cause.what.clone());
    let kept = app.serving.map(|serving| format!("; {} kept serving", serving.release)).unwrap_or_default();
    let what = format!("{} of {} {}: {cause}{kept}", last.aim.word(), last.release, last.phase.word());
    let mut help = vec![(Verb::Why, "why".to_owned())];
    if last.aim == Aim::Deploy {
        help.push((Verb::BuildLog, "build log".to_owned()));
    }
    help.push((Verb::Open, "steps".to_owned()));
    let grade = if last.phase == Phase::Stuck { Grade::Danger } else { Grade::Warn };
    Some(Need { grade, about: About::Deployment(last.id, app.id.clone()), what, since: Some(ended), before: None, help })
}

/// More than one in a hundred answers an error.
fn of_figures(world: &World, app: &App) -> Option<Need> {
    const LIMIT: f64 = 0.01;
    let sample = world.app_sample(&app.id)?;
    let share = sample.error_share.filter(|share| *share > LIMIT)?;
    let history = world.fleet.app_history.get(&app.id)?;
    let since = history.iter().rev().take_while(|sample| sample.error_share.is_some_and(|share| share > LIMIT)).last()?.at;
    let what = format!(
        "{} % of its answers are errors, at {} req/s",
        super::words::share(share),
        super::words::count(sample.requests_per_s)
    );
    Some(Need {
        grade: Grade::Warn,
        about: About::App(app.id.clone()),
        what,
        since: Some(since),
        before: None,
        help: help_for(world, app, false),
    })
}

fn help_for(world: &World, app: &App, why: bool) -> Vec<(Verb, String)> {
    let mut help = Vec::new();
    if why {
        help.push((Verb::Why, "why".to_owned()));
    }
    help.push((Verb::AppLogs, "logs".to_owned()));
    if let Some(release) = earlier_releases(&world.fleet, &app.id).next() {
        help.push((Verb::Rollback, format!("roll back to {}", release.id)));
    }
    help
}

fn of_pressure(world: &World, id: &HostId) -> Option<Need> {
    let sample = world.fleet.host_history.get(id)?.back()?;
    let part = |used: u64, total: u64| if total == 0 { 0.0 } else { used as f64 / total as f64 };
    let free = |used: u64, total: u64| Bytes(total.saturating_sub(used));
    let what = if part(sample.disk_used, sample.disk_total) > 0.92 {
        format!("disk almost full: {} free", free(sample.disk_used, sample.disk_total))
    } else if part(sample.memory_used, sample.memory_total) > 0.95 {
        format!("memory almost full: {} free", free(sample.memory_used, sample.memory_total))
    } else {
        return None;
    };
    Some(plain(Grade::Warn, About::Host(id.clone()), what))
}
