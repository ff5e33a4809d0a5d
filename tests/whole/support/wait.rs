//! Conditions are awaited, with a deadline; nothing sleeps and hopes.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value; panics with `what` and what `explain` says when `limit` is over.
pub fn until_some<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
    explain: impl FnOnce() -> String,
) -> T {
    let from = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(from.elapsed() < limit, "not within {limit:?}: {what}\n{}", explain());
        std::thread::sleep(EVERY);
    }
}

/// Waits until `condition` holds.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    until_some(what, limit, || condition().then_some(()), String::new);
}

pub const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Whether a peer is there; when not, says so and the test ends. In CI that is a failure.
pub fn has(peer: &str, install: &str, there: bool) -> bool {
    if !there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "needs {peer} (install: {install}), and in CI nothing is skipped");
        eprintln!("skipped: needs {peer} (install: {install})");
    }
    there
}

/// Whether `program` is on the PATH.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
