//! Requests, errors and latency of each release: counted per thread without a lock, summed when read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    latency::{BUCKETS, bucket, upper_bound},
    watch::lock,
    worker::Padded,
};
use crate::model::{
    edge::ReleaseCounters,
    ids::{AppId, ReleaseId},
};

/// Releases whose counters are kept; the oldest ones that nobody serves any more go first.
const KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Counters {
    shards: Box<[Padded<Shard>]>,
}

#[derive(Debug)]
struct Shard {
    requests: AtomicU64,
    errors: AtomicU64,
    latency: Box<[AtomicU64]>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

fn add_one(counter: &AtomicU64) {
    // Each shard has one writer, so a plain load and store lose nothing.
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

impl Counters {
    fn new(threads: usize) -> Self {
        Self { shards: (0..threads).map(|_| Padded::default()).collect() }
    }

    /// Counts an answered request; only from the thread of that number.
    pub(super) fn record(&self, thread: usize, status: u16, us: u64) {
        let shard = &self.shards[thread].0;
        add_one(&shard.requests);
        if status >= 500 {
            add_one(&shard.errors);
        }
        add_one(&shard.latency[bucket(us)]);
    }

    fn sum(&self, app: AppId, release: ReleaseId) -> ReleaseCounters {
        let total = |of: fn(&Shard) -> &AtomicU64| self.shards.iter().map(|shard| of(&shard.0).load(Relaxed)).sum();
        let in_bucket = |bucket: usize| self.shards.iter().map(|shard| shard.0.latency[bucket].load(Relaxed)).sum();
        let latency = (0..BUCKETS).map(|bucket| (upper_bound(bucket), in_bucket(bucket)));
        ReleaseCounters {
            app,
            release,
            requests: total(|shard| &shard.requests),
            errors: total(|shard| &shard.errors),
            latency_us: latency.filter(|(_, count): &(u64, u64)| *count > 0).collect(),
        }
    }
}

/// The counters of every release since the edge's start.
#[derive(Debug, Default)]
pub(super) struct AllCounters {
    releases: Mutex<BTreeMap<(AppId, ReleaseId), Arc<Counters>>>,
}

impl AllCounters {
    pub(super) fn of(&self, app: &AppId, release: ReleaseId, threads: usize) -> Arc<Counters> {
        let mut releases = lock(&self.releases);
        if releases.len() >= KEPT {
            let unused = releases.iter().filter(|(_, counters)| Arc::strong_count(counters) == 1).map(|(key, _)| key.clone());
            if let Some(oldest) = unused.min_by_key(|(_, release)| *release) {
                releases.remove(&oldest);
            }
        }
        let counters = releases.entry((app.clone(), release)).or_insert_with(|| Arc::new(Counters::new(threads)));
        Arc::clone(counters)
    }

    pub(super) fn sums(&self) -> Vec<ReleaseCounters> {
        lock(&self.releases).iter().map(|((app, release), counters)| counters.sum(app.clone(), *release)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_apart_and_are_summed() {
        let all = AllCounters::default();
        let (shop, release) = (AppId::suggest("shop"), ReleaseId(7));
        let counters = all.of(&shop, release, 2);
        counters.record(0, 200, 1_000);
        counters.record(1, 502, 1_000);
        counters.record(1, 404, 3);
        let sums = all.sums();
        assert_eq!((sums[0].requests, sums[0].errors), (3, 1));
        assert_eq!(sums[0].latency_us, [(3, 1), (upper_bound(bucket(1_000)), 2)]);
    }

    #[test]
    fn counters_of_releases_long_gone_are_dropped_first() {
        let all = AllCounters::default();
        let serving = all.of(&AppId::suggest("shop"), ReleaseId(1), 1);
        for n in 2..=300 {
            all.of(&AppId::suggest("shop"), ReleaseId(n), 1);
        }
        let kept = all.sums();
        assert!(kept.len() <= KEPT && kept[0].release == ReleaseId(1));
        drop(serving);
    }
}
