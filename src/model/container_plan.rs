//! How the image of a process comes to be, and what its container is made with beyond what a process has.

use serde::{Deserialize, Serialize};

use super::units::Millis;

/// How an image is built from a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum ImagePlan {
    /// By a Dockerfile of the source.
    Dockerfile(ImageBuild),
    /// By one that was written for it.
    Generated { base: String, text: String },
}

/// A build by a Dockerfile of the source. Values of its arguments are kept beside the release's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageBuild {
    /// Folder that is sent to the builder, relative to the source's root; empty for the root.
    pub context: String,
    /// Path of the Dockerfile relative to the source's root.
    pub file: String,
    /// Stage to build; the last one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Names of its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// What a container is made with. Everything is the image's own where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerPlan {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Words in place of the image's command; no shell reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// Names under which the app's other processes reach it on the app's network; none: it is not in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// A command inside the container that tells whether it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// As Docker takes it: `CMD` and words, or `CMD-SHELL` and a line; `NONE` switches the image's own off.
    pub test: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Millis>,
}

impl HealthCheck {
    pub fn is_off(&self) -> bool {
        self.test.first().is_none_or(|word| word == "NONE")
    }
}

/// What becomes of the instances of a process that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upkeep {
    /// New ones are started beside them; they go once those serve.
    #[default]
    Beside,
    /// They are what is asked, and stay.
    Keep,
    /// They end before new ones start: two of them must not have one volume.
    Replace,
}
