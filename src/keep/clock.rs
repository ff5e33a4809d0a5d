//! The two clocks of a keeper, without the engine's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::model::units::Timestamp;

/// Time since an arbitrary moment; never goes back.
pub(super) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Microseconds since 1970 UTC.
pub(super) fn micros() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

pub(super) fn now() -> Timestamp {
    Timestamp(micros() / 1000)
}
