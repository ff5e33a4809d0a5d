//! What the edge is asked and what it says of itself.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AppId, Generation, InstanceId, ReleaseId},
    instance::Health,
    problem::Problem,
    route::Match,
    units::{Millis, Timestamp},
};

/// Number of an edge among those of one state folder: one serves, others finish what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Slot(u8);

impl Slot {
    pub const FIRST: Self = Self(1);
    const LAST: u8 = 9;

    /// Every slot there is.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::FIRST.0..=Self::LAST).map(Self)
    }

    /// All but this one.
    pub fn others(self) -> impl Iterator<Item = Self> {
        Self::all().filter(move |slot| *slot != self)
    }

    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<u8>().ok()?.try_into().ok()
    }
}

impl TryFrom<u8> for Slot {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        let slot = Self(number);
        Self::all().find(|known| *known == slot).ok_or_else(|| format!("{number} is no slot of an edge: 1 to {}", Self::LAST))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
    /// Where containers of this machine ask, by plain HTTP; absent while there are none.
    #[serde(default)]
    pub internal: Option<SocketAddr>,
    /// Of the table in force.
    pub generation: Generation,
    pub started_at: Timestamp,
    /// Names that a certificate is for, wildcards too (`*.example.org`): the others are not served by HTTPS as they should.
    #[serde(default)]
    pub names: Vec<String>,
    /// What is wrong with its certificates, and why it could not be replaced.
    #[serde(default)]
    pub troubles: Vec<Problem>,
    /// The port that it had before another program took it; absent where it has not moved since one was first chosen.
    #[serde(default)]
    pub moved_from: Option<u16>,
    /// Domain below which each app has a name; empty: none.
    #[serde(default)]
    pub domain: String,
    /// False when the edge does not answer now.
    pub up: bool,
}

impl EdgeStatus {
    /// Whether it has said what keeps it from serving, such as a port that another program has.
    pub fn waits(&self) -> bool {
        !self.up && !self.troubles.is_empty()
    }

    /// That its port is another one than before, and how to have one that stays. Absent where it has not moved, and while
    /// the edge that moved tells it as a trouble.
    pub fn moved(&self) -> Option<Problem> {
        let (from, to) = (self.moved_from?, self.http.first()?.port());
        let told = format!(":{from}");
        if self.troubles.iter().any(|trouble| trouble.at.as_ref().is_some_and(|at| at.ends_with(&told))) {
            return None;
        }
        Some(Problem::conflict(format!("it moved from port {from} to {to}, since another program had {from}")).hint(format!(
            "set edge.http = [\"127.0.0.1:{to}\"], or the port that you want, in config.toml; then `pilothouse engine stop` and \
             `pilothouse engine start`"
        )))
    }

    /// `https://HOST:PORT/PATH` where a certificate is for the host, else `http://…`, by the first listener; a port that
    /// the scheme stands for is left out.
    pub fn url(&self, at: &Match) -> Option<String> {
        let secure = self.https.first().filter(|_| self.is_certified(&at.host)).map(|address| ("https", address.port(), 443));
        let (scheme, port, usual) = secure.or_else(|| Some(("http", self.http.first()?.port(), 80)))?;
        let Match { host, path, .. } = at;
        Some(if port == usual { format!("{scheme}://{host}{path}") } else { format!("{scheme}://{host}:{port}{path}") })
    }

    /// Whether a certificate is for this name: its own, or a wildcard that stands for its first label (RFC 9525 §6.3).
    pub fn is_certified(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let is_for = |name: &String| name == host || (parent.is_some() && name.strip_prefix("*.") == parent);
        self.names.iter().any(is_for)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_told_once_with_the_way_to_a_port_that_stays() {
        let mut edge = EdgeStatus { http: vec![SocketAddr::from(([127, 0, 0, 1], 8081))], ..EdgeStatus::default() };
        assert_eq!(edge.moved(), None);
        edge.moved_from = Some(8080);
        let told = edge.moved().unwrap();
        assert!(told.what.contains("from port 8080 to 8081") && told.next.unwrap().contains("edge.http"));
        edge.troubles.push(Problem::conflict("port 8080 is taken").at("127.0.0.1:8080"));
        assert_eq!(edge.moved(), None, "the trouble tells it");
    }

    #[test]
    fn an_address_is_secure_where_a_certificate_is_for_it() {
        let listener = |port: u16| vec![SocketAddr::from(([0, 0, 0, 0], port))];
        let mut edge = EdgeStatus { http: listener(80), https: listener(443), ..EdgeStatus::default() };
        edge.names = vec!["shop.example.org".to_owned(), "*.apps.example.org".to_owned()];
        let url = |edge: &EdgeStatus, host: &str, path: &str| edge.url(&Match::below(host, path, false)).unwrap();
        assert_eq!(url(&edge, "shop.example.org", "/"), "https://shop.example.org");
        assert_eq!(url(&edge, "a.apps.example.org", "/api"), "https://a.apps.example.org/api");
        assert_eq!(url(&edge, "a.b.apps.example.org", ""), "http://a.b.apps.example.org");
        assert_eq!(url(&edge, "shop.localhost", ""), "http://shop.localhost");
        edge.https = listener(8443);
        assert_eq!(url(&edge, "shop.example.org", "/x"), "https://shop.example.org:8443/x");
    }
}
