//! Controllers: each brings one kind of thing from what is to what is wanted, one key at a time.

pub mod commands;
pub mod deployments;
pub mod instances;
pub mod orders;
pub mod watches;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::broadcast::error::RecvError, task::JoinSet, time::Instant};

use super::{fleet::Hub, supervisor::Supervisor};
use crate::model::{change::Change, fleet::Fleet, ids::AppId, problem::Problem};

/// When a key is looked at again without a reason from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    After(Duration),
}

/// Level-triggered: `reconcile` looks at what is, not at what happened. It is never run twice at once for one key;
/// reasons that come meanwhile are one further run. Errors are tried again with a growing pause.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// The key that a change concerns.
    fn concerns(&self, change: &Change) -> Option<AppId>;
    fn keys(&self, fleet: &Fleet) -> Vec<AppId>;
    async fn reconcile(&self, app: &AppId) -> Result<Next, Problem>;
}

/// Everything is looked at again after this time.
const RESYNC: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
struct Key {
    is_running: bool,
    is_wanted: bool,
    failures: u32,
    due: Option<Instant>,
}

/// Runs a controller until the engine ends.
pub async fn schedule(controller: Arc<dyn Controller>, hub: Hub, supervisor: Supervisor) -> Result<(), Problem> {
    let mut feed = hub.subscribe();
    let mut keys: BTreeMap<AppId, Key> = BTreeMap::new();
    let mut runs: JoinSet<(AppId, Result<Next, Problem>)> = JoinSet::new();
    let mut resync = Instant::now();
    loop {
        if resync <= Instant::now() {
            resync = Instant::now() + RESYNC;
            let all = Arc::clone(&controller);
            for app in hub.look(move |fleet| all.keys(fleet)).await {
                keys.entry(app).or_default().is_wanted = true;
            }
        }
        start_due(&mut keys, &mut runs, &controller, &hub, &supervisor);
        let due = keys.values().filter(|key| !key.is_running).filter_map(|key| key.due).min().unwrap_or(resync).min(resync);
        tokio::select! {
            changed = feed.recv() => match changed {
                Ok(numbered) => {
                    if let Some(app) = controller.concerns(&numbered.change) {
                        keys.entry(app).or_default().is_wanted = true;
                    }
                }
                Err(RecvError::Lagged(_)) => resync = Instant::now(),
                Err(RecvError::Closed) => return Ok(()),
            },
            Some(ended) = runs.join_next() => match ended {
                Ok((app, outcome)) => settle(keys.entry(app).or_default(), outcome),
                Err(error) => return Err(Problem::internal(format!("{} broke: {error}", controller.name()))),
            },
            () = tokio::time::sleep_until(due) => {}
            () = supervisor.stop().cancelled() => {
                runs.shutdown().await;
                return Ok(());
            }
        }
    }
}

fn start_due(
    keys: &mut BTreeMap<AppId, Key>,
    runs: &mut JoinSet<(AppId, Result<Next, Problem>)>,
    controller: &Arc<dyn Controller>,
    hub: &Hub,
    supervisor: &Supervisor,
) {
    let now = Instant::now();
    let mut idle = BTreeSet::new();
    for (app, key) in keys.iter_mut() {
        let backs_off = key.failures > 0 && key.due.is_some_and(|due| due > now);
        let is_due = key.due.is_some_and(|due| due <= now) || (key.is_wanted && !backs_off);
        if key.is_running || !is_due {
            if !key.is_running && key.due.is_none() && !key.is_wanted {
                idle.insert(app.clone());
            }
            continue;
        }
        *key = Key { is_running: true, failures: key.failures, ..Key::default() };
        let (controller, app, hub, stop) = (Arc::clone(controller), app.clone(), hub.clone(), supervisor.stop().clone());
        runs.spawn(async move {
            let outcome = tokio::select! {
                outcome = controller.reconcile(&app) => outcome,
                () = stop.cancelled() => Ok(Next::Done),
            };
            if let Err(problem) = &outcome {
                tracing::warn!(controller = controller.name(), %app, %problem, "will try again");
                hub.event(app.to_string(), crate::model::fleet::Level::Warn, problem.what.clone()).await;
            }
            (app, outcome)
        });
    }
    for app in idle {
        keys.remove(&app);
    }
}

fn settle(key: &mut Key, outcome: Result<Next, Problem>) {
    key.is_running = false;
    if let Ok(next) = outcome {
        key.failures = 0;
        key.due = match next {
            Next::Done => None,
            Next::After(pause) => Some(Instant::now() + pause),
        };
    } else {
        key.failures = (key.failures + 1).min(8);
        key.due = Some(Instant::now() + Duration::from_millis(100) * 2_u32.pow(key.failures));
    }
}
