//! Connections that changed their protocol, such as WebSockets: copied both ways, in flight until one side ends.

use std::sync::Arc;

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONNECTION, HeaderValue, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;

use super::{
    backend::Lease,
    body::Answer,
    connection::Connection,
    headers,
    http2::Stream,
    listen::Seat,
    worker::{Worker, spawn},
};

/// Copied at once, each way.
const CHUNK: usize = 16 << 10;

/// Where the client's bytes will come from.
pub(super) struct ClientSide {
    pub upgrade: OnUpgrade,
    /// The stream of HTTP/2 that it is, if it is one.
    pub stream: Option<Arc<Stream>>,
}

/// Gives the client the answer that changes the protocol, and joins both sides as soon as it is sent.
pub(super) fn open(
    worker: &Arc<Worker>,
    mut headers: HeaderMap,
    client_side: ClientSide,
    mut app_side: Box<Connection>,
    lease: Lease,
) -> Response<Answer> {
    let seat = Seat::take(&worker.edge);
    let watch = Arc::clone(app_side.watch());
    let task = spawn(async move {
        if let Ok(client) = client_side.upgrade.await {
            let mut client = TokioIo::new(client);
            // Either side may go at any time: that is how tunnels end.
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut *app_side, CHUNK, CHUNK).await;
        }
        drop(app_side);
        drop((lease, seat, client_side.stream));
    });
    watch.owned_by(task);
    let protocol = headers.get(UPGRADE).cloned();
    headers::strip_hop_by_hop(&mut headers);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
    }
    let mut answer = Response::new(Answer::whole(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = headers;
    answer
}
