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
        edge::{Drained, EdgeCounters, EdgeStatus, Proof, ProofRequest},
        ids::{Generation, InstanceId},
        problem::Problem,
        route::RouteTable,
        units::Millis,
    },
};

/// Longest wait for an answer that needs no waiting on the edge's side.
const LIMIT: Duration = Duration::from_secs(5);

/// What an edge is started with: `STATE/edge/settings.json`, written by whoever starts it, read once at its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeStart {
    pub edge: EdgeSettings,
}

impl EdgeStart {
    fn path(state: &StateDir) -> PathBuf {
        state.edge().join("settings.json")
    }

    /// Replaces the file as a whole; makes the folders.
    pub fn write(&self, state: &StateDir) -> io::Result<()> {
        state.create()?;
        let path = Self::path(state);
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(draft, path)
    }

    /// The defaults when there is no file.
    pub fn read(state: &StateDir) -> Result<Self, Problem> {
        let path = Self::path(state);
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

    pub async fn status(&self) -> Result<EdgeStatus, Problem> {
        self.client.call::<(), _>(Method::GET, "/v1/status", None, LIMIT).await
    }

    /// Puts a table in force and gives its generation, once it is on disk and every later request follows it.
    ///
    /// Idempotent. A lower generation than the one in force, or the same one with another content, is a conflict.
    pub async fn put_table(&self, table: &RouteTable) -> Result<Generation, Problem> {
        self.client.call(Method::PUT, "/v1/table", Some(table), LIMIT * 2).await
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
