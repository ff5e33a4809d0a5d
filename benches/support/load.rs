//! Open-loop load over keep-alive connections: requests are due at fixed times, and are late rather than left out.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is sent where.
#[derive(Clone, Debug)]
pub struct Load {
    pub address: SocketAddr,
    pub host: String,
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    /// Requests per second.
    pub rate: u32,
    /// Clients at most.
    pub connections: usize,
    /// Each client keeps its connection; else each request has one of its own.
    pub keeps: bool,
    /// Counts the requests, so that each has a body of its own: its number follows `body`.
    pub numbers: Option<Arc<AtomicU64>>,
}

impl Load {
    /// POSTs to `/echo` of an app at `url`, a loopback address with its port, over 32 kept connections.
    pub fn echo(url: &str, rate: u32) -> Self {
        let host = url.trim_start_matches("http://").to_owned();
        let port: u16 = host.rsplit(':').next().expect("a port").parse().expect("a port");
        Self {
            address: ([127, 0, 0, 1], port).into(),
            host,
            method: Method::POST,
            path: "/echo".to_owned(),
            body: vec![b'x'; 256].into(),
            rate,
            connections: 32,
            keeps: true,
            numbers: None,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sent: u64,
    /// Answered with a status below 400 and, for a POST, with the body that was sent.
    pub good: u64,
    /// Others, by what was wrong.
    pub failed: BTreeMap<String, u64>,
    /// Microseconds from the time a request was due to the end of its answer, ascending.
    pub latency_us: Vec<u64>,
    /// Connections opened; one per client when none was closed.
    pub connected: u64,
}

impl Tally {
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The latency below which `percent` of the answers lie, in milliseconds.
    pub fn latency_ms(&self, percent: f64) -> f64 {
        let last = self.latency_us.len().saturating_sub(1);
        let index = (last as f64 * percent / 100.0).round() as usize;
        self.latency_us.get(index).map_or(f64::NAN, |us| *us as f64 / 1000.0)
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.good += other.good;
        self.connected += other.connected;
        self.latency_us.extend(other.latency_us);
        for (what, count) in other.failed {
            *self.failed.entry(what).or_default() += count;
        }
    }
}

/// A load under way.
pub struct Running {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Tally>>,
}

impl Load {
    /// Starts it; must be called inside a tokio runtime.
    pub fn start(&self) -> Running {
        let (stop, next, from) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Instant::now());
        let clients = (0..self.connections).map(|_| tokio::spawn(client(self.clone(), from, next.clone(), stop.clone())));
        Running { clients: clients.collect(), stop }
    }

    /// Runs it for `span`.
    pub async fn run(&self, span: Duration) -> Tally {
        let running = self.start();
        tokio::time::sleep(span).await;
        running.stop().await
    }
}

impl Running {
    /// Lets requests under way finish.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            all.add(client.await.expect("a client does not panic"));
        }
        all.latency_us.sort_unstable();
        all
    }
}

/// Takes the next due request whenever it is free.
async fn client(mut load: Load, from: Instant, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    let body = load.body.clone();
    let mut connection: Option<SendRequest<Full<Bytes>>> = None;
    while !stop.load(Ordering::Relaxed) {
        let due = from + Duration::from_secs(1) * next.fetch_add(1, Ordering::Relaxed) as u32 / load.rate;
        tokio::time::sleep_until(due.into()).await;
        tally.sent += 1;
        if let Some(numbers) = &load.numbers {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            load.body = [&body[..], number.to_string().as_bytes()].concat().into();
        }
        // A connection that the server has closed in good time is replaced; that is not a failure.
        if let Some(open) = connection.as_mut()
            && open.ready().await.is_err()
        {
            connection = None;
        }
        if connection.is_none() {
            tally.connected += 1;
            connection = connect(load.address).await;
        }
        let asked = match connection.as_mut() {
            Some(open) => tokio::time::timeout(Duration::from_secs(30), ask(open, &load))
                .await
                .unwrap_or(Err("no answer in 30 s".to_owned())),
            None => Err("no connection".to_owned()),
        };
        match asked {
            Ok(keeps) => {
                tally.good += 1;
                tally.latency_us.push(due.elapsed().as_micros() as u64);
                connection = connection.filter(|_| keeps && load.keeps);
            }
            Err(what) => {
                *tally.failed.entry(what).or_default() += 1;
                connection = None;
            }
        }
    }
    tally
}

/// A connection of one client; absent when it was refused.
pub async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// One request; gives whether the connection may be kept, or what was wrong.
pub async fn ask(connection: &mut SendRequest<Full<Bytes>>, load: &Load) -> Result<bool, String> {
    let request = Request::builder().method(load.method.clone()).uri(&load.path).header("host", &load.host);
    let request = request.body(Full::new(load.body.clone())).map_err(|error| error.to_string())?;
    let answer = connection.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let keeps = answer.headers().get("connection").is_none_or(|value| value != "close");
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    if status.as_u16() >= 400 {
        return Err(format!("status {status}"));
    }
    if load.method == Method::POST && body != load.body {
        return Err("another body than was sent".to_owned());
    }
    Ok(keeps)
}
