//! The agent: executes orders on its host and reports what is there. It makes no choices.

pub mod edges;
pub mod orders;
mod watch;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Settings,
    model::{
        order::{Order, OrderKey, Outcome, Report},
        problem::Problem,
    },
    runtimes::{Runtime, both::Both, docker::DockerRuntime, keepers, process::ProcessRuntime},
    wire::{
        agent::{AgentDoor, Told},
        edge::EdgeClient,
    },
};

/// What orders are executed with.
#[derive(Clone)]
pub struct Tools {
    pub settings: Arc<Settings>,
    pub runtime: Arc<dyn Runtime>,
    pub docker: DockerRuntime,
    pub edge: EdgeClient,
    /// See `edges::Turn`.
    pub tending: Arc<tokio::sync::Mutex<edges::Tending>>,
    pub reports: mpsc::Sender<Report>,
    /// Shared by starts at work; a stop waits for those that began before it, so that it ends what they began.
    pub starting: Arc<tokio::sync::RwLock<()>>,
}

/// Runs the agent of this host until nobody gives orders any more.
pub async fn run(settings: Settings, mut door: AgentDoor) {
    let settings = Arc::new(settings);
    let docker = DockerRuntime::new(Settings::clone(&settings));
    let process = ProcessRuntime::new(Settings::clone(&settings));
    let tools = Tools {
        runtime: Arc::new(Both { process, docker: docker.clone() }),
        docker,
        edge: EdgeClient::new(settings.state.edge_socket()),
        tending: Arc::default(),
        settings,
        reports: door.reports,
        starting: Arc::default(),
    };
    let swept = Arc::clone(&tools.settings);
    // What a build of a killed engine left behind; one that still runs keeps its place.
    let _ = tokio::task::spawn_blocking(move || orders::build::sweep(&swept)).await;
    // A folder that was put in the place of another one leaves keepers behind that hold ports and serve what is over.
    for name in keepers::end_strays(&tools.settings).await {
        tracing::warn!(keeper = name, "ended: its folder is gone or another one");
    }
    // Ends with this function: dropping the set ends what is in it.
    let mut work = JoinSet::new();
    work.spawn(watch::host(tools.clone()));
    work.spawn(watch::edge(tools.clone()));
    work.spawn(watch::left(tools.clone()));
    let running = Running::default();
    loop {
        tokio::select! {
            told = door.told.recv() => match told {
                None => return,
                Some(Told::Cancel(key)) => running.cancel(&key),
                Some(Told::Order(order, answer)) => {
                    let (tools, running) = (tools.clone(), running.clone());
                    work.spawn(async move {
                        // The engine may have stopped waiting.
                        let _ = answer.send(running.execute(&tools, order).await);
                    });
                }
            },
            Some(ended) = work.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task of the agent broke");
                }
            }
        }
    }
}

/// The orders at work.
#[derive(Clone, Default)]
struct Running {
    tokens: Arc<Mutex<HashMap<OrderKey, CancellationToken>>>,
    highest: Arc<AtomicU64>,
}

impl Running {
    async fn execute(&self, tools: &Tools, order: Order) -> Outcome {
        let highest = self.highest.fetch_max(order.generation.0, Ordering::SeqCst);
        if order.generation.0 < highest {
            let what = format!("the order is from an engine that was replaced (lease {}, now {highest})", order.generation);
            return Outcome::Failed(Problem::conflict(what));
        }
        let cancel = CancellationToken::new();
        self.tokens().insert(order.key.clone(), cancel.clone());
        let outcome = orders::execute(tools, &order.key, order.work, &cancel).await;
        self.tokens().remove(&order.key);
        outcome
    }

    fn cancel(&self, key: &OrderKey) {
        if let Some(token) = self.tokens().get(key) {
            token.cancel();
        }
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, HashMap<OrderKey, CancellationToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
