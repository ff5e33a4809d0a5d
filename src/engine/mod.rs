//! The engine: owns the fleet's state, the journal, tasks and controllers. Assembly, in visible order.

pub mod api;
pub mod controllers;
pub mod degraded;
pub mod faults;
pub mod figures;
pub mod fleet;
pub mod journal;
pub mod masking;
pub mod observer;
pub mod strays;
pub mod supervisor;
pub mod wiring;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, Semaphore, broadcast::error::RecvError, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{
    api::Door,
    controllers::{
        Controller,
        commands::Commands,
        deployments::Deployments,
        instances::Instances,
        orders::{Interrupts, Orders},
        watches::Watches,
    },
    faults::Faults,
    fleet::Hub,
    journal::Journal,
    observer::looks::Looks,
    supervisor::Supervisor,
    wiring::{NoGate, OnlyHost},
};
use crate::{
    config::{Settings, clock, load, state_dir},
    model::{
        change::Change,
        fleet::{EngineStatus, Level},
        ids::{DeploymentId, InstanceId},
        order::{Outcome, Report, Work},
        problem::{Problem, ProblemKind},
    },
    secrets::{Secrets, known::Known, seal::Seal},
    store::sqlite::Sqlite,
    telemetry::logs::LogStore,
    wire::{agent::AgentClient, http},
};

/// How often the engine asks itself whether anything still depends on it.
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// No branch is looked at more often, whatever the settings say.
const FASTEST_WATCH: Duration = Duration::from_millis(200);
/// Longest wait for tasks to end.
const ENDING: Duration = Duration::from_secs(5);

/// Runs an engine until it is asked to end, or nothing depends on it for its time of grace.
///
/// `agent` and `reports` lead to this machine's agent, which runs as `running` once this engine is the only one. Refused when another engine holds the state folder, or when its
/// journal cannot be used. Values of secrets become known to `known_values`, whoever else masks by it.
pub async fn run(
    settings: Settings,
    agent: AgentClient,
    reports: mpsc::Receiver<Report>,
    running: impl Future<Output = ()> + Send + 'static,
    known_values: Known,
) -> Result<(), Problem> {
    settings.state.create().map_err(|error| unusable(&settings, &error))?;
    let _lock = lock(&settings)?;
    let store = Sqlite::open(&settings.state.journal())?;
    let (journal, mut known) =
        Journal::open(Box::new(store), strays::lease_in_force(&settings.state), Faults::from_environment())?;
    strays::put_aside(&settings.state, &known).map_err(|error| unusable(&settings, &error))?;
    let (looks, surveyed, looked) = Looks::begin(&mut known);
    // Plans are made before the edge has said how it is.
    known.edge.domain.clone_from(&settings.config.edge.domain);
    let socket = settings.state.engine_socket();
    known.engine = EngineStatus {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        socket: socket.display().to_string(),
        state_dir: settings.state.root().display().to_string(),
        started_at: clock::now(),
        degraded: None,
        shut: std::collections::BTreeMap::new(),
    };
    let listener = http::bind(&socket)
        .map_err(|error| Problem::unavailable(format!("cannot listen: {error}")).at(socket.display().to_string()))?;

    let secrets = Secrets::new(journal.blobs(Seal::new(settings.state.secrets_key())), known_values);
    // Before anything is recorded or shown: what is known is masked.
    let readable = secrets.begin().await;
    let (hub, owner) = fleet::hub(journal, known, secrets);
    let supervisor = Supervisor::new(hub.clone(), CancellationToken::new());
    // What ends still asks the fleet: its owner ends last.
    let last = Supervisor::new(hub.clone(), CancellationToken::new());
    let fleet_ends = last.stop().clone();
    last.start(async move {
        tokio::select! {
            () = owner => {}
            () = fleet_ends.cancelled() => {}
        }
    });
    let stop = supervisor.stop().clone();
    supervisor.start(async move {
        tokio::select! {
            () = running => {}
            () = stop.cancelled() => {}
        }
    });
    let orders = Orders::new(hub.clone(), agent);
    let interrupts = Interrupts::default();
    let commands = Commands {
        hub: hub.clone(),
        orders: orders.clone(),
        interrupts: interrupts.clone(),
        placer: Arc::new(OnlyHost),
        bases: bases(&settings),
    };
    watch_branches(&settings, &commands, &supervisor);
    degraded::watch(&hub, &supervisor, settings.state.root().to_owned());
    let (stray, strays) = mpsc::channel(strays::MOST);
    observe(&hub, &supervisor, reports, looks, stray);
    strays::end(hub.clone(), &supervisor, orders.clone(), strays, surveyed.clone());
    let controllers = supervisor.part();
    control(&settings, &hub, &controllers, &orders, &interrupts, &surveyed);
    publish_table(&controllers, &hub, orders.clone(), surveyed);

    let (end, mut ends) = watch::channel(None);
    let feeds = Arc::new(AtomicUsize::new(0));
    let door = Door {
        hub: hub.clone(),
        commands,
        logs: LogStore::new(settings.state.clone()),
        settings: Arc::new(load::written(&settings.config)),
        feeds: Arc::clone(&feeds),
        looked,
        end: end.clone(),
    };
    let serving = CancellationToken::new();
    supervisor.start(http::serve(listener, serving.clone(), move |request| door.clone().answer(request)));
    supervisor.start(end_when_idle(hub.clone(), feeds, settings.config.engine.grace.duration(), end));
    if let Err(problem) = readable {
        tracing::error!(%problem, "sealed values cannot be read");
        hub.event("secrets", Level::Danger, problem.to_string()).await;
    }
    hub.event("engine", Level::Plain, format!("started, pid {}", std::process::id())).await;
    tracing::info!(state = %settings.state.root().display(), "the engine runs");

    let how = asked_to_end(&mut ends).await;
    tracing::info!(?how, "the engine ends");
    if how == api::End::Everything {
        // Nobody may start again what ends.
        controllers.end(ENDING).await;
        end_everything(&hub, &orders).await;
    }
    // The watch over an idle engine ends with the last who could hear it.
    drop(ends);
    serving.cancel();
    supervisor.end(ENDING).await;
    last.end(ENDING).await;
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

/// Setting `docker.base_images` by word.
fn bases(settings: &Settings) -> Arc<BTreeMap<String, String>> {
    let pairs = settings.config.docker.base_images.iter().filter_map(|pair| pair.split_once('='));
    Arc::new(pairs.map(|(word, image)| (word.trim().to_owned(), image.trim().to_owned())).collect())
}

fn unusable(settings: &Settings, error: &std::io::Error) -> Problem {
    Problem::unavailable(format!("the state folder cannot be used: {error}"))
        .at(settings.state.root().display().to_string())
        .hint("give another one with --state")
}

/// Holds the state folder for this process; released by its end, however it comes.
fn lock(settings: &Settings) -> Result<File, Problem> {
    let path = settings.state.lock();
    let mut file = state_dir::open_own(&path).map_err(|error| unusable(settings, &error))?;
    if !is_locked(&file) {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(Problem::conflict(format!("an engine with pid {} runs on this state folder already", pid.trim()))
            .at(settings.state.root().display().to_string())
            .hint("pilothouse engine status, or give another folder with --state"));
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|error| unusable(settings, &error))?;
    Ok(file)
}

/// Locks the file. A child that an engine was killed while starting holds its lock for some milliseconds more.
fn is_locked(file: &File) -> bool {
    for _ in 0..20 {
        if rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    false
}

fn observe(hub: &Hub, supervisor: &Supervisor, reports: mpsc::Receiver<Report>, looks: Looks, strays: mpsc::Sender<InstanceId>) {
    let (reports, looks) = (Arc::new(Mutex::new(reports)), Arc::new(looks));
    let hub = hub.clone();
    supervisor.keep("observer", move || {
        let (hub, reports, looks, strays) = (hub.clone(), Arc::clone(&reports), Arc::clone(&looks), strays.clone());
        async move { observer::observe(hub, &mut *reports.lock().await, &looks, &strays).await }
    });
}

fn control(
    settings: &Settings,
    hub: &Hub,
    supervisor: &Supervisor,
    orders: &Orders,
    interrupts: &Interrupts,
    is_surveyed: &watch::Receiver<bool>,
) {
    let deployments: Arc<dyn Controller> = Arc::new(Deployments {
        hub: hub.clone(),
        orders: orders.clone(),
        interrupts: interrupts.clone(),
        supervisor: supervisor.clone(),
        gate: Arc::new(NoGate),
        placer: Arc::new(OnlyHost),
        bases: bases(settings),
        builds: Arc::new(Semaphore::new(settings.config.engine.builds.max(1))),
        is_surveyed: is_surveyed.clone(),
    });
    let instances: Arc<dyn Controller> =
        Arc::new(Instances { hub: hub.clone(), orders: orders.clone(), is_surveyed: is_surveyed.clone() });
    for (name, controller) in [("deployments", deployments), ("instances", instances)] {
        let (hub, watched) = (hub.clone(), supervisor.clone());
        supervisor.keep(name, move || controllers::schedule(Arc::clone(&controller), hub.clone(), watched.clone()));
    }
}

fn watch_branches(settings: &Settings, commands: &Commands, supervisor: &Supervisor) {
    let (hub, watched) = (commands.hub.clone(), supervisor.clone());
    let watches: Arc<dyn Controller> = Arc::new(Watches {
        hub: hub.clone(),
        orders: commands.orders.clone(),
        commands: commands.clone(),
        supervisor: supervisor.clone(),
        every: settings.config.engine.watch_every.duration().max(FASTEST_WATCH),
        pace: Arc::default(),
    });
    supervisor.keep("watches", move || controllers::schedule(Arc::clone(&watches), hub.clone(), watched.clone()));
}

/// Puts the journaled table in force at the start, since the edge may have been away for longer than the engine, and each
/// time that the edge is back: it may have missed one.
fn publish_table(supervisor: &Supervisor, hub: &Hub, orders: Orders, mut surveyed: watch::Receiver<bool>) {
    let (stop, hub) = (supervisor.stop().clone(), hub.clone());
    supervisor.start(async move {
        let publish = async {
            let _ = surveyed.wait_for(|is| *is).await;
            let mut feed = hub.subscribe();
            put_table(&orders, &stop).await;
            let mut was_up = false;
            loop {
                let is_up = match feed.recv().await.map(|numbered| numbered.change.clone()) {
                    Ok(Change::Edge(edge)) => edge.up,
                    Ok(_) => continue,
                    Err(RecvError::Lagged(_)) => {
                        was_up = false;
                        hub.look(|fleet| fleet.edge.up).await
                    }
                    Err(RecvError::Closed) => return,
                };
                if is_up && !was_up {
                    put_table(&orders, &stop).await;
                }
                was_up = is_up;
            }
        };
        tokio::select! {
            () = publish => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Puts the table of now in force; an edge that waits, such as for its port, is waited for.
async fn put_table(orders: &Orders, stop: &CancellationToken) {
    let key = Orders::key(DeploymentId(0), "route/start");
    while let Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) = orders.route(&key, stop).await
    {
        tracing::error!(%problem, "the routing table could not be put in force");
        if !matches!(problem.kind, ProblemKind::Limit | ProblemKind::Unavailable) {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn asked_to_end(ends: &mut watch::Receiver<Option<api::End>>) -> api::End {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind| signal(kind).ok();
    let (mut term, mut interrupt) = (on(SignalKind::terminate()), on(SignalKind::interrupt()));
    let of = |signal: &mut Option<tokio::signal::unix::Signal>| signal.take();
    let (term, interrupt) = (of(&mut term), of(&mut interrupt));
    let wait = |signal: Option<tokio::signal::unix::Signal>| async move {
        match signal {
            Some(mut signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(term) => api::End::Engine,
        () = wait(interrupt) => api::End::Engine,
        asked = ends.wait_for(Option::is_some) => asked.ok().and_then(|end| *end).unwrap_or(api::End::Engine),
    }
}

/// Ends the engine, with its edge, once nothing has depended on it for `grace`.
async fn end_when_idle(hub: Hub, feeds: Arc<AtomicUsize>, grace: Duration, end: watch::Sender<Option<api::End>>) {
    let mut idle_since = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(IDLE_CHECK) => {}
            () = end.closed() => return,
        }
        let is_needed =
            hub.look(|fleet| !fleet.apps.is_empty() || fleet.deployments.values().any(|deployment| !deployment.is_over())).await;
        if is_needed || feeds.load(Ordering::Relaxed) > 0 {
            idle_since = tokio::time::Instant::now();
        }
        if idle_since.elapsed() >= grace {
            end.send_replace(Some(api::End::Everything));
            return;
        }
    }
}

/// Ends every instance, then the edge. What is wanted stays journaled: the next engine brings it back.
async fn end_everything(hub: &Hub, orders: &Orders) {
    let none = CancellationToken::new();
    // The second time finds what a controller had begun to start as it was ended; else it has nothing to do.
    for _ in 0..2 {
        let instances = hub.look(|fleet| fleet.instances.keys().cloned().collect::<Vec<_>>()).await;
        let stops = instances.into_iter().map(|instance| {
            let key = Orders::key(DeploymentId(0), format!("end/{instance}"));
            let (orders, none) = (orders.clone(), none.clone());
            async move { orders.perform(&key, Work::Stop { instance }, &none).await }
        });
        futures_util::future::join_all(stops).await;
    }
    let key = Orders::key(DeploymentId(0), "end/edge");
    orders.perform(&key, Work::StopEdge, &none).await;
    hub.observe(vec![Change::Alive]).await;
}
