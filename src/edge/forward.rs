//! One request: to which app, which release, which instance; and what is done when that one fails.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, UPGRADE},
    http::request::Parts,
};

use super::{
    answer_head::Head,
    backend::Lease,
    body::{Answer, FromClient, Outgoing, whole},
    download::Download,
    exchange::{exchange, spoken},
    headers::{self, Asker},
    http2::Stream,
    passage::Passage,
    pool::{self, Failure, Fate, Reuse},
    served::{Behind, Served},
    tunnel::{self, ClientSide},
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
    /// Of HTTP/2: the stream, which is open as long as a tunnel in it.
    pub stream: Option<Arc<Stream>>,
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
    if let Some((_, Some(protocol))) = &upgrade {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, protocol.clone());
    }
    let (head, body) = request.into_parts();
    let Ok(body) = take_body(worker, client, body).await else {
        return client_gone();
    };
    let (answer, mut download, lease) = match send(worker, served, &head, body, upgrade.is_some(), passage).await {
        Ok(sent) => sent,
        Err(refusal) => return refusal,
    };
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        return match (upgrade, download.into_tunnel()) {
            (Some((client_side, _)), Some(app_side)) => {
                let client_side = ClientSide { upgrade: client_side, stream: client.stream.clone() };
                tunnel::open(worker, answer.headers, client_side, app_side, lease)
            }
            _ => plain(StatusCode::BAD_GATEWAY, "the app changed the protocol without being asked".to_owned()),
        };
    }
    let Head { status, mut headers, .. } = answer;
    if let Some(seconds) = headers::keep_alive_seconds(&headers) {
        lease.backend.patience.said(seconds);
    }
    headers::prepare_answer(&mut headers);
    // Most answers come in one piece: then the instance is done with.
    let mut answer = Response::new(match download.whole() {
        Some(body) => Answer::whole(body),
        None => Answer::relay(download, lease),
    });
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
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

type Sent = (Head, Download, Lease);

/// Sends a request until an instance answers, as often as that cannot apply it twice.
async fn send(
    worker: &Arc<Worker>,
    mut served: Arc<Served>,
    head: &Parts,
    mut body: Outgoing,
    is_tunnel: bool,
    passage: &mut Passage,
) -> Result<Sent, Response<Answer>> {
    let repeat = Repeat::of(head, &body);
    let mut tried: Vec<InstanceId> = Vec::new();
    let mut last = String::new();
    for _ in 0..TRIES {
        let Some(lease) = enter(worker, &mut served, &tried, passage) else {
            let app = passage.app.as_ref().map(|app| app.id.to_string()).unwrap_or_default();
            return Err(retry_later(format!("{app} has no instance that serves at this moment")));
        };
        passage.backend = Some(Arc::clone(&lease.backend));
        let reuse = match repeat.is_idempotent {
            // A tunnel lives longer than a pool; and after a failure nothing that was kept is trusted.
            _ if is_tunnel || !tried.is_empty() => Reuse::Never,
            true => Reuse::Any,
            false => Reuse::Young,
        };
        let started = worker.edge.clock.now();
        let failure = match pool::connection(worker, &lease.backend, reuse).await {
            Err(error) => Failure { fate: Fate::Unreachable, cause: spoken(&error) },
            Ok(connection) => match exchange(connection, head, &mut body, started + worker.edge.limits.answer_us).await {
                Ok((answer, download)) => {
                    note_answer(worker, &served, &lease, answer.status, started);
                    return Ok((answer, download, lease));
                }
                Err(failure) => failure,
            },
        };
        if failure.fate == Fate::ClientGone {
            return Err(client_gone());
        }
        tried.push(lease.backend.instance.clone());
        if !matches!(failure.fate, Fate::Unsent | Fate::Unseen) {
            served.failed(&lease.backend, worker.edge.clock.now(), || failure.cause.clone());
        }
        if failure.fate == Fate::TimedOut {
            return Err(plain(StatusCode::GATEWAY_TIMEOUT, "the app did not answer in time".to_owned()));
        }
        last = failure.cause;
        if !repeat.may_follow(failure.fate) {
            break;
        }
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

fn note_answer(worker: &Worker, served: &Served, lease: &Lease, status: StatusCode, started: u64) {
    let now = worker.edge.clock.now();
    if status.is_server_error() {
        served.failed(&lease.backend, now, || format!("answered {}", status.as_u16()));
    } else {
        lease.backend.succeeded(now.saturating_sub(started), now);
    }
}

/// How a request may be sent again.
#[derive(Clone, Copy)]
struct Repeat {
    /// By its method, without a body: it may be sent again as long as no answer began.
    is_idempotent: bool,
    is_whole: bool,
}

impl Repeat {
    fn of(head: &Parts, body: &Outgoing) -> Self {
        let is_idempotent = head.method.is_idempotent() && matches!(body, Outgoing::Empty);
        Self { is_idempotent, is_whole: !matches!(body, Outgoing::Stream(_)) }
    }

    /// Whether it may be sent once more after this.
    fn may_follow(self, fate: Fate) -> bool {
        match fate {
            // Not a byte of it was written; a body that comes from the client has not been begun either.
            Fate::Unreachable | Fate::Unsent => true,
            Fate::Unseen => self.is_whole,
            Fate::Unanswered => self.is_idempotent,
            Fate::TimedOut | Fate::Broken | Fate::ClientGone => false,
        }
    }
}

fn client_gone() -> Response<Answer> {
    plain(StatusCode::BAD_REQUEST, "the request's body broke off".to_owned())
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
