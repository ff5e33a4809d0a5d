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
mod extended_connect;
mod forward;
mod handover;
mod headers;
mod http2;
mod internal;
mod latency;
mod listen;
mod passage;
mod passed;
mod pool;
mod ports;
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
    config::{StateDir, clock, settings::EdgeSettings},
    model::{edge::Slot, problem::Problem},
    wire::{
        self,
        edge::{EdgeStart, Successor},
    },
};
use access::AccessLog;
use listen::Kind;
use ports::Listeners;
use tls::Tls;
use worker::{Edge, Limits, Worker, spawn};

/// Longest time that requests in flight get when the edge ends.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long idle clients may still come with a request when the edge ends: closing at once would lose what is on its way.
const LINGER: Duration = Duration::from_millis(500);
/// Longest time that an edge which was replaced serves what it has, tunnels too.
const PARTING: Duration = Duration::from_secs(600);
/// Status after a signal: a keeper that did not send it starts the edge again (128 and SIGTERM, as shells count).
const SIGNALLED: u8 = 143;

/// Why an edge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to by its door, or it was replaced and is done.
    Asked,
    /// By SIGTERM or SIGINT.
    Signalled,
    /// Another edge serves.
    Unneeded,
}

/// The role `pilothouse edge run STATE_FOLDER SLOT`, with the settings of `wire::edge::EdgeStart`. What goes wrong is told
/// on standard error, which its keeper keeps.
pub fn role(arguments: &[String]) -> ExitCode {
    let known = |[folder, slot]: &[String; 2]| Some((std::path::absolute(folder).ok()?, Slot::parse(slot)?));
    let Some((folder, slot)) = arguments.try_into().ok().and_then(known) else {
        eprintln!("usage: pilothouse edge run STATE_FOLDER SLOT");
        return ExitCode::from(2);
    };
    // Only the process's first subscriber is taken: there is no other in this role.
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    match run(StateDir::new(folder), slot) {
        Ok(Ended::Asked) => ExitCode::SUCCESS,
        Ok(Ended::Signalled) => ExitCode::from(SIGNALLED),
        Ok(Ended::Unneeded) => {
            tracing::info!(%slot, "another edge serves: this one is not needed");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an edge until it is asked to end, by SIGTERM, SIGINT or its control door, or was replaced and is done.
///
/// Takes up the table of the edge before first, so it serves at once, and its listening sockets when it still has them.
/// A port that another program holds is waited for. Fails when an edge of this slot runs; of one that was to replace
/// another also when its port is not free after 10 s: the edge before then serves on. What keeps it from serving is told
/// by `wire::waiting`.
pub fn run(state: StateDir, slot: Slot) -> Result<Ended, Problem> {
    state.create().map_err(|error| Problem::unavailable(format!("cannot make the state folder: {error}")).at(shown(&state)))?;
    let control = runtime()?;
    // First of all: it tells whether this edge runs already.
    let place = state.edge_door(slot);
    let door = control.block_on(async { wire::http::bind(&place) }).map_err(|error| door_taken(&place, &error))?;
    let _ = wire::waiting::over(&state, slot);
    let ended = serve_from(&state, slot, &control, door);
    if let Err(problem) = &ended {
        // Without it only the log tells.
        let _ = wire::waiting::tell(&state, slot, problem);
    }
    ended
}

fn serve_from(state: &StateDir, slot: Slot, control: &Runtime, door: tokio::net::UnixListener) -> Result<Ended, Problem> {
    let EdgeStart { edge: config, replaces } = EdgeStart::read(state, slot)?;
    let me = Successor { slot, replaces };
    let serving = if config.threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { config.threads };
    let Some((plain, secure, handed)) = control.block_on(handover::listeners(state, me, &config, serving))? else {
        return Ok(Ended::Unneeded);
    };
    let lost = Arc::new(AtomicU64::new(0));
    let (log, writer) = access::writer(state.edge().join("access.log"), Arc::clone(&lost))
        .map_err(|error| Problem::unavailable(format!("cannot write the access log: {error}")).at(shown(state)))?;
    let edge = Arc::new(edge(state.clone(), slot, &config, (&plain, &secure), serving + 1, lost)?);
    table::restore(&edge)?;
    control.block_on(async { internal::restore(&edge, &handed) });
    // What this edge does not listen on must not be kept open.
    drop(handed);
    // Until here the edge before does not know of this one; from here on this one is asked.
    handover::take_place(&edge, &config)?;
    plain.remember()?;
    secure.remember()?;
    let mut threads = Vec::new();
    let mut secure = secure.per_thread.into_iter();
    for (index, plain) in plain.per_thread.into_iter().enumerate() {
        let worker = worker(index, &edge, &log)?;
        let plain = plain.into_iter().map(|socket| (Kind::Plain, socket));
        let secure = secure.next().unwrap_or_default().into_iter().map(|socket| (Kind::Secure, socket));
        threads.push(serve(worker, plain.chain(secure).collect())?);
    }
    let own = worker(serving, &edge, &log)?;
    let ended = control.block_on(rule(own, door, me))?;
    for thread in threads {
        // A thread that panicked has told so itself.
        let _ = thread.join();
    }
    // Idle connections to instances may still hold what writes to the log: it is told to end, once all lines are in.
    let _ = log.send(access::END);
    let _ = writer.join();
    // Nobody need ask here any more.
    let _ = std::fs::remove_file(state.edge_door(slot));
    Ok(ended)
}

fn runtime() -> Result<Runtime, Problem> {
    let built = Builder::new_current_thread().enable_all().max_blocking_threads(16).build();
    built.map_err(|error| Problem::unavailable(format!("cannot start a thread's event loop: {error}")))
}

fn shown(state: &StateDir) -> String {
    state.edge().display().to_string()
}

fn door_taken(door: &std::path::Path, error: &std::io::Error) -> Problem {
    let place = door.display().to_string();
    if error.kind() == std::io::ErrorKind::AddrInUse {
        return Problem::conflict("another edge runs on this state folder").at(place);
    }
    Problem::unavailable(format!("cannot open the edge's control door: {error}")).at(place)
}

fn edge(
    state: StateDir,
    slot: Slot,
    config: &EdgeSettings,
    (plain, secure): (&Listeners, &Listeners),
    threads: usize,
    log_lines_lost: Arc<AtomicU64>,
) -> Result<Edge, Problem> {
    let copies = |listeners: &Listeners| {
        listeners.copies().map_err(|error| Problem::unavailable(format!("cannot copy the listening sockets: {error}")))
    };
    let mut sockets = copies(plain)?;
    sockets.extend(copies(secure)?);
    let trusted = config.trusted_proxies.iter().map(|proxy| {
        proxy.parse().map_err(|_| {
            Problem::user(format!("`{}` is not an address", proxy.escape_debug()))
                .at("edge.trusted_proxies")
                .hint("write the addresses of your proxies, such as 10.0.0.5")
        })
    });
    Ok(Edge {
        state,
        slot,
        limits: Limits::new(config),
        trusted: trusted.collect::<Result<_, _>>()?,
        clock: watch::Clock::start(),
        started_at: clock::now(),
        http: plain.addresses.clone(),
        https: secure.addresses.clone(),
        moved: plain.moved.clone(),
        moved_from: plain.moved_from,
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
        sockets: Mutex::new(sockets),
        is_replaced: AtomicBool::new(false),
        is_stopping: AtomicBool::new(false),
        closing: CancellationToken::new(),
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

/// Starts a thread that serves clients until the edge accepts no more and they are done.
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

/// Lets clients end: they are told so by their next answer. Idle ones have their usual time, but little once the edge ends.
async fn finish(worker: &Worker) {
    let edge = &worker.edge;
    let mut ends_since = None;
    while edge.clients.load(SeqCst) > 0 {
        if edge.stop.is_cancelled() {
            let ends_for = ends_since.get_or_insert_with(Instant::now).elapsed();
            if ends_for >= LAST_REQUESTS {
                return;
            }
            if ends_for >= LINGER {
                worker.watches.end_idle();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Has the control door, checks and signals until the edge is asked to end, or was replaced and its clients are done.
async fn rule(worker: Arc<Worker>, door: tokio::net::UnixListener, me: Successor) -> Result<Ended, Problem> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signal = |error| Problem::internal(format!("cannot wait for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    let edge = Arc::clone(&worker.edge);
    spawn(Arc::clone(&worker).tend());
    spawn(check::check_all(Arc::clone(&worker)));
    spawn(read_certificates(Arc::clone(&edge)));
    spawn(handover::tell_others(Arc::clone(&edge), me));
    let door_open = edge.stop.clone();
    let asked = Arc::clone(&worker);
    let serving = wire::http::serve(door, door_open, move |request| control::answer(Arc::clone(&asked), request));
    let ended = async {
        let ended = tokio::select! {
            () = edge.stop.cancelled() => Ended::Asked,
            () = parted(&edge) => Ended::Asked,
            _ = terminate.recv() => Ended::Signalled,
            _ = interrupt.recv() => Ended::Signalled,
        };
        edge.end();
        ended
    };
    let ((), ended) = tokio::join!(serving, ended);
    Ok(ended)
}

/// Until the edge was replaced and its clients are done, or have had their time.
async fn parted(edge: &Edge) {
    edge.closing.cancelled().await;
    let began = Instant::now();
    while edge.clients.load(SeqCst) > 0 && began.elapsed() < PARTING {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
