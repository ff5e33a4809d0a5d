//! What a deployment will do, as data: shown before it is run, never changed afterwards.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    container_plan::{ContainerPlan, ImageBuild, ImagePlan, Upkeep},
    ids::{AppId, HostId, ReleaseId},
    manifest::{BuildLimits, Keep, Ready, Resources, Runtime, Stop, Strategy},
    mount::Mount,
    recipe::Recipe,
    route::Match,
};

/// Sign of a plan's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Add,
    Change,
    Remove,
    Note,
}

impl Sign {
    pub fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Change => '~',
            Self::Remove => '−',
            Self::Note => '!',
        }
    }
}

/// One line of a plan: `+ 2 instances  on local, port by PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    pub sign: Sign,
    pub what: String,
    pub why: String,
}

/// One process of a release, with nothing left to detect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    pub name: String,
    /// Empty: the image's own.
    pub command: String,
    /// Image that it runs, in place of what the app is built to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub port: Option<u16>,
    pub replicas: u32,
    /// What the manifest said, when the app was scaled to another number that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_from: Option<u32>,
    pub runtime: Runtime,
    pub resources: Resources,
    pub ready: Ready,
    pub stop: Stop,
    /// Names of the environment variables of this process alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    /// Processes that are ready before this one is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// How its image is built, in place of what the app is built to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<ImageBuild>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerPlan>,
    #[serde(default)]
    pub upkeep: Upkeep,
    /// Whether a route leads to it: then it must listen on its port and be proved.
    pub routed: bool,
}

/// What is built and run. Immutable; a release carries it for its whole life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    pub recipe: Recipe,
    /// Commands of the build, in order, each with the step's name (`install`, `build`).
    pub build: Vec<(String, String)>,
    /// How the image of its containers is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImagePlan>,
    pub limits: BuildLimits,
    /// Folder of static files that the edge serves; then `processes` may be empty.
    pub output: Option<String>,
    pub processes: Vec<ProcessPlan>,
    /// Names of the environment variables; values never enter a plan.
    pub env: Vec<String>,
    /// References to secrets, by variable; values never enter a plan.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// What the public edge leads to it; the first one becomes the URL.
    pub routes: Vec<RoutePlan>,
    pub strategy: Strategy,
    pub keep: Keep,
}

/// Requests that lead to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RouteWritten")]
pub struct RoutePlan {
    #[serde(rename = "match")]
    pub at: Match,
    pub process: String,
}

/// Releases of before routes had paths hold `[host, process]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum RouteWritten {
    Host(String, String),
    Plan {
        #[serde(rename = "match")]
        at: Match,
        process: String,
    },
}

impl From<RouteWritten> for RoutePlan {
    fn from(written: RouteWritten) -> Self {
        match written {
            RouteWritten::Host(host, process) => Self { at: Match::host(host), process },
            RouteWritten::Plan { at, process } => Self { at, process },
        }
    }
}

impl Blueprint {
    /// The routed process, if any: static sites and workers have none.
    pub fn web(&self) -> Option<&ProcessPlan> {
        self.processes.iter().find(|process| process.routed)
    }

    /// Path that proves it: the ready path of the routed process, or `/`.
    pub fn ready_path(&self) -> &str {
        self.web().map_or("/", |process| process.ready.http.as_str())
    }
}

/// A plan: what, where, why each line is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub app: AppId,
    pub release: ReleaseId,
    /// Release that serves now and stays warm.
    pub from: Option<ReleaseId>,
    pub hosts: Vec<HostId>,
    /// Version as people name it: `9c1f02e`, `9c1f02e+dirty`.
    pub version: String,
    pub blueprint: Blueprint,
    pub lines: Vec<PlanLine>,
    /// Verdict of the gate, in words: `not checked`.
    pub checks: String,
    /// The command that does the same.
    pub command: String,
    pub undo: String,
}

/// Where the built files of a release are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// `sha256:` and 64 hex digits over the sorted list of paths, modes and contents.
    pub digest: String,
    pub root: PathBuf,
    pub bytes: u64,
    pub files: u64,
    /// Local image that containers are made of: `sha256:…`; then `digest` is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Local images of processes that name their own, by process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
}

/// Values by name, in a type that shows only names.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Env(pub BTreeMap<String, String>);

impl Env {
    /// With `more`, which wins.
    pub fn with(&self, more: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(more.0.clone());
        all
    }

    /// Name under which a variable of one process alone is kept beside the app's: no variable's name has a `/`.
    pub fn of_one(process: &str, name: &str) -> String {
        format!("{process}/{name}")
    }

    /// What every process and the build see.
    pub fn shared(&self) -> Self {
        Self(self.0.iter().filter(|(name, _)| !name.contains('/')).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// What `process` sees: what is shared, and over it what is its own.
    pub fn of_process(&self, process: &str) -> Self {
        let mut env = self.shared();
        let own = self.0.iter().filter_map(|(name, value)| match name.split_once('/') {
            Some((of, name)) if of == process => Some((name.to_owned(), value.clone())),
            _ => None,
        });
        env.0.extend(own);
        env
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
