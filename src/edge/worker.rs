//! What all threads of the edge share, and what each has for itself.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::header::HeaderValue;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::{
    access::AccessLog,
    backend::Backend,
    counters::AllCounters,
    internal::Open,
    prove::Proofs,
    served::Live,
    tls::Tls,
    watch::{Clock, Watches, lock},
};
use crate::{
    config::{StateDir, settings::EdgeSettings},
    model::{edge::Slot, ids::InstanceId, problem::Problem, units::Timestamp},
};

/// A value on cache lines of its own: threads that write neighbours would slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub T);

/// Limits in microseconds, as connections need them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub header_us: u64,
    pub idle_us: u64,
    pub answer_us: u64,
    pub connections: usize,
}

impl Limits {
    pub(super) fn new(settings: &EdgeSettings) -> Self {
        let us = |span: crate::model::units::Millis| span.0.saturating_mul(1000);
        Self {
            header_us: us(settings.header_timeout),
            idle_us: us(settings.idle_timeout),
            answer_us: us(settings.answer_timeout),
            connections: settings.connections,
        }
    }
}

/// The whole edge.
#[derive(Debug)]
pub(super) struct Edge {
    pub state: StateDir,
    pub slot: Slot,
    pub limits: Limits,
    pub trusted: Vec<IpAddr>,
    pub clock: Clock,
    pub started_at: Timestamp,
    /// Public listeners.
    pub http: Vec<SocketAddr>,
    pub https: Vec<SocketAddr>,
    /// Why the port is another one since this start.
    pub moved: Option<Problem>,
    /// The port of before, which another program had.
    pub moved_from: Option<u16>,
    /// Where containers of this machine ask.
    pub internal: tokio::sync::watch::Sender<Open>,
    /// Absent without a listener for HTTPS.
    pub tls: Option<Tls>,
    /// Plain HTTP leads to HTTPS.
    pub redirects: bool,
    /// `Strict-Transport-Security` of secure answers.
    pub hsts: Option<HeaderValue>,
    /// Threads that have connections: those that serve, and one that checks and proves.
    pub threads: usize,
    /// Domain below which each app has a name; empty: none.
    pub domain: String,
    pub live: ArcSwap<Live>,
    /// Held while a table is put in force.
    pub swap: Mutex<()>,
    /// Instances that left the table, until nothing of them is left.
    pub retired: Mutex<HashMap<InstanceId, Vec<Arc<Backend>>>>,
    pub counters: AllCounters,
    pub proofs: Proofs,
    /// Connections of clients, tunnels too.
    pub clients: AtomicUsize,
    pub unrouted: AtomicU64,
    pub log_lines_lost: Arc<AtomicU64>,
    /// The listening sockets, to hand over; none once it accepts no more.
    pub sockets: Mutex<Vec<TcpListener>>,
    /// Another edge serves: tables are followed, not kept.
    pub is_replaced: AtomicBool,
    /// No more connections; each answer ends its connection.
    pub is_stopping: AtomicBool,
    /// As `is_stopping`, to wait for.
    pub closing: CancellationToken,
    /// It ends soon, whatever is open.
    pub stop: CancellationToken,
}

impl Edge {
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced.load(SeqCst)
    }

    /// Accepts no more connections.
    pub(super) fn close(&self) {
        self.is_stopping.store(true, SeqCst);
        // Before the threads take what waits in theirs: a copy that is closed later would reset what came meanwhile.
        lock(&self.sockets).clear();
        self.internal.send_if_modified(|open| {
            open.copies.clear();
            // The threads go on with theirs until they have taken what waits.
            false
        });
        self.closing.cancel();
    }

    /// Ends: what is open gets little time.
    pub(super) fn end(&self) {
        self.close();
        self.stop.cancel();
    }

    pub(super) fn count_unrouted(&self) {
        self.unrouted.fetch_add(1, Relaxed);
    }
}

/// One thread's own part.
#[derive(Debug)]
pub(super) struct Worker {
    pub index: usize,
    pub edge: Arc<Edge>,
    pub watches: Watches,
    pub log: AccessLog,
    random: AtomicU64,
}

impl Worker {
    pub(super) fn new(index: usize, edge: Arc<Edge>, log: AccessLog, seed: u64) -> Self {
        Self { index, edge, watches: Watches::default(), log, random: AtomicU64::new(seed) }
    }

    /// A random number that may be guessed (splitmix64).
    pub(super) fn random(&self) -> u64 {
        let state = self.random.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.store(state, Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Looks after deadlines, idle connections and the log until the thread ends.
    pub(super) async fn tend(self: Arc<Self>) {
        const TICK: Duration = Duration::from_millis(100);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for tick in 0_u64.. {
            ticks.tick().await;
            self.log.flush();
            if tick % 3 == 0 {
                let now = self.edge.clock.now();
                self.watches.look(now);
                for backend in self.edge.live.load().backends.values() {
                    backend.close_old(self.index, now);
                }
            }
        }
    }
}

/// Starts a task of a connection on this thread. It ends with its connection, at the latest with the thread.
#[expect(clippy::disallowed_methods, reason = "the edge's workers own their connections' tasks")]
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(task).abort_handle()
}
