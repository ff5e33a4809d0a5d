//! An edge of its own for each test: the real binary on a state folder that goes with the test.

#![expect(clippy::disallowed_types, reason = "a test starts the program that it tests")]

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use pilothouse::{
    config::{StateDir, settings::EdgeSettings},
    model::{
        edge::{Door, EdgeCounters, EdgeStatus, Proof, ProofRequest, ReleaseCounters, Slot},
        ids::{AppId, Generation, InstanceId, ReleaseId},
        problem::Problem,
        route::{Backend, Match, Route, RouteTable, Split, Target},
        units::{Millis, Weight},
    },
    wire::edge::{EdgeClient, EdgeStart},
};

/// Every wait of these tests ends.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    folder: tempfile::TempDir,
    process: Child,
    slot: Slot,
    /// Edges that were replaced.
    pub parting: Vec<Parting>,
    generation: u64,
    pub client: EdgeClient,
    pub status: EdgeStatus,
}

/// An edge that was replaced.
pub struct Parting {
    process: Child,
    /// Its own door.
    pub client: EdgeClient,
}

impl Parting {
    pub async fn ends_well(mut self, within: Duration) -> bool {
        ends_well(&mut self.process, within).await
    }
}

/// Settings on a port of the system's choice.
pub fn settings() -> EdgeSettings {
    EdgeSettings { http: vec![SocketAddr::from(([127, 0, 0, 1], 0))], threads: 2, ..EdgeSettings::default() }
}

impl World {
    pub async fn start() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(edge: EdgeSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path().to_owned());
        let slot = Slot::FIRST;
        EdgeStart { edge, replaces: None }.write(&state, slot).expect("settings");
        let process = launch(&state, slot);
        let client = EdgeClient::new(state.edge_socket());
        let status = up(&client).await;
        Self { folder, process, slot, parting: Vec::new(), generation: 0, client, status }
    }

    pub fn state(&self) -> StateDir {
        StateDir::new(self.folder.path().to_owned())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first public listener.
    pub fn public(&self) -> SocketAddr {
        self.status.http[0]
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    pub fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("waited for");
    }

    pub async fn start_again(&mut self) {
        self.begin_again();
        self.await_up().await;
    }

    /// Starts it without waiting.
    pub fn begin_again(&mut self) {
        self.process = launch(&self.state(), self.slot);
    }

    pub async fn await_up(&mut self) {
        self.status = up(&self.client).await;
    }

    /// Starts an edge that is to take the place of this one, in a slot that none had before, and does not wait.
    pub fn begin_replace(&self, edge: EdgeSettings) -> (Child, Slot) {
        let state = self.state();
        let slot = Slot::all().find(|slot| !state.edge_start(*slot).exists()).expect("a free slot");
        EdgeStart { edge, replaces: Some(self.slot) }.write(&state, slot).expect("settings");
        (launch(&state, slot), slot)
    }

    /// Replaces the edge and waits until the new one answers.
    pub async fn replace(&mut self, edge: EdgeSettings) {
        let (process, slot) = self.begin_replace(edge);
        self.replaced_by(process, slot).await;
    }

    /// Waits until this one serves.
    pub async fn replaced_by(&mut self, process: Child, slot: Slot) {
        let pid = process.id();
        let client = EdgeClient::new(self.state().edge_door(self.slot));
        self.parting.push(Parting { process: std::mem::replace(&mut self.process, process), client });
        self.slot = slot;
        let served = async {
            while up(&self.client).await.pid != pid {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.expect("the new edge serves");
        self.status = up(&self.client).await;
    }

    /// Whether the process ended by itself, and well, within the time.
    pub async fn ends_well(&mut self, within: Duration) -> bool {
        ends_well(&mut self.process, within).await
    }

    /// Puts a table of a higher generation in force.
    pub async fn put(&mut self, routes: Vec<Route>) {
        self.generation += 1;
        let table = RouteTable { generation: Generation(self.generation), routes };
        self.client.put_table(&table).await.expect("the table is taken");
    }

    pub async fn counters(&self) -> EdgeCounters {
        self.client.counters().await.expect("counters")
    }

    /// Counters of a release, once it has answered so many requests.
    pub async fn counted(&self, release: u32, requests: u64) -> ReleaseCounters {
        let mut seen = None;
        let counted = async {
            loop {
                let counters = self.counters().await;
                seen = counters.releases.into_iter().find(|of| of.release == ReleaseId(release));
                if let Some(seen) = seen.clone().filter(|seen| seen.requests >= requests) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        counted.unwrap_or_else(|_| panic!("{requests} requests were not counted, but {seen:?}"))
    }

    pub async fn prove(&self, release: u32, door: Door, instances: &[&str], within: Millis) -> Result<Proof, Problem> {
        let request = ProofRequest {
            app: AppId::suggest("shop"),
            host: "shop.localhost".to_owned(),
            release: ReleaseId(release),
            path: "/".to_owned(),
            door,
            instances: instances.iter().map(|name| InstanceId((*name).to_owned())).collect(),
            within,
        };
        self.client.prove(&request).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended already.
        for process in std::iter::once(&mut self.process).chain(self.parting.iter_mut().map(|parting| &mut parting.process)) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub async fn ends_well(process: &mut Child, within: Duration) -> bool {
    let ended = async {
        loop {
            if let Some(status) = process.try_wait().expect("a status") {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(within, ended).await.unwrap_or(false)
}

/// Starts the edge of a slot, as its keeper does.
pub fn launch(state: &StateDir, slot: Slot) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pilothouse"))
        .args(["edge", "run"])
        .arg(state.root())
        .arg(slot.to_string())
        .stdin(Stdio::null())
        .spawn()
        .expect("the edge starts")
}

async fn up(client: &EdgeClient) -> EdgeStatus {
    let answering = async {
        loop {
            if let Ok(status) = client.status().await {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answering).await.expect("the edge answers")
}

/// A route of `shop` at `shop.localhost`.
pub fn shop(splits: Vec<Split>) -> Route {
    Route {
        app: AppId::suggest("shop"),
        process: "web".to_owned(),
        matches: vec![Match::host("shop.localhost")],
        splits,
        ready_path: "/".to_owned(),
        check_every: Millis(200),
    }
}

/// A release with instances at these addresses: `shop-RELEASE-a`, `-b`, …
pub fn split(release: u32, weight: u8, addresses: &[SocketAddr]) -> Split {
    let app = AppId::suggest("shop");
    let backend = |(ordinal, address): (usize, &SocketAddr)| Backend {
        instance: InstanceId::of(&app, ReleaseId(release), ordinal as u32),
        address: *address,
    };
    Split {
        release: ReleaseId(release),
        weight: Weight::new(weight).expect("a weight"),
        target: Target::Pool { backends: addresses.iter().enumerate().map(backend).collect() },
    }
}

pub fn instance(name: &str) -> InstanceId {
    InstanceId(name.to_owned())
}
