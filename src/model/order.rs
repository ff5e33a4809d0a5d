//! Orders: every side effect on a host, as data; what an agent answers, and what it reports by itself.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    container::{Container, ContainerAct, ContainerId, ContainerSample, DockerStatus, Image, PruneObject, Volume},
    container_plan::{ImageBuild, ImagePlan},
    edge::{Drained, EdgeCounters, EdgeStatus, Proof, ProofRequest},
    ids::{AppId, DeploymentId, Generation, HostId, InstanceId, ReleaseId},
    instance::{Exit, InstanceSpec, InstanceState},
    manifest::BuildLimits,
    plan::{Artefact, Env},
    problem::Problem,
    route::RouteTable,
    sample::{HostSample, InstanceSample},
    source::{Source, Survey, Tip},
    tool::Tool,
    units::{Bytes, Millis, Timestamp},
};

/// Names one effect: the same key is the same effect, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// The deployment it belongs to; 0 for the fleet's own upkeep.
    pub deployment: DeploymentId,
    /// Step with its replica: `start/web/0`.
    pub step: String,
    pub host: HostId,
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.deployment, self.step, self.host)
    }
}

/// One effect asked of one host. `generation` is the engine's lease: it rises with each start of an engine, and an agent
/// refuses a lower one than the highest it has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub key: OrderKey,
    pub generation: Generation,
    pub work: Work,
}

/// The effects there are. Each is idempotent: when its effect is there already, it answers as the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Look at a source without keeping it.
    Survey { source: Source },
    /// Which commit a branch of a repository is at. `known` is one that it was at before.
    Tip { source: Source, known: Option<String> },
    /// Bring a source into the release's folder.
    Fetch { app: AppId, release: ReleaseId, source: Source },
    /// Make the artefact of a fetched release.
    Build(BuildWork),
    /// Start an instance; answers once its keeper runs.
    Start(InstanceSpec),
    /// Wait until the instance listens on its port (when `listens`), or fail: exited (with its last lines), listens
    /// elsewhere (naming the port), time is up.
    Await { instance: InstanceId, listens: bool, within: Millis },
    /// Put a routing table in force.
    Route(RouteTable),
    /// Prove by a request through the edge.
    Prove(ProofRequest),
    /// Take instances, already out of routing, to no request in flight, and close the edge's connections to them.
    Drain { instances: Vec<InstanceId>, within: Millis },
    /// SIGTERM, then SIGKILL after the instance's limit; answers when nothing of it runs any more. Its log stays.
    Stop { instance: InstanceId },
    /// Put an edge of the agent's program and settings in the place of the one that serves, without closing its ports.
    ReplaceEdge,
    /// End the edge and its keeper.
    StopEdge,
    /// Remove what releases left on disk: artefacts, sources, scratch, keeper folders, logs.
    Prune(PruneWork),
    /// Do something to one container by its id, whoever started it.
    Container { id: ContainerId, act: ContainerAct },
    /// Remove these objects of Docker, each only when it is ours and unused.
    PruneDocker { objects: Vec<PruneObject> },
}

/// Input of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildWork {
    pub app: AppId,
    pub release: ReleaseId,
    pub deployment: DeploymentId,
    /// (name, command line) in order; empty: the artefact is the source itself.
    pub commands: Vec<(String, String)>,
    /// Folder, relative to the source, that is the artefact; absent: the whole tree.
    pub output: Option<String>,
    /// Image that the source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_image: Option<String>,
    /// Images to pull for processes that name their own, by process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pulls: BTreeMap<String, String>,
    /// How the app's image is built; then `commands` are part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImagePlan>,
    /// Images that are built for processes alone, by process, each with the values of its arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_builds: BTreeMap<String, (ImageBuild, Env)>,
    /// Whether containers see files of the source: then it stays as the release's folder.
    #[serde(default)]
    pub keeps_source: bool,
    pub env: Env,
    /// More of the commands' environment, masked in the log. It must not become a part of what is built: no image, no
    /// argument of one.
    #[serde(default)]
    pub secrets: Env,
    pub limits: BuildLimits,
}

/// What to remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PruneWork {
    pub app: Option<AppId>,
    /// Releases of `app` whose files go.
    pub releases: Vec<ReleaseId>,
    /// Instances whose keeper folders and logs go.
    pub instances: Vec<InstanceId>,
    /// The app's build cache and everything else that carries its name goes too.
    pub whole_app: bool,
}

/// What an order gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum Done {
    Surveyed(Survey),
    Tip(Tip),
    Fetched(Survey),
    Built(Artefact),
    Started {
        address: Option<std::net::SocketAddr>,
        pid: u32,
    },
    Awaited,
    Routed {
        generation: Generation,
    },
    Proved(Proof),
    Drained(Drained),
    Stopped {
        exit: Option<Exit>,
    },
    EdgeReplaced {
        pid: u32,
        version: String,
    },
    EdgeStopped,
    Pruned {
        freed: Bytes,
    },
    /// Done to a container.
    Acted,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Done(Done),
    /// It did not happen, and will not when tried again.
    Failed(Problem),
    /// It did not happen; the same order may succeed later.
    Transient(Problem),
    /// It may or may not have happened: observe, then decide.
    Unknown(Problem),
}

/// What an agent reports without being asked. An unchanged state is not reported again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Facts of the host, once and when they change.
    Host(HostFacts),
    HostSample(HostSample),
    Instance(InstanceReport),
    InstanceSample {
        id: InstanceId,
        sample: InstanceSample,
    },
    Docker(DockerReport),
    Edge(EdgeStatus),
    Counters(EdgeCounters),
    /// Something to say about a running order: `npm ci: 12 s`.
    Progress {
        key: OrderKey,
        note: String,
    },
}

/// What is seen of a host's Docker engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "docker", rename_all = "snake_case")]
pub enum DockerReport {
    Status(DockerStatus),
    /// All there are: what is not among them is gone.
    All {
        containers: Vec<Container>,
        images: Vec<Image>,
        volumes: Vec<Volume>,
    },
    Container(Box<Container>),
    ContainerGone {
        id: ContainerId,
    },
    Samples(Vec<(ContainerId, ContainerSample)>),
}

/// What a host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    pub id: HostId,
    pub name: String,
    pub os: String,
    pub kernel: String,
    pub arch: String,
    pub cores: u32,
    pub boot_id: String,
    pub booted_at: Timestamp,
    /// Programs that were looked for; empty until that is done.
    #[serde(default)]
    pub tools: Vec<Tool>,
}

/// What a runtime sees of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceReport {
    pub id: InstanceId,
    pub state: InstanceState,
    pub pid: Option<u32>,
    pub address: Option<std::net::SocketAddr>,
    pub restarts: u32,
    pub started_at: Option<Timestamp>,
    pub last_exit: Option<Exit>,
}
