//! Connections that changed their protocol, such as WebSockets: copied both ways, in flight until one side ends.

use std::sync::Arc;

use hyper::{
    Response, Version,
    body::Incoming,
    header::{CONNECTION, HeaderValue, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;

use super::{
    backend::Lease,
    body::Answer,
    headers,
    listen::Seat,
    worker::{Worker, spawn},
};

/// Copied at once, each way.
const CHUNK: usize = 16 << 10;

/// Gives the client the answer that changes the protocol, and joins both sides as soon as it is sent.
pub(super) fn open(
    worker: &Arc<Worker>,
    mut answer: Response<Incoming>,
    client_side: OnUpgrade,
    lease: Lease,
) -> Response<Answer> {
    let app_side = hyper::upgrade::on(&mut answer);
    let seat = Seat::take(&worker.edge);
    spawn(async move {
        let joined = async {
            let (client, app) = tokio::try_join!(client_side, app_side).ok()?;
            let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
            // Either side may go at any time: that is how tunnels end.
            tokio::io::copy_bidirectional_with_sizes(&mut client, &mut app, CHUNK, CHUNK).await.ok()
        };
        joined.await;
        drop((lease, seat));
    });
    let (mut head, _) = answer.into_parts();
    let protocol = head.headers.get(UPGRADE).cloned();
    headers::strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        head.headers.insert(UPGRADE, protocol);
    }
    Response::from_parts(head, Answer::whole(""))
}
