//! Rolling: stage all, prove, switch once, keep the old release warm.

use std::collections::BTreeMap;

use super::{Deed, Move, SHIFT, STAGE, Situation, Strategy, What, bad_end, do_or, undo};
use crate::model::{
    deployment::{Aim, Deployment, Phase},
    ids::InstanceId,
    plan::Blueprint,
};

/// The default strategy; also for rollback, restart, scale and start, which stage kept instances again.
#[derive(Clone, Copy, Debug)]
pub struct Rolling;

impl Strategy for Rolling {
    fn next(&self, situation: &Situation<'_>) -> Move {
        let deployment = situation.deployment;
        let is_bad = deployment.cause.is_some() || deployment.asked_end.is_some();
        match deployment.phase {
            Phase::Queued | Phase::Fetching | Phase::Admitting | Phase::Building | Phase::Attesting if is_bad => {
                bad_end(deployment)
            }
            Phase::Staging | Phase::Releasing | Phase::Shifting | Phase::Holding | Phase::Finalising if is_bad => {
                Move::Enter(Phase::Aborting)
            }
            Phase::Queued if deployment.aim == Aim::Deploy => Move::Enter(Phase::Fetching),
            Phase::Queued => Move::Enter(Phase::Staging),
            Phase::Fetching => do_or(deployment, vec![Deed::new("fetch", What::Fetch)], || Move::Enter(Phase::Admitting)),
            Phase::Admitting => Move::Enter(Phase::Building),
            Phase::Building => do_or(deployment, vec![Deed::new("build", What::Build)], || Move::Enter(Phase::Attesting)),
            Phase::Attesting => Move::Enter(Phase::Staging),
            Phase::Staging => stage(deployment, situation.blueprint),
            Phase::Releasing => Move::Enter(Phase::Shifting),
            Phase::Shifting | Phase::Holding => shift(deployment, situation.blueprint),
            Phase::Finalising => Move::End(Phase::Live, None),
            Phase::Aborting => undo(deployment, Self::has_undo),
            over => Move::End(over, deployment.cause.clone()),
        }
    }
}

impl Rolling {
    /// Whether a step has an effect that can be taken back.
    pub(super) fn has_undo(step: &str) -> bool {
        step.starts_with("start/") || step == SHIFT || step == STAGE
    }
}

/// Start beside what serves, wait until each is ready, tell the edge, and have it ask each through the new pool.
fn stage(deployment: &Deployment, blueprint: Option<&Blueprint>) -> Move {
    begin(deployment, &waves(deployment, blueprint), &|| {
        let routed = routed(blueprint);
        if routed.is_empty() {
            return Move::Enter(Phase::Releasing);
        }
        do_or(deployment, vec![Deed::new(STAGE, What::Table)], || {
            let proofs = routed
                .iter()
                .map(|process| Deed::new(format!("prove/pool/{process}"), What::ProvePool { process: process.clone() }));
            do_or(deployment, proofs.collect(), || Move::Enter(Phase::Releasing))
        })
    })
}

type Starts = Vec<(String, InstanceId)>;

/// Each wave is started and ready before the next one.
fn begin(deployment: &Deployment, waves: &[Starts], follows: &dyn Fn() -> Move) -> Move {
    let Some((first, rest)) = waves.split_first() else { return follows() };
    let each = |verb: &str, what: fn(String, InstanceId) -> What| {
        let deed = |(process, instance): &(String, InstanceId)| {
            Deed::new(format!("{verb}/{process}/{instance}"), what(process.clone(), instance.clone()))
        };
        first.iter().map(deed).collect()
    };
    do_or(deployment, each("start", |process, instance| What::Start { process, instance }), || {
        do_or(deployment, each("ready", |process, instance| What::Ready { process, instance }), || {
            begin(deployment, rest, follows)
        })
    })
}

/// The starts in the order in which processes depend on each other; side by side where none does.
fn waves(deployment: &Deployment, blueprint: Option<&Blueprint>) -> Vec<Starts> {
    let plans = blueprint.map_or(&[][..], |blueprint| &blueprint.processes);
    let mut rank: BTreeMap<&str, usize> = plans.iter().map(|plan| (plan.name.as_str(), 0)).collect();
    // As many rounds as there are processes settle every rank; in a circle they stay as they then are.
    for _ in 0..plans.len() {
        for plan in plans {
            let below = plan.depends_on.iter().filter_map(|name| rank.get(name.as_str())).max().map_or(0, |rank| rank + 1);
            let own = rank.get(plan.name.as_str()).copied().unwrap_or(0);
            rank.insert(&plan.name, own.max(below.min(plans.len())));
        }
    }
    let mut waves: BTreeMap<usize, Starts> = BTreeMap::new();
    for start in &deployment.starts {
        waves.entry(rank.get(start.0.as_str()).copied().unwrap_or(0)).or_default().push(start.clone());
    }
    waves.into_values().collect()
}

/// One routing change, then a request through the public listener.
fn shift(deployment: &Deployment, blueprint: Option<&Blueprint>) -> Move {
    let routed = routed(blueprint);
    if routed.is_empty() {
        return Move::Enter(Phase::Finalising);
    }
    do_or(deployment, vec![Deed::new(SHIFT, What::Table)], || {
        let proofs = routed
            .iter()
            .map(|process| Deed::new(format!("prove/public/{process}"), What::ProvePublic { process: process.clone() }));
        do_or(deployment, proofs.collect(), || Move::Enter(Phase::Finalising))
    })
}

/// The processes that routes lead to, each once.
fn routed(blueprint: Option<&Blueprint>) -> Vec<String> {
    let mut processes: Vec<String> =
        blueprint.iter().flat_map(|blueprint| &blueprint.routes).map(|route| route.process.clone()).collect();
    processes.sort();
    processes.dedup();
    processes
}
