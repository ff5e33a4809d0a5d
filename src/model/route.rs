//! The routing table: which request goes to which release, and to which instances of it.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AppId, Generation, InstanceId, ReleaseId},
    units::{Millis, Weight},
};

/// Domain below which each app has a name for containers of this machine.
const INTERNAL: &str = "pilothouse.internal";

/// Name by which containers ask for an app: `shop.pilothouse.internal`. Not below `localhost`, which resolvers take for
/// the container itself.
pub fn internal_host(app: &AppId) -> String {
    format!("{app}.{INTERNAL}")
}

/// Everything that an edge serves. Replaced as a whole; an edge refuses a lower generation than it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub generation: Generation,
    pub routes: Vec<Route>,
}

/// One app's share of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub app: AppId,
    /// The process that answers; an app has one route for each process that is routed.
    #[serde(default = "web")]
    pub process: String,
    /// Requests that come here. Of all that fit a request, the one with the longest path has it.
    #[serde(alias = "hosts")]
    pub matches: Vec<Match>,
    /// Releases of the app. Weights sum to 100, or to 0 when nothing serves yet: then requests get 503.
    /// A weight of 0 is a release that is staged or kept warm: only a proof reaches it. One release may have two entries:
    /// its serving instances, and fresh ones that are staged beside them (restart, scale).
    pub splits: Vec<Split>,
    /// Path that health checks ask, as the app sees it; any status below 500 passes.
    pub ready_path: String,
    pub check_every: Millis,
}

fn web() -> String {
    "web".to_owned()
}

/// Which requests: those to a host name, below a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Match {
    /// Lower case, without port.
    pub host: String,
    /// `/api`, without a slash at its end; empty: every path. It matches whole segments: `/api` and `/api/x`, never
    /// `/apiary`.
    pub path: String,
    /// Whether the app sees the request without `path`.
    pub strip: bool,
}

/// As it stands in tables and journals; a bare name is that host with every path.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Host(String),
    Below {
        host: String,
        #[serde(default)]
        path: String,
        #[serde(default)]
        strip: bool,
    },
}

impl From<Written> for Match {
    fn from(written: Written) -> Self {
        match written {
            Written::Host(host) => Self::host(host),
            Written::Below { host, path, strip } => Self::below(host, &path, strip),
        }
    }
}

impl From<Match> for Written {
    fn from(of: Match) -> Self {
        let Match { host, path, strip } = of;
        if path.is_empty() { Self::Host(host) } else { Self::Below { host, path, strip } }
    }
}

impl Match {
    /// Every path of a host.
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: String::new(), strip: false }
    }

    /// What is below `path`, with or without a slash at its end; `/` is every path.
    pub fn below(host: impl Into<String>, path: &str, strip: bool) -> Self {
        let path = path.trim_end_matches('/').to_owned();
        let strip = strip && !path.is_empty();
        Self { host: host.into(), path, strip }
    }

    /// Whether it claims the same requests, whatever is stripped of them.
    pub fn is_same_claim(&self, other: &Self) -> bool {
        self.host == other.host && self.path == other.path
    }

    /// Whether `path` (without a query) is below its own.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path that a client asks, so that it comes here and is about the app's `ready` path: below the route's own.
    pub fn asked(&self, ready: &str) -> String {
        let (path, _) = ready.split_once('?').unwrap_or((ready, ""));
        match ready {
            _ if self.path.is_empty() || (!self.strip && self.covers(path)) => ready.to_owned(),
            "/" => self.path.clone(),
            _ => format!("{}{ready}", self.path),
        }
    }

    /// The same as the app sees it.
    pub fn seen(&self, ready: &str) -> String {
        if self.strip { ready.to_owned() } else { self.asked(ready) }
    }
}

impl std::fmt::Display for Match {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

/// One release's share of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub release: ReleaseId,
    pub weight: Weight,
    pub target: Target,
}

/// What answers for a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    Pool {
        backends: Vec<Backend>,
    },
    /// A folder of files, served by the edge itself; `index.html` for folders. A path without a file gets `404.html`
    /// with 404 where there is one, else `index.html` with 200 when `single_page`, else a plain 404.
    Site {
        root: PathBuf,
        single_page: bool,
    },
}

/// One instance behind a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub instance: InstanceId,
    pub address: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_whole_segments() {
        let api = Match::below("shop.localhost", "/api/", false);
        for (path, is_covered) in [("/api", true), ("/api/", true), ("/api/x", true), ("/apiary", false), ("/", false)] {
            assert_eq!(api.covers(path), is_covered, "{path}");
        }
        assert!(Match::below("shop.localhost", "/", true).covers("/anything"));
    }

    #[test]
    fn a_proof_asks_below_the_route() {
        let of = |path, strip, ready| {
            let at = Match::below("shop.localhost", path, strip);
            (at.asked(ready), at.seen(ready))
        };
        let both = |asked: &str, seen: &str| (asked.to_owned(), seen.to_owned());
        assert_eq!(of("", false, "/healthz"), both("/healthz", "/healthz"));
        assert_eq!(of("/api", false, "/"), both("/api", "/api"));
        assert_eq!(of("/api", false, "/healthz"), both("/api/healthz", "/api/healthz"));
        assert_eq!(of("/api", false, "/api/healthz"), both("/api/healthz", "/api/healthz"));
        assert_eq!(of("/api", true, "/healthz"), both("/api/healthz", "/healthz"));
        assert_eq!(of("/api", true, "/"), both("/api", "/"));
        assert_eq!(of("/api", true, "/api/x"), both("/api/api/x", "/api/x"));
    }

    #[test]
    fn a_table_of_an_older_edge_is_understood() {
        let old = r#"{"app":"shop","hosts":["shop.localhost"],"splits":[],"ready_path":"/","check_every":5000}"#;
        let route: Route = serde_json::from_str(old).unwrap();
        assert_eq!((route.process.as_str(), route.matches.as_slice()), ("web", [Match::host("shop.localhost")].as_slice()));
        assert_eq!(serde_json::to_string(&route.matches).unwrap(), r#"["shop.localhost"]"#);
        let below = Match::below("shop.localhost", "/api", true);
        assert_eq!(serde_json::from_str::<Match>(&serde_json::to_string(&below).unwrap()).unwrap(), below);
    }
}
