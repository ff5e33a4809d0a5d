//! One instance behind the edge: what is in flight to it, how well it does, and its idle connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{balance, connection::Connection, pool::Patience, watch::lock};
use crate::model::{edge::BackendStatus, ids::InstanceId, instance::Health};

/// Idle connections of one thread to one instance at most.
const IDLE: usize = 512;
/// Latency assumed before anything was measured.
const FIRST_LATENCY_US: f64 = 10_000.0;
/// An ejection that ended longer ago than this is forgotten.
const FORGET_US: u64 = 60_000_000;

#[derive(Debug)]
pub(super) struct Backend {
    pub instance: InstanceId,
    pub address: SocketAddr,
    in_flight: AtomicU64,
    is_draining: AtomicBool,
    /// Connections, idle or not.
    open: AtomicUsize,
    /// Something that a drain waits for has changed.
    changed: Notify,
    #[expect(clippy::vec_box, reason = "a connection goes to its request and back: only its pointer is to move")]
    shards: Box<[Mutex<Vec<Box<Connection>>>]>,
    pub patience: Patience,
    standing: Standing,
}

/// How an instance does, as its answers and checks show.
#[derive(Debug)]
struct Standing {
    /// Bits of an `f64`.
    latency_us: AtomicU64,
    sampled_at: AtomicU64,
    strikes: AtomicU32,
    ejections: AtomicU32,
    ejected_until: AtomicU64,
    /// Slow start counts from here.
    ready_at: AtomicU64,
    check: AtomicU8,
    last_cause: Mutex<Option<String>>,
}

const UNKNOWN: u8 = 0;
const PASSING: u8 = 1;
const FAILING: u8 = 2;

impl Backend {
    pub(super) fn new(instance: InstanceId, address: SocketAddr, threads: usize, now: u64, latency_us: Option<f64>) -> Self {
        Self {
            instance,
            address,
            in_flight: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            changed: Notify::new(),
            shards: (0..threads).map(|_| Mutex::default()).collect(),
            patience: Patience::default(),
            standing: Standing {
                latency_us: AtomicU64::new(latency_us.unwrap_or(FIRST_LATENCY_US).to_bits()),
                sampled_at: AtomicU64::new(now),
                strikes: AtomicU32::new(0),
                ejections: AtomicU32::new(0),
                ejected_until: AtomicU64::new(0),
                ready_at: AtomicU64::new(now),
                check: AtomicU8::new(UNKNOWN),
                last_cause: Mutex::new(None),
            },
        }
    }

    /// Counts a request in. Absent while draining: then another one is to be chosen.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Lease> {
        // First count, then look; a drain first marks, then reads the count. With both in one total order no request can
        // slip in behind a drain that has seen zero.
        self.in_flight.fetch_add(1, SeqCst);
        let lease = Lease { backend: Arc::clone(self) };
        (!self.is_draining.load(SeqCst)).then_some(lease)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(SeqCst)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(SeqCst)
    }

    pub(super) fn mark_draining(&self, is_draining: bool) {
        self.is_draining.store(is_draining, SeqCst);
    }

    /// Waits until nothing is in flight; then closes the idle connections and waits until none is open. False when the
    /// time is up before.
    pub(super) async fn drain(&self, deadline: tokio::time::Instant) -> bool {
        let quiet = async {
            self.until(|| self.in_flight() == 0).await;
            self.close_idle();
            self.until(|| self.open.load(SeqCst) == 0).await;
        };
        tokio::time::timeout_at(deadline, quiet).await.is_ok()
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so() {
                return;
            }
            // The mark may be taken back meanwhile, so that nobody notifies: look again by itself now and then.
            let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
        }
    }

    /// Whether nothing of it is left but this value.
    pub(super) fn is_gone(&self) -> bool {
        self.in_flight() == 0 && self.open.load(SeqCst) == 0
    }

    fn notify(&self) {
        if self.is_draining() {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn connection_opened(&self) {
        self.open.fetch_add(1, SeqCst);
    }

    pub(super) fn connection_closed(&self) {
        self.open.fetch_sub(1, SeqCst);
        self.notify();
    }

    /// The youngest idle connection of a thread that is good for a request now.
    pub(super) fn take_idle(&self, thread: usize, now: u64, is_repeatable: bool) -> Option<Box<Connection>> {
        let mut shard = lock(&self.shards[thread]);
        while let Some(idle) = shard.pop() {
            let Some(since) = idle.idle_since() else { continue };
            let age = now.saturating_sub(since);
            self.patience.open_at_age(age);
            if age > self.patience.keep(now) {
                // The ones below are older still.
                shard.clear();
                return None;
            }
            if !is_repeatable && age > self.patience.trust(now) {
                shard.push(idle);
                return None;
            }
            return Some(idle);
        }
        None
    }

    /// Keeps a connection for the next request, unless the instance is draining.
    pub(super) fn put_idle(&self, thread: usize, idle: Box<Connection>) {
        let mut shard = lock(&self.shards[thread]);
        // Looked at under the lock: a drain marks before it sweeps.
        if !self.is_draining() && shard.len() < IDLE {
            shard.push(idle);
        }
    }

    /// Closes connections of a thread that were idle for too long, and those that the instance has closed.
    pub(super) fn close_old(&self, thread: usize, now: u64) {
        let keep = self.patience.keep(now);
        let is_young = |idle: &mut Box<Connection>| idle.idle_since().is_some_and(|since| now.saturating_sub(since) <= keep);
        let mut shard = lock(&self.shards[thread]);
        let old: Vec<_> = shard.extract_if(.., |idle| !is_young(idle)).collect();
        // The first is the oldest of those that are left.
        if let Some(since) = shard.first().and_then(|idle| idle.idle_since()) {
            self.patience.open_at_age(now.saturating_sub(since));
        }
        drop(shard);
        // Closed without the lock.
        drop(old);
    }

    pub(super) fn close_idle(&self) {
        for shard in &self.shards {
            lock(shard).clear();
        }
    }

    pub(super) fn cost(&self, now: u64) -> f64 {
        let age = now.saturating_sub(self.standing.ready_at.load(Relaxed));
        let since = now.saturating_sub(self.standing.sampled_at.load(Relaxed));
        balance::cost(self.in_flight.load(Relaxed), balance::faded(self.latency_us(), since), age)
    }

    pub(super) fn latency_us(&self) -> f64 {
        f64::from_bits(self.standing.latency_us.load(Relaxed))
    }

    fn sample(&self, us: u64, now: u64) {
        let since = now.saturating_sub(self.standing.sampled_at.swap(now, Relaxed));
        // Two threads may overwrite each other's sample: it is an average of many.
        self.standing.latency_us.store(balance::average(self.latency_us(), us, since).to_bits(), Relaxed);
    }

    pub(super) fn succeeded(&self, us: u64, now: u64) {
        self.sample(us, now);
        if self.standing.strikes.load(Relaxed) != 0 {
            self.standing.strikes.store(0, Relaxed);
        }
    }

    /// Notes a failed request; true when it was the last of so many in a row that it may be ejected.
    pub(super) fn failed(&self, median_us: f64, now: u64, cause: impl FnOnce() -> String) -> bool {
        self.sample(balance::failure_us(median_us), now);
        *lock(&self.standing.last_cause) = Some(cause());
        self.standing.strikes.fetch_add(1, Relaxed) + 1 >= balance::STRIKES
    }

    /// Takes it out of the pool for a while; then it starts slowly.
    pub(super) fn eject(&self, now: u64) {
        let until = self.standing.ejected_until.load(Relaxed);
        if until > now {
            return;
        }
        if until + FORGET_US < now {
            self.standing.ejections.store(0, Relaxed);
        }
        let until = now + balance::ejection_us(self.standing.ejections.fetch_add(1, Relaxed) + 1);
        self.standing.ejected_until.store(until, Relaxed);
        self.standing.ready_at.store(until, Relaxed);
        self.standing.strikes.store(0, Relaxed);
    }

    pub(super) fn is_ejected(&self, now: u64) -> bool {
        self.standing.ejected_until.load(Relaxed) > now
    }

    /// Whether requests may go to it when there is a choice.
    pub(super) fn is_well(&self, now: u64) -> bool {
        !self.is_ejected(now) && self.standing.check.load(Relaxed) != FAILING
    }

    pub(super) fn check_passed(&self, now: u64) {
        if self.standing.check.swap(PASSING, Relaxed) != PASSING {
            self.standing.ready_at.store(now, Relaxed);
        }
    }

    pub(super) fn check_failed(&self, cause: String) {
        self.standing.check.store(FAILING, Relaxed);
        *lock(&self.standing.last_cause) = Some(cause);
    }

    pub(super) fn is_passing(&self) -> bool {
        self.standing.check.load(Relaxed) == PASSING
    }

    /// Whether the last request to it failed.
    pub(super) fn fails(&self) -> bool {
        self.standing.strikes.load(Relaxed) > 0
    }

    pub(super) fn status(&self, now: u64) -> BackendStatus {
        let health = match self.standing.check.load(Relaxed) {
            _ if self.is_draining() => Health::Draining,
            _ if self.is_ejected(now) => Health::Ejected,
            PASSING => Health::Passing,
            FAILING => Health::Failing,
            _ => Health::Unknown,
        };
        BackendStatus { health, in_flight: self.in_flight() }
    }
}

/// A request in flight to an instance; counted out when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub backend: Arc<Backend>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.backend.in_flight.fetch_sub(1, SeqCst) == 1 {
            self.backend.notify();
        }
    }
}
