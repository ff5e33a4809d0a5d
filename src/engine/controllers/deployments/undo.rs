//! Taking back what a deployment did.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{super::orders::Orders, Deployments, intent, outcome};
use crate::{
    deploy::{steps, strategies},
    engine::journal::Mark,
    model::{
        ids::{DeploymentId, InstanceId},
        order::{Done, OrderKey, Outcome, Work},
        problem::Problem,
        units::Millis,
    },
};

impl Deployments {
    /// Takes back the first of the steps: intent, effect, outcome.
    pub(super) async fn undo_first(&self, id: DeploymentId, names: &[String], deadline: Instant) -> Result<(), Problem> {
        let Some(name) = names.first().cloned() else { return Ok(()) };
        let key = Orders::key(id, format!("undo/{name}"));
        let undone = name.clone();
        let remaining = Millis::from(deadline.saturating_duration_since(Instant::now()));
        self.hub.commit(Mark::Intent(key.clone()), move |fleet| intent::of_undo(fleet, id, &undone, remaining)).await?;
        let cancel = CancellationToken::new();
        let effect = self.undo_effect(&key, &name, &cancel);
        let outcome = tokio::time::timeout_at(deadline.max(Instant::now() + Duration::from_secs(5)), effect).await;
        let failure = match outcome {
            Ok(Outcome::Done(_)) => None,
            Ok(Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem)) => Some(problem),
            Err(_) => Some(Problem::limit("taking it back took too long")),
        };
        self.hub.commit(Mark::Outcome(key), move |fleet| outcome::undone(fleet, id, &name, failure)).await
    }

    async fn undo_effect(&self, key: &OrderKey, name: &str, cancel: &CancellationToken) -> Outcome {
        if let Some(instance) = strategies::halted_by(name) {
            return self.start_again(key, &instance, cancel).await;
        }
        let Some(instance) = started_by(name) else {
            // One that waits serves nothing, and gets the table of then once it serves.
            let waits = self.hub.look(|fleet| fleet.edge.waits().then_some(fleet.edge.generation)).await;
            return match waits {
                Some(generation) => Outcome::Done(Done::Routed { generation }),
                None => self.orders.route(key, cancel).await,
            };
        };
        // It may have answered requests; let those in flight end before it goes.
        let drained = vec![instance.clone()];
        let within = self.hub.look(move |fleet| steps::drain_limit(fleet, &drained)).await;
        let _ = self.orders.perform(key, Work::Drain { instances: vec![instance.clone()], within }, cancel).await;
        self.orders.perform(key, Work::Stop { instance }, cancel).await
    }
}

/// The instance that a step `start/PROCESS/INSTANCE` started.
pub(super) fn started_by(step: &str) -> Option<InstanceId> {
    let rest = step.strip_prefix("start/")?;
    rest.rsplit_once('/').map(|(_, instance)| InstanceId(instance.to_owned()))
}
