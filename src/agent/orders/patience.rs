//! Waiting for a runtime that is away: Docker is restarted, and what was asked of it is still wanted.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::runtimes::RuntimeError;

/// How long it is waited for here; whoever asked may ask again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again after each failure that `awaits` says is to be waited out, which it may also tell. A cancel ends the wait, not
/// a try; dropping it ends both.
pub(super) async fn patiently<T, E, F>(
    attempt: impl Fn() -> F,
    awaits: impl Fn(&E) -> bool,
    cancel: &CancellationToken,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    loop {
        let error = match attempt().await {
            Err(error) if begun.elapsed() < PATIENCE && awaits(&error) => error,
            answer => return answer,
        };
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = cancel.cancelled() => return Err(error),
        }
    }
}

/// Whether the runtime failed for a reason that passes.
pub(super) fn is_passing(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Transient(_))
}
