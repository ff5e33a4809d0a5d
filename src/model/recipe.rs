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
    /// `node`, `python`, `static`, `shell`; the field's usual word.
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

impl Recipe {
    /// Something in `language` that is started.
    pub fn process(language: &str) -> Self {
        Self { language: language.to_owned(), runtime: "process".to_owned(), ..Self::default() }
    }

    /// Something in `language` that leaves a folder of files.
    pub fn files(language: &str, output: impl Into<String>) -> Self {
        Self { language: language.to_owned(), runtime: "static".to_owned(), output: Some(output.into()), ..Self::default() }
    }

    #[must_use]
    pub fn framework(mut self, name: Option<&str>) -> Self {
        self.framework = name.map(str::to_owned);
        self
    }

    #[must_use]
    pub fn packages_by(mut self, manager: &str) -> Self {
        self.package_manager = Some(manager.to_owned());
        self
    }

    #[must_use]
    pub fn installed_by(mut self, command: impl Into<String>) -> Self {
        self.install = Some(command.into());
        self
    }

    #[must_use]
    pub fn built_by(mut self, command: impl Into<String>) -> Self {
        self.build = Some(command.into());
        self
    }

    #[must_use]
    pub fn started_by(mut self, command: impl Into<String>) -> Self {
        self.start = Some(command.into());
        self
    }

    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn because(mut self, proof: Proof) -> Self {
        self.proof.push(proof);
        self
    }
}
