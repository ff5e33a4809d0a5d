//! How a deployment ended, as a document and in words; only what was proved is success.

use serde::Serialize;

use super::output::{Output, Tone};
use crate::{
    config::clock,
    model::{
        deployment::{Aim, Deployment, Phase},
        fleet::Fleet,
        ids::{AppId, DeploymentId, ReleaseId},
        instance::InstanceState,
        problem::Problem,
        units::Millis,
    },
};

/// The document of `deploy`, `rollback` and all that ends as a deployment. Fields may be added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub app: AppId,
    pub release: ReleaseId,
    pub deployment: DeploymentId,
    /// What it was for: `deploy`, `rollback`, `restart`, `scale`, `start`, `stop`, `remove`.
    pub aim: &'static str,
    /// `live`, `reverted`, `failed`, `cancelled`, `stuck`, `superseded`; `done` for a stop or a removal; before the end
    /// the phase.
    pub state: &'static str,
    /// The same in a word of its own for commands that are not a deploy.
    pub outcome: &'static str,
    pub url: Option<String>,
    pub commit: Option<String>,
    pub version: Option<String>,
    pub digest: Option<String>,
    pub took_ms: u64,
    /// Why it did not end well, in a line.
    pub cause: Option<String>,
    /// What to do next.
    pub next: String,
    /// Release that answers now, proved by the edge.
    pub serving: Option<ReleaseId>,
    /// `proved through the edge`, `running, not proved: no route`; absent unless live.
    pub proof: Option<&'static str>,
    /// The cause with its place and its evidence.
    pub problem: Option<Problem>,
    #[serde(skip)]
    goal: Goal,
    /// What is being done to the app by now, when nothing of it will serve afterwards.
    #[serde(skip)]
    leaving: Option<Aim>,
}

/// What success is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Reached,
    NotReached,
    /// Live by the deployment's own word, which the fleet does not bear out.
    NotProved,
}

impl Report {
    pub fn new(deployment: &Deployment, fleet: &Fleet) -> Self {
        let app = fleet.apps.get(&deployment.app);
        let release = fleet.release(&deployment.app, deployment.release);
        let serving = app.and_then(|app| app.serving).map(|serving| serving.release);
        let goal = goal(deployment, fleet);
        let proof = match (goal, deployment.phase, is_routed(deployment, fleet)) {
            (Goal::Reached, Phase::Live, true) => Some("proved through the edge"),
            (Goal::Reached, Phase::Live, false) => Some("running, not proved: no route"),
            _ => None,
        };
        let problem = match goal {
            Goal::NotProved => Some(not_proved(deployment, fleet)),
            _ => deployment.cause.clone(),
        };
        let leaving = fleet.active_deployment(&deployment.app).map(|newer| newer.aim);
        let leaving = leaving.filter(|aim| matches!(aim, Aim::Stop | Aim::Remove));
        // A release that returned for another's failure has its address all the same.
        let url = app.and_then(|app| app.url.clone()).filter(|_| deployment.aim != Aim::Remove);
        Self {
            app: deployment.app.clone(),
            release: deployment.release,
            deployment: deployment.id,
            aim: deployment.aim.word(),
            state: deployment.phase.word(),
            outcome: deployment.phase.word(),
            url,
            commit: release.and_then(|release| release.commit.clone()),
            version: release
                .map(|release| release.version.clone())
                .or_else(|| deployment.plan.as_ref().map(|plan| plan.version.clone())),
            digest: release.and_then(|release| release.artefact.as_ref()).map(|artefact| artefact.digest.clone()),
            took_ms: deployment.took(clock::now()).0,
            cause: problem.as_ref().map(cause).or_else(|| cause_by_state(deployment)),
            next: problem.as_ref().and_then(|problem| problem.next.clone()).unwrap_or_else(|| deployment.next()),
            serving,
            proof,
            problem,
            goal,
            leaving,
        }
    }

    /// Whether what was asked for is proved to be so.
    pub fn is_success(&self) -> bool {
        self.goal == Goal::Reached
    }

    /// Tells it: the document with `--json`, else some lines.
    pub fn show(&self, output: &Output) {
        if output.json {
            output.document(self);
        }
        if self.is_success() {
            self.show_success(output);
        } else if self.goal == Goal::NotReached && !self.is_over() {
            output.line(&format!("{} {} {} is {}", output.paint(Tone::Plain, "◐"), self.aim, self.app, self.state));
            output.line(&format!("  next: {}", self.next));
        } else {
            self.show_failure(output);
        }
    }

    fn is_over(&self) -> bool {
        Phase::ALL.iter().any(|phase| phase.word() == self.state && phase.is_over())
    }

    fn show_success(&self, output: &Output) {
        let took = Millis(self.took_ms);
        let version = self.version.as_deref().map(|version| format!(" ({version})")).unwrap_or_default();
        match (self.state, self.proof, &self.url) {
            ("live", Some("proved through the edge"), Some(url)) => {
                let word = output.paint(Tone::Good, "● serving");
                output.line(&format!("{word} {} release {}{version} in {took}", self.app, self.release));
                output.line(&format!("  {}", output.paint(Tone::Accent, url)));
            }
            ("live", ..) => {
                let word = output.paint(Tone::Bold, "● running");
                output.line(&format!(
                    "{word} {} release {}{version} in {took}; not proved: it has no route",
                    self.app, self.release
                ));
            }
            _ => output.line(&format!("{} {} {} in {took}", output.paint(Tone::Bold, "✓"), past(self.aim), self.app)),
        }
    }

    fn show_failure(&self, output: &Output) {
        let what = format!("{} {} {}", self.aim, self.app, self.state);
        let still = match (self.leaving, self.serving) {
            (Some(Aim::Stop), _) => "; the app is being stopped".to_owned(),
            (Some(_), _) => "; the app is being removed".to_owned(),
            (None, Some(release)) => format!("; release {release} serves on"),
            (None, None) => String::new(),
        };
        // The place has a line of its own.
        let cause = self.problem.as_ref().map(|problem| &problem.what).or(self.cause.as_ref()).cloned().unwrap_or_default();
        let mut told = Problem::app(format!("{what}: {cause}{still}")).hint(self.next.clone());
        if let Some(problem) = &self.problem {
            told.at.clone_from(&problem.at);
            told.evidence.clone_from(&problem.evidence);
        }
        output.explain(&told);
    }
}

fn goal(deployment: &Deployment, fleet: &Fleet) -> Goal {
    match deployment.phase {
        Phase::Done => Goal::Reached,
        Phase::Live if is_proved(deployment, fleet) => Goal::Reached,
        Phase::Live => Goal::NotProved,
        _ => Goal::NotReached,
    }
}

fn is_routed(deployment: &Deployment, fleet: &Fleet) -> bool {
    let blueprint = deployment.plan.as_ref().map(|plan| &plan.blueprint);
    let blueprint = fleet.release(&deployment.app, deployment.release).map(|release| &release.blueprint).or(blueprint);
    blueprint.is_some_and(|blueprint| !blueprint.routes.is_empty())
        || fleet.apps.get(&deployment.app).is_some_and(|app| app.url.is_some())
}

/// Whether the fleet bears out that the release is live: it serves, or, without a route, runs.
pub fn is_proved(deployment: &Deployment, fleet: &Fleet) -> bool {
    if is_routed(deployment, fleet) {
        let serving = fleet.apps.get(&deployment.app).and_then(|app| app.serving);
        return serving.is_some_and(|serving| serving.release == deployment.release);
    }
    let mut wanted = fleet.instances_of(&deployment.app).filter(|one| one.release == deployment.release && one.wanted);
    wanted.any(|one| one.state == InstanceState::Running)
}

fn not_proved(deployment: &Deployment, fleet: &Fleet) -> Problem {
    let serving = fleet.apps.get(&deployment.app).and_then(|app| app.serving);
    let now = serving.map_or_else(|| "nothing".to_owned(), |serving| format!("release {}", serving.release));
    Problem::app(format!("release {} was live, and {now} answers now", deployment.release))
        .hint(format!("pilothouse status {}", deployment.app))
}

fn cause(problem: &Problem) -> String {
    match &problem.at {
        Some(at) => format!("{} (at {at})", problem.what),
        None => problem.what.clone(),
    }
}

fn cause_by_state(deployment: &Deployment) -> Option<String> {
    match deployment.phase {
        Phase::Cancelled => Some("cancelled on request".to_owned()),
        Phase::Superseded => Some("a newer deployment of the app took over".to_owned()),
        _ => None,
    }
}

fn past(aim: &str) -> &'static str {
    match aim {
        "stop" => "stopped",
        "remove" => "removed",
        _ => "done with",
    }
}
