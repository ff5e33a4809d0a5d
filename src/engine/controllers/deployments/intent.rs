//! Intents: what is journaled before an effect.

use crate::{
    config::clock,
    deploy::strategies::{Deed, What, halted_by},
    model::{
        change::Change,
        deployment::{Deployment, Step, StepState},
        fleet::{Fleet, Release},
        ids::{DeploymentId, HostId, InstanceId},
        instance::{Health, Instance, InstanceState},
        manifest::Runtime,
        problem::Problem,
        units::Millis,
    },
};

/// A deployment with a change to it.
pub(super) fn revised(fleet: &Fleet, id: DeploymentId, change: impl FnOnce(&mut Deployment)) -> Result<Change, Problem> {
    let mut deployment =
        fleet.deployments.get(&id).cloned().ok_or_else(|| Problem::internal(format!("deployment {id} is gone")))?;
    change(&mut deployment);
    Ok(Change::Deployment(Box::new(deployment)))
}

/// The intent of a step: from now on it may have happened.
pub(super) fn of_step(fleet: &Fleet, id: DeploymentId, deed: &Deed, remaining: Millis) -> Result<(Vec<Change>, ()), Problem> {
    let name = deed.step.clone();
    let mut changes = vec![revised(fleet, id, |deployment| {
        deployment.remaining = remaining;
        match deployment.steps.iter_mut().find(|step| step.name == name) {
            Some(step) => {
                step.state = StepState::Started;
                step.tries += 1;
            }
            None => deployment.steps.push(Step {
                name,
                host: HostId::local(),
                state: StepState::Started,
                started_at: clock::now(),
                ended_at: None,
                note: String::new(),
                tries: 1,
            }),
        }
    })?];
    let deployment = fleet.deployments.get(&id).ok_or_else(|| Problem::internal("gone"))?;
    match &deed.what {
        What::Start { process, instance } if !fleet.instances.contains_key(instance) => {
            let release = fleet.release(&deployment.app, deployment.release);
            changes.push(Change::Instance(new_instance(deployment, release, process, instance)));
        }
        What::Stop { instance } | What::Halt { instance } => {
            if let Some(known) = fleet.instances.get(instance) {
                changes.push(Change::Instance(Instance { wanted: false, ..known.clone() }));
            }
        }
        _ => {}
    }
    Ok((changes, ()))
}

fn new_instance(deployment: &Deployment, release: Option<&Release>, process: &str, instance: &InstanceId) -> Instance {
    let plan = release.and_then(|release| release.blueprint.processes.iter().find(|plan| plan.name == process));
    Instance {
        id: instance.clone(),
        app: deployment.app.clone(),
        release: deployment.release,
        process: process.to_owned(),
        runtime: plan.map_or(Runtime::Process, |plan| plan.runtime),
        host: HostId::local(),
        state: InstanceState::Starting,
        health: Health::Unknown,
        address: None,
        pid: None,
        restarts: 0,
        started_at: None,
        last_exit: None,
        wanted: true,
    }
}

/// The intent of an undo.
pub(super) fn of_undo(fleet: &Fleet, id: DeploymentId, name: &str, remaining: Millis) -> Result<(Vec<Change>, ()), Problem> {
    let mut changes = vec![revised(fleet, id, |deployment| {
        deployment.remaining = remaining;
        if let Some(step) = deployment.steps.iter_mut().find(|step| step.name == name) {
            step.state = StepState::UndoStarted;
        }
    })?];
    if let Some(known) = super::undo::started_by(name).and_then(|instance| fleet.instances.get(&instance)) {
        changes.push(Change::Instance(Instance { wanted: false, ..known.clone() }));
    }
    if let Some(known) = halted_by(name).and_then(|instance| fleet.instances.get(&instance)) {
        changes.push(Change::Instance(Instance { wanted: true, ..known.clone() }));
    }
    Ok((changes, ()))
}
