//! The journal: what is about to be done and what was done, durable before anything goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::{
    config::clock,
    model::{change::Change, fleet::Fleet, ids::Seq, order::OrderKey, plan::Env, problem::Problem},
    store::{NewRecord, RecordKind, Store},
};

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 500;
/// Records read at once while replaying.
const PAGE: usize = 1000;

/// What a record means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Change,
    Intent(OrderKey),
    Outcome(OrderKey),
}

impl Mark {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Change => RecordKind::Change,
            Self::Intent(_) => RecordKind::Intent,
            Self::Outcome(_) => RecordKind::Outcome,
        }
    }

    fn key(&self) -> Option<&OrderKey> {
        match self {
            Self::Change => None,
            Self::Intent(key) | Self::Outcome(key) => Some(key),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    changes: Vec<Change>,
}

/// The journal of one engine; one append at a time.
pub struct Journal {
    store: Arc<Mutex<Box<dyn Store>>>,
    lease: u64,
    appended: u64,
    since_snapshot: u64,
    faults: Faults,
}

impl Journal {
    /// Takes a new lease and replays what is stored.
    pub fn open(mut store: Box<dyn Store>, faults: Faults) -> Result<(Self, Fleet), Problem> {
        let lease = store.next_lease()?;
        let mut fleet = Fleet::default();
        let mut seq = 0;
        if let Some((at, body)) = store.snapshot()? {
            fleet = serde_json::from_str(&body).map_err(|error| unreadable("snapshot", &error))?;
            seq = at;
        }
        let first = seq;
        loop {
            let page = store.read_after(seq, PAGE)?;
            let Some(last) = page.last() else { break };
            seq = last.seq;
            for record in &page {
                let body: Body =
                    serde_json::from_str(&record.body).map_err(|error| unreadable(&format!("record {}", record.seq), &error))?;
                for change in body.changes {
                    fleet.apply(change);
                }
            }
        }
        fleet.seq = Seq(seq);
        fleet.epoch = lease;
        let journal = Self { store: Arc::new(Mutex::new(store)), lease, appended: 0, since_snapshot: seq - first, faults };
        Ok((journal, fleet))
    }

    /// This engine's number; higher than that of every engine before it.
    pub fn lease(&self) -> u64 {
        self.lease
    }

    /// Appends a record and gives its number. Returns only once it is stored, however long the disk refuses;
    /// `trouble` hears of each failed try, and of the end of the trouble.
    pub async fn append(&mut self, mark: &Mark, changes: &[Change], trouble: impl Fn(Option<Problem>)) -> u64 {
        if let Mark::Outcome(key) = mark {
            self.faults.die_before_outcome(key);
        }
        self.appended += 1;
        let record = NewRecord {
            nonce: format!("{}-{}", self.lease, self.appended),
            at: clock::now(),
            kind: mark.kind(),
            key: mark.key().map(ToString::to_string),
            body: serde_json::to_string(&Body { changes: changes.to_vec() }).unwrap_or_default(),
        };
        let mut pause = Duration::from_millis(50);
        let mut was_refused = false;
        let seq = loop {
            let fault = self.faults.append_fault(self.appended, was_refused);
            let tried = record.clone();
            // After a failure the record may be there all the same: its nonce tells.
            let stored = self
                .with(move |store| {
                    if was_refused && let Some(seq) = store.find(&tried.nonce)? {
                        return Ok(seq);
                    }
                    fault.append(store, &tried)
                })
                .await;
            match stored {
                Ok(seq) => break seq,
                Err(problem) => {
                    tracing::error!(%problem, "the journal refuses a record");
                    trouble(Some(problem));
                }
            }
            was_refused = true;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        };
        if was_refused {
            trouble(None);
        }
        if let Mark::Intent(key) = mark {
            self.faults.die_after_intent(key);
        }
        self.since_snapshot += 1;
        seq
    }

    pub fn wants_snapshot(&self) -> bool {
        self.since_snapshot >= SNAPSHOT_EVERY
    }

    /// Saves `fleet`, which includes all records up to `seq`.
    pub async fn save_snapshot(&mut self, seq: u64, mut fleet: Fleet) {
        fleet.host_history.clear();
        fleet.app_history.clear();
        fleet.instance_samples.clear();
        fleet.tasks.clear();
        self.since_snapshot = 0;
        let saved = self.with(move |store| store.save_snapshot(seq, &serde_json::to_string(&fleet).unwrap_or_default())).await;
        if let Err(problem) = saved {
            // Nothing is lost: the records are all there, the next start reads more of them.
            tracing::warn!(%problem, "the snapshot could not be saved");
        }
    }

    /// A handle for blobs, which needs no turn in the order of appends.
    pub fn blobs(&self) -> Blobs {
        Blobs { store: Arc::clone(&self.store) }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        on_store(&self.store, work).await
    }
}

async fn on_store<T: Send + 'static>(
    store: &Arc<Mutex<Box<dyn Store>>>,
    work: impl FnOnce(&mut dyn Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(store.lock().unwrap_or_else(PoisonError::into_inner).as_mut())).await;
    done.unwrap_or_else(|error| Err(Problem::internal(format!("the journal's writer ended: {error}"))))
}

fn unreadable(what: &str, error: &serde_json::Error) -> Problem {
    Problem::conflict(format!("the journal's {what} is not understood: {error}"))
        .hint("start the version that wrote it, or give this one another folder with --state")
}

/// Values that must not stand in the journal's records: environments.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<Mutex<Box<dyn Store>>>,
}

impl Blobs {
    /// Durable on return.
    pub async fn put_env(&self, name: String, env: &Env) -> Result<(), Problem> {
        let bytes = serde_json::to_vec(env).unwrap_or_default();
        on_store(&self.store, move |store| store.put_blob(&name, &bytes)).await
    }

    /// Empty when there is none.
    pub async fn env(&self, name: String) -> Result<Env, Problem> {
        let bytes = on_store(&self.store, move |store| store.blob(&name)).await?;
        Ok(Env(bytes.and_then(|bytes| serde_json::from_slice::<BTreeMap<_, _>>(&bytes).ok()).unwrap_or_default()))
    }

    /// Whether something can be written now: better a refusal at once than a command that waits for space.
    pub async fn probe(&self) -> Result<(), Problem> {
        on_store(&self.store, |store| store.put_blob("probe", &[])).await
    }

    pub async fn remove(&self, prefix: String) -> Result<(), Problem> {
        on_store(&self.store, move |store| store.remove_blobs(&prefix)).await
    }
}
