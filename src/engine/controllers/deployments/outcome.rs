//! What the outcome of a step changes.

use crate::{
    config::clock,
    deploy::{
        containers,
        strategies::{Deed, HALT, What},
    },
    model::{
        change::Change,
        deployment::{Aim, Deployment, Phase, StepState},
        fleet::{App, Desired, Fleet, Level, Release, Serving},
        ids::{DeploymentId, InstanceId},
        instance::Instance,
        order::Done,
        plan::Plan,
        problem::Problem,
        units::{Bytes, Millis, many},
    },
};

/// How a step ended.
pub(super) enum Resolved {
    Done(Done),
    Planned(Box<Plan>, Box<Release>),
    Failed(Problem),
}

/// The outcome of a step; true when it succeeded.
pub(super) fn record(fleet: &Fleet, id: DeploymentId, deed: &Deed, resolved: Resolved) -> Result<(Vec<Change>, bool), Problem> {
    let mut deployment =
        fleet.deployments.get(&id).cloned().ok_or_else(|| Problem::internal(format!("deployment {id} is gone")))?;
    let mut changes = Vec::new();
    let ended = match resolved {
        Resolved::Failed(problem) => Err(problem),
        Resolved::Planned(plan, mut release) => {
            let note = format!("{} · {}", plan.version, plan.blueprint.recipe.language);
            stage(fleet, &mut deployment, &plan, &mut release);
            deployment.plan = Some(*plan);
            changes.push(Change::Release(release));
            Ok(note)
        }
        Resolved::Done(done) => Ok(done_note(fleet, &deployment, &deed.what, done, &mut changes)),
    };
    let succeeded = ended.is_ok();
    if let Some(step) = deployment.steps.iter_mut().find(|step| step.name == deed.step) {
        step.ended_at = Some(clock::now());
        step.state = if succeeded { StepState::Succeeded } else { StepState::Failed };
        step.note = match &ended {
            Ok(note) => note.clone(),
            Err(problem) => problem.what.clone(),
        };
    }
    if let Err(problem) = ended {
        // What was cut off because an end was asked for is no failure.
        if deployment.asked_end.is_none() {
            deployment.cause.get_or_insert(problem);
        }
    }
    changes.insert(0, Change::Deployment(Box::new(deployment)));
    Ok((changes, succeeded))
}

/// Names the instances that the release begins with: fresh ones, and of processes that stay those that run.
fn stage(fleet: &Fleet, deployment: &mut Deployment, plan: &Plan, release: &mut Release) {
    deployment.starts.clear();
    deployment.pool.clear();
    for process in &plan.blueprint.processes {
        let kept = containers::kept(fleet, &release.app, process);
        for _ in kept.len()..process.replicas as usize {
            deployment.starts.push((process.name.clone(), InstanceId::of(&release.app, release.id, release.started)));
            release.started += 1;
        }
        deployment.pool.extend(kept);
    }
    deployment.pool.extend(deployment.starts.iter().map(|(_, instance)| instance.clone()));
}

fn done_note(fleet: &Fleet, deployment: &Deployment, what: &What, done: Done, changes: &mut Vec<Change>) -> String {
    match done {
        Done::Built(artefact) => {
            let size = Bytes(artefact.bytes);
            let note = match artefact.files {
                0 if artefact.digest.len() > 19 => format!("image {}, {size}", &artefact.digest[7..19]),
                files => format!("{}, {size}", many(usize::try_from(files).unwrap_or(usize::MAX), "file")),
            };
            if let Some(release) = fleet.release(&deployment.app, deployment.release) {
                changes.push(Change::Release(Box::new(Release { artefact: Some(artefact), ..release.clone() })));
            }
            note
        }
        Done::Started { address, pid } => {
            if let What::Start { instance, .. } = what
                && let Some(known) = fleet.instances.get(instance)
            {
                changes.push(Change::Instance(Instance { address, pid: Some(pid), ..known.clone() }));
            }
            address.map_or_else(|| format!("pid {pid}"), |address| format!("pid {pid} at {address}"))
        }
        Done::Awaited => "ready".to_owned(),
        // Of which start of the engine, and the change in it.
        Done::Routed { generation } => format!("table {}.{}", generation.lease(), generation.change()),
        Done::Proved(proof) => {
            let who = match proof.instances.as_slice() {
                [] => format!("release {}", proof.release),
                instances => instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            format!("{} by {who} in {} ms", proof.status, proof.took_ms)
        }
        Done::Drained(drained) if drained.left == 0 => "nothing in flight".to_owned(),
        Done::Drained(drained) => format!("{} still in flight when the time was up", drained.left),
        Done::Stopped { exit } => {
            if let What::Stop { instance } = what {
                changes.push(Change::InstanceGone(instance.clone()));
            }
            exit.map_or_else(|| "stopped".to_owned(), |exit| exit.words())
        }
        Done::Pruned { freed } => format!("{freed} freed"),
        Done::EdgeReplaced { .. } | Done::EdgeStopped | Done::Acted | Done::Tip(_) | Done::Surveyed(_) | Done::Fetched(_) => {
            String::new()
        }
    }
}

/// The outcome of an undo.
pub(super) fn undone(
    fleet: &Fleet,
    id: DeploymentId,
    name: &str,
    failure: Option<Problem>,
) -> Result<(Vec<Change>, ()), Problem> {
    let mut changes = Vec::new();
    changes.push(super::intent::revised(fleet, id, |deployment| {
        if let Some(step) = deployment.steps.iter_mut().find(|step| step.name == name) {
            step.ended_at = Some(clock::now());
            match &failure {
                None => step.state = StepState::UndoFinished,
                Some(problem) => {
                    step.state = StepState::UndoFailed;
                    step.note.clone_from(&problem.what);
                }
            }
        }
    })?);
    if failure.is_none()
        && let Some(instance) = super::undo::started_by(name)
        && fleet.instances.contains_key(&instance)
    {
        changes.push(Change::InstanceGone(instance));
    }
    Ok((changes, ()))
}

/// The end of a deployment, with all that it changes, in one record.
pub(super) fn end(
    fleet: &Fleet,
    id: DeploymentId,
    phase: Phase,
    cause: Option<Problem>,
) -> Result<(Vec<Change>, Deployment), Problem> {
    let mut deployment =
        fleet.deployments.get(&id).cloned().ok_or_else(|| Problem::internal(format!("deployment {id} is gone")))?;
    debug_assert!(deployment.phase.may_become(phase), "{:?} cannot become {phase:?}", deployment.phase);
    let now = clock::now();
    deployment.phase = phase;
    deployment.phase_since = now;
    deployment.ended_at = Some(now);
    deployment.remaining = Millis(0);
    deployment.cause = cause;
    let mut changes = Vec::new();
    if let Some(app) = fleet.apps.get(&deployment.app) {
        match phase {
            Phase::Live => changes.extend(live(fleet, app, &deployment)),
            Phase::Done if deployment.aim == Aim::Remove => changes.push(Change::AppGone(app.id.clone())),
            Phase::Done => {
                let stopped = App { desired: Desired::Stopped, pool: Vec::new(), serving: None, warm: None, ..app.clone() };
                changes.push(Change::App(stopped));
            }
            // What is asked is what serves again.
            _ => changes.push(Change::App(App { asked: app.routed.or(app.asked), ..app.clone() })),
        }
    }
    // Last: whoever waits for its end sees by then what it changed.
    changes.push(Change::Deployment(Box::new(deployment.clone())));
    Ok((changes, deployment))
}

fn live(fleet: &Fleet, app: &App, deployment: &Deployment) -> Vec<Change> {
    let now = clock::now();
    let mut changes = Vec::new();
    let Some(release) = fleet.release(&app.id, deployment.release) else { return changes };
    let replaced = app.routed.filter(|routed| *routed != release.id);
    let url = release.blueprint.routes.first().and_then(|route| fleet.edge.url(&route.at));
    let kept_until = now.plus(release.blueprint.keep.warm.duration());
    let web = release.blueprint.web();
    let scaled = |instances: &[InstanceId]| {
        let of_web =
            |id: &&InstanceId| fleet.instances.get(id).is_some_and(|known| web.is_some_and(|web| web.name == known.process));
        Some(instances.iter().filter(of_web).count() as u32)
    };
    changes.push(Change::App(App {
        desired: Desired::Running,
        asked: Some(release.id),
        routed: Some(release.id),
        pool: deployment.pool.clone(),
        serving: (!release.blueprint.routes.is_empty()).then_some(Serving { release: release.id, since: now }),
        previous: replaced.or(app.previous.filter(|previous| *previous != release.id)),
        replicas: match deployment.aim {
            Aim::Scale => scaled(&deployment.pool),
            // What it was scaled to goes with it, into a rollback too.
            Aim::Deploy => web.filter(|web| web.scaled_from.is_some()).map(|web| web.replicas),
            _ => app.replicas,
        },
        url,
        // What was stopped first is not warm.
        warm: replaced
            .filter(|_| !deployment.steps.iter().any(|step| step.name.starts_with(HALT)))
            .map(|release| (release, kept_until)),
        ..app.clone()
    }));
    if release.proved_at.is_none() {
        changes.push(Change::Release(Box::new(Release { proved_at: Some(now), ..release.clone() })));
    }
    changes
}

/// One line on how it ended, for the list of the latest.
pub(super) fn words(deployment: &Deployment) -> (Level, String) {
    let release = deployment.release;
    let cause = deployment.cause.as_ref().map(|cause| format!(": {}", cause.what)).unwrap_or_default();
    match deployment.phase {
        Phase::Live => (Level::Good, format!("release {release} live after {}", deployment.took(clock::now()))),
        Phase::Done => (Level::Plain, format!("{} done", deployment.aim.word())),
        Phase::Reverted => (Level::Danger, format!("release {release} reverted{cause}")),
        Phase::Failed => (Level::Danger, format!("release {release} failed{cause}")),
        Phase::Stuck => (Level::Danger, format!("{} stuck{cause}", deployment.aim.word())),
        other => (Level::Plain, format!("{} {}", deployment.aim.word(), other.word())),
    }
}
