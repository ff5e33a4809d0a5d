//! How far an engine that has just started has looked.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::model::{
    change::Change,
    edge::EdgeCounters,
    fleet::{Fleet, Serving},
    ids::AppId,
    instance::{Health, Instance, InstanceState},
    manifest::Runtime,
};

/// What the first looks have told so far.
pub struct Looks {
    surveyed: watch::Sender<bool>,
    edge: watch::Sender<bool>,
    served: Mutex<BTreeMap<AppId, Serving>>,
}

impl Looks {
    /// Forgets what the engine before has seen: it is not known any more; what was wanted is. The first receiver turns true
    /// once the agent has told of every instance, the second once the edge has been asked, too.
    pub fn begin(fleet: &mut Fleet) -> (Self, watch::Receiver<bool>, watch::Receiver<bool>) {
        let served = forget(fleet);
        let ((surveyed, is_surveyed), (edge, is_edge)) = (watch::channel(false), watch::channel(false));
        (Self { surveyed, edge, served: Mutex::new(served) }, is_surveyed, is_edge)
    }

    pub(super) fn is_surveyed(&self) -> bool {
        *self.surveyed.borrow()
    }

    pub(super) fn survey(&self) {
        self.surveyed.send_if_modified(|is| !std::mem::replace(is, true));
    }

    pub(super) fn edge(&self) {
        self.edge.send_if_modified(|is| !std::mem::replace(is, true));
    }

    /// What served before, to be told once: whoever is found to serve at the first look has done so since then, if its edge
    /// is still the same. What is not found to serve then has not.
    pub(super) fn served(&self, counters: &EdgeCounters) -> BTreeMap<AppId, Serving> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let mut served = std::mem::take(&mut *served);
        served.retain(|_, serving| counters.started_at <= serving.since);
        served
    }
}

/// Gives what served then: whether it still does is for the edge to say, which went on without us, or did not.
fn forget(fleet: &mut Fleet) -> BTreeMap<AppId, Serving> {
    for instance in fleet.instances.values_mut() {
        instance.state = InstanceState::Unknown;
        instance.health = Health::Unknown;
    }
    let served = fleet.apps.values_mut().filter_map(|app| Some((app.id.clone(), app.serving.take()?))).collect();
    fleet.edge.up = false;
    fleet.edge.troubles.clear();
    fleet.tasks.clear();
    fleet.hosts.clear();
    fleet.docker = None;
    fleet.containers.clear();
    fleet.images.clear();
    fleet.volumes.clear();
    fleet.container_history.clear();
    served
}

/// What no survey has told of is gone; containers are for Docker to tell of, which may be away.
pub(super) fn lost(fleet: &Fleet) -> Vec<Change> {
    let is_gone = |instance: &&Instance| instance.state == InstanceState::Unknown && instance.runtime == Runtime::Process;
    let gone = fleet.instances.values().filter(is_gone);
    gone.map(|instance| Change::Instance(Instance { state: InstanceState::Lost, ..instance.clone() })).collect()
}
