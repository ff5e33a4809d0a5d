//! Plain HTTP leads to HTTPS where a certificate is for the host.

use std::sync::Arc;

use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HOST, HeaderValue, LOCATION},
};

use super::{
    body::Answer,
    forward::{self, Client, new_id},
    headers,
    passage::Passage,
    routes::host_name,
    worker::{Edge, Worker},
};

/// Where certificates are proved to their issuer; must be answered by plain HTTP (RFC 8555 §8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Answers 308, or serves what is not led away: the edge's own proofs, challenges, hosts without a certificate.
pub(super) async fn serve(worker: Arc<Worker>, client: Arc<Client>, request: Request<Incoming>) -> Response<Answer> {
    let Some((host, location)) = target(&worker.edge, &request) else {
        return forward::serve(worker, client, request).await;
    };
    client.watch.request_began();
    let sent = request.headers().get(headers::REQUEST_ID).filter(|id| headers::is_sane_id(id)).cloned();
    let id = sent.unwrap_or_else(|| new_id(worker.random(), worker.random()));
    let path = request.uri().path();
    let mut passage = Passage::new(&worker, &client.watch, client.ip, id.clone(), request.method().clone(), host.clone(), path);
    passage.app = worker.edge.live.load().route(host.to_str().unwrap_or_default(), path).map(|(app, _)| Arc::clone(app));
    let mut answer = forward::plain(StatusCode::PERMANENT_REDIRECT, "it is served by HTTPS".to_owned());
    passage.status = answer.status().as_u16();
    let head = answer.headers_mut();
    head.insert(LOCATION, location);
    head.insert(headers::REQUEST_ID, id);
    if worker.edge.is_stopping() {
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer.map(|body| body.with(passage))
}

/// The host that is asked for, and where its request belongs.
fn target(edge: &Edge, request: &Request<Incoming>) -> Option<(HeaderValue, HeaderValue)> {
    let uri = request.uri();
    let is_proof = request.headers().get(headers::REQUEST_ID).is_some_and(|id| edge.proofs.is_expected(id));
    if is_proof || !uri.path().starts_with('/') || uri.path().starts_with(CHALLENGES) {
        return None;
    }
    let authority = uri.authority().map(hyper::http::uri::Authority::as_str);
    let asked = authority.or_else(|| request.headers().get(HOST)?.to_str().ok())?;
    let host = host_name(asked);
    edge.tls.as_ref().filter(|tls| tls.is_for(&host))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match edge.https.first()?.port() {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    Some((HeaderValue::from_str(asked).ok()?, HeaderValue::from_str(&location).ok()?))
}
