//! Quantities with their units: parsed from text, shown to people, and added within their limits.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// The largest size that may be written, 8000000T.
const MOST_BYTES: f64 = 8_000_000.0 * 1_099_511_627_776.0;
/// The longest span that may be written, 36500d.
const MOST_MILLIS: f64 = 36_500.0 * 86_400_000.0;

/// Number and unit of a quantity; a sign belongs to the number.
fn split(text: &str) -> (&str, &str) {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    text.split_at(text.len() - digits.len() + end)
}

/// A moment: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How long ago `self` was at `now`; zero when `self` lies in the future.
    pub fn age(self, now: Timestamp) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0).max(0) as u64)
    }

    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_millis() as i64))
    }
}

/// `1 host`, `3 hosts`.
pub fn many(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A share of traffic in percent, 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

impl Weight {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(100);

    pub fn new(percent: u8) -> Result<Self, Problem> {
        if percent > 100 {
            return Err(Problem::user(format!("a weight of {percent} % is over 100 %")));
        }
        Ok(Self(percent))
    }

    pub fn percent(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Weight {
    type Error = Problem;

    fn try_from(percent: u8) -> Result<Self, Problem> {
        Self::new(percent)
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// A size in bytes, written `512M`, `2G`, `1.5 GB`; powers of 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Bytes(pub u64);

impl Bytes {
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }
}

impl FromStr for Bytes {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::user(format!("`{text}` is not a size")).hint("write it as 512M, 2G or 1.5G");
        let text = text.trim();
        let (number, unit) = split(text);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let power = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(wrong()),
        };
        let bytes = number * f64::from(1_u32 << (power % 30)) * if power >= 30 { 1_073_741_824.0 } else { 1.0 };
        if !(0.0..=MOST_BYTES).contains(&bytes) {
            let what = format!("a size must be from 0 to 8000000T, not {text}");
            return Err(Problem::user(what).hint("write it as 512M, 2G or 1.5G"));
        }
        Ok(Self(bytes as u64))
    }
}

/// Three significant digits: `412 B`, `1.2 kB`, `64 MB`, `2.1 GB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let text = if unit == 0 || value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}") };
        f.pad(&format!("{text} {}", UNITS[unit]))
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(bytes) => Ok(Self(bytes)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// A span of time, written `500ms`, `30s`, `15m`, `2h`; whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Millis(pub u64);

impl Millis {
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1000)
    }

    pub const fn minutes(n: u64) -> Self {
        Self(n * 60_000)
    }

    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl From<Duration> for Millis {
    fn from(span: Duration) -> Self {
        Self(span.as_millis() as u64)
    }
}

impl FromStr for Millis {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::user(format!("`{text}` is not a span of time")).hint("write it as 500ms, 30s, 15m or 2h");
        let text = text.trim();
        let (number, unit) = split(text);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let factor = match unit.trim() {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return Err(wrong()),
        };
        let millis = number * factor;
        if !(0.0..=MOST_MILLIS).contains(&millis) {
            let what = format!("a span of time must be from 0 to 36500d, not {text}");
            return Err(Problem::user(what).hint("write it as 500ms, 30s, 15m or 2h"));
        }
        Ok(Self(millis as u64))
    }
}

/// The two largest units: `412 ms`, `4.2 s`, `1m 12s`, `3h 05m`, `2d 4h`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let seconds = ms / 1000;
        let text = match seconds {
            0 => format!("{ms} ms"),
            1..=9 => format!("{:.1} s", (ms / 100) as f64 / 10.0),
            10..=59 => format!("{seconds} s"),
            60..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
            3600..=86_399 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
            _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
        };
        f.pad(&text)
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(millis) => Ok(Self(millis)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Bytes>().map(|b| b.0).ok();
        assert_eq!(read("512M"), Some(512 << 20));
        assert_eq!(read("1.5 GB"), Some(3 << 29));
        assert_eq!(read("2T"), Some(2 << 40));
        assert_eq!(read("700"), Some(700));
        assert_eq!(read("12 parsecs"), None);
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let shown = |ms| Millis(ms).to_string();
        assert_eq!([shown(412), shown(4_200), shown(72_000), shown(11_100_000)], ["412 ms", "4.2 s", "1m 12s", "3h 05m"]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in ".{0,20}") {
            let _ = text.parse::<Bytes>();
            let _ = text.parse::<Millis>();
        }
    }
}
