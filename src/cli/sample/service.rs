//! The sample's service: a versioned page, health, metrics, switches, and a log line of every request.

use std::{
    convert::Infallible,
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{metrics::Metrics, switches::Switches};
use crate::config::clock;

/// Largest body that `/echo` gives back.
const LARGEST_ECHO: usize = 1 << 20;
/// Longest wait for requests in flight at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(20);

/// The running sample.
#[derive(Debug)]
pub struct Service {
    switches: Mutex<Switches>,
    metrics: Metrics,
    requests: AtomicU64,
    /// Set by `POST /crash`.
    crash: AtomicBool,
    started: Instant,
}

impl Service {
    pub fn new(switches: Switches) -> Self {
        Self {
            switches: Mutex::new(switches),
            metrics: Metrics::default(),
            requests: AtomicU64::new(0),
            crash: AtomicBool::new(false),
            started: Instant::now(),
        }
    }

    fn switches(&self) -> Switches {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn announce(&self, listener: &TcpListener) {
        let address = listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        let switches = self.switches();
        log(
            "info",
            &[("msg", format!("{} listens on {address}", switches.version).into()), ("release", switches.release.into())],
        );
    }

    /// Answers until `stop`, then lets requests in flight finish.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            // Small answers wait for nobody's acknowledgement.
            let _ = stream.set_nodelay(true);
            let (service, stop) = (self.clone(), stop.clone());
            connections.spawn(async move {
                let answer = service_fn(move |request| {
                    let service = service.clone();
                    async move { Ok::<_, Infallible>(service.answer(request).await) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(75));
                let connection = http.serve_connection(TokioIo::new(stream), answer);
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = stop.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
            });
        }
        drop(listener);
        connections.close();
        let _ = tokio::time::timeout(LAST_REQUESTS, connections.wait()).await;
    }

    /// Does what the switches for crash and memory say; gives the code to end with.
    pub async fn upkeep(self: Arc<Self>) -> ExitCode {
        let mut held: Vec<Vec<u8>> = Vec::new();
        let mut ticks = 0_u64;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ticks += 1;
            let switches = self.switches();
            let due = switches.crash_after_ms.is_some_and(|after| self.started.elapsed() >= Duration::from_millis(after));
            if due || self.crash.load(Ordering::Relaxed) {
                log("error", &[("msg", "told to crash".into())]);
                return ExitCode::FAILURE;
            }
            if ticks.is_multiple_of(20) && switches.memory_per_s > 0 {
                // Written to, so that the memory is really taken.
                held.push(vec![1; switches.memory_per_s as usize]);
                let taken = self.metrics.held.fetch_add(switches.memory_per_s, Ordering::Relaxed) + switches.memory_per_s;
                log("warn", &[("msg", "memory grows".into()), ("held_bytes", taken.into())]);
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let started = Instant::now();
        self.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let id = request_id(&request);
        let mut answer = self.route(request).await;
        let headers = answer.headers_mut();
        if let Ok(value) = id.parse() {
            headers.insert("x-request-id", value);
        }
        if let Ok(value) = self.switches().release.parse() {
            headers.insert("x-sample-release", value);
        }
        let took = started.elapsed();
        self.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.metrics.count(answer.status().as_u16(), took.as_secs_f64());
        let status = answer.status().as_u16();
        let level = if status >= 500 { "error" } else { "info" };
        log(
            level,
            &[
                ("msg", "request".into()),
                ("request_id", id.into()),
                ("method", method.as_str().into()),
                ("path", path.into()),
                ("status", status.into()),
                ("took_ms", ((took.as_secs_f64() * 1e4).round() / 10.0).into()),
            ],
        );
        answer
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let method = request.method().clone();
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (&method, request.uri().path()) {
            (&Method::GET, "/metrics") => {
                text(StatusCode::OK, "text/plain; version=0.0.4", self.metrics.text(&self.switches().version))
            }
            (&Method::GET, "/switches") => json(StatusCode::OK, &self.switches()),
            (&Method::POST, "/switches") => self.turn(&query),
            (&Method::POST, "/crash") => {
                self.crash.store(true, Ordering::Relaxed);
                text(StatusCode::ACCEPTED, "text/plain", "crashes now\n".to_owned())
            }
            (_, "/healthz") if self.switches().unhealthy => {
                text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "unhealthy\n".to_owned())
            }
            (_, "/healthz") => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            (_, path) => {
                let path = path.to_owned();
                self.app(&method, &path, request).await
            }
        }
    }

    /// The part that the switches for latency and errors touch.
    async fn app(&self, method: &Method, path: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let switches = self.switches();
        if switches.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(switches.latency_ms)).await;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if switches.unhealthy {
            return text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "unhealthy\n".to_owned());
        }
        if fails(number, switches.errors) {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "told to fail\n".to_owned());
        }
        match (method, path) {
            (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, "text/html; charset=utf-8", page(&switches)),
            (_, "/version") => json(
                StatusCode::OK,
                &serde_json::json!({"app": switches.app, "version": switches.version, "release": switches.release, "instance": switches.instance}),
            ),
            (_, "/echo") => match Limited::new(request.into_body(), LARGEST_ECHO).collect().await {
                Ok(body) => Response::new(Full::new(body.to_bytes())),
                Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "larger than 1 MiB, or broken off\n".to_owned()),
            },
            _ => text(StatusCode::NOT_FOUND, "text/plain", format!("nothing at {path}\n")),
        }
    }

    fn turn(&self, query: &str) -> Response<Full<Bytes>> {
        let mut turned = self.switches();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            if let Err(cause) = turned.set(name, value) {
                return text(StatusCode::BAD_REQUEST, "text/plain", format!("{cause}\n"));
            }
        }
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner) = turned.clone();
        json(StatusCode::OK, &turned)
    }
}

/// Whether the `number`th request is one of the `percent` that fail: spread evenly, without luck.
fn fails(number: u64, percent: f64) -> bool {
    let share = |n: u64| (n as f64 * percent / 100.0).floor();
    share(number + 1) > share(number)
}

fn request_id(request: &Request<Incoming>) -> String {
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    given.map_or_else(
        || {
            let mut bytes = [0_u8; 8];
            // Without randomness the id is zeros: a log line with a poor id is better than no answer.
            let _ = getrandom::fill(&mut bytes);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        },
        str::to_owned,
    )
}

fn page(switches: &Switches) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (app, version) = (escape(&switches.app), escape(&switches.version));
    let (release, instance) = (escape(&switches.release), escape(&switches.instance));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{app} {version}</title>\n\
         <style>body{{font:16px/1.5 system-ui;background:#10151c;color:#d6dde8;display:grid;place-content:center;height:95vh}}\
         h1{{color:#6ab7ff;margin:0}}dl{{color:#8a98ab}}</style></head>\n\
         <body><h1>{app} {version}</h1><dl><dt>release {release}, instance {instance}</dt></dl></body></html>\n"
    )
}

fn text(status: StatusCode, content: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content));
    answer
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    text(status, "application/json", serde_json::to_string(value).unwrap_or_default() + "\n")
}

/// Writes one JSON line to the output; a closed output is nobody's loss.
pub fn log(level: &str, fields: &[(&str, Value)]) {
    let time = chrono::DateTime::from_timestamp_millis(clock::now().0).map(|time| time.to_rfc3339());
    let mut record = serde_json::Map::new();
    record.insert("time".to_owned(), time.into());
    record.insert("level".to_owned(), level.into());
    record.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let _ = writeln!(std::io::stdout().lock(), "{}", Value::Object(record));
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// A sample on a free port, and a way to ask it.
    struct World {
        address: std::net::SocketAddr,
        stop: CancellationToken,
        service: Arc<Service>,
    }

    impl World {
        async fn with(pairs: &[(&str, &str)]) -> Self {
            let switches =
                Switches::from_environment(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
            let service = Arc::new(Service::new(switches.unwrap()));
            TaskTracker::new().spawn(service.clone().serve(listener, stop.clone()));
            Self { address, stop, service }
        }

        async fn ask(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request = format!("{request} HTTP/1.1\r\nhost: x\r\nx-request-id: r1\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }

        async fn status(&self, request: &str) -> u16 {
            self.ask(request).await.split(' ').nth(1).unwrap().parse().unwrap()
        }
    }

    #[tokio::test]
    async fn the_page_names_version_and_release_and_keeps_the_request_id() {
        let world = World::with(&[("SAMPLE_VERSION", "v7"), ("PILOTHOUSE_RELEASE", "41"), ("PILOTHOUSE_APP", "shop")]).await;
        let answer = world.ask("GET /").await;
        assert!(answer.contains("<h1>shop v7</h1>") && answer.contains("release 41"), "{answer}");
        assert!(answer.contains("x-request-id: r1"), "{answer}");
        assert!(world.ask("GET /metrics").await.contains("http_requests_total{status=\"200\"} 1"));
    }

    #[tokio::test]
    async fn a_switch_turned_by_a_request_changes_the_answers() {
        let world = World::with(&[]).await;
        assert_eq!(world.status("GET /").await, 200);
        assert_eq!(world.status("POST /switches?errors=100").await, 200);
        assert_eq!(world.status("GET /").await, 500);
        assert_eq!(world.status("GET /healthz").await, 200);
        assert_eq!(world.status("POST /switches?errors=0&unhealthy=1").await, 200);
        assert_eq!(world.status("GET /healthz").await, 503);
        assert_eq!(world.status("POST /switches?nonsense=1").await, 400);
    }

    #[tokio::test]
    async fn errors_come_in_the_stated_share() {
        assert_eq!((0..1000).filter(|number| fails(*number, 5.0)).count(), 50);
        assert_eq!((0..10).filter(|number| fails(*number, 0.0)).count(), 0);
    }

    #[tokio::test]
    async fn a_request_in_flight_finishes_when_the_sample_is_told_to_end() {
        let world = World::with(&[("SAMPLE_LATENCY", "150ms")]).await;
        let asked = world.ask("GET /");
        tokio::pin!(asked);
        // The request has arrived once it is counted as in flight.
        while world.service.metrics.in_flight.load(Ordering::Relaxed) == 0 {
            tokio::select! {
                answer = asked.as_mut() => panic!("answered too early: {answer}"),
                () = tokio::task::yield_now() => {}
            }
        }
        world.stop.cancel();
        assert!(asked.await.starts_with("HTTP/1.1 200"));
        assert!(TcpStream::connect(world.address).await.is_err());
    }

    #[tokio::test]
    async fn a_crash_on_request_ends_with_a_failure() {
        let world = World::with(&[]).await;
        assert_eq!(world.status("POST /crash").await, 202);
        assert_eq!(format!("{:?}", world.service.clone().upkeep().await), format!("{:?}", ExitCode::FAILURE));
    }
}
