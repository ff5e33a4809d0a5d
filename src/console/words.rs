//! Figures and times as people read them, in widths that do not jump.

use crate::model::units::{Millis, Timestamp};

/// How long ago, in the largest unit: `now`, `9s`, `41m`, `3h`, `2d`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.age(now).as_secs();
    match seconds {
        0..=2 => "now".to_owned(),
        3..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86_399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The two largest units, for ages that matter: `6m 12s`, `3h 05m`.
pub fn span(at: Timestamp, now: Timestamp) -> String {
    Millis::from(at.age(now)).to_string()
}

/// Time of day at an offset from UTC in seconds: `02:47:18`.
pub fn clock(at: Timestamp, offset_s: i32) -> String {
    let seconds = (at.0.div_euclid(1000) + i64::from(offset_s)).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// With milliseconds: `02:47:18.114`.
pub fn clock_ms(at: Timestamp, offset_s: i32) -> String {
    format!("{}.{:03}", clock(at, offset_s), at.0.rem_euclid(1000))
}

/// A count or rate in at most five columns: `0`, `0.4`, `96`, `1.24k`, `18.2k`, `1.20M`.
pub fn count(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 9.95 => format!("{value:.1}"),
        v if v < 999.5 => format!("{value:.0}"),
        v if v < 9_995.0 => format!("{:.2}k", value / 1e3),
        v if v < 99_950.0 => format!("{:.1}k", value / 1e3),
        v if v < 999_500.0 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.2}M", value / 1e6),
    }
}

/// Milliseconds as number and unit: (`412`, ` ms`), (`0.8`, ` ms`), (`1.24`, ` s`).
pub fn latency(ms: f64) -> (String, &'static str) {
    match ms {
        v if v < 9.95 => (format!("{ms:.1}"), " ms"),
        v if v < 999.5 => (format!("{ms:.0}"), " ms"),
        v if v < 9_995.0 => (format!("{:.2}", ms / 1e3), " s "),
        _ => (format!("{:.0}", ms / 1e3), " s "),
    }
}

/// A share from 0 to 1 as `0.02`, `1.90`, `12.0`, `100`.
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        v if v < 9.995 => format!("{percent:.2}"),
        v if v < 99.95 => format!("{percent:.1}"),
        _ => format!("{percent:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_width() {
        let shown: Vec<String> = [0.0, 0.4, 9.97, 96.0, 999.6, 12_400.0, 181_000.0, 2.5e6].map(count).to_vec();
        assert_eq!(shown, ["0", "0.4", "10", "96", "1.00k", "12.4k", "181k", "2.50M"]);
        assert_eq!([0.0002, 0.019, 0.12, 1.0].map(share), ["0.02", "1.90", "12.0", "100"]);
        assert_eq!(latency(412.3).0, "412");
    }

    #[test]
    fn times_are_relative_or_of_the_day() {
        let now = Timestamp(1_000_000_000);
        let before = |s: i64| Timestamp(now.0 - s * 1000);
        assert_eq!([0, 9, 2_460, 10_800].map(|s| ago(before(s), now)), ["now", "9s", "41m", "3h"]);
        assert_eq!(clock(Timestamp(10_038_000), 3600), "03:47:18");
    }
}
