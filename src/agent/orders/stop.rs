//! Stopping an instance.

use super::patience::patiently;
use crate::{
    model::{
        ids::InstanceId,
        order::{Done, Outcome},
    },
    runtimes::Runtime,
};

/// Stops it and answers when nothing of it runs any more, after its limit at the latest; it is not cancelled.
pub async fn stop(runtime: &dyn Runtime, instance: &InstanceId) -> Outcome {
    match patiently(|| runtime.stop(instance)).await {
        Ok(exit) => Outcome::Done(Done::Stopped { exit }),
        Err(error) => error.into(),
    }
}
