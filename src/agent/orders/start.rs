//! Starting an instance.

use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        instance::InstanceSpec,
        order::{Done, Outcome},
        problem::Problem,
    },
    runtimes::Runtime,
};

/// Starts it and answers once it was spawned. Takes some 10 ms, so that it is not cancelled on its way.
pub async fn start(runtime: &dyn Runtime, spec: &InstanceSpec, cancel: &CancellationToken) -> Outcome {
    if cancel.is_cancelled() {
        return Outcome::Failed(Problem::conflict(format!("the start of {} was cancelled", spec.id)));
    }
    match runtime.start(spec).await {
        Ok(started) => Outcome::Done(Done::Started { address: started.address, pid: started.pid }),
        Err(error) => error.into(),
    }
}
