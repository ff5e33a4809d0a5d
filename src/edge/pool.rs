//! Connections to instances: made, used, kept, and what is known of a request when one breaks.

use std::{
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    acked,
    backend::{Backend, Lease},
    body::Outgoing,
    watch::{Clock, Watch},
    worker::{Worker, spawn},
};

/// Longest wait for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest buffer of a connection.
pub(super) const BUFFER: usize = 64 << 10;
/// How long idle connections are kept when the instance says nothing of it.
const KEEP_US: u64 = 1_500_000;
/// Longest time that they are kept whatever it says.
const LONGEST_KEEP_US: u64 = 60_000_000;
/// A learned limit is believed to have doubled after each of these without a further sign.
const DOUBT_US: u64 = 30_000_000;

/// How long an instance keeps its side of an idle connection: what it says, and what was seen.
#[derive(Debug)]
pub(super) struct Patience {
    said_us: AtomicU64,
    seen_us: AtomicU64,
    seen_at: AtomicU64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { said_us: AtomicU64::new(KEEP_US), seen_us: AtomicU64::new(u64::MAX), seen_at: AtomicU64::new(0) }
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
    fn closed_at_age(&self, age: u64, now: u64) {
        self.seen_us.store(self.limit(now).min(age), Relaxed);
        self.seen_at.store(now, Relaxed);
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

    /// Age below which one is good for a request that cannot simply be sent again.
    pub(super) fn trust(&self, now: u64) -> u64 {
        self.said_us.load(Relaxed).min(self.limit(now) / 2)
    }
}

const OPEN: u8 = 0;
/// The instance ended it in order: end of file, or a broken pipe after it.
const CLEAN: u8 = 1;
/// Reset, or anything else.
const TORN: u8 = 2;

/// What is known of one connection, beside the task that runs it.
#[derive(Debug)]
pub(super) struct Wire {
    written: AtomicU64,
    read: AtomicU64,
    /// 0 while a request is on it.
    idle_since: AtomicU64,
    end: AtomicU8,
    /// Bytes acknowledged when the end was seen; `u64::MAX` when unknown.
    acked: AtomicU64,
    pub watch: Arc<Watch>,
}

impl Wire {
    fn ended(&self, end: u8, socket: &TcpStream) {
        if self.end.load(Relaxed) == OPEN {
            self.acked.store(acked::acked(socket.as_fd()).unwrap_or(u64::MAX), Relaxed);
            self.end.store(end, Relaxed);
        }
    }
}

/// The socket of a connection, which counts what passes and notes how it ends.
#[derive(Debug)]
struct Counted {
    socket: TcpStream,
    wire: Arc<Wire>,
    stall_us: u64,
    clock: Clock,
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

impl Counted {
    fn closed_by_instance(&self) {
        let since = self.wire.idle_since.load(Relaxed);
        if since != 0 {
            let now = self.clock.now();
            self.open.backend.patience.closed_at_age(now.saturating_sub(since), now);
        }
        self.wire.ended(CLEAN, &self.socket);
    }

    fn wrote(&mut self, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &done {
            Poll::Ready(Ok(n)) => {
                self.wire.written.store(self.wire.written.load(Relaxed) + *n as u64, Relaxed);
                self.wire.watch.write_moved();
            }
            Poll::Ready(Err(error)) => {
                let end = if error.kind() == io::ErrorKind::BrokenPipe { CLEAN } else { TORN };
                self.wire.ended(end, &self.socket);
            }
            Poll::Pending => self.wire.watch.write_blocked(self.clock.now() + self.stall_us),
        }
        done
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        let done = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        let n = buf.filled().len() - before;
        match &done {
            Ok(()) if n > 0 => self.wire.read.store(self.wire.read.load(Relaxed) + n as u64, Relaxed),
            Ok(()) if room > 0 => self.closed_by_instance(),
            Ok(()) => {}
            Err(_) => self.wire.ended(TORN, &self.socket),
        }
        Poll::Ready(done)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.wrote(done)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.wrote(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A connection that waits for its next request.
#[derive(Debug)]
pub(super) struct Idle {
    sender: SendRequest<Outgoing>,
    wire: Arc<Wire>,
    pub since: u64,
}

impl Idle {
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.sender.is_ready()
    }
}

/// A connection with a request on it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Outgoing>,
    pub wire: Arc<Wire>,
    pub is_reused: bool,
    written_before: u64,
    read_before: u64,
    thread: usize,
    clock: Clock,
}

impl Connection {
    fn new(worker: &Worker, sender: SendRequest<Outgoing>, wire: Arc<Wire>, is_reused: bool) -> Self {
        wire.idle_since.store(0, Relaxed);
        let (written_before, read_before) = (wire.written.load(Relaxed), wire.read.load(Relaxed));
        Self { sender, wire, is_reused, written_before, read_before, thread: worker.index, clock: worker.edge.clock }
    }

    /// Keeps it for the next request. Its answer must have been read to the end.
    pub(super) fn keep(self, backend: &Arc<Backend>) {
        let Self { mut sender, wire, thread, clock, .. } = self;
        if sender.is_closed() || backend.is_draining() {
            return;
        }
        let put = move |backend: &Backend, sender| {
            let since = clock.now();
            wire.idle_since.store(since, Relaxed);
            backend.put_idle(thread, Idle { sender, wire, since });
        };
        if sender.is_ready() {
            put(backend, sender);
            return;
        }
        // The task of the connection has yet to notice that the answer is read.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let backend = Arc::clone(backend);
        runtime.spawn(async move {
            if sender.ready().await.is_ok() {
                put(&backend, sender);
            }
        });
    }

    /// What became of a request whose answer did not come.
    fn fate(&self) -> Fate {
        let wire = &self.wire;
        if wire.watch.is_overdue() {
            return Fate::TimedOut;
        }
        if wire.read.load(Relaxed) != self.read_before {
            return Fate::Broken;
        }
        let acked = wire.acked.load(Relaxed);
        let is_unseen = self.is_reused && wire.end.load(Relaxed) == CLEAN && acked <= self.written_before;
        if is_unseen { Fate::Unseen } else { Fate::Unanswered }
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
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub fate: Fate,
    /// `connection refused`, `no answer in 60 s`.
    pub cause: String,
    /// The request itself, when it was not sent.
    pub request: Option<Box<Request<Outgoing>>>,
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
    /// None, and the new one can become a tunnel.
    Tunnel,
}

/// A connection to the instance of a lease, kept or new.
pub(super) async fn connection(worker: &Arc<Worker>, lease: &Lease, reuse: Reuse) -> io::Result<Connection> {
    let backend = &lease.backend;
    if matches!(reuse, Reuse::Any | Reuse::Young) {
        let idle = backend.take_idle(worker.index, worker.edge.clock.now(), reuse == Reuse::Any);
        if let Some(Idle { sender, wire, .. }) = idle {
            return Ok(Connection::new(worker, sender, wire, true));
        }
    }
    connect(worker, backend, reuse == Reuse::Tunnel).await
}

async fn connect(worker: &Arc<Worker>, backend: &Arc<Backend>, is_tunnel: bool) -> io::Result<Connection> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {} s", CONNECT.as_secs()));
    let socket = tokio::time::timeout(CONNECT, TcpStream::connect(backend.address)).await.map_err(late)??;
    socket.set_nodelay(true)?;
    let watch = Arc::new(Watch::new());
    let wire = Arc::new(Wire {
        written: AtomicU64::new(0),
        read: AtomicU64::new(0),
        idle_since: AtomicU64::new(0),
        end: AtomicU8::new(OPEN),
        acked: AtomicU64::new(u64::MAX),
        watch: Arc::clone(&watch),
    });
    backend.connection_opened();
    let watched = worker.watches.add(Arc::clone(&watch));
    let open = Open { backend: Arc::clone(backend), worker: Arc::clone(worker), watched };
    let (stall_us, clock) = (worker.edge.limits.answer_us, worker.edge.clock);
    let counted = Counted { socket, wire: Arc::clone(&wire), stall_us, clock, open };
    let handshake = Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(counted)).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    // How it ends is told to the request on it and noted in `wire`.
    let task =
        if is_tunnel { spawn(async { drop(connection.with_upgrades().await) }) } else { spawn(async { drop(connection.await) }) };
    watch.owned_by(task);
    Ok(Connection::new(worker, sender, wire, false))
}

/// Sends a request and waits for the head of its answer.
pub(super) async fn exchange(
    connection: &mut Connection,
    mut request: Request<Outgoing>,
    answer_by: u64,
) -> Result<Response<Incoming>, Failure> {
    let watch = &connection.wire.watch;
    match request.body_mut() {
        // The wait for an answer begins when the client has sent everything.
        Outgoing::Stream(body) => body.then_answer_within(Arc::clone(watch)),
        _ => watch.read_by(answer_by),
    }
    let sent = connection.sender.try_send_request(request).await;
    connection.wire.watch.no_read_limit();
    sent.map_err(|mut error| match error.take_message() {
        Some(request) => {
            Failure { fate: Fate::Unsent, cause: "the connection was closed".to_owned(), request: Some(Box::new(request)) }
        }
        None => Failure { fate: connection.fate(), cause: cause(error.error()), request: None },
    })
}

/// The innermost reason, which is the one that helps.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
