//! What is seen of a Docker engine: its containers, images and volumes, ours and foreign ones.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AppId, HostId, InstanceId, ReleaseId},
    problem::Problem,
    units::{Bytes, Timestamp},
};

/// A container by the id that Docker gave it: 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub String);

impl ContainerId {
    /// The first twelve digits, as people name it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// A Docker engine and whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerStatus {
    pub host: HostId,
    /// Where it is asked: `unix:///var/run/docker.sock`.
    pub address: String,
    pub up: bool,
    /// Its version: `28.2.2`; absent while it was never reached.
    pub version: Option<String>,
    /// The API spoken with it: `1.41`.
    pub api: Option<String>,
    /// What is wrong and how to mend it; absent when it is up.
    pub problem: Option<Problem>,
}

/// A container, whoever started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    /// As it was asked for: `nginx:1.27`, or an image id.
    pub image: String,
    pub image_id: String,
    pub command: String,
    pub state: ContainerState,
    /// Docker's own health check; absent where the image has none.
    pub health: Option<ContainerHealth>,
    /// How it ended last; absent while it runs or was never started.
    pub exit_code: Option<i64>,
    pub ports: Vec<PublishedPort>,
    /// Names of volumes, or paths of the host, each with the path inside: `data:/var/lib/data`.
    pub mounts: Vec<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    /// The compose project that it belongs to, if any.
    pub project: Option<String>,
    /// App it is an instance of; absent: it is foreign, and never touched unless named.
    pub app: Option<AppId>,
    pub release: Option<ReleaseId>,
    pub instance: Option<InstanceId>,
    pub process: Option<String>,
}

impl Container {
    pub fn is_ours(&self) -> bool {
        self.app.is_some()
    }
}

/// Docker's word for what a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    Running,
    Paused,
    Restarting,
    Created,
    Removing,
    Exited,
    Dead,
    /// A word that this version does not know.
    Unknown,
}

impl ContainerState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Created => "created",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// Reads Docker's word.
    pub fn of(word: &str) -> Self {
        let all = [Self::Running, Self::Paused, Self::Restarting, Self::Created, Self::Removing, Self::Exited, Self::Dead];
        all.into_iter().find(|state| state.word() == word).unwrap_or(Self::Unknown)
    }

    /// Whether processes of it exist.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What the image's own health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerHealth {
    Starting,
    Healthy,
    Unhealthy,
}

impl ContainerHealth {
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A port of a container, and where the host listens for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Port inside the container.
    pub inside: u16,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// Where the host listens; absent: exposed, not published.
    pub outside: Option<(IpAddr, u16)>,
}

impl fmt::Display for PublishedPort {
    /// `127.0.0.1:20001→80`, `80`; the protocol where it is not TCP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outside {
            Some((IpAddr::V6(address), port)) => write!(f, "[{address}]:{port}→{}", self.inside)?,
            Some((address, port)) => write!(f, "{address}:{port}→{}", self.inside)?,
            None => write!(f, "{}", self.inside)?,
        }
        if self.protocol == "tcp" { Ok(()) } else { write!(f, "/{}", self.protocol) }
    }
}

/// An image of the Docker engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:` and 64 hex digits.
    pub id: String,
    /// `nginx:1.27`; empty for one that lost its names.
    pub tags: Vec<String>,
    /// With the layers that it shares with others.
    pub size: Bytes,
    pub created_at: Timestamp,
    /// Containers made of it, running or not.
    pub containers: u32,
    /// Names by which releases of `app` hold it.
    #[serde(default)]
    pub kept: Vec<(String, ReleaseId)>,
    /// App whose release it is; absent: it is foreign.
    pub app: Option<AppId>,
}

/// A named volume of the Docker engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    /// Absent where Docker does not say.
    pub size: Option<Bytes>,
    /// Containers that use it, running or not.
    pub containers: u32,
    pub created_at: Option<Timestamp>,
    /// App whose data it holds; absent: it is foreign.
    pub app: Option<AppId>,
}

/// How a container was doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerSample {
    pub at: Timestamp,
    /// Of one core; may exceed 100; absent in the first sample.
    pub cpu_percent: Option<f32>,
    pub memory: u64,
    /// Absent without a limit of its own.
    pub memory_limit: Option<u64>,
    /// Bytes per second; absent in the first sample and without a network.
    pub received_per_s: Option<f64>,
    pub sent_per_s: Option<f64>,
}

/// What can be done to a container by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerAct {
    Start,
    Stop,
    Restart,
    /// Stopped first; named volumes stay.
    Remove,
}

impl ContainerAct {
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Remove => "remove",
        }
    }

    /// `started`, `stopped`.
    pub fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::Remove => "removed",
        }
    }
}

/// One thing that a prune would remove: always one of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PruneObject {
    pub kind: PruneKind,
    /// Container id, image tag, or volume name.
    pub id: String,
    pub name: String,
    /// What its removal frees at most; absent where Docker does not say.
    pub size: Option<Bytes>,
    /// Why it is not needed: `no release names it`.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PruneKind {
    Container,
    Image,
    Volume,
}

impl PruneKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Volume => "volume",
        }
    }
}

/// Everything that a prune would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    pub objects: Vec<PruneObject>,
    /// What is freed at most.
    pub bytes: Bytes,
    /// Foreign objects that Docker would call unused, and that are left alone.
    pub foreign: u32,
    /// Volumes of removed apps that stay, since volumes were not asked for.
    #[serde(default)]
    pub kept_volumes: u32,
}

/// What was found out about an image: enough to name the release and to start it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageFacts {
    /// As it was asked for.
    pub reference: String,
    /// `sha256:…` of the local image; empty when it was only looked up in its registry.
    pub id: String,
    /// `sha256:…` by which its registry knows it; absent for one that was built or imported here.
    pub digest: Option<String>,
    /// TCP ports that it says it listens on, lowest first.
    pub ports: Vec<u16>,
    /// Its entry point and command in one line; empty when it names none.
    pub command: String,
    pub size: Bytes,
    /// It was not pulled, and why: `is here already, and its registry does not answer`.
    pub note: Option<String>,
}

impl ImageFacts {
    /// `1.27@3f1c09d`: the tag, and the beginning of what it stands for today.
    pub fn version(&self) -> String {
        let exact = self.digest.as_deref().unwrap_or(&self.id).trim_start_matches("sha256:");
        let exact: String = exact.chars().take(7).collect();
        let named = self.reference.split('@').next().unwrap_or_default();
        let last = named.rsplit('/').next().unwrap_or_default();
        let tag = last.split_once(':').map_or("latest", |(_, tag)| tag);
        if self.reference.contains('@') { exact } else { format!("{tag}@{exact}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shown_with_where_the_host_listens() {
        let port = |outside, protocol: &str| PublishedPort { inside: 80, protocol: protocol.into(), outside }.to_string();
        assert_eq!(port(Some(("127.0.0.1".parse().unwrap(), 20_001)), "tcp"), "127.0.0.1:20001→80");
        assert_eq!(port(Some(("::1".parse().unwrap(), 53)), "udp"), "[::1]:53→80/udp");
        assert_eq!(port(None, "tcp"), "80");
    }

    #[test]
    fn an_image_is_named_by_its_tag_and_what_it_stands_for() {
        let version = |reference: &str| {
            let digest = Some("sha256:3f1c09d5aa".to_owned());
            ImageFacts { reference: reference.to_owned(), digest, ..ImageFacts::default() }.version()
        };
        assert_eq!(version("nginx:1.27"), "1.27@3f1c09d");
        assert_eq!(version("localhost:5000/team/shop"), "latest@3f1c09d");
        assert_eq!(version("nginx@sha256:3f1c09d5aa"), "3f1c09d");
    }

    #[test]
    fn every_state_is_read_by_its_own_word() {
        assert_eq!(ContainerState::of("exited"), ContainerState::Exited);
        assert_eq!(ContainerState::of("dreaming"), ContainerState::Unknown);
    }
}
