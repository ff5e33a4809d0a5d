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
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_micros() as i64)
}
