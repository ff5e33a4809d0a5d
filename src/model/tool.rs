//! What else is on a host: programs that Pilothouse works with, as they were found there.

use serde::{Deserialize, Serialize};

/// A program, looked for on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// `git`.
    pub name: String,
    /// Where it lies; absent: it is not there.
    pub path: Option<String>,
    /// `2.39.5`; absent where it was not asked, or did not say.
    pub version: Option<String>,
    /// What else was seen of it: `12 hosts in ~/.ssh/config`.
    pub note: String,
}
