//! The edge's control door: route tables in; proofs, drains, generations and counters out.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::http::Client;
use crate::{
    config::{StateDir, settings::EdgeSettings},
    model::{
        edge::{Drained, EdgeCounters, EdgeStatus, Proof, ProofRequest, Slot},
        ids::{Generation, InstanceId},
        problem::Problem,
        route::RouteTable,
        units::Millis,
    },
};

/// Longest wait for an answer that needs no waiting on the edge's side.
const LIMIT: Duration = Duration::from_secs(5);

/// What an edge is started with: `STATE/edge/edge-SLOT.json`, written by whoever starts it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeStart {
    pub edge: EdgeSettings,
    /// The edge whose place it takes; absent once it has.
    pub replaces: Option<Slot>,
}

impl EdgeStart {
    /// Replaces the file as a whole; makes the folders.
    pub fn write(&self, state: &StateDir, slot: Slot) -> io::Result<()> {
        state.create()?;
        let path = state.edge_start(slot);
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(draft, path)
    }

    /// The defaults when there is no file.
    pub fn read(state: &StateDir, slot: Slot) -> Result<Self, Problem> {
        let path = state.edge_start(slot);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(
                    Problem::unavailable(format!("cannot read the edge's settings: {error}")).at(path.display().to_string())
                );
            }
        };
        serde_json::from_slice(&text).map_err(|error| {
            Problem::user(format!("the edge's settings are not understood: {error}"))
                .at(path.display().to_string())
                .hint("remove the file to start with the defaults")
        })
    }
}

/// Body of `POST /v1/hand-over` and `POST /v1/replaced`: who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    pub slot: Slot,
    pub replaces: Option<Slot>,
}

/// Body of `POST /v1/drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRequest {
    pub instances: Vec<InstanceId>,
    /// From now to giving up on requests in flight.
    pub within: Millis,
}

/// A client of one edge. Each call has a deadline; `Unavailable` means that it may be repeated.
#[derive(Clone, Debug)]
pub struct EdgeClient {
    client: Client,
}

impl EdgeClient {
    pub fn new(socket: PathBuf) -> Self {
        Self { client: Client::new(socket, "the edge") }
    }

    /// Clients of the other edges of this state folder, which finish what they have; those that run no more do not answer.
    pub fn others(state: &StateDir, than: Slot) -> impl Iterator<Item = Self> {
        than.others().map(|slot| state.edge_door(slot)).filter(|door| door.exists()).map(Self::new)
    }

    /// Whether it runs at all.
    pub fn is_there(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.client.socket()).is_ok()
    }

    pub async fn status(&self) -> Result<EdgeStatus, Problem> {
        self.client.call::<(), _>(Method::GET, "/v1/status", None, LIMIT).await
    }

    /// Puts a table in force and gives its generation, once it is on disk and every later request follows it.
    ///
    /// Idempotent. A lower generation than the one in force, or the same one with another content, is a conflict.
    pub async fn put_table(&self, table: &RouteTable) -> Result<Generation, Problem> {
        self.client.call(Method::PUT, "/v1/table", Some(table), LIMIT * 2).await
    }

    /// As `put_table`, for an edge that was replaced and finishes what it has; nothing is kept on disk.
    pub async fn follow_table(&self, table: &RouteTable) -> Result<Generation, Problem> {
        self.client.call(Method::PUT, "/v1/follow", Some(table), LIMIT * 2).await
    }

    /// Has an edge pass its listening sockets to the hatch of `successor`, which listens there; gives how many there are.
    /// It goes on accepting.
    pub async fn hand_over(&self, successor: &Successor) -> Result<usize, Problem> {
        self.client.call(Method::POST, "/v1/hand-over", Some(successor), LIMIT).await
    }

    /// Tells an edge that `successor` serves now: it accepts no more connections, finishes what it has, and ends. Gives
    /// the generation of its table, which no longer changes but by `follow_table`. Idempotent.
    pub async fn replaced(&self, successor: &Successor) -> Result<Generation, Problem> {
        self.client.call(Method::POST, "/v1/replaced", Some(successor), LIMIT).await
    }

    /// Waits for at most `request.within`; the problem tells what was seen last.
    pub async fn prove(&self, request: &ProofRequest) -> Result<Proof, Problem> {
        self.client.call(Method::POST, "/v1/prove", Some(request), request.within.duration() + LIMIT * 2).await
    }

    /// Takes the instances out of service and gives what was still in flight at the end: 0 is a clean drain, after which
    /// the edge has no connection to them. To be called when the table in force gives them no weight any more.
    ///
    /// Idempotent; an instance that the edge does not know is drained already. One that gets weight by a later table
    /// serves again.
    pub async fn drain(&self, instances: &[InstanceId], within: Millis) -> Result<Drained, Problem> {
        let request = DrainRequest { instances: instances.to_vec(), within };
        self.client.call(Method::POST, "/v1/drain", Some(&request), within.duration() + LIMIT * 2).await
    }

    pub async fn counters(&self) -> Result<EdgeCounters, Problem> {
        self.client.call::<(), _>(Method::GET, "/v1/counters", None, LIMIT).await
    }

    /// Has the edge listen also at `gateway`, where containers of this machine reach it; gives the address with its port,
    /// which stays the same over restarts. Idempotent; a listener at an earlier gateway is closed.
    pub async fn open_internal(&self, gateway: IpAddr) -> Result<SocketAddr, Problem> {
        self.client.call(Method::PUT, "/v1/internal", Some(&gateway), LIMIT * 2).await
    }

    /// Asks the edge to end: it accepts no more connections and gives those it has up to 30 s.
    pub async fn stop(&self) -> Result<(), Problem> {
        self.client.call::<(), _>(Method::POST, "/v1/stop", None, LIMIT).await
    }
}
