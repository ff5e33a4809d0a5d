//! Health checks: each instance is asked for its ready path, so that an app without traffic has a health too.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    ask::ask,
    backend::Backend,
    forward::new_id,
    served::App,
    table,
    worker::{Worker, spawn},
};
use crate::model::ids::InstanceId;

/// How often it is looked who is due.
const TICK: Duration = Duration::from_millis(200);
/// Longest wait for a check's answer.
const WITHIN: Duration = Duration::from_secs(5);
/// An instance that is not known to be well, or fails just now, is asked at least this often.
const HURRY_US: u64 = 1_000_000;
/// Checks that fail in a row before an instance that was well counts as failing.
const STRIKES: u32 = 2;

/// What is remembered of an instance between two looks.
#[derive(Debug, Default)]
struct Turn {
    asked_at: Option<u64>,
    strikes: Arc<std::sync::atomic::AtomicU32>,
    running: Arc<()>,
}

impl Turn {
    /// Whether its next check should not wait for its time: whoever asks meanwhile is answered by an error.
    fn is_doubtful(&self, backend: &Backend) -> bool {
        let has_failed_a_check = self.strikes.load(std::sync::atomic::Ordering::Relaxed) > 0;
        !backend.is_passing() || has_failed_a_check || backend.fails()
    }
}

/// Checks until the edge stops.
pub(super) async fn check_all(worker: Arc<Worker>) {
    let edge = Arc::clone(&worker.edge);
    let mut turns: HashMap<InstanceId, Turn> = HashMap::new();
    while !edge.stop.is_cancelled() {
        table::forget_retired(&edge);
        let live = edge.live.load_full();
        let now = edge.clock.now();
        turns.retain(|instance, _| live.backends.contains_key(instance));
        for app in &live.apps {
            for backend in app.splits.iter().flat_map(|served| served.backends()) {
                let turn = turns.entry(backend.instance.clone()).or_default();
                // One check of an instance at a time.
                let every = app.check_every.0.max(100) * 1000;
                let every = if turn.is_doubtful(backend) { every.min(HURRY_US) } else { every };
                let is_due = turn.asked_at.is_none_or(|at| at + every <= now);
                if !is_due || Arc::strong_count(&turn.running) > 1 {
                    continue;
                }
                turn.asked_at = Some(now);
                start(&worker, app, backend, turn);
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

fn start(worker: &Arc<Worker>, app: &Arc<App>, backend: &Arc<Backend>, turn: &Turn) {
    use std::sync::atomic::Ordering::Relaxed;
    let (worker, app, backend) = (Arc::clone(worker), Arc::clone(app), Arc::clone(backend));
    let (strikes, running) = (Arc::clone(&turn.strikes), Arc::clone(&turn.running));
    spawn(async move {
        let id = new_id(worker.random(), worker.random());
        let seen = ask(&worker, &backend, &app.host, &app.ready_path, id, WITHIN).await;
        let cause = match seen {
            Ok(status) if status < 500 => None,
            Ok(status) => Some(format!("answered {status} to GET {}", app.ready_path)),
            Err(cause) => Some(cause),
        };
        match cause {
            None => {
                strikes.store(0, Relaxed);
                backend.check_passed(worker.edge.clock.now());
            }
            // One late answer is not an illness; an instance that was never well gets no such credit.
            Some(_) if backend.is_passing() && strikes.fetch_add(1, Relaxed) + 1 < STRIKES => {}
            Some(cause) => backend.check_failed(cause),
        }
        drop(running);
    });
}
