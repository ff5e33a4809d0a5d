//! What is asked of an app: the types of `pilothouse.toml`, from which its JSON Schema is made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ids::AppId,
    mount::Mount,
    units::{Bytes, Millis},
};

/// Most replicas of one process.
pub const MOST_REPLICAS: u32 = 100;

/// `pilothouse.toml`: every key is optional; what is absent is detected or has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// Name of the app; it becomes `NAME.localhost`. Default: the folder's or repository's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<AppId>,
    #[serde(skip_serializing_if = "Build::is_default")]
    pub build: Build,
    /// Environment of the build and of every process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Secrets of the build and of every process, by variable: where each value comes from, as `store:NAME`
    /// (`pilothouse secret set NAME`), `env:NAME` or `file:/PATH`. Values are masked wherever they would be shown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Branch of the git repository whose new commits are deployed by themselves. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
    /// Processes by name; `web` is the one that is routed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub process: BTreeMap<String, Process>,
    /// Host names of the public edge. Default: `NAME.localhost` to the process `web`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<RouteSection>,
    #[serde(skip_serializing_if = "Rollout::is_default")]
    pub rollout: Rollout,
}

/// How the source becomes an artefact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// Command that fetches dependencies; `""` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// Command that builds; `""` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Folder of static files which the edge serves itself; then no process is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Dockerfile by which a container's image is built, relative to the root. Default: `Dockerfile`, or one that is written
    /// for the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Image that a written Dockerfile begins with, such as `node:22-slim`. Default: by the language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    #[serde(skip_serializing_if = "BuildLimits::is_default")]
    pub limits: BuildLimits,
}

impl Build {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits of a build; it ends with a stated cause when one is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BuildLimits {
    /// Longest duration of install and build together. Default `15m`.
    pub time: Millis,
    /// Most memory of all build processes together. Default `4G`.
    pub memory: Bytes,
    /// Most disk space that the build may take. Default `10G`.
    pub disk: Bytes,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self { time: Millis::minutes(15), memory: Bytes::gib(4), disk: Bytes::gib(10) }
    }
}

impl BuildLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One process of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// Command line, run by `sh -c`; it must listen on `$PORT` when the process is routed. In a container: in place of the
    /// image's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Image that it runs, such as `postgres:16`; then its runtime is `docker`. Default: what the app is built to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Fixed port instead of a free one; then replicas must be 1. Default: a free port, told by `PORT`. In a container:
    /// the port inside, as many replicas as there may be. Default there: the one that the image exposes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// How many instances run. Default 1.
    #[schemars(range(min = 0, max = 100))]
    pub replicas: u32,
    /// What runs it: `process` or `docker`.
    pub runtime: Runtime,
    /// Environment of this process alone; it wins over the app's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Volumes and folders that a container sees: `data:/var/lib/data`, `/srv/conf:/etc/conf:ro`. Refused on a process that
    /// is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    /// Processes that are started and ready before this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    pub resources: Resources,
    pub ready: Ready,
    pub stop: Stop,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            command: None,
            image: None,
            port: None,
            replicas: 1,
            runtime: Runtime::Process,
            env: BTreeMap::new(),
            volumes: Vec::new(),
            depends_on: Vec::new(),
            resources: Resources::default(),
            ready: Ready::default(),
            stop: Stop::default(),
        }
    }
}

/// What runs an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// A process of this machine under a keeper.
    #[default]
    Process,
    /// A container of this machine's Docker engine.
    Docker,
}

impl Runtime {
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
        }
    }
}

/// Limits of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Most memory of one instance; over it the instance is ended and named *out of memory*. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// When an instance counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    /// Path that the edge asks; any status below 500 passes. Default `/`.
    pub http: String,
    /// Longest time from start to ready. Default `60s`.
    pub within: Millis,
    /// How often a serving instance is asked again. Default `5s`.
    pub every: Millis,
}

impl Default for Ready {
    fn default() -> Self {
        Self { http: "/".to_owned(), within: Millis::seconds(60), every: Millis::seconds(5) }
    }
}

/// How an instance ends: out of routing, requests in flight finish, SIGTERM, SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// Longest wait for requests in flight. Default `30s`.
    pub drain: Millis,
    /// From SIGTERM to SIGKILL. Default `10s`.
    pub kill: Millis,
}

impl Default for Stop {
    fn default() -> Self {
        Self { drain: Millis::seconds(30), kill: Millis::seconds(10) }
    }
}

/// Requests of the public edge that lead to a process: those to a host name, below a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSection {
    /// Host name, in lower case, without scheme, port and path.
    pub host: String,
    /// Only paths below this one, such as `/api`, by whole segments; the longest that fits has the request. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the process sees requests without `path`, which it is told by `X-Forwarded-Prefix`. Default `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip: bool,
    /// The process it leads to. Default `web`.
    #[serde(default = "web")]
    pub process: String,
}

fn web() -> String {
    "web".to_owned()
}

/// How a new release takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rollout {
    pub strategy: Strategy,
    pub keep: Keep,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { strategy: Strategy::Rolling, keep: Keep::default() }
    }
}

impl Rollout {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The way from the old release to the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Stage all, prove, switch once, keep the old one warm.
    #[default]
    Rolling,
    /// Stop the old one, start the new one in its place, prove; the old one starts again when that fails. Nothing serves
    /// meanwhile. Done by itself where both would need the same fixed port.
    Recreate,
}

impl Strategy {
    pub fn word(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Recreate => "recreate",
        }
    }
}

/// What stays for a way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Releases whose artefacts stay on disk. Default 5.
    #[schemars(range(min = 0, max = 1000))]
    pub releases: u32,
    /// How long the replaced release keeps running. Default `10m`.
    pub warm: Millis,
}

impl Default for Keep {
    fn default() -> Self {
        Self { releases: 5, warm: Millis::minutes(10) }
    }
}
