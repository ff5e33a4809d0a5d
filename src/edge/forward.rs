//! One request: to which app, which release, which instance; and what is done when that one fails.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::{Body, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, UPGRADE},
};

use super::{
    backend::Lease,
    body::{Answer, FromClient, Outgoing, whole},
    headers::{self, Asker},
    passage::Passage,
    pool::{self, Failure, Fate, Reuse},
    served::{Behind, Served},
    tunnel,
    watch::Watch,
    worker::Worker,
};
use crate::model::ids::InstanceId;

/// Bodies up to here are read before they are sent, so that they can be sent again.
const REPEATABLE: u64 = 64 << 10;
/// Tries of one request at most.
const TRIES: usize = 3;

/// The client of a connection.
#[derive(Debug)]
pub(super) struct Client {
    pub ip: IpAddr,
    pub asker: Asker,
    pub watch: Arc<Watch>,
}

/// Answers one request of a client.
pub(super) async fn serve(worker: Arc<Worker>, client: Arc<Client>, mut request: Request<Incoming>) -> Response<Answer> {
    client.watch.request_began();
    let host = named_host(&mut request);
    let id = request_id(&worker, &request);
    let shown_host = host.clone().unwrap_or_else(|_| HeaderValue::from_static("-"));
    let path = request.uri().path();
    let mut passage = Passage::new(&worker, &client.watch, client.ip, id, request.method().clone(), shown_host, path);
    let mut answer = match host {
        Ok(host) => routed(&worker, &client, request, host, &mut passage).await,
        Err(reason) => plain(StatusCode::BAD_REQUEST, reason.to_owned()),
    };
    passage.status = answer.status().as_u16();
    worker.edge.proofs.note(&mut passage);
    let head = answer.headers_mut();
    if worker.edge.is_stopping() {
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    head.insert(headers::REQUEST_ID, passage.id.clone());
    answer.map(|body| body.with(passage))
}

/// The host that is asked for; the request gets a plain path and one Host field (RFC 9112 §3.2).
fn named_host(request: &mut Request<Incoming>) -> Result<HeaderValue, &'static str> {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| "the request names no valid host")?;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        request.headers_mut().insert(HOST, host.clone());
        return Ok(host);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(host.clone()),
        (None, _) => Err("the request names no host"),
        _ => Err("the request names two hosts"),
    }
}

fn request_id(worker: &Worker, request: &Request<Incoming>) -> HeaderValue {
    let sent = request.headers().get(headers::REQUEST_ID).filter(|id| headers::is_sane_id(id));
    sent.cloned().unwrap_or_else(|| new_id(worker.random(), worker.random()))
}

/// 32 hexadecimal digits.
pub(super) fn new_id(high: u64, low: u64) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let number = (u128::from(high) << 64) | u128::from(low);
    let text: [u8; 32] = std::array::from_fn(|place| DIGITS[(number >> (124 - 4 * place)) as usize & 15]);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

async fn routed(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    mut request: Request<Incoming>,
    host: HeaderValue,
    passage: &mut Passage,
) -> Response<Answer> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not served here", request.method()));
    }
    let app = {
        let live = worker.edge.live.load();
        let found = live.route(host.to_str().unwrap_or_default(), request.uri().path());
        found.map(|(app, at)| {
            if at.strip {
                headers::strip_prefix(&mut request, &at.path);
            } else if !client.asker.is_trusted {
                request.headers_mut().remove(headers::FORWARDED_PREFIX);
            }
            Arc::clone(app)
        })
    };
    let Some(app) = app else {
        let host = String::from_utf8_lossy(host.as_bytes()).escape_debug().to_string();
        return plain(StatusCode::NOT_FOUND, format!("no app is served at {host}"));
    };
    let served = app.next(worker.index).cloned();
    passage.app = Some(Arc::clone(&app));
    let Some(served) = served else {
        return retry_later(format!("{} serves nothing at this moment", app.id));
    };
    passage.served = Some(Arc::clone(&served));
    match &served.behind {
        Behind::Site(site) => site.answer(request.method(), request.uri().path(), request.headers()).await,
        Behind::Pool(_) => forward(worker, client, request, host, served, passage).await,
    }
}

async fn forward(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    mut request: Request<Incoming>,
    host: HeaderValue,
    served: Arc<Served>,
    passage: &mut Passage,
) -> Response<Answer> {
    let upgrade = headers::asks_upgrade(request.headers()).then(|| {
        let protocol = request.headers().get(UPGRADE).cloned();
        (hyper::upgrade::on(&mut request), protocol)
    });
    headers::prepare_request(request.headers_mut(), &client.asker, host, passage.id.clone());
    *request.version_mut() = Version::HTTP_11;
    if let Some((_, Some(protocol))) = &upgrade {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, protocol.clone());
    }
    let (head, body) = request.into_parts();
    let Ok(body) = take_body(worker, client, body).await else {
        return plain(StatusCode::BAD_REQUEST, "the request's body broke off".to_owned());
    };
    let request = Request::from_parts(head, body);
    let sent = send(worker, served, request, upgrade.is_some(), passage).await;
    let (answer, connection, lease) = match sent {
        Ok(sent) => sent,
        Err(refusal) => return refusal,
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return match upgrade {
            Some((client_side, _)) => tunnel::open(worker, answer, client_side, lease),
            None => plain(StatusCode::BAD_GATEWAY, "the app changed the protocol without being asked".to_owned()),
        };
    }
    let (mut head, body) = answer.into_parts();
    if let Some(seconds) = headers::keep_alive_seconds(&head.headers) {
        lease.backend.patience.said(seconds);
    }
    headers::prepare_answer(&mut head.headers);
    head.version = Version::HTTP_11;
    // A connection made for a tunnel is not one of the pool.
    let connection = Some(connection).filter(|_| upgrade.is_none());
    Response::from_parts(head, Answer::relay(body, connection, lease))
}

async fn take_body(worker: &Arc<Worker>, client: &Arc<Client>, body: Incoming) -> Result<Outgoing, hyper::Error> {
    if body.is_end_stream() {
        return Ok(Outgoing::Empty);
    }
    let limits = &worker.edge.limits;
    let length = body.size_hint().exact();
    let body = FromClient::new(body, Arc::clone(&client.watch), limits.idle_us, limits.answer_us, worker.edge.clock);
    match length {
        Some(length) if length <= REPEATABLE => whole(body, length as usize).await.map(Outgoing::Whole),
        _ => Ok(Outgoing::Stream(Box::new(body))),
    }
}

type Sent = (Response<Incoming>, pool::Connection, Lease);

/// Sends a request until an instance answers, as often as that cannot apply it twice.
async fn send(
    worker: &Arc<Worker>,
    mut served: Arc<Served>,
    request: Request<Outgoing>,
    is_tunnel: bool,
    passage: &mut Passage,
) -> Result<Sent, Response<Answer>> {
    let mut request = Some(request);
    let mut tried: Vec<InstanceId> = Vec::new();
    let mut last = String::new();
    for _ in 0..TRIES {
        let Some(sending) = request.take() else { break };
        let Some(lease) = enter(worker, &mut served, &tried, passage) else {
            let app = passage.app.as_ref().map(|app| app.id.to_string()).unwrap_or_default();
            return Err(retry_later(format!("{app} has no instance that serves at this moment")));
        };
        passage.instance = Some(lease.backend.instance.clone());
        let repeat = Repeat::of(&sending);
        let reuse = match (is_tunnel, repeat.is_idempotent, tried.is_empty()) {
            (true, ..) => Reuse::Tunnel,
            // After a failure nothing that was kept is trusted.
            (_, _, false) => Reuse::Never,
            (_, true, _) => Reuse::Any,
            (_, false, _) => Reuse::Young,
        };
        let started = worker.edge.clock.now();
        let (failure, copy) = match pool::connection(worker, &lease, reuse).await {
            Err(error) => (Failure { fate: Fate::Unreachable, cause: error.to_string(), request: Some(Box::new(sending)) }, None),
            Ok(mut connection) => {
                let copy = repeat.copy(&sending, connection.is_reused);
                match pool::exchange(&mut connection, sending, started + worker.edge.limits.answer_us).await {
                    Ok(answer) => {
                        note_answer(worker, &served, &lease, &answer, started);
                        return Ok((answer, connection, lease));
                    }
                    Err(failure) => (failure, copy),
                }
            }
        };
        tried.push(lease.backend.instance.clone());
        if !matches!(failure.fate, Fate::Unsent | Fate::Unseen) {
            served.failed(&lease.backend, worker.edge.clock.now(), || failure.cause.clone());
        }
        if failure.fate == Fate::TimedOut {
            return Err(plain(StatusCode::GATEWAY_TIMEOUT, "the app did not answer in time".to_owned()));
        }
        request = repeat.again(&failure, copy).or(failure.request.map(|request| *request));
        last = failure.cause;
    }
    tracing::debug!(cause = %last, "a request got no answer");
    Err(plain(StatusCode::BAD_GATEWAY, "the app did not answer".to_owned()))
}

/// Counts the request in. When the instances of its release drain, the table has changed: it is chosen anew.
fn enter(worker: &Arc<Worker>, served: &mut Arc<Served>, tried: &[InstanceId], passage: &mut Passage) -> Option<Lease> {
    const LOOKS: usize = 4;
    for _ in 0..LOOKS {
        if let Behind::Pool(backends) = &served.behind
            && let Some(lease) = Served::enter(backends, worker, tried)
        {
            return Some(lease);
        }
        let app = passage.app.as_ref()?;
        let now = worker.edge.live.load().again(app).cloned()?;
        let next = now.next(worker.index)?.clone();
        passage.app = Some(now);
        passage.served = Some(Arc::clone(&next));
        *served = next;
    }
    None
}

fn note_answer(worker: &Worker, served: &Served, lease: &Lease, answer: &Response<Incoming>, started: u64) {
    let now = worker.edge.clock.now();
    if answer.status().is_server_error() {
        served.failed(&lease.backend, now, || format!("answered {}", answer.status().as_u16()));
    } else {
        lease.backend.succeeded(now.saturating_sub(started), now);
    }
}

/// How a request may be sent again.
struct Repeat {
    /// By its method, without a body: it may be sent again as long as no answer began.
    is_idempotent: bool,
    is_whole: bool,
}

impl Repeat {
    fn of(request: &Request<Outgoing>) -> Self {
        let is_empty = matches!(request.body(), Outgoing::Empty);
        let method = request.method();
        let is_idempotent = method.is_idempotent() && is_empty;
        Self { is_idempotent, is_whole: !matches!(request.body(), Outgoing::Stream(_)) }
    }

    /// What is needed to send it again once it was written.
    fn copy(&self, request: &Request<Outgoing>, is_reused: bool) -> Option<Request<Outgoing>> {
        let is_useful = self.is_whole && (is_reused || self.is_idempotent);
        is_useful.then(|| {
            let body = match request.body() {
                Outgoing::Whole(bytes) => Outgoing::Whole(Bytes::clone(bytes)),
                _ => Outgoing::Empty,
            };
            let mut copy = Request::new(body);
            *copy.method_mut() = request.method().clone();
            *copy.uri_mut() = request.uri().clone();
            *copy.version_mut() = request.version();
            *copy.headers_mut() = request.headers().clone();
            copy
        })
    }

    fn again(&self, failure: &Failure, copy: Option<Request<Outgoing>>) -> Option<Request<Outgoing>> {
        match failure.fate {
            Fate::Unseen => copy,
            Fate::Unanswered if self.is_idempotent => copy,
            _ => None,
        }
    }
}

/// An answer of the edge itself.
pub(super) fn plain(status: StatusCode, text: String) -> Response<Answer> {
    let mut answer = Response::new(Answer::whole(text + "\n"));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn retry_later(text: String) -> Response<Answer> {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    answer
}
