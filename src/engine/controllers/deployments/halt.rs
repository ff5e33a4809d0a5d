//! Halting an instance for its successor, and starting it again when that one fails.

use tokio_util::sync::CancellationToken;

use super::{Deployments, sealed::given};
use crate::{
    deploy::steps,
    engine::journal::Mark,
    model::{
        change::Change,
        ids::InstanceId,
        instance::{Instance, InstanceSpec},
        order::{Done, OrderKey, Outcome, Work},
        problem::Problem,
        units::Millis,
    },
};

impl Deployments {
    /// Out of routing, which its intent asked for; drained; stopped.
    pub(super) async fn halt(&self, key: &OrderKey, instance: &InstanceId, cancel: &CancellationToken) -> Outcome {
        let routed = self.orders.route(key, cancel).await;
        if !matches!(routed, Outcome::Done(_)) {
            return routed;
        }
        let instances = vec![instance.clone()];
        let drained = instances.clone();
        let within = self.hub.look(move |fleet| steps::drain_limit(fleet, &drained)).await;
        // Whatever is still in flight when the time is up ends with the instance.
        let _ = self.orders.perform(key, Work::Drain { instances, within }, cancel).await;
        self.orders.perform(key, Work::Stop { instance: instance.clone() }, cancel).await
    }

    /// Starts what was halted, at a new address if need be; answers once requests reach it.
    pub(super) async fn start_again(&self, key: &OrderKey, id: &InstanceId, cancel: &CancellationToken) -> Outcome {
        let (spec, listens, within) = match self.spec_again(id).await {
            Ok(found) => found,
            Err(problem) => return Outcome::Failed(problem),
        };
        let (address, pid) = match self.orders.perform(key, Work::Start(spec), cancel).await {
            Outcome::Done(Done::Started { address, pid }) => (address, pid),
            other => return other,
        };
        let of = id.clone();
        let journaled = self
            .hub
            .commit(Mark::Change, move |fleet| {
                let known = fleet.instances.get(&of);
                let moved = known.map(|known| Change::Instance(Instance { address, pid: Some(pid), ..known.clone() }));
                Ok((moved.into_iter().collect(), ()))
            })
            .await;
        if let Err(problem) = journaled {
            return Outcome::Failed(problem);
        }
        match self.orders.perform(key, Work::Await { instance: id.clone(), listens, within }, cancel).await {
            Outcome::Done(_) => self.orders.route(key, cancel).await,
            other => other,
        }
    }

    async fn spec_again(&self, id: &InstanceId) -> Result<(InstanceSpec, bool, Millis), Problem> {
        let of = id.clone();
        let found = self.hub.look(move |fleet| {
            let instance = fleet.instances.get(&of)?.clone();
            let release = fleet.release(&instance.app, instance.release)?.clone();
            Some((instance, release))
        });
        let gone = || Problem::internal(format!("{id} is not known any more"));
        let (instance, release) = found.await.ok_or_else(gone)?;
        let (env, secrets) = given(&self.hub, &release).await?;
        let process = release.blueprint.processes.iter().find(|process| process.name == instance.process).ok_or_else(gone)?;
        let spec = InstanceSpec { secrets, ..steps::spec(&release, process, id.clone(), &env)? };
        Ok((spec, process.routed, process.ready.within))
    }
}
