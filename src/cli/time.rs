//! Times as the command line shows and reads them.

use chrono::{DateTime, Local, SecondsFormat, Utc};

use crate::{
    config::clock,
    model::{
        problem::Problem,
        units::{Millis, Timestamp},
    },
};

/// `2026-11-20T09:12:31.204Z`
pub fn rfc3339(time: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_millis(time.0)
        .map_or_else(|| time.0.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// `4m 12s ago`
pub fn ago(time: Timestamp) -> String {
    format!("{} ago", Millis::from(time.age(clock::now())))
}

/// `09:12:31.204` in the local zone.
pub fn clock_time(time: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_millis(time.0)
        .map_or_else(|| time.0.to_string(), |time| time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string())
}

/// Reads `10m` as so long ago, or a time as in RFC 3339.
pub fn since(text: &str) -> Result<Timestamp, Problem> {
    if let Ok(span) = text.parse::<Millis>() {
        return Ok(Timestamp(clock::now().0.saturating_sub(span.0 as i64)));
    }
    DateTime::parse_from_rfc3339(text).map(|time| Timestamp(time.timestamp_millis())).map_err(|_| {
        Problem::user(format!("`{text}` is neither a span nor a time")).hint("write 10m, 2h or 2026-11-20T09:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_so_that_programs_read_them() {
        assert_eq!(rfc3339(Timestamp(1_790_000_000_204)), "2026-09-21T14:13:20.204Z");
        assert_eq!(since("2026-09-21T14:13:20.204Z").unwrap(), Timestamp(1_790_000_000_204));
    }

    #[test]
    fn a_span_is_so_long_ago() {
        let (before, found) = (clock::now(), since("10m").unwrap());
        assert!((before.0 - found.0 - 600_000).abs() < 5_000);
        assert!(since("tomorrow").is_err());
    }
}
