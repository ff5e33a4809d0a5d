//! Runtimes: what runs instances. One trait; one file per runtime.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::model::{
    ids::InstanceId,
    instance::{Exit, InstanceSpec},
    order::{InstanceReport, Outcome, Report},
    problem::Problem,
    units::Millis,
};

pub mod both;
pub mod docker;
pub mod keepers;
pub mod process;
mod ready;
mod watch;

/// Runs instances on one host. Every method may be called at any time and by many at once; dropping a call's future
/// cancels the waiting, not the effect.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Starts an instance and answers once it was spawned, which says nothing about whether it serves.
    ///
    /// Idempotent: one that is alive with the same spec answers as the first time. What is left of an earlier one with
    /// this id that nobody keeps any more is ended before.
    async fn start(&self, spec: &InstanceSpec) -> Result<Started, RuntimeError>;

    /// Waits until the instance listens on its port (`listens`), or has run for a second without ending.
    ///
    /// Fails at once when it ended, with its last lines; when it listens only elsewhere, naming where; after `within`.
    async fn await_ready(&self, id: &InstanceId, listens: bool, within: Millis) -> Result<(), RuntimeError>;

    /// Asks it to end, ends it after its limit, and answers when nothing of it runs any more. Its log stays.
    ///
    /// Idempotent: one that is not there has ended.
    async fn stop(&self, id: &InstanceId) -> Result<Option<Exit>, RuntimeError>;

    /// Every instance that this runtime has a trace of, also those that have ended.
    async fn list(&self) -> Result<Vec<InstanceReport>, RuntimeError>;

    /// Reports every instance there is, then each change of its state within 250 ms, and its figures at the engine's
    /// pace. An unchanged state is not reported again. Ends when nobody reads the reports.
    async fn watch(&self, reports: mpsc::Sender<Report>);
}

/// What a start gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Where it is to listen.
    pub address: Option<std::net::SocketAddr>,
    pub pid: u32,
}

/// Why a runtime did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuntimeError {
    /// It will not succeed when tried again without a change.
    #[error("{0}")]
    Failed(Problem),
    /// The same may succeed later.
    #[error("{0}")]
    Transient(Problem),
    /// It may or may not have happened.
    #[error("{0}")]
    Unknown(Problem),
}

impl From<Problem> for RuntimeError {
    fn from(problem: Problem) -> Self {
        if problem.is_transient() { Self::Transient(problem) } else { Self::Failed(problem) }
    }
}

impl From<RuntimeError> for Outcome {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Failed(problem) => Self::Failed(problem),
            RuntimeError::Transient(problem) => Self::Transient(problem),
            RuntimeError::Unknown(problem) => Self::Unknown(problem),
        }
    }
}
