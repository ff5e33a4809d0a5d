//! One connection to an instance: what passes is counted, and how it ends is noted, so that it is known what became of a
//! request when it breaks.

use std::{
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    acked,
    backend::Backend,
    pool::Fate,
    socket::Watched,
    watch::{Clock, Watch},
    worker::Worker,
};

/// Room for the head of an answer, and for a small body with it.
const ROOM: usize = 8 << 10;
/// Buffers of an idle connection that grew beyond this are given back.
const KEPT_ROOM: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The instance ended it in order: end of file, or a broken pipe after it.
    Clean,
    /// Reset, or anything else.
    Torn,
}

#[derive(Debug)]
pub(super) struct Connection {
    socket: Watched,
    /// Read and not taken yet.
    pub received: BytesMut,
    /// To be written: `out` from `out_at` on, then `chunk`.
    pub out: Vec<u8>,
    out_at: usize,
    pub chunk: Bytes,
    written: u64,
    read: u64,
    written_before: u64,
    read_before: u64,
    end: End,
    /// Bytes acknowledged when the end was seen; `u64::MAX` when unknown.
    acked: u64,
    idle: Arc<IdleSince>,
    waker: Waker,
    // After the socket, since fields are dropped in this order: a drain must not see it closed before it is.
    open: Open,
}

/// Counts a connection as open.
#[derive(Debug)]
struct Open {
    backend: Arc<Backend>,
    worker: Arc<Worker>,
    watched: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.watches.remove(self.watched);
        self.backend.connection_closed();
    }
}

/// Since when a connection is idle. It is woken when the instance ends it, or says something unasked.
#[derive(Debug)]
struct IdleSince {
    /// `IN_USE`, `STIRRED`, or the time.
    at: AtomicU64,
    backend: Arc<Backend>,
    clock: Clock,
}

const IN_USE: u64 = 0;
const STIRRED: u64 = u64::MAX;

impl Wake for IdleSince {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let since = self.at.load(Relaxed);
        if since != IN_USE && since != STIRRED {
            self.at.store(STIRRED, Relaxed);
            let now = self.clock.now();
            self.backend.patience.closed_at_age(now.saturating_sub(since), now);
        }
    }
}

impl Connection {
    pub(super) fn new(worker: &Arc<Worker>, backend: &Arc<Backend>, tcp: TcpStream) -> Box<Self> {
        let (clock, stall_us) = (worker.edge.clock, worker.edge.limits.answer_us);
        let watch = Arc::new(Watch::new());
        backend.connection_opened();
        let watched = worker.watches.add(Arc::clone(&watch));
        let idle = Arc::new(IdleSince { at: AtomicU64::new(IN_USE), backend: Arc::clone(backend), clock });
        Box::new(Self {
            socket: Watched { tcp, watch, clock, head_us: u64::MAX, stall_us },
            received: BytesMut::new(),
            out: Vec::new(),
            out_at: 0,
            chunk: Bytes::new(),
            written: 0,
            read: 0,
            written_before: 0,
            read_before: 0,
            end: End::Open,
            acked: u64::MAX,
            waker: Waker::from(Arc::clone(&idle)),
            idle,
            open: Open { backend: Arc::clone(backend), worker: Arc::clone(worker), watched },
        })
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.socket.watch
    }

    /// Begins a request on a connection that was kept.
    pub(super) fn reuse(&mut self) {
        self.idle.at.store(IN_USE, Relaxed);
        (self.written_before, self.read_before) = (self.written, self.read);
    }

    /// Since when it is idle; absent when the instance has ended it.
    pub(super) fn idle_since(&self) -> Option<u64> {
        Some(self.idle.at.load(Relaxed)).filter(|at| *at != STIRRED)
    }

    /// Keeps it for the next request. The last one's answer must have been read to the end, and nothing else.
    pub(super) fn keep(mut self: Box<Self>) {
        let Open { backend, worker, .. } = &self.open;
        if self.end != End::Open || backend.is_draining() || self.watch().is_overdue() {
            return;
        }
        if self.received.capacity() > KEPT_ROOM {
            self.received = BytesMut::new();
        }
        if self.out.capacity() > KEPT_ROOM {
            self.out = Vec::new();
        }
        let (backend, thread, now) = (Arc::clone(backend), worker.index, worker.edge.clock.now());
        self.idle.at.store(now, Relaxed);
        if self.is_quiet() {
            backend.put_idle(thread, self);
        }
    }

    /// Whether the instance says nothing; from now on it is noted when it does.
    fn is_quiet(&mut self) -> bool {
        // Without budget tokio would wake at once, which would be taken for the instance's doing.
        if !tokio::task::coop::has_budget_remaining() {
            return false;
        }
        let mut cx = Context::from_waker(&self.waker);
        // Readiness may be left over from what was read: then reading says so, and it can be waited for again.
        while self.socket.tcp.poll_read_ready(&mut cx).is_ready() {
            match self.socket.tcp.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return false,
            }
        }
        true
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.out_at < self.out.len() || !self.chunk.is_empty()
    }

    /// Nothing of the request on it was written.
    pub(super) fn is_unsent(&self) -> bool {
        self.written == self.written_before
    }

    /// Writes what is to be written.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_unsent() {
            let head = &self.out[self.out_at..];
            let socket = Pin::new(&mut self.socket);
            let wrote = match (head.is_empty(), self.chunk.is_empty()) {
                (false, true) => socket.poll_write(cx, head),
                (true, false) => socket.poll_write(cx, &self.chunk),
                _ => socket.poll_write_vectored(cx, &[io::IoSlice::new(head), io::IoSlice::new(&self.chunk)]),
            };
            match ready!(wrote) {
                Ok(n) => {
                    self.written += n as u64;
                    let of_head = n.min(self.out.len() - self.out_at);
                    self.out_at += of_head;
                    self.chunk.advance(n - of_head);
                }
                Err(error) => {
                    self.ended(if error.kind() == io::ErrorKind::BrokenPipe { End::Clean } else { End::Torn });
                    return Poll::Ready(Err(error));
                }
            }
        }
        self.out.clear();
        self.out_at = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives up what is still to be written.
    pub(super) fn forget_unsent(&mut self) {
        self.out.clear();
        self.out_at = 0;
        self.chunk = Bytes::new();
    }

    /// Reads more, up to `room` bytes at once; 0 at the end.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.received.reserve(room.max(ROOM));
        match ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.received)) {
            Ok(0) => {
                self.ended(End::Clean);
                Poll::Ready(Ok(0))
            }
            Ok(n) => {
                self.read += n as u64;
                Poll::Ready(Ok(n))
            }
            Err(error) => {
                self.ended(End::Torn);
                Poll::Ready(Err(error))
            }
        }
    }

    fn ended(&mut self, end: End) {
        if self.end == End::Open {
            self.acked = acked::acked(self.socket.tcp.as_fd()).unwrap_or(u64::MAX);
            self.end = end;
        }
    }

    /// What became of a request whose answer did not come.
    pub(super) fn fate(&self) -> Fate {
        if self.watch().is_overdue() {
            return Fate::TimedOut;
        }
        if self.read != self.read_before {
            return Fate::Broken;
        }
        if self.is_unsent() && self.end != End::Open {
            return Fate::Unsent;
        }
        let is_unseen = self.end == End::Clean && self.acked <= self.written_before;
        if is_unseen { Fate::Unseen } else { Fate::Unanswered }
    }
}

/// Once it is a tunnel: first what was read already.
impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.received.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let n = buf.remaining().min(self.received.len());
        buf.put_slice(&self.received.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
