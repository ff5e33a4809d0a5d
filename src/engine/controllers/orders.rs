//! Sending orders: tried again while that can help, ended when it is no longer wanted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::super::fleet::Hub;
use crate::{
    deploy::steps::routing,
    model::{
        ids::{DeploymentId, Generation, HostId},
        order::{Order, OrderKey, Outcome, Work},
        problem::{Problem, ProblemKind},
    },
    wire::agent::AgentClient,
};

/// How often an order is sent again after a passing failure.
const TRIES: u32 = 6;
/// How long the outcome of a cancelled order is waited for.
const CANCELLED: Duration = Duration::from_secs(15);

/// The way to the agents.
#[derive(Clone)]
pub struct Orders {
    hub: Hub,
    agent: AgentClient,
}

impl Orders {
    pub fn new(hub: Hub, agent: AgentClient) -> Self {
        Self { hub, agent }
    }

    /// Key of an order on this machine.
    pub fn key(deployment: DeploymentId, step: impl Into<String>) -> OrderKey {
        OrderKey { deployment, step: step.into(), host: HostId::local() }
    }

    /// Has the work done. A passing failure, or one of which nobody knows whether it happened, is tried again with a
    /// growing pause: works are idempotent. `cancel` ends it; its outcome is still given.
    pub async fn perform(&self, key: &OrderKey, work: Work, cancel: &CancellationToken) -> Outcome {
        let mut pause = Duration::from_millis(100);
        let mut tries = 1;
        loop {
            let outcome = self.send(key, work.clone(), cancel).await;
            let problem = match &outcome {
                Outcome::Transient(problem) | Outcome::Unknown(problem) => problem,
                Outcome::Done(_) | Outcome::Failed(_) => return outcome,
            };
            if tries >= TRIES || cancel.is_cancelled() {
                return outcome;
            }
            tracing::warn!(%key, %problem, tries, "an order is sent again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return outcome,
            }
            pause = (pause * 2).min(Duration::from_secs(3));
            tries += 1;
        }
    }

    /// Has the work tried once.
    pub async fn once(&self, key: &OrderKey, work: Work, cancel: &CancellationToken) -> Outcome {
        self.send(key, work, cancel).await
    }

    /// Puts the table in force that the fleet asks for now. A table that was overtaken by a newer one is made again.
    pub async fn route(&self, key: &OrderKey, cancel: &CancellationToken) -> Outcome {
        let mut outcome = Outcome::Unknown(Problem::internal("no table was sent"));
        for _ in 0..10 {
            let hub = self.hub.clone();
            let table = self.hub.look(move |fleet| routing::table(fleet, hub.table_generation(fleet))).await;
            outcome = self.perform(key, Work::Route(table), cancel).await;
            let overtaken = matches!(&outcome, Outcome::Failed(problem) if problem.kind == ProblemKind::Conflict);
            if !overtaken {
                break;
            }
        }
        outcome
    }

    async fn send(&self, key: &OrderKey, work: Work, cancel: &CancellationToken) -> Outcome {
        let order = Order { key: key.clone(), generation: Generation(self.hub.lease()), work };
        let answer = self.agent.order(order);
        tokio::pin!(answer);
        tokio::select! {
            outcome = &mut answer => return outcome,
            () = cancel.cancelled() => {}
        }
        self.agent.cancel(key.clone()).await;
        tokio::time::timeout(CANCELLED, answer)
            .await
            .unwrap_or_else(|_| Outcome::Unknown(Problem::limit("the work did not end within 15 s of being cancelled")))
    }
}

/// Which deployments are to be interrupted in what they are waiting for.
#[derive(Clone, Debug, Default)]
pub struct Interrupts {
    tokens: Arc<Mutex<HashMap<DeploymentId, CancellationToken>>>,
}

impl Interrupts {
    /// The token of a deployment that is being driven.
    pub fn token(&self, id: DeploymentId) -> CancellationToken {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    pub fn interrupt(&self, id: DeploymentId) {
        self.token(id).cancel();
    }

    pub fn forget(&self, id: DeploymentId) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
