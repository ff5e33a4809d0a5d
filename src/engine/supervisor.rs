//! Named background tasks: each has an owner and an end, is restarted when it fails, and stands on the board.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::fleet::Hub;
use crate::{
    config::clock,
    model::{
        change::Change,
        fleet::{Task, TaskState},
        ids::{DeploymentId, TaskId},
        problem::Problem,
        units::{Millis, Timestamp},
    },
};

/// Ended tasks that stay on the board.
const ENDED: usize = 50;

/// Runs and shows tasks.
#[derive(Clone)]
pub struct Supervisor {
    hub: Hub,
    tracker: TaskTracker,
    stop: CancellationToken,
    next: Arc<AtomicU64>,
}

/// How a piece of work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub is_good: bool,
    pub note: String,
    pub problem: Option<Problem>,
}

impl Supervisor {
    pub fn new(hub: Hub, stop: CancellationToken) -> Self {
        Self { hub, tracker: TaskTracker::new(), stop, next: Arc::new(AtomicU64::new(1)) }
    }

    /// A part of the engine that may end before the rest, which it shares its board with.
    pub fn part(&self) -> Self {
        Self { tracker: TaskTracker::new(), stop: self.stop.child_token(), ..self.clone() }
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Keeps a piece of the engine running until the engine ends: after an error or a panic again, with a pause that
    /// doubles from 0.1 s to 30 s.
    pub fn keep<F, R>(&self, name: &'static str, mut run: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let this = self.clone();
        self.start(async move {
            let mut row = this.row(name.to_owned(), "runs as long as the engine", None);
            let mut pause = Duration::from_millis(100);
            while !this.stop.is_cancelled() {
                row.state = TaskState::Running;
                row.next_run = None;
                this.show(&row).await;
                let began = tokio::time::Instant::now();
                let ended = tokio::select! {
                    () = this.stop.cancelled() => return,
                    ended = AssertUnwindSafe(run()).catch_unwind() => ended,
                };
                let problem = match ended {
                    Ok(Ok(())) => break,
                    Ok(Err(problem)) => problem,
                    Err(panic) => Problem::internal(format!("{name} broke: {}", panic_words(panic.as_ref()))),
                };
                tracing::error!(task = name, %problem, "a task failed and will run again");
                if began.elapsed() > Duration::from_secs(60) {
                    pause = Duration::from_millis(100);
                }
                row.state = TaskState::Waiting;
                row.restarts += 1;
                row.last_error = Some(problem);
                row.took = Some(Millis::from(began.elapsed()));
                row.next_run = Some(clock::now().plus(pause));
                this.show(&row).await;
                // Jitter from the clock: tasks that failed together do not come back together.
                let jitter = Duration::from_millis((clock::micros() % 50) as u64);
                tokio::time::sleep(pause + jitter).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
            row.state = TaskState::Succeeded;
            row.ended_at = Some(clock::now());
            this.show(&row).await;
        });
    }

    /// Runs a piece of work once; its row tells how it ended. Work that was done to its end may have come to a bad one.
    pub async fn once(
        &self,
        name: String,
        reason: &str,
        deployment: Option<DeploymentId>,
        work: impl Future<Output = Result<Ending, Problem>>,
    ) -> Result<(), Problem> {
        let mut row = self.row(name, reason, deployment);
        self.show(&row).await;
        let began = tokio::time::Instant::now();
        let ended = AssertUnwindSafe(work).catch_unwind().await;
        let ended = ended.unwrap_or_else(|panic| Err(Problem::internal(format!("it broke: {}", panic_words(panic.as_ref())))));
        row.ended_at = Some(clock::now());
        row.took = Some(Millis::from(began.elapsed()));
        let (state, note, problem) = match &ended {
            Ok(Ending { is_good, note, problem }) => (*is_good, note.clone(), problem.clone()),
            Err(problem) => (false, String::new(), Some(problem.clone())),
        };
        row.state = if state { TaskState::Succeeded } else { TaskState::Failed };
        row.note = note;
        row.last_error = problem;
        self.show(&row).await;
        self.sweep().await;
        ended.map(|_| ())
    }

    /// Starts a future that watches `stop` itself.
    pub fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Ends everything, waiting at most `limit`.
    pub async fn end(&self, limit: Duration) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "tasks did not end within {}", Millis::from(limit));
        }
    }

    /// A row of the board, not yet shown.
    pub fn row(&self, name: String, reason: &str, deployment: Option<DeploymentId>) -> Task {
        Task {
            id: TaskId(self.next.fetch_add(1, Ordering::Relaxed)),
            name,
            state: TaskState::Running,
            started_at: clock::now(),
            ended_at: None,
            reason: reason.to_owned(),
            note: String::new(),
            took: None,
            next_run: None::<Timestamp>,
            last_error: None,
            restarts: 0,
            deployment,
        }
    }

    async fn show(&self, row: &Task) {
        self.hub.observe(vec![Change::Task(row.clone())]).await;
    }

    async fn sweep(&self) {
        self.hub
            .revise(|fleet| {
                let ended: Vec<TaskId> =
                    fleet.tasks.values().filter(|task| task.ended_at.is_some()).map(|task| task.id).collect();
                let surplus = ended.len().saturating_sub(ENDED);
                ended.into_iter().take(surplus).map(Change::TaskGone).collect()
            })
            .await;
    }
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}
