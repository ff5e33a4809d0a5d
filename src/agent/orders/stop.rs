//! Stopping an instance.

use tokio_util::sync::CancellationToken;

use super::patience::{is_passing, patiently};
use crate::{
    model::{
        ids::InstanceId,
        order::{Done, Outcome},
    },
    runtimes::Runtime,
};

/// Stops it and answers when nothing of it runs any more, after its limit at the latest; it is not cancelled.
pub async fn stop(runtime: &dyn Runtime, instance: &InstanceId) -> Outcome {
    match patiently(|| runtime.stop(instance), is_passing, &CancellationToken::new()).await {
        Ok(exit) => Outcome::Done(Done::Stopped { exit }),
        Err(error) => error.into(),
    }
}
