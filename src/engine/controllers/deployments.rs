//! Deployments: asks the strategy, journals, sends orders. It makes no choice of its own.

mod halt;
mod intent;
mod lost;
mod outcome;
mod planned;
pub mod sealed;
mod undo;
mod watched;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::sealed::{SOURCE_URL, given, request_blob, source_blob};
use super::{
    super::{
        fleet::Hub,
        journal::Mark,
        supervisor::{Ending, Supervisor},
    },
    Controller, Next,
    commands::watch::watch_blobs,
    orders::{Interrupts, Orders},
};
use crate::{
    config::clock,
    deploy::{
        ports::{Gate, Placer, Verdict},
        steps,
        strategies::{self, Deed, Move, Situation, What, recreate},
    },
    model::{
        change::Change,
        deployment::{Aim, Deployment, Phase},
        fleet::{Fleet, Level, Release},
        ids::{AppId, DeploymentId, InstanceId},
        instance::{Health, Instance, InstanceState},
        order::{Done, Outcome, Work},
        plan::{Blueprint, Env, ProcessPlan},
        problem::Problem,
        source::Source,
        units::Millis,
    },
};

/// Drives the deployments of each app, one at a time.
pub struct Deployments {
    pub hub: Hub,
    pub orders: Orders,
    pub interrupts: Interrupts,
    pub supervisor: Supervisor,
    pub gate: Arc<dyn Gate>,
    pub placer: Arc<dyn Placer>,
    pub bases: Arc<std::collections::BTreeMap<String, String>>,
    pub builds: Arc<Semaphore>,
    /// True once the agent has told of everything that it found.
    pub is_surveyed: watch::Receiver<bool>,
}

#[async_trait]
impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployments"
    }

    fn concerns(&self, change: &Change) -> Option<AppId> {
        match change {
            Change::Deployment(deployment) if !deployment.is_over() => Some(deployment.app.clone()),
            _ => None,
        }
    }

    fn keys(&self, fleet: &Fleet) -> Vec<AppId> {
        fleet.deployments.values().filter(|deployment| !deployment.is_over()).map(|deployment| deployment.app.clone()).collect()
    }

    async fn reconcile(&self, app: &AppId) -> Result<Next, Problem> {
        loop {
            let wanted = app.clone();
            let active = self.hub.look(move |fleet| fleet.active_deployment(&wanted).cloned()).await;
            let Some(active) = active else { return Ok(Next::Done) };
            let name = format!("{} {} {}", active.aim.word(), active.app, active.release);
            let ended =
                self.supervisor.once(name, &format!("asked by {}", active.actor), Some(active.id), self.drive(active.id)).await;
            self.interrupts.forget(active.id);
            ended?;
        }
    }
}

impl Deployments {
    /// Goes on with a deployment from wherever it is until it is over. The same after a command and after a crash.
    async fn drive(&self, id: DeploymentId) -> Result<Ending, Problem> {
        self.begin_again(id).await?;
        let (mut deployment, _) = self.seen(id).await?;
        let mut deadline = Instant::now() + deployment.remaining.duration();
        loop {
            let (now, release) = self.seen(id).await?;
            let blueprint = release.map(|release| release.blueprint);
            deployment = now;
            if deployment.is_over() {
                break;
            }
            if deployment.phase == Phase::Admitting || deployment.phase == Phase::Attesting {
                self.judge(&deployment).await?;
            }
            let app = deployment.app.clone();
            let (pool, new) = (deployment.pool.clone(), blueprint.clone());
            let (instances, in_the_way) = self
                .hub
                .look(move |fleet| {
                    let in_the_way = new.map(|new| recreate::in_the_way(fleet, &app, &new, &pool));
                    (all_instances(fleet, &app), in_the_way.unwrap_or_default())
                })
                .await;
            let blueprint = blueprint.as_ref();
            let situation = Situation { deployment: &deployment, blueprint, instances: &instances, in_the_way: &in_the_way };
            match strategies::of(&deployment, blueprint).next(&situation) {
                Move::Enter(phase) => {
                    let limit = limit(phase, blueprint);
                    deadline = Instant::now() + limit.duration();
                    self.enter(id, phase, limit).await?;
                }
                Move::End(phase, cause) => self.end(id, phase, cause).await?,
                Move::Do(deeds) => self.do_all(id, &deeds, deadline, deployment.phase).await?,
                Move::Undo(names) => self.undo_first(id, &names, deadline).await?,
            }
        }
        // What only this deployment had to know is forgotten.
        self.hub.blobs().remove(request_blob(&deployment.key)).await?;
        self.hub.blobs().remove(source_blob(&deployment.key)).await?;
        if deployment.phase == Phase::Done {
            if deployment.aim == Aim::Remove {
                self.hub.blobs().remove(format!("env/{}/", deployment.app)).await?;
                self.hub.secrets().forget(&deployment.app, None).await?;
                self.hub.blobs().remove(watch_blobs(&deployment.app)).await?;
            }
            // The app may be gone from the fleet; its route goes with the next table.
            let key = Orders::key(id, "route/gone");
            let _ = self.orders.route(&key, &CancellationToken::new()).await;
        }
        Ok(Ending {
            is_good: !matches!(deployment.phase, Phase::Failed | Phase::Reverted | Phase::Stuck),
            note: deployment.phase.word().to_owned(),
            problem: deployment.cause,
        })
    }

    /// After a crash of the host, what was started is gone: those steps, and what was proved by them, are done again.
    async fn begin_again(&self, id: DeploymentId) -> Result<(), Problem> {
        let (deployment, _) = self.seen(id).await?;
        if !deployment.steps.iter().any(|step| step.name.starts_with("start/")) {
            return Ok(());
        }
        let mut surveyed = self.is_surveyed.clone();
        let _ = surveyed.wait_for(|is| *is).await;
        let lost = self.hub.look(move |fleet| lost::starts(fleet, &deployment)).await;
        if lost.is_empty() {
            return Ok(());
        }
        self.revise(id, move |deployment| lost::forget(deployment, &lost)).await
    }

    async fn seen(&self, id: DeploymentId) -> Result<(Deployment, Option<Release>), Problem> {
        let seen = self
            .hub
            .look(move |fleet| {
                let deployment = fleet.deployments.get(&id)?.clone();
                let release = fleet.release(&deployment.app, deployment.release).cloned();
                Some((deployment, release))
            })
            .await;
        seen.ok_or_else(|| Problem::internal(format!("deployment {id} is gone")))
    }

    /// Asks the gate; a refusal is the deployment's cause.
    async fn judge(&self, deployment: &Deployment) -> Result<(), Problem> {
        let (app, release, phase) = (deployment.app.clone(), deployment.release, deployment.phase);
        let Some(release) = self.hub.look(move |fleet| fleet.release(&app, release).cloned()).await else { return Ok(()) };
        let verdict = if phase == Phase::Admitting { self.gate.admit(&release) } else { self.gate.attest(&release) };
        if let Verdict::Refuse(reasons) = verdict {
            self.revise(deployment.id, move |deployment| deployment.cause = Some(Problem::conflict(reasons))).await?;
        }
        Ok(())
    }

    async fn enter(&self, id: DeploymentId, phase: Phase, limit: Millis) -> Result<(), Problem> {
        self.revise(id, move |deployment| {
            debug_assert!(deployment.phase.may_become(phase), "{:?} cannot become {phase:?}", deployment.phase);
            deployment.phase = phase;
            deployment.phase_since = clock::now();
            deployment.remaining = limit;
        })
        .await
    }

    async fn revise(&self, id: DeploymentId, change: impl FnOnce(&mut Deployment) + Send + 'static) -> Result<(), Problem> {
        self.hub.commit(Mark::Change, move |fleet| Ok((vec![intent::revised(fleet, id, change)?], ()))).await
    }

    async fn end(&self, id: DeploymentId, phase: Phase, cause: Option<Problem>) -> Result<(), Problem> {
        let ended = self.hub.commit(Mark::Change, move |fleet| outcome::end(fleet, id, phase, cause)).await?;
        let (level, words) = outcome::words(&ended);
        self.hub.event(ended.app.to_string(), level, words).await;
        Ok(())
    }

    /// Does steps side by side. The first that fails ends the others; so do a cancel and the deadline.
    async fn do_all(&self, id: DeploymentId, deeds: &[Deed], deadline: Instant, phase: Phase) -> Result<(), Problem> {
        let interrupt = self.interrupts.token(id);
        let group = CancellationToken::new();
        let (fleet_end, _) = self.seen(id).await?;
        if fleet_end.asked_end.is_some() {
            return Ok(());
        }
        let steps = join_all(deeds.iter().map(|deed| async {
            let done = self.step(id, deed, deadline, &group).await;
            if !matches!(done, Ok(true)) {
                group.cancel();
            }
            done.map(|_| ())
        }));
        tokio::pin!(steps);
        let done = tokio::select! {
            done = &mut steps => done,
            () = interrupt.cancelled() => {
                group.cancel();
                steps.await
            }
            () = tokio::time::sleep_until(deadline) => {
                let cause = Problem::limit(format!("{} took longer than it may", phase.word()));
                self.revise(id, move |deployment| {
                    deployment.cause.get_or_insert(cause);
                })
                .await?;
                group.cancel();
                steps.await
            }
        };
        done.into_iter().collect()
    }

    /// Intent, effect, outcome. True when it succeeded.
    async fn step(&self, id: DeploymentId, deed: &Deed, deadline: Instant, cancel: &CancellationToken) -> Result<bool, Problem> {
        let key = Orders::key(id, deed.step.clone());
        let slot = match deed.what {
            What::Build => self.slot(id, cancel).await?,
            _ => None,
        };
        let remaining = Millis::from(deadline.saturating_duration_since(Instant::now()));
        let wanted = deed.clone();
        self.hub.commit(Mark::Intent(key.clone()), move |fleet| intent::of_step(fleet, id, &wanted, remaining)).await?;
        let outcome = match &deed.what {
            What::Table => self.orders.route(&key, cancel).await,
            What::Halt { instance } => self.halt(&key, instance, cancel).await,
            what => match self.work(id, what).await {
                Ok(work) => self.orders.perform(&key, work, cancel).await,
                Err(problem) => Outcome::Failed(problem),
            },
        };
        drop(slot);
        self.note_seen(&deed.what, &outcome).await;
        let resolved = self.resolve(id, outcome).await;
        let deed = deed.clone();
        self.hub.commit(Mark::Outcome(key), move |fleet| outcome::record(fleet, id, &deed, resolved)).await
    }

    /// What is ready runs, and what answered a proof is sound: seen now, not only at the next report of agent or edge.
    async fn note_seen(&self, what: &What, outcome: &Outcome) {
        let (seen, is_proved) = match (what, outcome) {
            (What::Ready { instance, .. }, Outcome::Done(Done::Awaited)) => (vec![instance.clone()], false),
            (_, Outcome::Done(Done::Proved(proof))) => (proof.instances.clone(), true),
            _ => return,
        };
        self.hub
            .revise(move |fleet| {
                let known = seen.iter().filter_map(|id| fleet.instances.get(id));
                let changed = known.filter_map(|known| {
                    let state = if known.state == InstanceState::Starting { InstanceState::Running } else { known.state };
                    let health = if is_proved { Health::Passing } else { known.health };
                    let is_news = (state, health) != (known.state, known.health);
                    is_news.then(|| Change::Instance(Instance { state, health, ..known.clone() }))
                });
                changed.collect()
            })
            .await;
    }

    /// Waits for a place among the builds; says so on the deployment.
    async fn slot(
        &self,
        id: DeploymentId,
        cancel: &CancellationToken,
    ) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Problem> {
        if let Ok(slot) = Arc::clone(&self.builds).try_acquire_owned() {
            return Ok(Some(slot));
        }
        self.hub.event(format!("deployment {id}"), Level::Plain, "waits for another build to end").await;
        tokio::select! {
            slot = Arc::clone(&self.builds).acquire_owned() => Ok(slot.ok()),
            () = cancel.cancelled() => Ok(None),
        }
    }

    async fn work(&self, id: DeploymentId, what: &What) -> Result<Work, Problem> {
        let (deployment, release) = self.seen(id).await?;
        // What is sealed is opened where it is needed, and nowhere else: without its key, all the rest goes on.
        let (env, values) = match (what, release) {
            (What::Build | What::Start { .. }, Some(release)) => given(&self.hub, &release).await?,
            _ => (Env::default(), Env::default()),
        };
        let secret = match what {
            What::Fetch => self.hub.blobs().env(source_blob(&deployment.key)).await?,
            _ => Env::default(),
        };
        let (what, hub) = (what.clone(), self.hub.clone());
        let mut work =
            self.hub.look(move |fleet| steps::work(&what, &deployment, fleet, &env, hub.table_generation(fleet))).await?;
        if let Work::Fetch { source: Source::Git { url, .. }, .. } = &mut work
            && let Some(with_password) = secret.0.get(SOURCE_URL)
        {
            url.clone_from(with_password);
        }
        match &mut work {
            Work::Build(build) => build.secrets = values,
            Work::Start(spec) => spec.secrets = values,
            _ => {}
        }
        Ok(work)
    }
}

/// Every instance of an app, whatever its release.
fn all_instances(fleet: &Fleet, app: &AppId) -> Vec<InstanceId> {
    fleet.instances_of(app).map(|instance| instance.id.clone()).collect()
}

/// Longest stay in a phase, with what the manifest says.
fn limit(phase: Phase, blueprint: Option<&Blueprint>) -> Millis {
    let default = phase.deadline();
    let Some(blueprint) = blueprint else { return default };
    let longest = |of: fn(&ProcessPlan) -> u64| blueprint.processes.iter().map(of).max().unwrap_or(0);
    let asked = match phase {
        Phase::Building => blueprint.limits.time.0 + 60_000,
        // Started and ready, then proved through the pool.
        Phase::Staging => {
            let halting = longest(|process| process.stop.drain.0 + process.stop.kill.0);
            longest(|process| process.ready.within.0) * 2 + 30_000 + halting
        }
        Phase::Aborting | Phase::Finalising => longest(|process| process.stop.drain.0 + process.stop.kill.0) + 60_000,
        _ => 0,
    };
    Millis(default.0.max(asked))
}
