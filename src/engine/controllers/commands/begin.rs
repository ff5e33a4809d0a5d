//! What a command sets going: a deployment, and the end of those before it; or a refusal.

use super::watch;
use crate::{
    config::clock,
    deploy::containers,
    model::{
        change::Change,
        command::{Answer, DeployRequest},
        container_plan::Upkeep,
        deployment::{Aim, Deployment, EndedBy, Phase},
        fleet::{App, Desired, Fleet, Release},
        ids::{AppId, DeploymentId, InstanceId, ReleaseId},
        instance::{Instance, InstanceState},
        manifest::MOST_REPLICAS,
        problem::Problem,
        units::Millis,
    },
};

/// Who asks, from where, under which key.
pub(super) struct Who {
    pub actor: String,
    pub origin: String,
    pub key: String,
}

/// What is asked of a release that there is already.
pub(super) enum Again {
    Rollback(Option<ReleaseId>),
    Restart,
    Start,
    Scale(u32),
    Stop,
    Remove,
}

impl Again {
    fn aim(&self) -> Aim {
        match self {
            Self::Rollback(_) => Aim::Rollback,
            Self::Restart => Aim::Restart,
            Self::Start => Aim::Start,
            Self::Scale(_) => Aim::Scale,
            Self::Stop => Aim::Stop,
            Self::Remove => Aim::Remove,
        }
    }
}

pub(super) fn accepted(deployment: &Deployment) -> Answer {
    Answer::Accepted { deployment: deployment.id, app: deployment.app.clone() }
}

pub(super) fn ended_by(deployment: &Deployment, by: EndedBy) -> Change {
    Change::Deployment(Box::new(Deployment { asked_end: Some(by), ..deployment.clone() }))
}

/// A newer wish ends the older ones of the same app: the one at work goes back first.
fn supersede(fleet: &Fleet, app: &AppId) -> (Vec<Change>, Vec<DeploymentId>) {
    let older = fleet.deployments.values().filter(|older| older.app == *app && !older.is_over() && older.asked_end.is_none());
    older.map(|older| (ended_by(older, EndedBy::Supersede), older.id)).unzip()
}

fn blank(fleet: &Fleet, who: &Who, app: &AppId, aim: Aim, release: ReleaseId) -> Deployment {
    let entry = fleet.apps.get(app);
    let now = clock::now();
    Deployment {
        id: fleet.deployments.keys().next_back().map_or(DeploymentId(1), |last| last.next()),
        app: app.clone(),
        aim,
        release,
        from: entry.filter(|entry| entry.desired == Desired::Running).and_then(|entry| entry.routed),
        actor: who.actor.clone(),
        origin: who.origin.clone(),
        request: None,
        plan: None,
        phase: Phase::Queued,
        asked_at: now,
        phase_since: now,
        ended_at: None,
        remaining: Phase::Queued.deadline(),
        steps: Vec::new(),
        asked_end: None,
        starts: Vec::new(),
        pool: Vec::new(),
        key: who.key.clone(),
        cause: None,
    }
}

/// The changes that begin a deployment, the deployment, and those that it ends.
pub(super) type Begun = (Vec<Change>, (Deployment, Vec<DeploymentId>));

/// A new release is asked for; by the app's watch, when `commit` is its.
pub(super) fn deploy(fleet: &Fleet, who: &Who, app: AppId, wanted: DeployRequest, commit: Option<String>) -> Begun {
    let (mut changes, superseded) = supersede(fleet, &app);
    let entry = fleet.apps.get(&app).cloned().unwrap_or_else(|| new_app(app.clone()));
    let release = entry.next_release;
    let mut deployment = blank(fleet, who, &app, Aim::Deploy, release);
    let watch = watch::begun(entry.watch.as_deref(), who, &wanted, commit);
    deployment.request = Some(wanted);
    changes.push(Change::App(App { asked: Some(release), next_release: release.next(), watch, ..entry }));
    changes.push(Change::Deployment(Box::new(deployment.clone())));
    (changes, (deployment, superseded))
}

fn new_app(id: AppId) -> App {
    App {
        id,
        desired: Desired::Running,
        asked: None,
        routed: None,
        pool: Vec::new(),
        serving: None,
        previous: None,
        replicas: None,
        url: None,
        next_release: ReleaseId(1),
        created_at: clock::now(),
        warm: None,
        watch: None,
    }
}

/// A release that there is already is asked for again, or out of service; or refused.
pub(super) fn again(fleet: &Fleet, who: &Who, app: &AppId, what: &Again) -> Result<Begun, Problem> {
    let entry = known_app(fleet, app)?;
    let release = match what {
        Again::Rollback(asked) => rollback_target(fleet, entry, *asked)?.id,
        Again::Remove => entry.routed.or(entry.asked).unwrap_or(ReleaseId(0)),
        _ => entry.routed.ok_or_else(|| {
            Problem::conflict(format!("nothing of {app} was ever live")).hint(format!("pilothouse deploy PATH --name {app}"))
        })?,
    };
    check(fleet, entry, what)?;
    let (mut changes, superseded) = supersede(fleet, app);
    let mut deployment = blank(fleet, who, app, what.aim(), release);
    if !matches!(what, Again::Stop | Again::Remove) {
        let target =
            fleet.release(app, release).ok_or_else(|| Problem::not_found(format!("release {release} of {app} is not kept")))?;
        let mut target = target.clone();
        fill(fleet, entry, &mut deployment, &mut target, what);
        changes.push(Change::Release(Box::new(target)));
        changes.push(Change::App(App { asked: Some(release), ..entry.clone() }));
    }
    changes.push(Change::Deployment(Box::new(deployment.clone())));
    Ok((changes, (deployment, superseded)))
}

fn check(fleet: &Fleet, entry: &App, what: &Again) -> Result<(), Problem> {
    let app = &entry.id;
    let is_stopped = entry.desired == Desired::Stopped;
    match what {
        Again::Start if !is_stopped => {
            Err(Problem::conflict(format!("{app} is not stopped")).hint(format!("pilothouse restart {app}")))
        }
        Again::Restart | Again::Scale(_) if is_stopped => {
            Err(Problem::conflict(format!("{app} is stopped")).hint(format!("pilothouse start {app}")))
        }
        Again::Stop if is_stopped => Err(Problem::conflict(format!("{app} is stopped already"))),
        Again::Scale(0) => Err(Problem::user("an app cannot be scaled to 0").hint(format!("pilothouse stop {app}"))),
        Again::Scale(replicas) if *replicas > MOST_REPLICAS => {
            Err(Problem::user(format!("{replicas} instances are more than the limit of {MOST_REPLICAS}")))
        }
        Again::Scale(replicas) => {
            let web = entry.routed.and_then(|routed| fleet.release(app, routed)).and_then(|release| release.blueprint.web());
            match web {
                None => Err(Problem::conflict(format!(
                    "{app} has no process that could be scaled: the edge serves it, or it has no route"
                ))),
                Some(web) if web.port.is_some() && *replicas > 1 => {
                    Err(Problem::conflict(format!("{app} asks for a fixed port, which only one instance can have"))
                        .hint("leave [process.web] port out of pilothouse.toml and deploy again"))
                }
                Some(_) => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

pub(super) fn known_app<'a>(fleet: &'a Fleet, app: &AppId) -> Result<&'a App, Problem> {
    fleet.apps.get(app).ok_or_else(|| {
        let near = fleet.apps.keys().map(|known| (strsim::jaro_winkler(known.as_str(), app.as_str()), known));
        let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        let problem = Problem::not_found(format!("there is no app `{app}`"));
        match near {
            Some((_, known)) => problem.hint(format!("did you mean `{known}`?")),
            None => problem.hint("pilothouse apps lists them"),
        }
    })
}

fn rollback_target<'a>(fleet: &'a Fleet, entry: &App, asked: Option<ReleaseId>) -> Result<&'a Release, Problem> {
    let app = &entry.id;
    let listed = || format!("pilothouse releases {app}");
    let Some(wanted) = asked.or(entry.previous) else {
        return Err(Problem::conflict(format!("{app} has no earlier release to return to")).hint(listed()));
    };
    let release = fleet
        .release(app, wanted)
        .ok_or_else(|| Problem::not_found(format!("release {wanted} of {app} is not kept")).hint(listed()))?;
    if release.artefact.is_none() {
        return Err(Problem::conflict(format!("release {wanted} of {app} was never built")).hint(listed()));
    }
    if entry.desired == Desired::Running
        && entry.serving.is_some_and(|serving| serving.release == wanted)
        && fleet.active_deployment(app).is_none()
    {
        return Err(Problem::conflict(format!("release {wanted} of {app} serves already")).hint(listed()));
    }
    Ok(release)
}

/// Chooses the instances that will serve: kept ones that run, and fresh ones for the rest.
fn fill(fleet: &Fleet, entry: &App, deployment: &mut Deployment, release: &mut Release, what: &Again) {
    let reusable = |instance: &&Instance| {
        instance.release == release.id
            && instance.wanted
            && instance.state == InstanceState::Running
            && instance.address.is_some()
    };
    let may_reuse = matches!(what, Again::Rollback(_) | Again::Scale(_));
    let mut pool: Vec<InstanceId> = Vec::new();
    let mut starts = Vec::new();
    for process in release.blueprint.processes.clone() {
        let replicas = match what {
            Again::Scale(replicas) if process.routed => *replicas,
            _ if process.routed => entry.replicas.unwrap_or(process.replicas),
            _ => process.replicas,
        };
        let workers_too = |instance: &&Instance| {
            reusable(instance)
                || (!process.routed && instance.wanted && instance.release == release.id && instance.state.is_alive())
        };
        // What may not be there twice stays when it is what is asked, whichever release started it.
        // Gap: values of its environment are not compared, only their names.
        let as_asked = |instance: &Instance| {
            let old = fleet.release(&entry.id, instance.release);
            let old = old.and_then(|old| old.blueprint.processes.iter().find(|plan| plan.name == process.name));
            process.upkeep != Upkeep::Beside
                && instance.wanted
                && instance.state.is_alive()
                && old.is_some_and(|old| containers::is_same(&process, old))
        };
        let stays = |instance: &&Instance| workers_too(instance) || as_asked(instance);
        let kept = fleet.instances_of(&entry.id).filter(|instance| instance.process == process.name).filter(stays);
        let kept: Vec<InstanceId> =
            kept.take(if may_reuse { replicas as usize } else { 0 }).map(|instance| instance.id.clone()).collect();
        for _ in kept.len()..replicas as usize {
            starts.push((process.name.clone(), InstanceId::of(&entry.id, release.id, release.started)));
            release.started += 1;
        }
        pool.extend(kept);
    }
    pool.extend(starts.iter().map(|(_, instance)| instance.clone()));
    deployment.pool = pool;
    deployment.starts = starts;
    deployment.remaining = Millis::minutes(60);
}
