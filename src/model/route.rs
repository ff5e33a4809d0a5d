//! The routing table: which request goes to which release, and to which instances of it.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AppId, Generation, InstanceId, ReleaseId},
    units::{Millis, Weight},
};

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
    /// Host names, lower case, without port.
    pub hosts: Vec<String>,
    /// Releases of the app. Weights sum to 100, or to 0 when nothing serves yet: then requests get 503.
    /// A weight of 0 is a release that is staged or kept warm: only a proof reaches it. One release may have two entries:
    /// its serving instances, and fresh ones that are staged beside them (restart, scale).
    pub splits: Vec<Split>,
    /// Path that health checks ask; any status below 500 passes.
    pub ready_path: String,
    pub check_every: Millis,
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
