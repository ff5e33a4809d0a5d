//! Waiting until an instance is ready.

use tokio_util::sync::CancellationToken;

use super::patience::{is_passing, patiently};
use crate::{
    model::{
        ids::InstanceId,
        order::{Done, Outcome},
        problem::Problem,
        units::Millis,
    },
    runtimes::Runtime,
};

/// Waits until it listens (or, when it need not, has run for a second), it fails, or the wait is cancelled.
pub async fn await_ready(
    runtime: &dyn Runtime,
    instance: &InstanceId,
    listens: bool,
    within: Millis,
    cancel: &CancellationToken,
) -> Outcome {
    // A cancel ends the whole wait, not only the one between two tries.
    let none = CancellationToken::new();
    tokio::select! {
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict(format!("waiting for {instance} was cancelled"))),
        answer = patiently(|| runtime.await_ready(instance, listens, within), is_passing, &none) => match answer {
            Ok(()) => Outcome::Done(Done::Awaited),
            Err(error) => error.into(),
        },
    }
}
