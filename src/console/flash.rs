//! What changed its state a moment ago: it is shown raised, once, for 300 ms.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{
    change::Change,
    container::ContainerId,
    fleet::Fleet,
    ids::{AppId, DeploymentId, HostId, TaskId},
    units::Timestamp,
};

/// How long something flashes.
pub const LENGTH: Duration = Duration::from_millis(300);

/// Something with a state of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    App(AppId),
    Deployment(DeploymentId),
    Container(ContainerId),
    Host(HostId),
    Task(TaskId),
}

impl Thing {
    /// What a change is about; absent for figures and what has no state.
    pub fn of(change: &Change) -> Option<Self> {
        Some(match change {
            Change::App(app) => Self::App(app.id.clone()),
            Change::Instance(instance) => Self::App(instance.app.clone()),
            Change::Deployment(deployment) => Self::Deployment(deployment.id),
            Change::Container(container) => Self::Container(container.id.clone()),
            Change::Host(host) => Self::Host(host.id.clone()),
            Change::Task(task) => Self::Task(task.id),
            _ => return None,
        })
    }

    /// Its state in a word; absent when it is not there.
    pub fn word(&self, fleet: &Fleet) -> Option<&'static str> {
        Some(match self {
            Self::App(app) => fleet.apps.get(app).map(|_| fleet.app_status(app).word())?,
            Self::Deployment(id) => fleet.deployments.get(id)?.phase.word(),
            Self::Container(id) => super::marks::container(fleet.containers.get(id)?).word,
            Self::Host(id) => super::marks::host(fleet.hosts.get(id)?).word,
            Self::Task(id) => fleet.tasks.get(id)?.state.word(),
        })
    }
}

/// The things that flash, each until its time.
#[derive(Clone, Debug, Default)]
pub struct Flashes(BTreeMap<Thing, Timestamp>);

impl Flashes {
    pub fn begin(&mut self, thing: Thing, now: Timestamp) {
        self.0.insert(thing, now.plus(LENGTH));
    }

    pub fn is_on(&self, thing: &Thing) -> bool {
        self.0.contains_key(thing)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends those whose time is over.
    pub fn end(&mut self, now: Timestamp) {
        self.0.retain(|_, until| *until > now);
    }
}
