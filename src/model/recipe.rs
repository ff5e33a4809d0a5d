//! What detection says of a repository: how to install, build and start it, and which file proves it.

use serde::{Deserialize, Serialize};

/// One answer of detection with the file that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Path relative to the root, with `:line` where one line proves it.
    pub file: String,
    pub why: String,
}

/// How to turn a source into something that serves. Absent commands are not needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// `node`, `python`, `static`, `procfile`; the field's usual word.
    pub language: String,
    pub framework: Option<String>,
    pub package_manager: Option<String>,
    /// What runs it: `process` or `static`.
    pub runtime: String,
    pub install: Option<String>,
    pub build: Option<String>,
    /// Start command of the web process; absent for static output.
    pub start: Option<String>,
    /// Folder of static files, relative to the root, when the edge serves them itself.
    pub output: Option<String>,
    /// The port that the app would take without `PORT`; information only.
    pub port: Option<u16>,
    /// Further processes by name (Procfile): name and command, in the file's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<(String, String)>,
    /// Environment that its servers expect (`NODE_ENV=production`); of the processes, not of the build. What manifest and
    /// operator say wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    pub proof: Vec<Proof>,
}
