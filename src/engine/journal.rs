//! The journal: what is about to be done and what was done, durable before anything goes on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::{
    config::clock,
    model::{change::Change, fleet::Fleet, ids::Seq, order::OrderKey, problem::Problem},
    secrets::{
        blobs::{Blobs, Shared, on_store},
        seal::Seal,
    },
    store::{NewRecord, RecordKind, Store},
};

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 500;
/// Records that are kept before the newest snapshot: what happened lately can be read, and the file stays small.
const KEPT: u64 = 10_000;
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
    store: Shared,
    lease: u64,
    appended: u64,
    since_snapshot: u64,
    faults: Faults,
}

impl Journal {
    /// Takes a new lease, above all before it and above `taken`, and replays what is stored.
    pub fn open(mut store: Box<dyn Store>, taken: u64, faults: Faults) -> Result<(Self, Fleet), Problem> {
        let lease = store.next_lease(taken)?;
        let mut fleet = Fleet::default();
        let mut seq = 0;
        if let Some((at, body)) = store.snapshot()? {
            fleet = serde_json::from_str(&body).map_err(|error| unreadable("snapshot", &error))?;
            seq = at;
            if let Err(problem) = store.thin(at.saturating_sub(KEPT)) {
                tracing::warn!(%problem, "old records could not be dropped");
            }
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
        let record = self.record(mark, changes);
        let mut pause = Duration::from_millis(50);
        let mut was_refused = false;
        let seq = loop {
            match self.store(&record, was_refused).await {
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
        self.appended(mark);
        seq
    }

    /// Appends a record, or says why it is not stored: for what may be refused instead of waiting for the disk.
    pub async fn append_or_refuse(&mut self, mark: &Mark, changes: &[Change]) -> Result<u64, Problem> {
        let record = self.record(mark, changes);
        let seq = match self.store(&record, false).await {
            Ok(seq) => seq,
            Err(problem) => self.found(&record.nonce).await.ok_or(problem)?,
        };
        self.appended(mark);
        Ok(seq)
    }

    fn record(&mut self, mark: &Mark, changes: &[Change]) -> NewRecord {
        if let Mark::Outcome(key) = mark {
            self.faults.die_before_outcome(key);
        }
        self.appended += 1;
        NewRecord {
            nonce: format!("{}-{}", self.lease, self.appended),
            at: clock::now(),
            kind: mark.kind(),
            key: mark.key().map(ToString::to_string),
            body: serde_json::to_string(&Body { changes: changes.to_vec() }).unwrap_or_default(),
        }
    }

    /// One try. After a failure the record may be there all the same: its nonce tells.
    async fn store(&self, record: &NewRecord, is_retry: bool) -> Result<u64, Problem> {
        let fault = self.faults.append_fault(self.appended, is_retry);
        let record = record.clone();
        self.with(move |store| {
            if is_retry && let Some(seq) = store.find(&record.nonce)? {
                return Ok(seq);
            }
            fault.append(store, &record)
        })
        .await
    }

    /// The record's number if it is stored; asks until the store can tell.
    async fn found(&self, nonce: &str) -> Option<u64> {
        loop {
            let nonce = nonce.to_owned();
            match self.with(move |store| store.find(&nonce)).await {
                Ok(found) => return found,
                Err(problem) => tracing::error!(%problem, "the journal cannot be read"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn appended(&mut self, mark: &Mark) {
        if let Mark::Intent(key) = mark {
            self.faults.die_after_intent(key);
        }
        self.since_snapshot += 1;
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
        let saved = self
            .with(move |store| {
                store.save_snapshot(seq, &serde_json::to_string(&fleet).unwrap_or_default(), seq.saturating_sub(KEPT))
            })
            .await;
        if let Err(problem) = saved {
            // Nothing is lost: the records are all there, the next start reads more of them.
            tracing::warn!(%problem, "the snapshot could not be saved");
        }
    }

    /// Sealed values in the same store, which need no turn in the order of appends.
    pub fn blobs(&self, seal: Seal) -> Blobs {
        Blobs::new(Arc::clone(&self.store), seal)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        on_store(&self.store, work).await
    }
}

fn unreadable(what: &str, error: &serde_json::Error) -> Problem {
    Problem::conflict(format!("the journal's {what} is not understood: {error}"))
        .hint("start the version that wrote it, or give this one another folder with --state")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            fleet::{App, Desired},
            ids::{AppId, ReleaseId},
            units::Timestamp,
        },
        store::sqlite::Sqlite,
    };

    fn app(next: u32) -> App {
        App {
            id: AppId::parse("shop").unwrap(),
            desired: Desired::Running,
            asked: None,
            routed: None,
            pool: Vec::new(),
            serving: None,
            previous: None,
            replicas: None,
            url: None,
            next_release: ReleaseId(next),
            created_at: Timestamp(0),
            warm: None,
            watch: None,
        }
    }

    fn body(next: u32) -> String {
        serde_json::to_string(&Body { changes: vec![Change::App(app(next))] }).unwrap()
    }

    /// A journal as it was before records were dropped: 100,000 of them, and a snapshot of nearly all.
    fn long(path: &std::path::Path) {
        drop(Sqlite::open(path).unwrap());
        let mut raw = rusqlite::Connection::open(path).unwrap();
        let all = raw.transaction().unwrap();
        for number in 1..=100_000 {
            all.prepare_cached("INSERT INTO records (at, kind, nonce, body) VALUES (0, 'change', ?1, ?2)")
                .unwrap()
                .execute((format!("0-{number}"), body(number)))
                .unwrap();
        }
        let mut fleet = Fleet::default();
        fleet.apply(Change::App(app(99_900)));
        all.execute("INSERT INTO snapshots VALUES (1, 99900, ?1)", [serde_json::to_string(&fleet).unwrap()]).unwrap();
        all.commit().unwrap();
    }

    #[tokio::test]
    async fn a_journal_of_a_hundred_thousand_records_becomes_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        long(&path);
        let before = std::fs::metadata(&path).unwrap().len();
        let open = || Journal::open(Box::new(Sqlite::open(&path).unwrap()), 0, Faults::default()).unwrap();
        // The first start thins it, for every start after that.
        assert_eq!(open().1.apps.values().next().unwrap().next_release, ReleaseId(100_000));
        let (mut journal, fleet) = open();
        assert_eq!(fleet.apps.values().next().unwrap().next_release, ReleaseId(100_000));
        let after = std::fs::metadata(&path).unwrap().len();
        assert!(after < before / 5, "{before} bytes became {after}");
        let seq = journal.append(&Mark::Change, &[Change::App(app(100_001))], |_| ()).await;
        assert_eq!(seq, 100_001, "numbers go on");
        journal.save_snapshot(seq, fleet).await;
        let left = on_store(&journal.store, |store| store.read_after(0, 20_000)).await.unwrap();
        assert_eq!((left.len() as u64, left[0].seq), (KEPT, seq - KEPT + 1));
    }

    /// A store whose disk is full for as long as it is told.
    struct Full {
        inner: Sqlite,
        stores_first: bool,
    }

    #[rustfmt::skip]
    impl Store for Full {
        fn append(&mut self, record: &NewRecord) -> Result<u64, Problem> {
            if self.stores_first {
                self.inner.append(record)?;
            }
            Err(Problem::unavailable("the disk is full"))
        }
        fn find(&mut self, nonce: &str) -> Result<Option<u64>, Problem> { self.inner.find(nonce) }
        fn read_after(&mut self, seq: u64, limit: usize) -> Result<Vec<crate::store::Record>, Problem> { self.inner.read_after(seq, limit) }
        fn snapshot(&mut self) -> Result<Option<(u64, String)>, Problem> { self.inner.snapshot() }
        fn save_snapshot(&mut self, seq: u64, body: &str, drop_to: u64) -> Result<(), Problem> { self.inner.save_snapshot(seq, body, drop_to) }
        fn thin(&mut self, drop_to: u64) -> Result<(), Problem> { self.inner.thin(drop_to) }
        fn put_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), Problem> { self.inner.put_blob(name, bytes) }
        fn blob(&mut self, name: &str) -> Result<Option<Vec<u8>>, Problem> { self.inner.blob(name) }
        fn blob_names(&mut self, prefix: &str) -> Result<Vec<String>, Problem> { self.inner.blob_names(prefix) }
        fn remove_blobs(&mut self, prefix: &str) -> Result<(), Problem> { self.inner.remove_blobs(prefix) }
        fn remove_blob(&mut self, name: &str) -> Result<(), Problem> { self.inner.remove_blob(name) }
        fn wipe(&mut self) -> Result<(), Problem> { self.inner.wipe() }
        fn next_lease(&mut self, taken: u64) -> Result<u64, Problem> { self.inner.next_lease(taken) }
    }

    #[tokio::test]
    async fn a_command_on_a_full_disk_is_refused_at_once_and_never_done_later() {
        for stores_first in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let inner = Sqlite::open(&folder.path().join("journal.db")).unwrap();
            let (mut journal, _) = Journal::open(Box::new(Full { inner, stores_first }), 0, Faults::default()).unwrap();
            let answer = journal.append_or_refuse(&Mark::Change, &[Change::App(app(1))]).await;
            assert_eq!(answer.is_ok(), stores_first, "stored means taken, whatever the disk said");
            let stored = on_store(&journal.store, |store| store.read_after(0, 10)).await.unwrap().len();
            assert_eq!(stored, usize::from(stores_first));
        }
    }
}
