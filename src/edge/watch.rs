//! Deadlines of connections, looked at four times a second by each thread instead of one timer per request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::task::AtomicWaker;
use tokio::{task::AbortHandle, time::Instant};

/// Locks; a panic of another holder leaves nothing half done in this room's short sections.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Microseconds since the edge's start, monotonic. Never 0, which stands for "not set".
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> u64 {
        self.0.elapsed().as_micros() as u64 + 1
    }
}

/// The deadlines of one connection; when one has passed, the task that owns it is ended, and who waits for it is woken.
#[derive(Debug)]
pub(super) struct Watch {
    read_by: AtomicU64,
    write_by: AtomicU64,
    /// A client between two requests, of the next of which not a byte has come.
    is_between: AtomicBool,
    task: OnceLock<AbortHandle>,
    waiting: AtomicWaker,
    is_overdue: AtomicBool,
}

impl Watch {
    const NEVER: u64 = u64::MAX;

    pub(super) fn new() -> Self {
        Self {
            read_by: AtomicU64::new(Self::NEVER),
            write_by: AtomicU64::new(Self::NEVER),
            is_between: AtomicBool::new(false),
            task: OnceLock::new(),
            waiting: AtomicWaker::new(),
            is_overdue: AtomicBool::new(false),
        }
    }

    pub(super) fn owned_by(&self, task: AbortHandle) {
        // Set once, right after the spawn.
        let _ = self.task.set(task);
    }

    /// Wakes this task when a deadline has passed; then `is_overdue` tells so.
    pub(super) fn wakes(&self, waker: &std::task::Waker) {
        self.waiting.register(waker);
    }

    /// The other side must have sent something by then.
    pub(super) fn read_by(&self, at: u64) {
        self.read_by.store(at, Relaxed);
    }

    pub(super) fn no_read_limit(&self) {
        self.read_by.store(Self::NEVER, Relaxed);
    }

    /// The client has its answer and may be silent until then.
    pub(super) fn between_requests(&self, until: u64) {
        self.is_between.store(true, Relaxed);
        self.read_by.store(until, Relaxed);
    }

    /// Bytes came: when they are the first of a request, its head must be complete within the limit.
    pub(super) fn head_began(&self, clock: Clock, limit_us: u64) {
        if self.is_between.load(Relaxed) {
            self.is_between.store(false, Relaxed);
            self.read_by.store(clock.now().saturating_add(limit_us), Relaxed);
        }
    }

    /// The head is complete: the client has nothing to send but the body.
    pub(super) fn request_began(&self) {
        self.is_between.store(false, Relaxed);
        self.no_read_limit();
    }

    pub(super) fn is_between(&self) -> bool {
        self.is_between.load(Relaxed)
    }

    /// The other side took nothing just now: it must within the limit, counted from the first time.
    pub(super) fn write_blocked(&self, clock: Clock, limit_us: u64) {
        if self.write_by.load(Relaxed) == Self::NEVER {
            self.write_by.store(clock.now() + limit_us, Relaxed);
        }
    }

    pub(super) fn write_moved(&self) {
        if self.write_by.load(Relaxed) != Self::NEVER {
            self.write_by.store(Self::NEVER, Relaxed);
        }
    }

    /// Whether its task was ended for being late.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_overdue.load(Relaxed)
    }

    pub(super) fn end(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn look(&self, now: u64) {
        if self.read_by.load(Relaxed) < now || self.write_by.load(Relaxed) < now {
            self.is_overdue.store(true, Relaxed);
            self.end();
            self.waiting.wake();
        }
    }
}

/// The watched connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Watches {
    list: Mutex<(u64, HashMap<u64, Arc<Watch>>)>,
}

impl Watches {
    /// Looks after `watch` until the number given is taken out again.
    pub(super) fn add(&self, watch: Arc<Watch>) -> u64 {
        let mut list = lock(&self.list);
        list.0 += 1;
        let number = list.0;
        list.1.insert(number, watch);
        number
    }

    pub(super) fn remove(&self, number: u64) {
        lock(&self.list).1.remove(&number);
    }

    pub(super) fn look(&self, now: u64) {
        lock(&self.list).1.values().for_each(|watch| watch.look(now));
    }

    /// Ends the connections of clients that are between two requests.
    pub(super) fn end_idle(&self) {
        lock(&self.list).1.values().filter(|watch| watch.is_between()).for_each(|watch| watch.end());
    }
}
