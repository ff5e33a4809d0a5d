//! How an app is, in one word, and what keeps it from being known.

use serde::{Deserialize, Serialize};

use super::{Desired, Fleet};
use crate::model::{
    deployment::Aim,
    ids::AppId,
    instance::{Health, Instance, InstanceState},
    problem::Problem,
};

/// An app's state in one word; only `Serving` is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// Wanted, and nothing answers.
    Down,
    /// Answers, but something is wrong: an instance fails, or the asked release is not the one that serves.
    Degraded,
    /// A deployment is under way.
    UnderWay,
    Serving,
    /// Runs; has no route that could prove it.
    Running,
    Stopped,
    /// Nothing was ever released.
    Empty,
}

impl AppStatus {
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::UnderWay => "deploying",
            Self::Serving => "serving",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Empty => "not deployed",
        }
    }
}

impl Fleet {
    /// An app's state in one word.
    pub fn app_status(&self, id: &AppId) -> AppStatus {
        let Some(app) = self.apps.get(id) else {
            return AppStatus::Empty;
        };
        if self.active_deployment(id).is_some_and(|deployment| deployment.aim != Aim::Stop && deployment.aim != Aim::Remove) {
            return AppStatus::UnderWay;
        }
        if app.desired == Desired::Stopped {
            return AppStatus::Stopped;
        }
        let Some(routed) = app.routed else {
            return AppStatus::Empty;
        };
        let wanted = || self.instances_of(id).filter(|instance| instance.wanted && instance.release == routed);
        let sound = |instance: &Instance| {
            instance.state == InstanceState::Running && !matches!(instance.health, Health::Failing | Health::Ejected)
        };
        let all_sound = wanted().all(sound);
        if app.url.is_none() {
            let may_run = wanted().any(|instance| sound(instance) || instance.state == InstanceState::Unknown);
            return match (all_sound, may_run) {
                (true, true) => AppStatus::Running,
                (false, true) => AppStatus::Degraded,
                (_, false) => AppStatus::Down,
            };
        }
        match app.serving {
            None => AppStatus::Down,
            Some(_) if !all_sound => AppStatus::Degraded,
            Some(serving) if serving.release != routed => AppStatus::Degraded,
            Some(_) => AppStatus::Serving,
        }
    }

    /// Why nobody knows whether instances of an app run: Docker does not answer. Absent when all is known.
    pub fn blind(&self, id: &AppId) -> Option<Problem> {
        let is_unknown = |instance: &Instance| instance.wanted && instance.state == InstanceState::Unknown;
        let count = self.instances_of(id).filter(|instance| is_unknown(instance)).count();
        let docker = self.docker.as_ref().filter(|docker| count > 0 && !docker.up)?;
        let cause = docker.problem.clone().unwrap_or_else(|| Problem::unavailable("Docker does not answer"));
        let many = if count == 1 { "1 instance runs".to_owned() } else { format!("{count} instances run") };
        Some(Problem { what: format!("{}; whether {many} is not known", cause.what), ..cause })
    }

    /// Why instances that an app lost cannot be started again: what they need cannot be read.
    pub fn shut(&self, id: &AppId) -> Option<Problem> {
        let shut = self.engine.shut.get(id)?;
        let is_lost = |instance: &Instance| instance.wanted && instance.release == shut.release && !instance.state.is_alive();
        self.instances_of(id).any(is_lost).then(|| shut.cause.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fleet::App;

    fn fleet() -> (Fleet, AppId) {
        let app: App = serde_json::from_value(serde_json::json!({
            "id": "shop", "desired": "running", "asked": 1, "routed": 1, "serving": {"release": 1, "since": 0}, "previous": null,
            "replicas": null, "url": "http://shop.localhost", "next_release": 2, "created_at": 0, "warm": null
        }))
        .unwrap();
        let instance: Instance = serde_json::from_value(serde_json::json!({
            "id": "shop-1-a", "app": "shop", "release": 1, "process": "web", "runtime": "docker", "host": "local",
            "state": "running", "health": "passing", "address": null, "pid": 7, "restarts": 0, "started_at": null,
            "last_exit": null, "wanted": true
        }))
        .unwrap();
        let mut fleet = Fleet::default();
        let id = app.id.clone();
        fleet.apps.insert(id.clone(), app);
        fleet.instances.insert(instance.id.clone(), instance);
        (fleet, id)
    }

    #[test]
    fn what_is_not_known_to_run_is_not_shown_as_well() {
        let (mut fleet, id) = fleet();
        assert_eq!(fleet.app_status(&id), AppStatus::Serving);
        for instance in fleet.instances.values_mut() {
            instance.state = InstanceState::Unknown;
        }
        assert_eq!(fleet.app_status(&id), AppStatus::Degraded);
        fleet.apps.get_mut(&id).unwrap().url = None;
        assert_eq!(fleet.app_status(&id), AppStatus::Degraded, "nor as down, without a route");
    }
}
