//! Ways from one release to the next: what to do next in a situation.

pub mod recreate;
pub mod retire;
pub mod rolling;
#[cfg(test)]
pub(super) mod tests;

use crate::model::{
    deployment::{Aim, Deployment, EndedBy, Phase, StepState},
    ids::InstanceId,
    manifest,
    plan::Blueprint,
    problem::Problem,
};

/// What a strategy is told: the deployment with its steps, and the blueprint of the release it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub deployment: &'a Deployment,
    pub blueprint: Option<&'a Blueprint>,
    /// All instances of the app.
    pub instances: &'a [InstanceId],
    /// Those of them that must stop before the new ones start.
    pub in_the_way: &'a [InstanceId],
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// Steps to be done side by side; those that succeeded already are left out.
    Do(Vec<Deed>),
    /// Steps whose effect is to be taken back, one after the other.
    Undo(Vec<String>),
    Enter(Phase),
    End(Phase, Option<Problem>),
}

/// One step with its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Unique within the deployment; the same effect has the same name when it is tried again.
    pub step: String,
    pub what: What,
}

/// The effects of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Fetch,
    Build,
    Start {
        process: String,
        instance: InstanceId,
    },
    Ready {
        process: String,
        instance: InstanceId,
    },
    /// Put the routing table in force that the fleet's journaled state asks for.
    Table,
    ProvePool {
        process: String,
    },
    ProvePublic {
        process: String,
    },
    Drain {
        instances: Vec<InstanceId>,
    },
    Stop {
        instance: InstanceId,
    },
    /// Out of routing, drained, stopped; it may be started again.
    Halt {
        instance: InstanceId,
    },
    /// Everything that the app left on disk goes.
    PruneApp,
}

impl Deed {
    fn new(step: impl Into<String>, what: What) -> Self {
        Self { step: step.into(), what }
    }
}

/// A way from one release to the next. Pure: equal situations give equal moves.
pub trait Strategy {
    fn next(&self, situation: &Situation<'_>) -> Move;
}

/// Name of the step after which requests go to the new pool.
pub const SHIFT: &str = "route/serving";
/// Name of the step after which the edge knows the new pool, at weight 0.
pub const STAGE: &str = "route/staged";

/// What the names of steps begin with that stop an instance for its successor.
pub const HALT: &str = "halt/";

/// The instance that a step halts.
pub fn halted_by(step: &str) -> Option<InstanceId> {
    step.strip_prefix(HALT).map(|instance| InstanceId(instance.to_owned()))
}

/// The strategy for a deployment.
pub fn of(deployment: &Deployment, blueprint: Option<&Blueprint>) -> &'static dyn Strategy {
    let has_fixed_port = |blueprint: &Blueprint| blueprint.processes.iter().any(|plan| recreate::fixed_port(plan).is_some());
    match (deployment.aim, blueprint.map(|blueprint| blueprint.strategy)) {
        (Aim::Stop | Aim::Remove, _) => &retire::Retire,
        (_, Some(manifest::Strategy::Recreate)) => &recreate::Recreate,
        (_, Some(manifest::Strategy::Rolling)) if blueprint.is_some_and(has_fixed_port) => &recreate::Recreate,
        (_, None | Some(manifest::Strategy::Rolling)) => &rolling::Rolling,
    }
}

/// The deeds that are not done yet; when there are none, what follows.
fn do_or(deployment: &Deployment, deeds: Vec<Deed>, follows: impl FnOnce() -> Move) -> Move {
    let open: Vec<Deed> = deeds
        .into_iter()
        .filter(|deed| deployment.step(&deed.step).is_none_or(|step| step.state != StepState::Succeeded))
        .collect();
    if open.is_empty() { follows() } else { Move::Do(open) }
}

/// How a deployment ends that is not to go on.
fn bad_end(deployment: &Deployment) -> Move {
    match (&deployment.cause, deployment.asked_end) {
        (_, Some(EndedBy::Cancel)) => Move::End(Phase::Cancelled, None),
        (_, Some(EndedBy::Supersede)) => Move::End(Phase::Superseded, None),
        (cause, None) => {
            let served = deployment.from.is_some();
            Move::End(if served && deployment.phase == Phase::Aborting { Phase::Reverted } else { Phase::Failed }, cause.clone())
        }
    }
}

/// Takes back what was done, last first; `order` says which steps have an undo.
fn undo(deployment: &Deployment, has_undo: impl Fn(&str) -> bool) -> Move {
    if let Some(stuck) = deployment.steps.iter().find(|step| step.state == StepState::UndoFailed) {
        let problem = Problem::internal(format!("{} could not be taken back: {}", stuck.name, stuck.note))
            .hint(format!("pilothouse restart {}", deployment.app));
        return Move::End(Phase::Stuck, Some(problem));
    }
    let open: Vec<String> = deployment
        .steps
        .iter()
        .rev()
        .filter(|step| has_undo(&step.name) && step.state != StepState::UndoFinished)
        .map(|step| step.name.clone())
        .collect();
    if open.is_empty() { bad_end(deployment) } else { Move::Undo(open) }
}
