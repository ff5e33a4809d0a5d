//! Retire: take an app out of service, for `stop` and `remove`.

use super::{Deed, Move, SHIFT, Situation, Strategy, What, bad_end, do_or, undo};
use crate::model::{
    deployment::{Aim, Phase},
    problem::Problem,
};

/// Out of routing, drain, stop; for a removal the files too.
#[derive(Clone, Copy, Debug)]
pub struct Retire;

impl Strategy for Retire {
    fn next(&self, situation: &Situation<'_>) -> Move {
        let deployment = situation.deployment;
        let is_bad = deployment.cause.is_some() || deployment.asked_end.is_some();
        match deployment.phase {
            Phase::Queued if is_bad => bad_end(deployment),
            // What drains or ends cannot be called back: it goes on, or it is stuck.
            Phase::Finalising if deployment.cause.is_some() => Move::Enter(Phase::Aborting),
            Phase::Staging | Phase::Releasing | Phase::Shifting | Phase::Holding if is_bad => Move::Enter(Phase::Aborting),
            Phase::Queued => Move::Enter(Phase::Staging),
            Phase::Staging => Move::Enter(Phase::Releasing),
            Phase::Releasing => Move::Enter(Phase::Shifting),
            Phase::Shifting | Phase::Holding => {
                do_or(deployment, vec![Deed::new(SHIFT, What::Table)], || Move::Enter(Phase::Finalising))
            }
            Phase::Finalising => finish(situation),
            Phase::Aborting if deployment.steps.iter().any(|step| step.name != SHIFT) => {
                let cause = deployment.cause.clone().unwrap_or_else(|| Problem::internal("it could not be ended"));
                Move::End(Phase::Stuck, Some(cause.hint(format!("pilothouse {} {}", deployment.aim.word(), deployment.app))))
            }
            Phase::Aborting => undo(deployment, |step| step == SHIFT),
            over => Move::End(over, deployment.cause.clone()),
        }
    }
}

fn finish(situation: &Situation<'_>) -> Move {
    let deployment = situation.deployment;
    let instances = situation.instances;
    let drain = Deed::new("drain", What::Drain { instances: instances.to_vec() });
    let stops = instances.iter().map(|instance| Deed::new(format!("stop/{instance}"), What::Stop { instance: instance.clone() }));
    let drains = if instances.is_empty() { Vec::new() } else { vec![drain] };
    do_or(deployment, drains, || {
        do_or(deployment, stops.collect(), || {
            let prune = if deployment.aim == Aim::Remove { vec![Deed::new("prune", What::PruneApp)] } else { Vec::new() };
            do_or(deployment, prune, || Move::End(Phase::Done, None))
        })
    })
}
