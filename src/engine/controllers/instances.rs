//! Instances: what is wanted runs, what is not wanted any more is drained and ended, what nobody needs is pruned.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    super::{fleet::Hub, journal::Mark},
    Controller, Next,
    deployments::sealed::{env_blob, given},
    orders::Orders,
};
use crate::{
    config::clock,
    deploy::{steps, strategies::HALT},
    model::{
        change::Change,
        deployment::{Aim, Deployment, Phase},
        fleet::{App, Desired, Fleet, Level, Release, Shut},
        ids::{AppId, DeploymentId, InstanceId, ReleaseId},
        instance::{Health, Instance, InstanceState},
        order::{Done, Outcome, PruneWork, Work},
        plan::Env,
        problem::Problem,
    },
};

/// Keeps the instances of each app as they are wanted.
pub struct Instances {
    pub hub: Hub,
    pub orders: Orders,
    /// True once the agent has told of everything that it found.
    pub is_surveyed: watch::Receiver<bool>,
}

/// What could not be read may be there again after this time.
const SHUT: Duration = Duration::from_secs(5);

/// One thing to do for an app.
enum Need {
    Start(InstanceId),
    Retire(InstanceId),
    EndWarmth(ReleaseId),
    Prune(ReleaseId),
    /// Nothing now; again after this time.
    Wait(Duration),
    Nothing,
}

#[async_trait]
impl Controller for Instances {
    fn name(&self) -> &'static str {
        "instances"
    }

    fn concerns(&self, change: &Change) -> Option<AppId> {
        match change {
            Change::Instance(instance) => Some(instance.app.clone()),
            Change::App(app) => Some(app.id.clone()),
            Change::Deployment(deployment) if deployment.is_over() => Some(deployment.app.clone()),
            _ => None,
        }
    }

    fn keys(&self, fleet: &Fleet) -> Vec<AppId> {
        fleet.apps.keys().cloned().collect()
    }

    async fn reconcile(&self, app: &AppId) -> Result<Next, Problem> {
        let mut surveyed = self.is_surveyed.clone();
        // Before the agent has looked, every instance seems lost.
        if surveyed.wait_for(|is| *is).await.is_err() {
            return Ok(Next::Done);
        }
        // Bounded: each pass does one thing and looks again.
        for _ in 0..1000 {
            let of = app.clone();
            match self.hub.look(move |fleet| need(fleet, &of)).await {
                Need::Start(instance) => {
                    if !self.start(&instance).await? {
                        return Ok(Next::After(SHUT));
                    }
                }
                Need::Retire(instance) => self.retire(&instance).await?,
                Need::EndWarmth(release) => self.end_warmth(app, release).await?,
                Need::Prune(release) => self.prune(app, release).await?,
                Need::Wait(pause) => return Ok(Next::After(pause)),
                Need::Nothing => return Ok(Next::Done),
            }
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

/// What an app needs most. The instances of a deployment under way are that deployment's.
fn need(fleet: &Fleet, id: &AppId) -> Need {
    let Some(app) = fleet.apps.get(id) else { return Need::Nothing };
    let active = fleet.active_deployment(id);
    let is_staged =
        |instance: &Instance| active.is_some_and(|active| active.starts.iter().any(|(_, started)| *started == instance.id));
    let is_retiring = active.is_some_and(|active| matches!(active.aim, Aim::Stop | Aim::Remove));
    let lost = |instance: &&Instance| {
        // A deployment has ended it to start another one on its volume; taken back, it is started again.
        let is_replaced = active.is_some_and(|active| steps::replaced(fleet, active, &instance.process).contains(&instance.id));
        let is_of_deployment = is_staged(instance) || is_halted(active, instance) || is_replaced;
        instance.wanted && app.pool.contains(&instance.id) && !instance.state.is_alive() && !is_of_deployment
    };
    if app.desired == Desired::Running
        && !is_retiring
        && let Some(instance) = fleet.instances_of(id).find(lost)
    {
        return Need::Start(instance.id.clone());
    }
    let surplus = |instance: &&Instance| !is_staged(instance) && !is_retiring && !is_needed(fleet, app, active, instance);
    if let Some(instance) = fleet.instances_of(id).find(surplus) {
        return Need::Retire(instance.id.clone());
    }
    let now = clock::now();
    if let Some((release, until)) = app.warm {
        if until <= now {
            return Need::EndWarmth(release);
        }
        return Need::Wait(now.age(until).max(Duration::from_millis(20)));
    }
    if active.is_none()
        && let Some(release) = steps::prunable(id, fleet, now).first()
    {
        return Need::Prune(release.id);
    }
    Need::Nothing
}

/// Whether an instance was stopped for its successor: the deployment starts it again when that one fails.
fn is_halted(active: Option<&Deployment>, instance: &Instance) -> bool {
    active.is_some_and(|active| active.step(&format!("{HALT}{}", instance.id)).is_some())
}

/// Whether an instance serves, is about to, or is kept warm.
fn is_needed(fleet: &Fleet, app: &App, active: Option<&Deployment>, instance: &Instance) -> bool {
    if !instance.wanted {
        if is_halted(active, instance) {
            return true;
        }
        // Its undo or stop was journaled; the deployment that did so finishes it unless it is over.
        return active.is_some_and(|active| active.phase == Phase::Aborting && active.release == instance.release);
    }
    let is_coming = active.is_some_and(|active| active.pool.contains(&instance.id));
    let is_warm = app.warm.is_some_and(|(release, until)| release == instance.release && until > clock::now());
    let plan = fleet.release(&app.id, instance.release);
    let plan = plan.and_then(|release| release.blueprint.processes.iter().find(|plan| plan.name == instance.process));
    // Under one name in the app's network: requests of the new release must not reach the old one's.
    let is_named = plan.is_some_and(|plan| !plan.routed && plan.container.as_ref().is_some_and(|own| !own.aliases.is_empty()));
    let stays_warm = is_warm && instance.state.is_alive() && !is_named;
    app.pool.contains(&instance.id) || is_coming || stays_warm
}

impl Instances {
    /// What a release's instances need, or nothing when it cannot be read: then that is told, once.
    async fn given(&self, release: &Release) -> Option<(Env, Env)> {
        let cause = match given(&self.hub, release).await {
            Ok(given) => return Some(given),
            Err(problem) => problem,
        };
        let shut = Shut { release: release.id, cause: cause.clone() };
        let (of, told) = (release.app.clone(), shut.clone());
        if self.hub.look(move |fleet| fleet.engine.shut.get(&of) == Some(&told)).await {
            return None;
        }
        tracing::warn!(app = %release.app, release = %release.id, problem = %cause, "cannot be started");
        let app = release.app.clone();
        self.hub
            .revise(move |fleet| {
                let mut engine = fleet.engine.clone();
                engine.shut.insert(app, shut);
                vec![Change::Engine(engine)]
            })
            .await;
        self.hub.event(release.app.to_string(), Level::Danger, cause.what).await;
        None
    }

    /// Starts a lost instance again, at a new address if need be. False when what it needs cannot be read.
    async fn start(&self, id: &InstanceId) -> Result<bool, Problem> {
        let key = Orders::key(DeploymentId(0), format!("start/{id}"));
        let of = id.clone();
        let found = self
            .hub
            .look(move |fleet| {
                let instance = fleet.instances.get(&of)?.clone();
                let release = fleet.release(&instance.app, instance.release)?.clone();
                let peers = steps::peers::of(fleet, &instance.app);
                Some((instance, release, peers))
            })
            .await;
        let Some((instance, release, peers)) = found else { return Ok(true) };
        let Some((env, secrets)) = self.given(&release).await else { return Ok(false) };
        self.hub.event(instance.app.to_string(), Level::Warn, format!("{id} was {}: started again", instance.state.word())).await;
        self.intend(&key, instance.clone()).await?;
        let process = release.blueprint.processes.iter().find(|process| process.name == instance.process);
        let process = process.ok_or_else(|| Problem::internal(format!("{id} has no process")))?;
        let mut spec = steps::spec(&release, process, id.clone(), &env)?;
        spec.peers = peers;
        spec.secrets = secrets;
        let outcome = self.orders.perform(&key, Work::Start(spec), &CancellationToken::new()).await;
        let (address, pid) = match outcome {
            Outcome::Done(Done::Started { address, pid }) => (address, pid),
            Outcome::Done(_) => return Err(Problem::internal("a start gave something else")),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => return Err(problem),
        };
        let of = id.clone();
        let moved = self
            .hub
            .commit(Mark::Outcome(key), move |fleet| {
                let Some(known) = fleet.instances.get(&of) else { return Ok((Vec::new(), false)) };
                let moved = known.address != address;
                Ok((vec![Change::Instance(Instance { address, pid: Some(pid), ..known.clone() })], moved))
            })
            .await?;
        // The report that it lives may have come before its outcome was journaled.
        let of = id.clone();
        self.hub
            .revise(move |fleet| match fleet.instances.get(&of) {
                // Whatever the edge said of the one before says nothing of this one.
                Some(known) => {
                    let state = if known.state.is_alive() { known.state } else { InstanceState::Starting };
                    vec![Change::Instance(Instance { state, health: Health::Unknown, ..known.clone() })]
                }
                None => Vec::new(),
            })
            .await;
        if moved {
            self.route().await?;
        }
        Ok(true)
    }

    async fn intend(&self, key: &crate::model::order::OrderKey, instance: Instance) -> Result<(), Problem> {
        self.hub.commit(Mark::Intent(key.clone()), move |_| Ok((vec![Change::Instance(instance)], ()))).await
    }

    /// Out of routing, drained, ended, forgotten.
    async fn retire(&self, id: &InstanceId) -> Result<(), Problem> {
        let key = Orders::key(DeploymentId(0), format!("retire/{id}"));
        let of = id.clone();
        let Some(instance) = self.hub.look(move |fleet| fleet.instances.get(&of).cloned()).await else { return Ok(()) };
        let (of, app) = (id.clone(), instance.app.clone());
        let is_intended = self
            .hub
            .commit(Mark::Intent(key.clone()), move |fleet| {
                // A rollback may have claimed it since.
                let (Some(known), Some(entry)) = (fleet.instances.get(&of), fleet.apps.get(&app)) else {
                    return Ok((Vec::new(), false));
                };
                if is_needed(fleet, entry, fleet.active_deployment(&app), known) {
                    return Ok((Vec::new(), false));
                }
                Ok((vec![Change::Instance(Instance { wanted: false, ..known.clone() })], true))
            })
            .await?;
        if !is_intended {
            return Ok(());
        }
        self.route().await?;
        let none = CancellationToken::new();
        let draining = vec![id.clone()];
        let within = self.hub.look(move |fleet| steps::drain_limit(fleet, &draining)).await;
        if instance.address.is_some() && instance.state == InstanceState::Running {
            let _ = self.orders.perform(&key, Work::Drain { instances: vec![id.clone()], within }, &none).await;
        }
        match self.orders.perform(&key, Work::Stop { instance: id.clone() }, &none).await {
            Outcome::Done(_) => {}
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => return Err(problem),
        }
        let id = id.clone();
        self.hub.commit(Mark::Outcome(key), move |_| Ok((vec![Change::InstanceGone(id)], ()))).await
    }

    async fn end_warmth(&self, app: &AppId, release: ReleaseId) -> Result<(), Problem> {
        let app = app.clone();
        self.hub
            .commit(Mark::Change, move |fleet| {
                let Some(entry) = fleet.apps.get(&app).filter(|entry| entry.warm.is_some_and(|(warm, _)| warm == release)) else {
                    return Ok((Vec::new(), ()));
                };
                Ok((vec![Change::App(App { warm: None, ..entry.clone() })], ()))
            })
            .await
    }

    async fn prune(&self, app: &AppId, release: ReleaseId) -> Result<(), Problem> {
        let key = Orders::key(DeploymentId(0), format!("prune/{app}/{release}"));
        let of = app.clone();
        let Some(entry) = self.hub.look(move |fleet| fleet.release(&of, release).cloned()).await else { return Ok(()) };
        let work = prune_work(&entry);
        // The release stands in the journal until its files are gone: then it goes too.
        self.hub.commit(Mark::Intent(key.clone()), move |_| Ok((vec![Change::Release(Box::new(entry))], ()))).await?;
        match self.orders.perform(&key, Work::Prune(work), &CancellationToken::new()).await {
            Outcome::Done(_) => {}
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => return Err(problem),
        }
        self.hub.blobs().remove(env_blob(app, release)).await?;
        self.hub.secrets().forget(app, Some(release)).await?;
        let app = app.clone();
        self.hub.commit(Mark::Outcome(key), move |_| Ok((vec![Change::ReleaseGone { app, release }], ()))).await
    }

    async fn route(&self) -> Result<(), Problem> {
        let key = Orders::key(DeploymentId(0), "route");
        match self.orders.route(&key, &CancellationToken::new()).await {
            Outcome::Done(_) => Ok(()),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
        }
    }
}

fn prune_work(release: &Release) -> PruneWork {
    PruneWork {
        app: Some(release.app.clone()),
        releases: vec![release.id],
        instances: (0..release.started).map(|ordinal| InstanceId::of(&release.app, release.id, ordinal)).collect(),
        whole_app: false,
    }
}
