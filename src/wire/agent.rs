//! The agent's door: orders out, outcomes and reports in. On this machine it is a pair of queues.

use tokio::sync::{mpsc, oneshot};

use crate::model::{
    order::{Order, OrderKey, Outcome, Report},
    problem::Problem,
};

/// Orders that may wait for an agent; a sender waits beyond that.
const ORDERS: usize = 64;
/// Reports that may wait for the engine; the agent waits beyond that.
const REPORTS: usize = 256;

/// What an agent is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are orders: a box for each would save nothing")]
pub enum Told {
    Order(Order, oneshot::Sender<Outcome>),
    /// End the work of this order as soon as possible; its outcome still comes.
    Cancel(OrderKey),
}

/// The engine's end.
#[derive(Clone, Debug)]
pub struct AgentClient {
    told: mpsc::Sender<Told>,
}

impl AgentClient {
    /// Has the agent do the order and gives its outcome; without a limit of its own: the works have theirs.
    pub async fn order(&self, order: Order) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let gone = || Outcome::Unknown(Problem::unavailable("the agent ended while it had the order"));
        if self.told.send(Told::Order(order, answer)).await.is_err() {
            return gone();
        }
        outcome.await.unwrap_or_else(|_| gone())
    }

    pub async fn cancel(&self, key: OrderKey) {
        // An agent that is gone has nothing left to cancel.
        let _ = self.told.send(Told::Cancel(key)).await;
    }
}

/// The agent's end.
#[derive(Debug)]
pub struct AgentDoor {
    pub told: mpsc::Receiver<Told>,
    pub reports: mpsc::Sender<Report>,
}

/// Joins an engine and an agent in one process.
pub fn in_process() -> (AgentClient, mpsc::Receiver<Report>, AgentDoor) {
    let (told_in, told) = mpsc::channel(ORDERS);
    let (reports, reports_out) = mpsc::channel(REPORTS);
    (AgentClient { told: told_in }, reports_out, AgentDoor { told, reports })
}
