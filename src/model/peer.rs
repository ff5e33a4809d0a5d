//! Other apps as an instance reaches them: `PILOTHOUSE_URL_<APP>`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ids::AppId, route::internal_host};

/// What each variable begins with.
pub const VARIABLE: &str = "PILOTHOUSE_URL_";

/// Another app, as it is told to an instance when that starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub app: AppId,
    /// Path of its first route; empty: every path.
    pub path: String,
    /// Absent while nobody knows how to reach it from there.
    pub url: Option<String>,
    /// Where `internal_host` of it leads, for a container, whose resolver does not know that name.
    pub address: Option<IpAddr>,
}

impl Peer {
    /// `PILOTHOUSE_URL_MY_SHOP` of `my-shop`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE}{}", self.app.as_str().to_ascii_uppercase().replace('-', "_"))
    }

    /// The same app as a container reaches it: by the edge's listener at `address`.
    #[must_use]
    pub fn at(self, address: std::net::SocketAddr) -> Self {
        let url = format!("http://{}:{}{}", internal_host(&self.app), address.port(), self.path);
        Self { url: Some(url), address: Some(address.ip()), ..self }
    }

    /// The same app, unreachable.
    #[must_use]
    pub fn away(self) -> Self {
        Self { url: None, address: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_a_name_of_its_own() {
        let peer = Peer { app: AppId::parse("my-shop").unwrap(), path: "/api".to_owned(), url: None, address: None };
        let told = peer.at("198.18.1.1:8080".parse().unwrap());
        assert_eq!(told.variable(), "PILOTHOUSE_URL_MY_SHOP");
        assert_eq!(told.url.as_deref(), Some("http://my-shop.pilothouse.internal:8080/api"));
        assert_eq!(told.address, Some(IpAddr::from([198, 18, 1, 1])));
    }
}
