//! Starting an instance.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        instance::InstanceSpec,
        manifest::Runtime as Kind,
        order::{Done, Outcome},
        problem::Problem,
    },
    runtimes::{Runtime, RuntimeError},
};

/// How long a Docker that went away is waited for here; whoever asked may ask again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts it and answers once it was spawned. Takes some 10 ms, a container some 500 ms, so that it is not cancelled on its
/// way; only the wait for a Docker that is away is.
pub async fn start(
    runtime: &dyn Runtime,
    spec: &InstanceSpec,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let begun = Instant::now();
    while !cancel.is_cancelled() {
        match runtime.start(spec).await {
            Ok(started) => return Outcome::Done(Done::Started { address: started.address, pid: started.pid }),
            Err(RuntimeError::Transient(problem)) if spec.runtime == Kind::Docker && begun.elapsed() < PATIENCE => {
                progress(format!("waits: {}", problem.what));
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = cancel.cancelled() => return Outcome::Transient(problem),
                }
            }
            Err(error) => return error.into(),
        }
    }
    Outcome::Failed(Problem::conflict(format!("the start of {} was cancelled", spec.id)))
}
