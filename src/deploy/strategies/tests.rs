//! Whole deployments in values: every step succeeds, or one fails, or an end is asked for.

use proptest::prelude::*;

use super::{Move, Situation, What, of};
use crate::model::{
    container_plan::Upkeep,
    deployment::{Aim, Deployment, EndedBy, Phase, Step, StepState},
    ids::{AppId, DeploymentId, HostId, InstanceId, ReleaseId},
    manifest::{BuildLimits, Keep, Ready, Resources, Runtime, Stop, Strategy},
    plan::{Blueprint, ProcessPlan, RoutePlan},
    problem::Problem,
    recipe::Recipe,
    route::Match,
    units::{Millis, Timestamp},
};

/// One process with two replicas, with or without a route.
pub(in crate::deploy) fn blueprint(routed: bool) -> Blueprint {
    let process = ProcessPlan {
        name: "web".to_owned(),
        command: "run".to_owned(),
        image: None,
        port: None,
        replicas: 2,
        scaled_from: None,
        runtime: Runtime::Process,
        resources: Resources::default(),
        ready: Ready::default(),
        stop: Stop::default(),
        env: Vec::new(),
        volumes: Vec::new(),
        depends_on: Vec::new(),
        build: None,
        container: None,
        upkeep: Upkeep::default(),
        routed,
    };
    Blueprint {
        recipe: Recipe::default(),
        build: Vec::new(),
        image: None,
        limits: BuildLimits::default(),
        output: None,
        processes: vec![process],
        env: Vec::new(),
        secrets: std::collections::BTreeMap::new(),
        routes: if routed {
            vec![RoutePlan { at: Match::host("shop.localhost"), process: "web".to_owned() }]
        } else {
            Vec::new()
        },
        strategy: Strategy::Rolling,
        keep: Keep::default(),
    }
}

fn deployment(aim: Aim, from: Option<u32>) -> Deployment {
    let app = AppId::parse("shop").unwrap();
    let instances: Vec<InstanceId> = (0..2).map(|n| InstanceId::of(&app, ReleaseId(2), n)).collect();
    Deployment {
        id: DeploymentId(1),
        app,
        aim,
        release: ReleaseId(2),
        from: from.map(ReleaseId),
        actor: "op".to_owned(),
        origin: "cli".to_owned(),
        request: None,
        plan: None,
        phase: Phase::Queued,
        asked_at: Timestamp(0),
        phase_since: Timestamp(0),
        ended_at: None,
        remaining: Millis(0),
        steps: Vec::new(),
        asked_end: None,
        starts: instances.iter().map(|instance| ("web".to_owned(), instance.clone())).collect(),
        pool: instances,
        key: String::new(),
        cause: None,
    }
}

/// What happens to a run.
#[derive(Clone, Debug, Default)]
struct Luck {
    /// The effect of this number fails.
    fails: Option<usize>,
    /// An end is asked for before the move of this number.
    ended: Option<(usize, EndedBy)>,
    undo_fails: bool,
}

#[derive(Debug)]
struct Story {
    end: Phase,
    phases: Vec<Phase>,
    done: Vec<String>,
    undone: Vec<String>,
}

fn run(deployment: Deployment, routed: bool, luck: &Luck) -> Story {
    run_by(Strategy::Rolling, deployment, routed, luck)
}

fn run_by(strategy: Strategy, mut deployment: Deployment, routed: bool, luck: &Luck) -> Story {
    let blueprint = Blueprint { strategy, ..blueprint(routed) };
    let instances = deployment.pool.clone();
    let old = InstanceId::of(&deployment.app, ReleaseId(1), 0);
    let replaced = if deployment.from.is_some() { vec![old] } else { Vec::new() };
    let (mut phases, mut done, mut undone) = (vec![], vec![], vec![]);
    for turn in 0..100 {
        if let Some((at, by)) = luck.ended
            && at == turn
        {
            deployment.asked_end = Some(by);
        }
        // What was halted is not wanted any more.
        let is_wanted = |id: &&InstanceId| deployment.step(&format!("halt/{id}")).is_none();
        let replaced: Vec<InstanceId> = replaced.iter().filter(is_wanted).cloned().collect();
        let situation =
            Situation { deployment: &deployment, blueprint: Some(&blueprint), instances: &instances, in_the_way: &replaced };
        match of(&deployment, Some(&blueprint)).next(&situation) {
            Move::Enter(phase) => {
                assert!(deployment.phase.may_become(phase), "{:?} became {phase:?}", deployment.phase);
                phases.push(phase);
                deployment.phase = phase;
            }
            Move::End(end, _) => {
                assert!(deployment.phase.may_become(end), "{:?} ended as {end:?}", deployment.phase);
                return Story { end, phases, done, undone };
            }
            Move::Do(deeds) => {
                for deed in deeds {
                    let failed = luck.fails == Some(done.len());
                    let state = if failed { StepState::Failed } else { StepState::Succeeded };
                    if failed && deployment.asked_end.is_none() {
                        deployment.cause = Some(Problem::app("it broke"));
                    }
                    deployment.steps.retain(|step| step.name != deed.step);
                    deployment.steps.push(step(&deed.step, state));
                    assert!(!matches!(deed.what, What::PruneApp) || deployment.aim == Aim::Remove);
                    done.push(deed.step);
                }
            }
            Move::Undo(names) => {
                let name = names[0].clone();
                let state = if luck.undo_fails { StepState::UndoFailed } else { StepState::UndoFinished };
                deployment.steps.iter_mut().find(|step| step.name == name).unwrap().state = state;
                undone.push(name);
            }
        }
    }
    panic!("no end in 100 moves: {phases:?}");
}

fn step(name: &str, state: StepState) -> Step {
    Step {
        name: name.to_owned(),
        host: HostId::local(),
        state,
        started_at: Timestamp(0),
        ended_at: None,
        note: String::new(),
        tries: 1,
    }
}

#[test]
fn everything_is_proved_before_the_switch_and_once_more_after_it() {
    let story = run(deployment(Aim::Deploy, Some(1)), true, &Luck::default());
    assert_eq!(story.end, Phase::Live);
    assert_eq!(
        story.done,
        [
            "fetch",
            "build",
            "start/web/shop-2-a",
            "start/web/shop-2-b",
            "ready/web/shop-2-a",
            "ready/web/shop-2-b",
            "route/staged",
            "prove/pool/web",
            "route/serving",
            "prove/public/web"
        ]
    );
}

#[test]
fn the_gate_is_asked_before_the_build() {
    let story = run(deployment(Aim::Deploy, None), true, &Luck::default());
    let at = |phase| story.phases.iter().position(|seen| *seen == phase).unwrap();
    assert!(at(Phase::Admitting) < at(Phase::Building) && at(Phase::Building) < at(Phase::Attesting));
}

#[test]
fn a_rollback_needs_neither_source_nor_build() {
    let mut warm = deployment(Aim::Rollback, Some(3));
    warm.starts.clear();
    let story = run(warm, true, &Luck::default());
    assert_eq!(story.done, ["route/staged", "prove/pool/web", "route/serving", "prove/public/web"]);
}

#[test]
fn a_worker_is_started_and_never_routed() {
    let story = run(deployment(Aim::Deploy, None), false, &Luck::default());
    assert!(story.done.iter().all(|step| !step.starts_with("route") && !step.starts_with("prove")), "{:?}", story.done);
}

#[test]
fn a_failed_proof_takes_the_routing_back_first_and_then_the_instances() {
    let last = Luck { fails: Some(9), ..Luck::default() };
    let story = run(deployment(Aim::Deploy, Some(1)), true, &last);
    assert_eq!(story.end, Phase::Reverted);
    assert_eq!(story.undone, ["route/serving", "route/staged", "start/web/shop-2-b", "start/web/shop-2-a"]);
}

#[test]
fn with_a_fixed_port_the_old_one_stops_before_the_new_one_starts() {
    let story = run_by(Strategy::Recreate, deployment(Aim::Deploy, Some(1)), true, &Luck::default());
    assert_eq!(story.end, Phase::Live);
    assert_eq!(story.done[..4], ["fetch", "build", "halt/shop-1-a", "start/web/shop-2-a"]);
}

#[test]
fn what_was_stopped_for_a_release_that_fails_starts_again_once_that_is_gone() {
    let last = Luck { fails: Some(8), ..Luck::default() };
    let story = run_by(Strategy::Recreate, deployment(Aim::Deploy, Some(1)), true, &last);
    assert_eq!(story.end, Phase::Reverted);
    assert_eq!(story.undone, ["route/staged", "start/web/shop-2-b", "start/web/shop-2-a", "halt/shop-1-a"]);
}

#[test]
fn a_stop_that_was_begun_before_a_crash_is_done_again() {
    let mut crashed = deployment(Aim::Deploy, Some(1));
    crashed.phase = Phase::Staging;
    crashed.steps = vec![step("halt/shop-1-a", StepState::Started)];
    let blueprint = Blueprint { strategy: Strategy::Recreate, ..blueprint(true) };
    let situation = Situation { deployment: &crashed, blueprint: Some(&blueprint), instances: &[], in_the_way: &[] };
    let Move::Do(deeds) = of(&crashed, Some(&blueprint)).next(&situation) else { panic!("nothing is done") };
    assert_eq!(deeds.iter().map(|deed| deed.step.as_str()).collect::<Vec<_>>(), ["halt/shop-1-a"]);
}

#[test]
fn an_undo_that_fails_is_stuck_and_says_so() {
    let luck = Luck { fails: Some(9), undo_fails: true, ..Luck::default() };
    assert_eq!(run(deployment(Aim::Deploy, Some(1)), true, &luck).end, Phase::Stuck);
}

#[test]
fn a_removal_leaves_routing_before_anything_is_stopped() {
    let story = run(deployment(Aim::Remove, Some(1)), true, &Luck::default());
    assert_eq!(story.done, ["route/serving", "drain", "stop/shop-2-a", "stop/shop-2-b", "prune"]);
    assert_eq!(story.end, Phase::Done);
}

proptest! {
    #[test]
    fn whatever_fails_it_ends_as_it_should(
        fails in proptest::option::of(0_usize..10),
        ended in proptest::option::of((0_usize..25, prop_oneof![Just(EndedBy::Cancel), Just(EndedBy::Supersede)])),
        had_release in any::<bool>(),
        routed in any::<bool>(),
        strategy in prop_oneof![Just(Strategy::Rolling), Just(Strategy::Recreate)],
    ) {
        let luck = Luck { fails, ended, undo_fails: false };
        let story = run_by(strategy, deployment(Aim::Deploy, had_release.then_some(1)), routed, &luck);
        let halted: Vec<_> = story.done.iter().filter(|step| step.starts_with("halt/")).collect();
        prop_assert!(story.end == Phase::Live || halted.iter().all(|step| story.undone.contains(step)), "the old one is back");
        let started: Vec<_> = story.done.iter().filter(|step| step.starts_with("start/")).collect();
        match story.end {
            Phase::Live => prop_assert!(story.undone.is_empty()),
            Phase::Cancelled | Phase::Superseded => prop_assert!(ended.is_some()),
            Phase::Reverted => prop_assert!(had_release && fails.is_some()),
            Phase::Failed => prop_assert!(fails.is_some()),
            other => prop_assert!(false, "{other:?}"),
        }
        if story.end != Phase::Live {
            prop_assert!(started.iter().all(|step| story.undone.contains(step)), "nothing may be left behind");
        }
    }
}
