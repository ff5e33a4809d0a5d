//! What flows back from the engine: numbered changes, each the new state of one thing.

use serde::{Deserialize, Serialize};

use super::{
    container::{Container, ContainerId, DockerStatus, Image, Volume},
    deployment::Deployment,
    edge::EdgeStatus,
    fleet::{App, EngineStatus, Event, Host, Release, Task},
    ids::{AppId, HostId, InstanceId, ReleaseId, Seq, TaskId},
    instance::Instance,
    sample::Sample,
    units::Timestamp,
};

/// A change with its place in the feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    pub seq: Seq,
    pub at: Timestamp,
    #[serde(flatten)]
    pub change: Change,
}

/// The new state of one thing. Applying one twice is the same as once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", content = "of", rename_all = "snake_case")]
pub enum Change {
    Host(Host),
    HostGone(HostId),
    App(App),
    /// With its releases and instances.
    AppGone(AppId),
    Release(Box<Release>),
    ReleaseGone {
        app: AppId,
        release: ReleaseId,
    },
    Instance(Instance),
    InstanceGone(InstanceId),
    Deployment(Box<Deployment>),
    Task(Task),
    TaskGone(TaskId),
    Edge(EdgeStatus),
    Engine(EngineStatus),
    Docker(DockerStatus),
    Container(Box<Container>),
    ContainerGone(ContainerId),
    Image(Image),
    /// By its id.
    ImageGone(String),
    Volume(Volume),
    /// By its name.
    VolumeGone(String),
    Sample(Sample),
    Event(Event),
    /// The receiver was too slow: so many changes are not coming; take a new snapshot.
    Gap {
        missed: u64,
    },
    /// Nothing changed; the engine still answers.
    Alive,
}
