//! One running copy of a process: what it is started with, and what is observed of it.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    container_plan::ContainerPlan,
    ids::{AppId, HostId, InstanceId, ReleaseId},
    manifest::Runtime,
    mount::Mount,
    peer::Peer,
    plan::Env,
    units::{Bytes, Millis, Timestamp},
};

/// What a runtime needs to start an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    pub id: InstanceId,
    pub app: AppId,
    pub release: ReleaseId,
    pub process: String,
    pub runtime: Runtime,
    /// Command line, run by `sh -c` in `folder`; in a container in place of the image's command, which an empty one leaves.
    pub command: String,
    pub folder: PathBuf,
    /// Local image that a container runs: `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The name by which somebody asked for that image; absent for one that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// What a container sees of volumes and folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerPlan>,
    /// Instances that end before this one starts: they have what only one may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<InstanceId>,
    /// Apps that it may ask, as they are when it starts. What runs already is not another one for having been told of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    pub env: Env,
    /// More of its environment, whose values are masked wherever they would be shown or kept.
    #[serde(default)]
    pub secrets: Env,
    /// Asked port; absent: the runtime chooses a free one and tells it by `PORT`. In a container: the port inside.
    pub port: Option<u16>,
    pub memory: Option<Bytes>,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Millis,
}

impl InstanceSpec {
    /// All that it finds in its environment, but for what its runtime adds; its own variables win over those of its peers.
    pub fn environment(&self) -> Env {
        let peers = self.peers.iter().filter_map(|peer| Some((peer.variable(), peer.url.clone()?)));
        Env(peers.collect()).with(&self.env).with(&self.secrets)
    }
}

/// How an instance is, as its runtime says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Asked for, not yet seen running.
    Starting,
    Running,
    /// Ended; the keeper waits before it starts it again.
    BackOff,
    /// Ends on request.
    Stopping,
    /// Ended on request or for good.
    Stopped,
    /// The keeper is gone without having been asked to end.
    Lost,
    /// Its runtime does not answer: it may run or not.
    Unknown,
}

impl InstanceState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackOff => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a keeper stands behind it, or may: what is not known is not started again.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::BackOff | Self::Stopping | Self::Unknown)
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, absent when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// It was ended because it took more memory than allowed.
    pub out_of_memory: bool,
    /// It was ended because it took longer than allowed.
    pub timed_out: bool,
    pub at: Timestamp,
}

impl Exit {
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// `exited with 1`, `ended by signal 9`, `out of memory`, `out of time`.
    pub fn words(&self) -> String {
        match (self.out_of_memory, self.timed_out, self.code, self.signal) {
            (true, ..) => "out of memory".to_owned(),
            (_, true, ..) => "out of time".to_owned(),
            (_, _, Some(code), _) => format!("exited with {code}"),
            (_, _, _, Some(signal)) => format!("ended by signal {signal}"),
            _ => "ended".to_owned(),
        }
    }
}

/// What the edge says of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not asked yet, or not routed.
    #[default]
    Unknown,
    Passing,
    Failing,
    /// Out of the pool after failures in a row, for a while.
    Ejected,
    Draining,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Passing => "passing",
            Self::Failing => "failing",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
        }
    }
}

/// An instance as the fleet knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub app: AppId,
    pub release: ReleaseId,
    pub process: String,
    pub runtime: Runtime,
    pub host: HostId,
    pub state: InstanceState,
    pub health: Health,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    pub pid: Option<u32>,
    pub restarts: u32,
    pub started_at: Option<Timestamp>,
    pub last_exit: Option<Exit>,
    /// Whether the engine wants it to run; false once its stop was journaled.
    pub wanted: bool,
}
