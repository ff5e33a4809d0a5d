//! Requests of the edge itself to instances: health checks and proofs through the pool.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use hyper::{
    Request, Version,
    header::{HOST, HeaderValue, USER_AGENT},
};

use super::{
    backend::Backend,
    body::Outgoing,
    headers,
    pool::{self, Reuse},
    worker::Worker,
};

/// Who asks, as an app's log shows it.
pub(super) const AGENT: &str = concat!("pilothouse-edge/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read.
const READ: usize = 256 << 10;

/// Asks an instance for a path and gives its status, or what was seen instead: `connection refused`.
pub(super) async fn ask(
    worker: &Arc<Worker>,
    backend: &Arc<Backend>,
    host: &str,
    path: &str,
    id: HeaderValue,
    within: Duration,
) -> Result<u16, String> {
    let exchange = async {
        let lease = backend.enter(true).ok_or("it is draining")?;
        let mut request = Request::new(Outgoing::Empty);
        *request.uri_mut() = path.parse().map_err(|_| format!("the path {path} is not valid"))?;
        *request.version_mut() = Version::HTTP_11;
        let head = request.headers_mut();
        head.insert(HOST, host.parse().map_err(|_| format!("the host {host} is not valid"))?);
        head.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        head.insert(headers::REQUEST_ID, id);
        // A connection of its own: an app that takes no new ones is not well, however old ones do.
        let mut connection = pool::connection(worker, &lease, Reuse::Never).await.map_err(|error| spoken(&error))?;
        let answer_by = worker.edge.clock.now() + within.as_micros() as u64;
        let answer = pool::exchange(&mut connection, request, answer_by).await.map_err(|failure| failure.cause)?;
        let status = answer.status().as_u16();
        // An app that counts its answers as given when they were read has its way, within reason.
        let _ = http_body_util::Limited::new(answer.into_body(), READ).collect().await;
        Ok(status)
    };
    let late = || format!("no answer in {}", crate::model::units::Millis::from(within));
    tokio::time::timeout(within, exchange).await.unwrap_or_else(|_| Err(late()))
}

/// `connection refused` rather than `Connection refused (os error 111)`.
fn spoken(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}
