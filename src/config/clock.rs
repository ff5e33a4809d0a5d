//! The wall clock, at one place.

use std::time::UNIX_EPOCH;

use crate::model::units::Timestamp;

/// Now, by the wall clock: for showing and recording, never for deadlines.
pub fn now() -> Timestamp {
    Timestamp(micros() / 1000)
}

/// Now in microseconds since 1970 UTC, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn micros() -> i64 {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_micros() as i64) + shift()
}

/// A fault for tests, in debug builds only: the clock of this process is off by as many seconds as the file says that
/// `PILOTHOUSE_CLOCK_SHIFT` names.
#[cfg(debug_assertions)]
fn shift() -> i64 {
    let said = std::env::var_os("PILOTHOUSE_CLOCK_SHIFT").and_then(|path| std::fs::read_to_string(path).ok());
    said.and_then(|seconds| seconds.trim().parse::<i64>().ok()).unwrap_or(0) * 1_000_000
}

#[cfg(not(debug_assertions))]
const fn shift() -> i64 {
    0
}
