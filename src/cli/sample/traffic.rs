//! The demo's load: a steady, bounded number of requests to one app through the edge, on loopback only.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::Instant};

use super::service::log;
use crate::{config::StateDir, wire::engine::Client};

/// Most requests per second that can be asked for.
pub const HIGHEST_RATE: u32 = 100;
/// What is asked, in turn.
const PATHS: [&str; 4] = ["/", "/version", "/", "/healthz"];
/// How often the log says what was sent.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What to send where.
#[derive(Debug, Parser)]
#[command(name = "pilothouse sample traffic", about = "Sends a steady load to one app of an engine on this machine")]
struct Load {
    /// Host name of the app at the edge
    #[arg(long)]
    host: String,
    /// State folder of the engine whose edge is asked
    #[arg(long)]
    state: PathBuf,
    /// Requests per second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(HIGHEST_RATE)))]
    rate: u32,
    /// Send only while this file's lock is held, so that two of them do not send twice
    #[arg(long)]
    lock: Option<PathBuf>,
}

/// Runs until it is ended.
pub async fn main(arguments: &[String]) -> ExitCode {
    let words = std::iter::once("traffic".to_owned()).chain(arguments.iter().cloned());
    let load = match Load::try_parse_from(words) {
        Ok(load) => load,
        Err(error) => {
            // Nobody to tell when even that fails.
            let _ = error.print();
            return ExitCode::from(2);
        }
    };
    // Held until this process ends, however it ends.
    let _held = match &load.lock {
        Some(path) => match hold(path).await {
            Ok(file) => Some(file),
            Err(error) => {
                log("error", &[("msg", format!("cannot lock {}: {error}", path.display()).into())]);
                return ExitCode::FAILURE;
            }
        },
        None => None,
    };
    send(&load).await
}

/// Waits until no other process holds the lock of `path`, then holds it.
async fn hold(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let mut said = false;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        if !said {
            log("info", &[("msg", "another release sends; this one waits".into())]);
            said = true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn send(load: &Load) -> ! {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / load.rate);
    // A pause is not made up for: the rate stays a bound.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut connection, mut sent, mut failed, mut said) = (None, 0_u64, 0_u64, Instant::now());
    let mut address = None;
    loop {
        tick.tick().await;
        if connection.is_none() {
            address = edge(load).await.or(address);
            connection = match address {
                Some(address) => connect(address).await,
                None => None,
            };
        }
        let Some(sender) = connection.as_mut() else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        let path = PATHS[sent as usize % PATHS.len()];
        sent += 1;
        match ask(sender, &load.host, path).await {
            Some(status) if status < 500 => {}
            Some(_) => failed += 1,
            None => (failed, connection) = (failed + 1, None),
        }
        if said.elapsed() >= SAY_EVERY {
            log("info", &[("msg", "load".into()), ("sent", sent.into()), ("failed", failed.into())]);
            said = Instant::now();
        }
    }
}

/// The edge's public address, as its engine says; absent while the engine or the edge is away.
async fn edge(load: &Load) -> Option<SocketAddr> {
    let client = Client::new(StateDir::new(load.state.clone()).engine_socket());
    let port = client.status().await.ok()?.edge.http.first()?.port();
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    #[expect(clippy::disallowed_methods, reason = "ends with the connection, which ends with the sender")]
    tokio::spawn(connection);
    Some(sender)
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, host: &str, path: &str) -> Option<u16> {
    let request = Request::get(path).header(header::HOST, host).body(Full::default()).ok()?;
    let exchange = async {
        sender.ready().await.ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.ok()?;
        Some(status)
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await.ok()?
}
