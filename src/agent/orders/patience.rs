//! Waiting for a runtime that is away: Docker is restarted, and what was asked of it is still wanted.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::runtimes::RuntimeError;

/// How long it is waited for here; whoever asked may ask again.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Tries again what failed for a passing reason. Dropping it ends the wait.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, RuntimeError>
where
    F: Future<Output = Result<T, RuntimeError>>,
{
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(RuntimeError::Transient(_)) if begun.elapsed() < PATIENCE => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}
