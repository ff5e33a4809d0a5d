//! The edge: the public reverse proxy. It serves on when engine and console are dead.
//!
//! One thread per core, each with its own runtime and its own listening sockets: a request never changes its thread. One
//! more thread has the control door, health checks and proofs. The table in force is one pointer, seen by all at once.

mod access;
mod acked;
mod answer_head;
mod ask;
mod backend;
mod balance;
mod begun;
mod body;
mod check;
mod chunked;
mod connection;
mod content_type;
mod control;
mod converse;
mod counters;
mod download;
mod drain;
mod exchange;
mod forward;
mod headers;
mod http2;
mod internal;
mod latency;
mod listen;
mod passage;
mod pool;
mod prove;
mod range;
mod redirect;
mod routes;
mod served;
mod site;
mod socket;
mod table;
mod tls;
mod tunnel;
mod upload;
mod validity;
mod watch;
mod worker;

use std::{
    net::TcpListener,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc::SyncSender,
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{
        Settings, StateDir, clock,
        settings::{ConfigFile, EdgeSettings},
    },
    model::problem::Problem,
    wire::{self, edge::EdgeStart},
};
use access::AccessLog;
use listen::Kind;
use tls::Tls;
use worker::{Edge, Limits, Worker, spawn};

/// Longest time that requests in flight get when the edge ends.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long idle clients may still come with a request when the edge ends: closing at once would lose what is on its way.
const LINGER: Duration = Duration::from_millis(500);

/// The role `pilothouse edge STATE_FOLDER`, with the settings of `wire::edge::EdgeStart`. What goes wrong is told on
/// standard error, which its keeper keeps.
pub fn role(arguments: &[String]) -> ExitCode {
    let [folder] = arguments else {
        eprintln!("usage: pilothouse edge STATE_FOLDER");
        return ExitCode::from(2);
    };
    // Only the process's first subscriber is taken: there is no other in this role.
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    match start(folder).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn start(folder: &str) -> Result<Settings, Problem> {
    let absolute = std::path::absolute(folder);
    let absolute = absolute.map_err(|error| Problem::user(format!("`{folder}` is not a state folder: {error}")))?;
    let state = StateDir::new(absolute);
    let config = ConfigFile { edge: EdgeStart::read(&state)?.edge, ..ConfigFile::default() };
    // The edge starts no program and knows no reboot.
    Ok(Settings { state, config, binary: std::path::PathBuf::new(), boot_id: String::new() })
}

/// Runs the edge until it is asked to end, by SIGTERM, SIGINT or its control door.
///
/// Takes up the table of its last run first, so it serves at once. Fails when another edge runs on the same state, or
/// its port is not free after 10 s.
pub fn run(settings: Settings) -> Result<(), Problem> {
    let Settings { state, config, .. } = settings;
    let config = config.edge;
    state.create().map_err(|error| Problem::unavailable(format!("cannot make the state folder: {error}")).at(shown(&state)))?;
    let control = runtime()?;
    // First of all: it tells whether another edge runs here.
    let door = control.block_on(async { wire::http::bind(&state.edge_socket()) }).map_err(|error| door_taken(&state, &error))?;
    let serving = if config.threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { config.threads };
    let plain = listen::open(&config.http, serving, &state.edge())?;
    let secure = listen::open_secure(&config.https, serving, &state.edge())?;
    let lost = Arc::new(AtomicU64::new(0));
    let (log, writer) = access::writer(state.edge().join("access.log"), Arc::clone(&lost))
        .map_err(|error| Problem::unavailable(format!("cannot write the access log: {error}")).at(shown(&state)))?;
    let edge = Arc::new(edge(state, &config, (plain.addresses, secure.addresses), serving + 1, lost)?);
    table::restore(&edge)?;
    control.block_on(async { internal::restore(&edge) });
    let mut threads = Vec::new();
    let mut secure = secure.per_thread.into_iter();
    for (index, plain) in plain.per_thread.into_iter().enumerate() {
        let worker = worker(index, &edge, &log)?;
        let plain = plain.into_iter().map(|socket| (Kind::Plain, socket));
        let secure = secure.next().unwrap_or_default().into_iter().map(|socket| (Kind::Secure, socket));
        threads.push(serve(worker, plain.chain(secure).collect())?);
    }
    let own = worker(serving, &edge, &log)?;
    control.block_on(rule(own, door))?;
    for thread in threads {
        // A thread that panicked has told so itself.
        let _ = thread.join();
    }
    // Idle connections to instances may still hold what writes to the log: it is told to end, once all lines are in.
    let _ = log.send(access::END);
    let _ = writer.join();
    Ok(())
}

fn runtime() -> Result<Runtime, Problem> {
    let built = Builder::new_current_thread().enable_all().max_blocking_threads(16).build();
    built.map_err(|error| Problem::unavailable(format!("cannot start a thread's event loop: {error}")))
}

fn shown(state: &StateDir) -> String {
    state.edge().display().to_string()
}

fn door_taken(state: &StateDir, error: &std::io::Error) -> Problem {
    let socket = state.edge_socket().display().to_string();
    if error.kind() == std::io::ErrorKind::AddrInUse {
        return Problem::conflict("another edge runs on this state folder").at(socket);
    }
    Problem::unavailable(format!("cannot open the edge's control door: {error}")).at(socket)
}

fn edge(
    state: StateDir,
    config: &EdgeSettings,
    (http, https): (Vec<std::net::SocketAddr>, Vec<std::net::SocketAddr>),
    threads: usize,
    log_lines_lost: Arc<AtomicU64>,
) -> Result<Edge, Problem> {
    let trusted = config.trusted_proxies.iter().map(|proxy| {
        proxy.parse().map_err(|_| {
            Problem::user(format!("`{}` is not an address", proxy.escape_debug()))
                .at("edge.trusted_proxies")
                .hint("write the addresses of your proxies, such as 10.0.0.5")
        })
    });
    Ok(Edge {
        state,
        limits: Limits::new(config),
        trusted: trusted.collect::<Result<_, _>>()?,
        clock: watch::Clock::start(),
        started_at: clock::now(),
        http,
        https,
        tls: Tls::new(config)?,
        redirects: config.redirect,
        hsts: hsts(config),
        threads,
        domain: config.domain.clone(),
        live: arc_swap::ArcSwap::default(),
        swap: Mutex::new(()),
        internal: tokio::sync::watch::Sender::default(),
        retired: Mutex::default(),
        counters: counters::AllCounters::default(),
        proofs: prove::Proofs::default(),
        clients: AtomicUsize::new(0),
        unrouted: AtomicU64::new(0),
        log_lines_lost,
        is_stopping: AtomicBool::new(false),
        stop: CancellationToken::new(),
    })
}

/// `max-age` in seconds (RFC 6797 §6.1); absent when it is not wanted.
fn hsts(config: &EdgeSettings) -> Option<hyper::header::HeaderValue> {
    let seconds = config.hsts.0 / 1000;
    (seconds > 0).then(|| hyper::header::HeaderValue::from_str(&format!("max-age={seconds}")).ok()).flatten()
}

fn worker(index: usize, edge: &Arc<Edge>, log: &SyncSender<Vec<u8>>) -> Result<Arc<Worker>, Problem> {
    let seed = getrandom::u64().map_err(|error| Problem::internal(format!("the system gives no randomness: {error}")))?;
    let log = AccessLog::new(log.clone(), Arc::clone(&edge.log_lines_lost));
    Ok(Arc::new(Worker::new(index, Arc::clone(edge), log, seed)))
}

/// Starts a thread that serves clients until the edge stops and they are done.
fn serve(worker: Arc<Worker>, sockets: Vec<(Kind, TcpListener)>) -> Result<std::thread::JoinHandle<()>, Problem> {
    let runtime = runtime()?;
    let name = format!("edge-{}", worker.index);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(async {
            let tending = spawn(Arc::clone(&worker).tend());
            let accepting = sockets.into_iter().map(|(kind, socket)| listen::accept(Arc::clone(&worker), socket, kind));
            tokio::join!(futures_util::future::join_all(accepting), internal::accept(Arc::clone(&worker)));
            finish(&worker).await;
            tending.abort();
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        worker.log.flush();
    });
    thread.map_err(|error| Problem::unavailable(format!("cannot start a thread: {error}")))
}

/// Lets clients end: they are told so by their next answer, idle ones are closed after a while.
async fn finish(worker: &Worker) {
    let started = Instant::now();
    while worker.edge.clients.load(SeqCst) > 0 && started.elapsed() < LAST_REQUESTS {
        if started.elapsed() >= LINGER {
            worker.watches.end_idle();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Has the control door, checks and signals until the edge is asked to end and its clients are done.
async fn rule(worker: Arc<Worker>, door: tokio::net::UnixListener) -> Result<(), Problem> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signal = |error| Problem::internal(format!("cannot wait for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let edge = Arc::clone(&worker.edge);
    spawn(Arc::clone(&worker).tend());
    spawn(check::check_all(Arc::clone(&worker)));
    spawn(read_certificates(Arc::clone(&edge)));
    let door_open = edge.stop.clone();
    let asked = Arc::clone(&worker);
    let serving = wire::http::serve(door, door_open, move |request| control::answer(Arc::clone(&asked), request));
    let signals = async {
        tokio::select! {
            () = edge.stop.cancelled() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        edge.is_stopping.store(true, SeqCst);
        edge.stop.cancel();
    };
    tokio::join!(serving, signals);
    Ok(())
}

/// Looks every second whether files of certificates have changed.
async fn read_certificates(edge: Arc<Edge>) {
    while edge.tls.is_some() && !edge.stop.is_cancelled() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let edge = Arc::clone(&edge);
        // Files may lie on a slow disk.
        let read = tokio::task::spawn_blocking(move || edge.tls.iter().for_each(Tls::read_changed));
        let _ = read.await;
    }
}
