//! Connections to instances: made, kept no longer than the instance keeps them, and what is known of a request when one breaks.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::net::TcpStream;

use super::{backend::Backend, connection::Connection, worker::Worker};

/// Longest wait for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest buffer of a client's connection.
pub(super) const BUFFER: usize = 64 << 10;
/// How long idle connections are kept when the instance says nothing of it.
const KEEP_US: u64 = 1_500_000;
/// Longest time that they are kept whatever it says.
const LONGEST_KEEP_US: u64 = 60_000_000;
/// Age up to which any connection is trusted until one was seen closed: no instance ends one between two requests in a row.
const TRUSTED_US: u64 = 2_000;
/// A learned limit is believed to have doubled after each of these without a further sign.
const DOUBT_US: u64 = 30_000_000;

/// How long an instance keeps its side of an idle connection: what it says, and what was seen.
#[derive(Debug)]
pub(super) struct Patience {
    said_us: AtomicU64,
    seen_us: AtomicU64,
    seen_at: AtomicU64,
    /// Greatest age at which one was still open.
    alive_us: AtomicU64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            said_us: AtomicU64::new(KEEP_US),
            seen_us: AtomicU64::new(u64::MAX),
            seen_at: AtomicU64::new(0),
            alive_us: AtomicU64::new(0),
        }
    }
}

impl Patience {
    /// Takes the instance's word, `Keep-Alive: timeout=N`, less a second for what is on its way.
    pub(super) fn said(&self, seconds: u64) {
        let us = seconds.saturating_sub(1).saturating_mul(1_000_000).min(LONGEST_KEEP_US);
        if us != self.said_us.load(Relaxed) {
            self.said_us.store(us, Relaxed);
        }
    }

    /// It closed a connection that had been idle for this long.
    pub(super) fn closed_at_age(&self, age: u64, now: u64) {
        self.seen_us.store(self.limit(now).min(age), Relaxed);
        self.seen_at.store(now, Relaxed);
        self.alive_us.fetch_min(age, Relaxed);
    }

    /// A connection that had been idle for this long was still open.
    pub(super) fn open_at_age(&self, age: u64) {
        if age > self.alive_us.load(Relaxed) {
            self.alive_us.fetch_max(age, Relaxed);
        }
    }

    fn limit(&self, now: u64) -> u64 {
        let seen = self.seen_us.load(Relaxed);
        let doublings = (now.saturating_sub(self.seen_at.load(Relaxed)) / DOUBT_US).min(32) as u32;
        seen.saturating_mul(1 << doublings)
    }

    /// Age up to which a connection is kept.
    pub(super) fn keep(&self, now: u64) -> u64 {
        self.said_us.load(Relaxed).min(self.limit(now))
    }

    /// Age below which one is good for a request that cannot simply be sent again: half of what was seen to be safe.
    pub(super) fn trust(&self, now: u64) -> u64 {
        self.said_us.load(Relaxed).min(self.limit(now) / 2).min((self.alive_us.load(Relaxed) / 2).max(TRUSTED_US))
    }
}

/// What is known of a request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// No connection could be made.
    Unreachable,
    /// Not a byte of it was written.
    Unsent,
    /// The instance had closed the connection before any byte of it arrived: TCP proves it.
    Unseen,
    /// It may have been applied, though no byte of an answer came.
    Unanswered,
    /// It may have been applied, and no answer came in time.
    TimedOut,
    /// A part of an answer came, which is not HTTP or broke off.
    Broken,
    /// The client's own body broke off: not the instance's doing.
    ClientGone,
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub fate: Fate,
    /// `connection refused`, `connection reset`.
    pub cause: String,
}

/// Which connections a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Any that is kept.
    Any,
    /// Only one that the instance has surely not closed: the request cannot simply be sent again.
    Young,
    /// None.
    Never,
}

/// A connection to an instance, kept or new.
pub(super) async fn connection(worker: &Arc<Worker>, backend: &Arc<Backend>, reuse: Reuse) -> io::Result<Box<Connection>> {
    if reuse != Reuse::Never
        && let Some(mut kept) = backend.take_idle(worker.index, worker.edge.clock.now(), reuse == Reuse::Any)
    {
        kept.reuse();
        return Ok(kept);
    }
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {} s", CONNECT.as_secs()));
    let socket = tokio::time::timeout(CONNECT, TcpStream::connect(backend.address)).await.map_err(late)??;
    socket.set_nodelay(true)?;
    Ok(Connection::new(worker, backend, socket))
}
