//! What the edge is asked and what it says of itself.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AppId, Generation, InstanceId, ReleaseId},
    instance::Health,
    units::{Millis, Timestamp},
};

/// Through which door a proof goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Straight through the pool of the release, whatever its weight.
    Pool,
    /// Through the public listener, as any client: the release is chosen by weight.
    Public,
}

/// Asks the edge to prove by a request of its own that a release answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRequest {
    pub app: AppId,
    pub host: String,
    pub release: ReleaseId,
    pub path: String,
    pub door: Door,
    /// Instances that must each have answered (door `pool` only); empty: any one of the release.
    pub instances: Vec<InstanceId>,
    /// Asks again until then; 200 ms between two tries at most.
    pub within: Millis,
}

/// The edge's own record of who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub release: ReleaseId,
    /// Instances that answered; empty for static files.
    pub instances: Vec<InstanceId>,
    pub status: u16,
    pub request_id: String,
    pub took_ms: u64,
    pub at: Timestamp,
}

/// Result of taking instances out of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Requests and tunnels that were still in flight when the time was up; 0 is a clean drain.
    pub left: u64,
}

/// The edge as the fleet knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeStatus {
    pub pid: u32,
    pub version: String,
    /// Public listeners for plain HTTP.
    pub http: Vec<SocketAddr>,
    /// Public listeners for HTTPS.
    pub https: Vec<SocketAddr>,
    /// Of the table in force.
    pub generation: Generation,
    pub started_at: Timestamp,
    /// False when the edge does not answer now.
    pub up: bool,
}

impl EdgeStatus {
    /// `http://HOST:PORT` of the first plain listener; the port is left out when it is 80.
    pub fn url(&self, host: &str) -> Option<String> {
        let port = self.http.first()?.port();
        Some(if port == 80 { format!("http://{host}") } else { format!("http://{host}:{port}") })
    }
}

/// Cumulative counters since the edge's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeCounters {
    pub at: Timestamp,
    pub started_at: Timestamp,
    pub releases: Vec<ReleaseCounters>,
    pub backends: BTreeMap<InstanceId, BackendStatus>,
    /// Requests for no known host.
    pub unrouted: u64,
    /// Access-log lines that were lost because the disk was too slow.
    pub log_lines_lost: u64,
}

/// Counters of one release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseCounters {
    pub app: AppId,
    pub release: ReleaseId,
    /// Answered requests; health checks and proofs are not counted.
    pub requests: u64,
    /// Of these, with a status of 500 and above.
    pub errors: u64,
    /// Latency in microseconds to the end of the answer: (bucket's upper bound, count), ascending, empty buckets left
    /// out. Log-linear: 16 steps per power of two.
    pub latency_us: Vec<(u64, u64)>,
}

/// One back end at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendStatus {
    pub health: Health,
    pub in_flight: u64,
}
