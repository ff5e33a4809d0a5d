//! Names and numbers by which things are known.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{latin, problem::Problem};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number that follows this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self, Problem> {
                text.trim_start_matches('#').parse().map(Self).map_err(|_| {
                    Problem::user(format!("`{text}` is not a number")).hint("use the number that the console shows, such as 7")
                })
            }
        }
    };
}

number!(
    /// A release of one app, counted from 1 within the app; never reused.
    ReleaseId(u32)
);
number!(
    /// A deployment, counted from 1 within one engine; never reused.
    DeploymentId(u64)
);
number!(
    /// A piece of long work, counted from 1 within one engine.
    TaskId(u64)
);
number!(
    /// Position in the feed of changes.
    Seq(u64)
);
number!(
    /// Fencing number of orders and route tables: agents and edges refuse a lower one than they have seen.
    Generation(u64)
);

impl Generation {
    /// That of a routing table: the engine's lease, then the change of that engine, modulo 2³².
    pub fn of_table(lease: u64, change: Seq) -> Self {
        Self((lease << 32) | (change.0 & u64::from(u32::MAX)))
    }

    /// Lease of the engine that made a routing table.
    pub fn lease(self) -> u64 {
        self.0 >> 32
    }

    /// Change by which a routing table was made.
    pub fn change(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

/// A server of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub String);

impl HostId {
    /// The machine that the engine itself runs on.
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An app: one DNS label (RFC 1123 §2.1), lower case, at most 40 characters, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AppId(String);

impl AppId {
    /// Longest name: room is left in a DNS label (63) for a variant.
    pub const LONGEST: usize = 40;

    pub fn parse(name: &str) -> Result<Self, Problem> {
        let shaped = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
        if shaped && ends && name.len() <= Self::LONGEST {
            return Ok(Self(name.to_owned()));
        }
        Err(Problem::user(format!("`{}` cannot be an app's name: it becomes a host name", name.escape_debug())).hint(format!(
            "use lower-case letters, digits and `-`, beginning with a letter, at most 40; for example --name {}",
            Self::suggest(name)
        )))
    }

    /// The nearest valid name to any text: used for folder and repository names. Accents are dropped, `ß` is `ss`.
    pub fn suggest(text: &str) -> Self {
        let mut name = String::new();
        for c in latin::ascii(text).chars() {
            if c.is_ascii_lowercase() || (c.is_ascii_digit() && !name.is_empty()) {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(Self::LONGEST);
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() { "app".to_owned() } else { name.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AppId {
    type Error = Problem;

    fn try_from(name: String) -> Result<Self, Problem> {
        Self::parse(&name)
    }
}

impl From<AppId> for String {
    fn from(app: AppId) -> Self {
        app.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One running copy of a release's process: `shop-41-a`; never reused within a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub String);

impl InstanceId {
    /// The `ordinal`th instance ever started of a release, counted from 0: a, b, … z, aa, ab, …
    pub fn of(app: &AppId, release: ReleaseId, ordinal: u32) -> Self {
        Self(format!("{app}-{release}-{}", letters(ordinal)))
    }
}

fn letters(mut ordinal: u32) -> String {
    let mut text = Vec::new();
    loop {
        text.push(b'a' + (ordinal % 26) as u8);
        if ordinal < 26 {
            break;
        }
        ordinal = ordinal / 26 - 1;
    }
    text.iter().rev().map(|b| char::from(*b)).collect()
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instances_are_lettered_without_end() {
        let names: Vec<String> = [0, 25, 26, 27, 701, 702].iter().map(|n| letters(*n)).collect();
        assert_eq!(names, ["a", "z", "aa", "ab", "zz", "aaa"]);
    }

    #[test]
    fn an_odd_name_is_refused_with_a_good_one() {
        let refused = AppId::parse("My Shop!").unwrap_err();
        assert!(refused.next.unwrap().ends_with("--name my-shop"));
    }

    proptest! {
        #[test]
        fn every_suggestion_is_a_valid_name(text in ".{0,80}") {
            let suggested = AppId::suggest(&text);
            prop_assert_eq!(AppId::parse(suggested.as_str()).unwrap(), suggested);
        }
    }
}
