//! What deciding needs to be told by others; `engine::wiring` connects it.

use crate::model::{
    fleet::{Fleet, Release},
    ids::{AppId, HostId, ReleaseId},
    units::Millis,
};

/// What the gate says of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass(String),
    /// With the reasons.
    Refuse(String),
    NotChecked,
}

impl Verdict {
    /// For screens: an unchecked release is never shown as a checked one.
    pub fn words(&self) -> &str {
        match self {
            Self::Pass(words) | Self::Refuse(words) => words,
            Self::NotChecked => "not checked",
        }
    }
}

/// Judges what is about to be built, and what was built.
pub trait Gate: Send + Sync {
    /// Before any install script runs.
    fn admit(&self, release: &Release) -> Verdict;
    /// After the build.
    fn attest(&self, release: &Release) -> Verdict;
}

/// Figures of a release over a window, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    pub window: Millis,
    pub requests: u64,
    pub errors: u64,
    pub p95_ms: Option<f64>,
}

/// Gives figures to judge by.
pub trait Measures: Send + Sync {
    /// Absent: no data, which is not good news.
    fn figures(&self, fleet: &Fleet, app: &AppId, release: ReleaseId, window: Millis) -> Option<Figures>;
}

/// A host with the reason for its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub host: HostId,
    pub reason: String,
}

/// Chooses hosts, best first.
pub trait Placer: Send + Sync {
    fn rank(&self, fleet: &Fleet, app: &AppId) -> Vec<Ranked>;
}
