//! What a reboot of the host took away from a deployment under way.

use crate::{
    config::clock,
    model::{
        deployment::{Deployment, Phase, StepState},
        fleet::Fleet,
        ids::InstanceId,
        units::Millis,
    },
};

/// Instances that a deployment has started and that do not run any more.
pub(super) fn starts(fleet: &Fleet, deployment: &Deployment) -> Vec<InstanceId> {
    let is_begun = !matches!(deployment.phase, Phase::Aborting) && !deployment.is_over();
    let started = deployment.steps.iter().filter(|step| is_begun && step.state == StepState::Succeeded);
    started
        .filter_map(|step| super::undo::started_by(&step.name))
        .filter(|instance| fleet.instances.get(instance).is_none_or(|known| !known.state.is_alive()))
        .collect()
}

/// Staging begins again, whatever phase it had come to: routing was not proved, or its proof is worth nothing now.
pub(super) fn forget(deployment: &mut Deployment, lost: &[InstanceId]) {
    let is_staging = deployment.phase == Phase::Staging;
    deployment.steps.retain(|step| {
        let of_lost = lost.iter().any(|instance| step.name.ends_with(&format!("/{instance}")));
        let is_routing = step.name.starts_with("route/") || step.name.starts_with("prove/");
        !(of_lost || is_routing)
    });
    if !is_staging {
        debug_assert!(deployment.phase.may_become(Phase::Staging), "{:?} cannot become staging", deployment.phase);
        deployment.phase = Phase::Staging;
        deployment.phase_since = clock::now();
    }
    deployment.remaining = Millis(deployment.remaining.0.max(Phase::Staging.deadline().0));
}
