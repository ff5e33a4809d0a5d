//! Watches: asks repositories where their watched branches are, and has each new commit deployed once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    super::{fleet::Hub, supervisor::Supervisor},
    Controller, Next,
    commands::Commands,
    orders::Orders,
};
use crate::{
    config::clock,
    model::{
        change::Change,
        fleet::{App, Desired, Fleet, Level, Task, TaskState},
        ids::{AppId, DeploymentId},
        order::{Done, Outcome, Work},
        problem::Problem,
        source::{Source, Tip},
        units::Millis,
        watch::Watch,
    },
};

/// Longest pause after failures.
const LONGEST: Duration = Duration::from_mins(10);

/// Looks at the watched branch of each app.
pub struct Watches {
    pub hub: Hub,
    pub orders: Orders,
    pub commands: Commands,
    pub supervisor: Supervisor,
    pub every: Duration,
    pub pace: Arc<Mutex<HashMap<AppId, Pace>>>,
}

/// When an app's branch is looked at again.
#[derive(Clone)]
pub struct Pace {
    /// Of the place that is watched: another one is looked at at once.
    place: (String, String),
    due: Instant,
    failures: u32,
    task: Task,
}

/// What is to be done for an app.
enum Need {
    Look(Box<Watch>),
    /// A deployment is under way, or the app is stopped: what changes that is a reason to look again.
    Wait,
    Forget,
}

#[async_trait]
impl Controller for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn concerns(&self, change: &Change) -> Option<AppId> {
        match change {
            Change::App(app) => Some(app.id.clone()),
            Change::AppGone(app) => Some(app.clone()),
            Change::Deployment(deployment) if deployment.is_over() => Some(deployment.app.clone()),
            _ => None,
        }
    }

    fn keys(&self, fleet: &Fleet) -> Vec<AppId> {
        fleet.apps.values().filter(|app| app.watch.is_some()).map(|app| app.id.clone()).collect()
    }

    async fn reconcile(&self, app: &AppId) -> Result<Next, Problem> {
        let of = app.clone();
        let watch = match self.hub.look(move |fleet| need(fleet, &of)).await {
            Need::Look(watch) => watch,
            Need::Wait => return Ok(Next::Done),
            Need::Forget => {
                self.forget(app).await;
                return Ok(Next::Done);
            }
        };
        let pace = self.pace_of(app, &watch);
        let rest = pace.due.saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            return Ok(Next::After(rest));
        }
        self.look(app, &watch, pace).await
    }
}

fn need(fleet: &Fleet, id: &AppId) -> Need {
    let Some(app) = fleet.apps.get(id) else { return Need::Forget };
    match &app.watch {
        None => Need::Forget,
        Some(_) if app.desired == Desired::Stopped || fleet.active_deployment(id).is_some() => Need::Wait,
        Some(watch) => Need::Look(watch.clone()),
    }
}

impl Watches {
    fn paces(&self) -> std::sync::MutexGuard<'_, HashMap<AppId, Pace>> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace_of(&self, app: &AppId, watch: &Watch) -> Pace {
        let place = (watch.url.clone(), watch.branch.clone());
        let mut paces = self.paces();
        if let Some(pace) = paces.get(app).filter(|pace| pace.place == place) {
            return pace.clone();
        }
        let reason = format!("{} of {}", watch.branch, watch.url);
        let task = match paces.remove(app) {
            Some(pace) => Task { reason, ..pace.task },
            None => self.supervisor.row(format!("watch {app}"), &reason, None),
        };
        let pace = Pace { place, due: Instant::now(), failures: 0, task };
        paces.insert(app.clone(), pace.clone());
        pace
    }

    async fn forget(&self, app: &AppId) {
        let gone = self.paces().remove(app);
        if let Some(pace) = gone {
            self.hub.observe(vec![Change::TaskGone(pace.task.id)]).await;
        }
    }

    /// Asks the repository, has a new commit deployed, and says how it went.
    async fn look(&self, app: &AppId, watch: &Watch, mut pace: Pace) -> Result<Next, Problem> {
        let began = Instant::now();
        pace.task.state = TaskState::Running;
        pace.task.note = watch.words();
        pace.task.next_run = None;
        self.hub.observe(vec![Change::Task(pace.task.clone())]).await;
        let url = self.commands.watched_url(app, watch).await?;
        let problem = match self.ask(app, &url, watch).await {
            Ok(tip) => self.act(app, watch, &url, tip).await.err(),
            Err(problem) => Some(problem),
        };
        self.tell(app, watch, problem.as_ref()).await;
        pace.failures = if problem.is_some() { (pace.failures + 1).min(10) } else { 0 };
        let pause = jittered(self.every.saturating_mul(1 << pace.failures).min(LONGEST.max(self.every)));
        pace.due = Instant::now() + pause;
        pace.task.state = TaskState::Waiting;
        pace.task.took = Some(Millis::from(began.elapsed()));
        pace.task.next_run = Some(clock::now().plus(pause));
        pace.task.last_error.clone_from(&problem);
        self.note(app, watch, &pace, problem).await;
        self.paces().insert(app.clone(), pace);
        Ok(Next::After(pause))
    }

    async fn ask(&self, app: &AppId, url: &str, watch: &Watch) -> Result<Tip, Problem> {
        let key = Orders::key(DeploymentId(0), format!("tip/{app}/{}", clock::micros()));
        let source = Source::Git { url: url.to_owned(), reference: Some(watch.branch.clone()) };
        let work = Work::Tip { source, known: watch.seen.clone() };
        // One try: the next look is the next one.
        match self.orders.once(&key, work, &CancellationToken::new()).await {
            Outcome::Done(Done::Tip(tip)) => Ok(tip),
            Outcome::Done(_) => Err(Problem::internal("a look at a branch gave something else")),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
        }
    }

    async fn act(&self, app: &AppId, watch: &Watch, url: &str, tip: Tip) -> Result<(), Problem> {
        let branch = &watch.branch;
        let Some(commit) = tip.commit else {
            return Err(Problem::not_found(format!("there is no branch `{branch}` any more; what serves goes on serving"))
                .at(watch.url.clone())
                .hint(format!("push the branch again, or end the watch: pilothouse watch {app} --off")));
        };
        if watch.seen.as_ref() == Some(&commit) {
            return Ok(());
        }
        if self.commands.deploy_commit(app, watch, url, &commit).await? {
            let short: String = commit.chars().take(7).collect();
            let (level, what) = match tip.rewritten {
                Some(true) => (Level::Warn, format!("{branch} was rewritten by a forced push: {short} is deployed")),
                _ => (Level::Plain, format!("{branch} has a new commit: {short} is deployed")),
            };
            self.hub.event(app.to_string(), level, what).await;
        }
        Ok(())
    }

    /// An event when looking begins to fail, and when it works again.
    async fn tell(&self, app: &AppId, watch: &Watch, problem: Option<&Problem>) {
        match (&watch.error, problem) {
            (None, Some(problem)) => {
                self.hub.event(app.to_string(), Level::Warn, format!("watch of {}: {}", watch.branch, problem.what)).await;
            }
            (Some(_), None) => {
                self.hub.event(app.to_string(), Level::Good, format!("{} can be looked at again", watch.branch)).await;
            }
            _ => {}
        }
    }

    /// What was seen stands on the app and on the board.
    async fn note(&self, app: &AppId, watch: &Watch, pace: &Pace, problem: Option<Problem>) {
        let (app, seen, mut task) = (app.clone(), watch.clone(), pace.task.clone());
        self.hub
            .revise(move |fleet| {
                let Some(known) = fleet.apps.get(&app) else { return Vec::new() };
                let Some(watch) = known.watch.as_ref().filter(|watch| watch.is_of(&seen)) else { return Vec::new() };
                let (checked_at, next_at) = (Some(clock::now()), task.next_run);
                let watch = Watch { checked_at, next_at, error: problem, ..Watch::clone(watch) };
                task.note = watch.words();
                vec![Change::App(App { watch: Some(Box::new(watch)), ..known.clone() }), Change::Task(task)]
            })
            .await;
    }
}

/// A tenth more or less, by the clock's last digits: watches that began together do not ask together for ever.
fn jittered(pause: Duration) -> Duration {
    let permille = 900 + (clock::micros() % 200) as u32;
    pause / 1000 * permille
}
