//! Requests of the edge itself to instances: health checks and proofs through the pool.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use hyper::{
    Request,
    header::{HOST, HeaderValue, USER_AGENT},
};

use super::{
    backend::Backend,
    body::Outgoing,
    exchange::{exchange, spoken},
    headers,
    pool::{self, Reuse},
    worker::Worker,
};

/// Who asks, as an app's log shows it.
pub(super) const AGENT: &str = concat!("pilothouse-edge/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read.
const READ: usize = 256 << 10;
/// Silence after which an answer that goes on is read no further.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes the parts of an answer to its end, or as far as it says something: one that goes on for ever is an answer, too. What
/// breaks off is none, whatever its status says: how much came, and why.
pub(super) async fn read_out<E>(parts: impl Stream<Item = Result<usize, E>>) -> Result<(), (usize, E)> {
    let mut parts = std::pin::pin!(parts);
    let mut read = 0;
    while read < READ {
        match tokio::time::timeout(PAUSE, parts.next()).await {
            Ok(Some(Ok(bytes))) => read += bytes,
            Ok(Some(Err(error))) => return Err((read, error)),
            Ok(None) => break,
            Err(_) if read > 0 => break,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Asks an instance for a path and gives its status, or what was seen instead: `connection refused`.
///
/// It is no request of a client: a drain does not tell of it.
pub(super) async fn ask(
    worker: &Arc<Worker>,
    backend: &Arc<Backend>,
    host: &str,
    path: &str,
    id: HeaderValue,
    within: Duration,
) -> Result<u16, String> {
    let exchange = async {
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri = path.parse().map_err(|_| format!("the path {path} is not valid"))?;
        head.headers.insert(HOST, host.parse().map_err(|_| format!("the host {host} is not valid"))?);
        head.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        head.headers.insert(headers::REQUEST_ID, id);
        // A connection of its own: an app that takes no new ones is not well, however old ones do.
        let connection = pool::connection(worker, backend, Reuse::Never).await.map_err(|error| spoken(&error))?;
        let answer_by = worker.edge.clock.now() + within.as_micros() as u64;
        let asked = exchange(connection, &head, &mut Outgoing::Empty, answer_by).await;
        let (answer, mut download) = asked.map_err(|failure| failure.cause)?;
        let parts = stream::poll_fn(|cx| download.poll(cx)).map_ok(|data| data.len());
        let broken = |(read, error)| format!("it broke off its answer after {read} bytes: {}", spoken(&error));
        read_out(parts).await.map_err(broken)?;
        Ok(answer.status.as_u16())
    };
    let late = || format!("no answer in {}", crate::model::units::Millis::from(within));
    tokio::time::timeout(within, exchange).await.unwrap_or_else(|_| Err(late()))
}
