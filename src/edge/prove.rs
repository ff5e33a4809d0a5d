//! Proofs: the edge asks as a client would, and tells by its own record which release answered.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use http_body_util::{BodyStream, Empty};
use hyper::{
    Method, Request,
    header::{CONNECTION, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

use super::{
    ask::{AGENT, ask, read_out},
    backend::Backend,
    forward::new_id,
    headers,
    passage::Passage,
    served::{Behind, Live, Served},
    watch::lock,
    worker::{Edge, Worker},
};
use crate::{
    config::clock,
    model::{
        edge::{Door, Proof, ProofRequest},
        ids::{AppId, InstanceId, ReleaseId},
        problem::Problem,
    },
};

/// Longest time between two tries.
const BETWEEN: Duration = Duration::from_millis(100);
/// Longest wait for one answer.
const ONE_ANSWER: Duration = Duration::from_secs(5);

/// Who answered a request: the edge's own record, which no app can write.
#[derive(Clone, Debug)]
struct Answered {
    app: Option<AppId>,
    release: Option<ReleaseId>,
    instance: Option<InstanceId>,
    status: u16,
}

/// Requests of proofs that are on their way, by their ids, which nobody can guess.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Looked at by each request: most of the time there is no proof.
    pending: AtomicUsize,
    records: Mutex<HashMap<HeaderValue, Option<Answered>>>,
}

impl Proofs {
    /// Notes who answers, when the request is one of a proof; such a request is not counted.
    pub(super) fn note(&self, passage: &mut Passage) {
        if self.pending.load(SeqCst) == 0 {
            return;
        }
        if let Some(record) = lock(&self.records).get_mut(&passage.id) {
            let release = passage.served.as_ref().map(|served| served.release);
            let app = passage.app.as_ref().map(|app| app.id.clone());
            let instance = passage.backend.as_ref().map(|backend| backend.instance.clone());
            *record = Some(Answered { app, release, instance, status: passage.status });
            passage.is_proof = true;
        }
    }

    /// Whether a request with this id is a proof's.
    pub(super) fn is_expected(&self, id: &HeaderValue) -> bool {
        self.pending.load(SeqCst) > 0 && lock(&self.records).contains_key(id)
    }

    fn expect(&self, id: &HeaderValue) -> Expected<'_> {
        lock(&self.records).insert(id.clone(), None);
        self.pending.fetch_add(1, SeqCst);
        Expected { proofs: self, id: id.clone() }
    }
}

/// A record that is waited for; forgotten when dropped.
struct Expected<'a> {
    proofs: &'a Proofs,
    id: HeaderValue,
}

impl Expected<'_> {
    fn answered(&self) -> Option<Answered> {
        lock(&self.proofs.records).get(&self.id).cloned().flatten()
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        lock(&self.proofs.records).remove(&self.id);
        self.proofs.pending.fetch_sub(1, SeqCst);
    }
}

/// What one try proved.
struct Seen {
    instances: Vec<InstanceId>,
    status: u16,
    id: HeaderValue,
}

/// Asks until the release has answered or the time is up; then the problem tells what was seen last.
pub(super) async fn prove(worker: &Arc<Worker>, request: &ProofRequest) -> Result<Proof, Problem> {
    let started = Instant::now();
    let deadline = started + request.within.duration();
    let mut proved: Vec<InstanceId> = Vec::new();
    loop {
        let one = ONE_ANSWER.min(deadline.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        let tried = match request.door {
            Door::Pool => through_pool(worker, request, &mut proved, one).await,
            Door::Public => through_public(&worker.edge, request, one).await,
        };
        let cause = match tried {
            Ok(seen) => {
                return Ok(Proof {
                    release: request.release,
                    instances: seen.instances,
                    status: seen.status,
                    request_id: seen.id.to_str().unwrap_or_default().to_owned(),
                    took_ms: started.elapsed().as_millis() as u64,
                    at: clock::now(),
                });
            }
            Err(cause) => cause,
        };
        if Instant::now() + BETWEEN >= deadline {
            return Err(Problem::app(format!(
                "release {} of {} did not prove itself in {}: {cause}",
                request.release, request.app, request.within
            ))
            .at(format!("{} {}", request.host, request.path))
            .hint(format!("see `pilothouse logs {}`", request.app)));
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

fn proof_id() -> Result<HeaderValue, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    let number = u128::from_le_bytes(bytes);
    Ok(new_id((number >> 64) as u64, number as u64))
}

async fn through_pool(
    worker: &Arc<Worker>,
    request: &ProofRequest,
    proved: &mut Vec<InstanceId>,
    one: Duration,
) -> Result<Seen, String> {
    let live = worker.edge.live.load_full();
    let id = proof_id()?;
    let splits: Vec<&Arc<Served>> = live.splits_of(&request.app).filter(|served| served.release == request.release).collect();
    if splits.is_empty() {
        return Err(format!("release {} of {} is not in the edge's route table", request.release, request.app));
    }
    for served in &splits {
        if let Behind::Site(site) = &served.behind {
            let path = request.path.split('?').next().unwrap_or("/");
            let status = site.answer(&Method::GET, path, &hyper::HeaderMap::new()).await.status().as_u16();
            // An app may refuse its ready path; a site without a page there is not the site that was meant.
            return if status < 400 {
                Ok(Seen { instances: Vec::new(), status, id })
            } else {
                Err(format!("the site has no page for {path}"))
            };
        }
    }
    let backends = wanted(&live, request, &splits)?;
    let any = request.instances.is_empty();
    let open: Vec<&Arc<Backend>> = backends.iter().filter(|backend| !proved.contains(&backend.instance)).collect();
    let asked = open.iter().map(|backend| async {
        let seen = ask(worker, backend, &request.host, &request.path, id.clone(), one).await;
        (Arc::clone(backend), seen)
    });
    let mut failure = None;
    let mut last_status = 200;
    for (backend, seen) in futures_util::future::join_all(asked).await {
        match seen {
            Ok(status) if status < 500 => {
                backend.check_passed(worker.edge.clock.now());
                proved.push(backend.instance.clone());
                last_status = status;
            }
            Ok(status) => {
                failure = Some(format!("{} on {} answered {status} to GET {}", backend.instance, backend.address, request.path));
            }
            Err(cause) => failure = Some(format!("{} on {}: {cause}", backend.instance, backend.address)),
        }
    }
    match failure {
        Some(cause) if !any || proved.is_empty() => Err(cause),
        _ => Ok(Seen { instances: std::mem::take(proved), status: last_status, id }),
    }
}

fn wanted(live: &Live, request: &ProofRequest, splits: &[&Arc<Served>]) -> Result<Vec<Arc<Backend>>, String> {
    let backends: Vec<Arc<Backend>> = splits.iter().flat_map(|served| served.backends()).cloned().collect();
    if request.instances.is_empty() {
        return if backends.is_empty() {
            Err(format!("release {} of {} has no instance in the route table", request.release, request.app))
        } else {
            Ok(backends)
        };
    }
    let find = |instance: &InstanceId| {
        let own = backends.iter().find(|backend| backend.instance == *instance);
        own.cloned().ok_or_else(|| {
            let elsewhere = if live.backends.contains_key(instance) { " for this release" } else { "" };
            format!("{instance} is not in the edge's route table{elsewhere}")
        })
    };
    request.instances.iter().map(find).collect()
}

async fn through_public(edge: &Edge, request: &ProofRequest, one: Duration) -> Result<Seen, String> {
    let id = proof_id()?;
    let expected = edge.proofs.expect(&id);
    let asked = tokio::time::timeout(one, get(edge, request, id.clone())).await;
    let answered = expected.answered();
    match asked {
        Err(_) => return Err(format!("no answer in {} through the public listener", crate::model::units::Millis::from(one))),
        Ok(Err(cause)) => return Err(cause),
        Ok(Ok(())) => {}
    }
    // Only the edge's own record counts, whatever the answer says of itself.
    let Some(answered) = answered else {
        return Err("the public listener's answer did not come from this edge".to_owned());
    };
    let who = answered.instance.as_ref().map_or(String::new(), |instance| format!(" ({instance})"));
    match answered.release {
        None => Err(format!("the edge itself answered {} for {}", answered.status, request.host)),
        // Two apps may share a host, each below its path.
        Some(_) if answered.app.as_ref() != Some(&request.app) => {
            let app = answered.app.map(|app| app.to_string()).unwrap_or_default();
            Err(format!("{app} answered instead, with {}", answered.status))
        }
        Some(release) if release != request.release => {
            Err(format!("release {release}{who} answered instead, with {}", answered.status))
        }
        Some(release) if answered.status >= 500 => {
            Err(format!("release {release}{who} answered {} to GET {}", answered.status, request.path))
        }
        // A static site.
        Some(_) if answered.instance.is_none() && answered.status >= 400 => {
            Err(format!("the site has no page for {}", request.path))
        }
        Some(_) => Ok(Seen { instances: answered.instance.into_iter().collect(), status: answered.status, id }),
    }
}

/// Asks as any client would, by a new connection.
async fn get(edge: &Edge, request: &ProofRequest, id: HeaderValue) -> Result<(), String> {
    let mut address = *edge.http.first().ok_or("the edge has no public listener")?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let told = |error: &dyn std::fmt::Display| format!("the public listener at {address}: {error}");
    let socket = TcpStream::connect(address).await.map_err(|error| told(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(|error| told(&error))?;
    let asked = Request::get(&request.path)
        .header(HOST, &request.host)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close")
        .header(headers::REQUEST_ID, id)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| format!("the request cannot be formed: {error}"))?;
    let exchange = async move {
        let answer = sender.send_request(asked).await.map_err(|error| told(&error))?;
        let parts = BodyStream::new(answer.into_body()).map_ok(|frame| frame.data_ref().map_or(0, bytes::Bytes::len));
        read_out(parts).await.map_err(|(read, _)| told(&format!("the app broke off its answer after {read} bytes")))
    };
    // The connection ends first only when it breaks; then what was asked ends as well, with the reason.
    let (done, _) = tokio::join!(exchange, connection);
    done
}
