//! A deployment's life: its phases as types, which may follow which, and how it ended.

use serde::{Deserialize, Serialize};

use super::{
    command::DeployRequest,
    ids::{AppId, DeploymentId, HostId, InstanceId, ReleaseId},
    plan::Plan,
    problem::Problem,
    units::{Millis, Timestamp},
};

/// Where a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Queued,
    Fetching,
    Admitting,
    Building,
    Attesting,
    Staging,
    Releasing,
    Shifting,
    Holding,
    Finalising,
    /// Undoing what was staged or shifted.
    Aborting,
    /// Proved through the edge.
    Live,
    /// A stop or a removal that is complete.
    Done,
    Failed,
    Cancelled,
    Reverted,
    /// The undo did not work; the problem names the next command.
    Stuck,
    Superseded,
}

impl Phase {
    pub const ALL: [Self; 18] = [
        Self::Queued,
        Self::Fetching,
        Self::Admitting,
        Self::Building,
        Self::Attesting,
        Self::Staging,
        Self::Releasing,
        Self::Shifting,
        Self::Holding,
        Self::Finalising,
        Self::Aborting,
        Self::Live,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Reverted,
        Self::Stuck,
        Self::Superseded,
    ];

    pub fn is_over(self) -> bool {
        matches!(self, Self::Live | Self::Done | Self::Failed | Self::Cancelled | Self::Reverted | Self::Stuck | Self::Superseded)
    }

    /// Phases that may follow this one. From *staging* on the only way out is through *aborting*, and a reboot of the host,
    /// which takes away what was staged, leads back to *staging*.
    pub fn followers(self) -> &'static [Phase] {
        use Phase::{
            Aborting, Admitting, Attesting, Building, Cancelled, Done, Failed, Fetching, Finalising, Holding, Live, Queued,
            Releasing, Reverted, Shifting, Staging, Stuck, Superseded,
        };
        match self {
            // A return to a kept release, a restart and a scale have nothing to fetch or build.
            Queued => &[Fetching, Staging, Failed, Cancelled, Superseded],
            Fetching => &[Admitting, Failed, Cancelled, Superseded],
            Admitting => &[Building, Failed, Cancelled, Superseded],
            Building => &[Attesting, Failed, Cancelled, Superseded],
            Attesting => &[Staging, Failed, Cancelled, Superseded],
            Staging => &[Releasing, Aborting],
            Releasing => &[Shifting, Staging, Aborting],
            Shifting => &[Holding, Finalising, Staging, Aborting],
            Holding => &[Shifting, Staging, Aborting],
            Finalising => &[Live, Done, Staging, Aborting],
            // *failed* when nothing served before, so that there was nothing to return to.
            Aborting => &[Reverted, Failed, Cancelled, Superseded, Stuck],
            Live | Done | Failed | Cancelled | Reverted | Stuck | Superseded => &[],
        }
    }

    pub fn may_become(self, next: Phase) -> bool {
        self.followers().contains(&next)
    }

    /// Longest stay, after which the default end is taken: before *staging* it fails, after it it aborts. Phases whose
    /// length the manifest says (*building*, *staging*) take the larger of both.
    pub fn deadline(self) -> Millis {
        match self {
            Self::Fetching => Millis::minutes(5),
            Self::Building => Millis::minutes(16),
            Self::Staging | Self::Releasing | Self::Aborting => Millis::minutes(2),
            Self::Queued => Millis::minutes(60),
            _ => Millis::minutes(1),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Fetching => "fetching",
            Self::Admitting => "admitting",
            Self::Building => "building",
            Self::Attesting => "attesting",
            Self::Staging => "staging",
            Self::Releasing => "releasing",
            Self::Shifting => "shifting",
            Self::Holding => "holding",
            Self::Finalising => "finalising",
            Self::Aborting => "aborting",
            Self::Live => "live",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::Stuck => "stuck",
            Self::Superseded => "superseded",
        }
    }

    /// The five words for the outside: queued, building, ready, error, cancelled.
    pub fn outward(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Live | Self::Done => "ready",
            Self::Failed | Self::Reverted | Self::Stuck => "error",
            Self::Cancelled | Self::Superseded => "cancelled",
            _ => "building",
        }
    }
}

/// What a deployment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// A new release from a source.
    Deploy,
    /// A kept release again.
    Rollback,
    /// The same release with fresh instances.
    Restart,
    /// The same release with another number of instances.
    Scale,
    /// The same release after `stop`.
    Start,
    /// No instance, no answer.
    Stop,
    /// The app is gone, its releases and logs too.
    Remove,
}

impl Aim {
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Remove => "remove",
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// The intent is journaled; the effect may or may not have happened.
    Started,
    Succeeded,
    Failed,
    UndoStarted,
    UndoFinished,
    UndoFailed,
}

/// One effect of a deployment. Its name is unique within the deployment and stays the same when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `fetch`, `build`, `start/web/0`, `ready/web/0`, `route/staged`, `prove/pool`, `route/serving`, `prove/public`, `stop/shop-1-a` …
    pub name: String,
    pub host: HostId,
    pub state: StepState,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// What it gave or why it failed, in a line.
    pub note: String,
    /// How often its effect was tried.
    pub tries: u32,
}

/// Why a deployment ends before it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Cancel,
    Supersede,
}

/// A deployment as the fleet knows it: also all that its controller needs to go on after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: DeploymentId,
    pub app: AppId,
    pub aim: Aim,
    /// Release that is to serve in the end.
    pub release: ReleaseId,
    /// Release that served when it began.
    pub from: Option<ReleaseId>,
    pub actor: String,
    /// `cli`, `console`, `api`.
    pub origin: String,
    /// What was asked; values of the environment are kept elsewhere.
    pub request: Option<DeployRequest>,
    /// Known once the source is fetched.
    pub plan: Option<Plan>,
    pub phase: Phase,
    pub asked_at: Timestamp,
    pub phase_since: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// What remained of the phase's deadline when this was written.
    pub remaining: Millis,
    pub steps: Vec<Step>,
    pub asked_end: Option<EndedBy>,
    /// Instances that this deployment starts: (process, instance).
    pub starts: Vec<(String, InstanceId)>,
    /// Instances that serve once it is live: kept ones and started ones.
    pub pool: Vec<InstanceId>,
    /// The request's idempotency key.
    pub key: String,
    pub cause: Option<Problem>,
}

impl Deployment {
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    pub fn is_over(&self) -> bool {
        self.phase.is_over()
    }

    /// Whether its build writes a log.
    pub fn has_build_log(&self) -> bool {
        self.aim == Aim::Deploy
    }

    pub fn took(&self, now: Timestamp) -> Millis {
        Millis::from(self.asked_at.age(self.ended_at.unwrap_or(now)))
    }

    /// The next step for a person, by state.
    pub fn next(&self) -> String {
        if let Some(next) = self.cause.as_ref().and_then(|cause| cause.next.clone()) {
            return next;
        }
        let app = &self.app;
        match self.phase {
            Phase::Live | Phase::Done => format!("pilothouse status {app}"),
            Phase::Failed | Phase::Reverted if self.aim == Aim::Deploy => {
                format!("pilothouse logs {app} --build")
            }
            Phase::Failed | Phase::Reverted => format!("pilothouse logs {app}"),
            Phase::Stuck => format!("pilothouse rollback {app}"),
            Phase::Cancelled => format!("pilothouse deploy, or pilothouse rollback {app}"),
            Phase::Superseded => format!("pilothouse status {app}"),
            _ => format!("pilothouse wait {app} --live"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_that_is_not_an_end_has_a_way_on_and_a_way_out() {
        for phase in Phase::ALL {
            assert_eq!(phase.is_over(), phase.followers().is_empty(), "{phase:?}");
            if !phase.is_over() {
                assert!(phase.followers().iter().any(|next| matches!(next, Phase::Failed | Phase::Aborting)), "{phase:?}");
            }
        }
    }

    #[test]
    fn after_staging_only_aborting_leads_to_a_bad_end() {
        for phase in [Phase::Staging, Phase::Releasing, Phase::Shifting, Phase::Holding, Phase::Finalising] {
            assert!(
                !phase.followers().iter().any(|next| next.is_over() && !matches!(next, Phase::Live | Phase::Done)),
                "{phase:?}"
            );
        }
    }

    #[test]
    fn a_reboot_leads_back_to_staging_from_wherever_something_was_staged() {
        for phase in [Phase::Releasing, Phase::Shifting, Phase::Holding, Phase::Finalising] {
            assert!(phase.may_become(Phase::Staging), "{phase:?}");
        }
        assert!(!Phase::Aborting.may_become(Phase::Staging), "what goes back does not come again");
    }
}
