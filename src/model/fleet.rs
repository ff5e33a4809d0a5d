//! The fleet: everything that is known, as one value; the engine owns it, consoles hold copies.

mod status;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    change::{Change, Numbered},
    container::{Container, ContainerId, ContainerSample, DockerStatus, Image, Volume},
    deployment::Deployment,
    edge::EdgeStatus,
    ids::{AppId, DeploymentId, HostId, InstanceId, ReleaseId, Seq, TaskId},
    instance::{Instance, InstanceState},
    order::HostFacts,
    plan::{Artefact, Blueprint},
    problem::Problem,
    sample::{AppSample, HostSample, InstanceSample, Sample},
    source::Source,
    units::{Millis, Timestamp},
    watch::Watch,
};
pub use status::AppStatus;

/// Samples kept of one thing: at one each 3 s the last ten minutes.
pub const HISTORY: usize = 200;
/// Events kept.
pub const EVENTS: usize = 200;
/// Deployments that are kept once they are over; the last one of each app stays besides.
pub const DEPLOYMENTS: usize = 300;

/// A host and whether it can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub id: HostId,
    pub facts: Option<HostFacts>,
    pub reachable: bool,
    pub last_seen: Timestamp,
}

/// What an operator wants of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    #[default]
    Running,
    Stopped,
}

/// The release that answers, proved by a request through the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    pub release: ReleaseId,
    pub since: Timestamp,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    pub id: AppId,
    pub desired: Desired,
    /// Release that the operator asked for last.
    pub asked: Option<ReleaseId>,
    /// Release that the routing table sends requests to.
    pub routed: Option<ReleaseId>,
    /// Instances that the routing table sends requests to, and the workers beside them.
    #[serde(default)]
    pub pool: Vec<InstanceId>,
    /// Absent unless proved, and while nothing of it answers.
    pub serving: Option<Serving>,
    /// Release to return to.
    pub previous: Option<ReleaseId>,
    /// Instances of the routed process that are wanted; overrides the release's own number once scaled.
    pub replicas: Option<u32>,
    pub url: Option<String>,
    /// Number that the next release gets.
    pub next_release: ReleaseId,
    pub created_at: Timestamp,
    /// Until when the previous release is kept running, and which it is.
    pub warm: Option<(ReleaseId, Timestamp)>,
    /// The branch whose new commits are deployed by themselves.
    #[serde(default)]
    pub watch: Option<Box<Watch>>,
}

/// A release: immutable once built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub app: AppId,
    pub id: ReleaseId,
    /// `9c1f02e`, `9c1f02e+dirty`, or `folder`.
    pub version: String,
    pub commit: Option<String>,
    pub subject: Option<String>,
    pub source: Source,
    pub created_at: Timestamp,
    pub actor: String,
    pub deployment: DeploymentId,
    pub artefact: Option<Artefact>,
    pub blueprint: Blueprint,
    /// When it was first proved through the edge; only such a release can be returned to without being asked for.
    pub proved_at: Option<Timestamp>,
    /// Instances ever started of it: the next ordinal.
    pub started: u32,
}

/// Long work, or a named piece of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    /// `deploy shop 41`, `edge watch`.
    pub name: String,
    pub state: TaskState,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Why it ran last.
    pub reason: String,
    pub note: String,
    /// Duration of its last run.
    pub took: Option<Millis>,
    pub next_run: Option<Timestamp>,
    pub last_error: Option<Problem>,
    pub restarts: u32,
    /// Deployment that it is, when it can be cancelled.
    pub deployment: Option<DeploymentId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    Running,
    /// Waits for its next reason or time.
    Waiting,
    Succeeded,
    Failed,
}

impl TaskState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// How much an event or a state asks of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Good,
    Plain,
    Warn,
    Danger,
}

/// Something that happened, for the list of the latest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    /// App, host or part of the engine.
    pub subject: String,
    pub what: String,
    pub level: Level,
}

/// The engine that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStatus {
    pub pid: u32,
    pub version: String,
    pub socket: String,
    pub state_dir: String,
    pub started_at: Timestamp,
    /// The journal cannot be written, and why.
    pub degraded: Option<Problem>,
    /// Releases of which no instance could be started, because what it needs cannot be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shut: BTreeMap<AppId, Shut>,
}

/// A release that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shut {
    pub release: ReleaseId,
    pub cause: Problem,
}

/// Everything known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// Changes at the engine's start: another value means that numbers began anew.
    pub epoch: u64,
    pub seq: Seq,
    pub engine: EngineStatus,
    pub edge: EdgeStatus,
    pub hosts: BTreeMap<HostId, Host>,
    pub apps: BTreeMap<AppId, App>,
    pub releases: BTreeMap<AppId, BTreeMap<ReleaseId, Release>>,
    pub instances: BTreeMap<InstanceId, Instance>,
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    pub tasks: BTreeMap<TaskId, Task>,
    /// Oldest first.
    pub events: VecDeque<Event>,
    /// Oldest first.
    pub host_history: BTreeMap<HostId, VecDeque<HostSample>>,
    pub app_history: BTreeMap<AppId, VecDeque<AppSample>>,
    /// The newest of each.
    pub instance_samples: BTreeMap<InstanceId, InstanceSample>,
    /// This machine's Docker engine; absent while nobody looked for one.
    pub docker: Option<DockerStatus>,
    /// Every container of it, ours and foreign ones.
    pub containers: BTreeMap<ContainerId, Container>,
    /// By id.
    pub images: BTreeMap<String, Image>,
    /// By name.
    pub volumes: BTreeMap<String, Volume>,
    /// Oldest first.
    pub container_history: BTreeMap<ContainerId, VecDeque<ContainerSample>>,
}

impl Fleet {
    /// Takes in a change and its number.
    pub fn take(&mut self, numbered: Numbered) {
        self.seq = numbered.seq;
        self.apply(numbered.change);
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Host(host) => {
                self.hosts.insert(host.id.clone(), host);
            }
            Change::HostGone(id) => {
                self.hosts.remove(&id);
                self.host_history.remove(&id);
            }
            Change::App(app) => {
                self.apps.insert(app.id.clone(), app);
            }
            Change::AppGone(id) => {
                self.apps.remove(&id);
                self.releases.remove(&id);
                self.app_history.remove(&id);
                let instances = &mut self.instances;
                instances.retain(|_, instance| instance.app != id);
                self.instance_samples.retain(|instance, _| instances.contains_key(instance));
            }
            Change::Release(release) => {
                self.releases.entry(release.app.clone()).or_default().insert(release.id, *release);
            }
            Change::ReleaseGone { app, release } => {
                if let Some(releases) = self.releases.get_mut(&app) {
                    releases.remove(&release);
                }
            }
            Change::Instance(instance) => {
                self.instances.insert(instance.id.clone(), instance);
            }
            Change::InstanceGone(id) => {
                self.instances.remove(&id);
                self.instance_samples.remove(&id);
            }
            Change::Deployment(deployment) => {
                self.deployments.insert(deployment.id, *deployment);
                self.forget_deployments();
            }
            Change::Task(task) => {
                self.tasks.insert(task.id, task);
            }
            Change::TaskGone(id) => {
                self.tasks.remove(&id);
            }
            Change::Edge(status) => self.edge = status,
            Change::Engine(status) => self.engine = status,
            Change::Docker(status) => self.docker = Some(status),
            Change::Container(container) => {
                self.containers.insert(container.id.clone(), *container);
            }
            Change::ContainerGone(id) => {
                self.containers.remove(&id);
                self.container_history.remove(&id);
            }
            Change::Image(image) => {
                self.images.insert(image.id.clone(), image);
            }
            Change::ImageGone(id) => {
                self.images.remove(&id);
            }
            Change::Volume(volume) => {
                self.volumes.insert(volume.name.clone(), volume);
            }
            Change::VolumeGone(name) => {
                self.volumes.remove(&name);
            }
            Change::Sample(sample) => self.sample(sample),
            Change::Event(event) => push_bounded(&mut self.events, event, EVENTS),
            Change::Gap { .. } | Change::Alive => {}
        }
    }

    /// Lets go of the oldest deployments that are over: a fleet that deploys every hour must not grow for ever.
    fn forget_deployments(&mut self) {
        while self.deployments.len() > DEPLOYMENTS {
            let is_old =
                |old: &&Deployment| old.is_over() && self.last_deployment(&old.app).is_some_and(|last| last.id != old.id);
            let Some(oldest) = self.deployments.values().find(is_old).map(|old| old.id) else { return };
            self.deployments.remove(&oldest);
        }
    }

    fn sample(&mut self, sample: Sample) {
        match sample {
            Sample::Host { id, sample } => push_bounded(self.host_history.entry(id).or_default(), sample, HISTORY),
            Sample::App { id, sample } => push_bounded(self.app_history.entry(id).or_default(), sample, HISTORY),
            Sample::Instance { id, sample } => {
                self.instance_samples.insert(id, sample);
            }
            Sample::Container { id, sample } => {
                push_bounded(self.container_history.entry(id).or_default(), sample, HISTORY);
            }
        }
    }

    pub fn release(&self, app: &AppId, release: ReleaseId) -> Option<&Release> {
        self.releases.get(app)?.get(&release)
    }

    /// Instances of an app, oldest release first.
    pub fn instances_of<'a>(&'a self, app: &'a AppId) -> impl Iterator<Item = &'a Instance> {
        self.instances.values().filter(move |instance| instance.app == *app)
    }

    /// Docker's volumes with the app's data.
    pub fn volumes_of<'a>(&'a self, app: &'a AppId) -> impl Iterator<Item = &'a Volume> {
        self.volumes.values().filter(move |volume| volume.app.as_ref() == Some(app))
    }

    /// How many instances of each release run, newest release first.
    pub fn running(&self, app: &AppId) -> Vec<(ReleaseId, u32)> {
        let mut counts: BTreeMap<ReleaseId, u32> = BTreeMap::new();
        for instance in self.instances_of(app).filter(|instance| instance.state == InstanceState::Running) {
            *counts.entry(instance.release).or_default() += 1;
        }
        counts.into_iter().rev().collect()
    }

    /// The deployment of an app that is not over, if any: the oldest, which is the one at work.
    pub fn active_deployment(&self, app: &AppId) -> Option<&Deployment> {
        self.deployments.values().find(|deployment| deployment.app == *app && !deployment.is_over())
    }

    pub fn last_deployment(&self, app: &AppId) -> Option<&Deployment> {
        self.deployments.values().rev().find(|deployment| deployment.app == *app)
    }
}

fn push_bounded<T>(list: &mut VecDeque<T>, item: T, limit: usize) {
    while list.len() >= limit {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deployment::Phase;

    fn deployment(id: u64, app: &str, phase: Phase) -> Change {
        let deployment = serde_json::json!({
            "id": id, "app": app, "aim": "deploy", "release": 1, "from": null, "actor": "op", "origin": "cli", "request": null,
            "plan": null, "phase": phase, "asked_at": 0, "phase_since": 0, "ended_at": null, "remaining": "0s", "steps": [],
            "asked_end": null, "starts": [], "pool": [], "key": "", "cause": null
        });
        Change::Deployment(serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn old_deployments_are_let_go_but_never_one_under_way_nor_the_last_of_an_app() {
        let mut fleet = Fleet::default();
        fleet.apply(deployment(1, "quiet", Phase::Live));
        fleet.apply(deployment(2, "shop", Phase::Staging));
        for id in 3..1000 {
            fleet.apply(deployment(id, "shop", Phase::Reverted));
        }
        let kept: Vec<u64> = fleet.deployments.keys().map(|id| id.0).collect();
        assert_eq!(kept.len(), DEPLOYMENTS);
        assert_eq!((&kept[..2], kept[kept.len() - 1]), (&[1, 2][..], 999));
    }
}
