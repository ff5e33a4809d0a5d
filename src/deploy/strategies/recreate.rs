//! Recreate: stop the old instances, start the new ones in their place, prove; on failure the old ones start again.

use super::{Deed, HALT, Move, Situation, Strategy, What, do_or, rolling::Rolling, undo};
use crate::model::{
    deployment::{Deployment, Phase, StepState},
    fleet::Fleet,
    ids::{AppId, InstanceId},
    instance::Instance,
    manifest::{self, Runtime},
    plan::{Blueprint, ProcessPlan},
};

/// For what cannot run twice at once, such as a process with a fixed port. Nothing serves from the stop to the proof.
#[derive(Clone, Copy, Debug)]
pub struct Recreate;

impl Strategy for Recreate {
    fn next(&self, situation: &Situation<'_>) -> Move {
        let deployment = situation.deployment;
        let is_bad = deployment.cause.is_some() || deployment.asked_end.is_some();
        match deployment.phase {
            Phase::Staging if !is_bad => do_or(deployment, halts(situation), || Rolling.next(situation)),
            // The new ones go before the old ones come back: the steps are taken back last first.
            Phase::Aborting => undo(deployment, |step| Rolling::has_undo(step) || step.starts_with(HALT)),
            _ => Rolling.next(situation),
        }
    }
}

/// The port that each instance of the process must have to itself; a container has ports of its own.
pub fn fixed_port(process: &ProcessPlan) -> Option<u16> {
    process.port.filter(|_| process.runtime == Runtime::Process)
}

/// Instances of the app, beside those of `pool`, that must stop before those of `blueprint` can start.
pub fn in_the_way(fleet: &Fleet, app: &AppId, blueprint: &Blueprint, pool: &[InstanceId]) -> Vec<InstanceId> {
    let ports: Vec<u16> = blueprint.processes.iter().filter_map(fixed_port).collect();
    let holds_one = |instance: &Instance| {
        let release = fleet.release(app, instance.release);
        let process = release.and_then(|release| release.blueprint.processes.iter().find(|plan| plan.name == instance.process));
        process.and_then(fixed_port).is_some_and(|port| ports.contains(&port))
    };
    let is_wanted = blueprint.strategy == manifest::Strategy::Recreate;
    let others = fleet.instances_of(app).filter(|instance| instance.wanted && !pool.contains(&instance.id));
    others.filter(|instance| is_wanted || holds_one(instance)).map(|instance| instance.id.clone()).collect()
}

fn halts(situation: &Situation<'_>) -> Vec<Deed> {
    let begun = begun(situation.deployment);
    let more = situation.in_the_way.iter().filter(|instance| !begun.contains(instance)).cloned();
    let all: Vec<InstanceId> = begun.iter().cloned().chain(more).collect();
    all.into_iter().map(|instance| Deed::new(format!("{HALT}{instance}"), What::Halt { instance })).collect()
}

/// Instances whose stop was begun: what became of it is seen by doing it again.
fn begun(deployment: &Deployment) -> Vec<InstanceId> {
    let open = deployment.steps.iter().filter(|step| step.state == StepState::Started);
    open.filter_map(|step| step.name.strip_prefix(HALT)).map(|instance| InstanceId(instance.to_owned())).collect()
}
