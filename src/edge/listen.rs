//! Public listeners: which port, one socket per thread, connections within their limits.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::{
    converse::{self, Conversation},
    forward::Client,
    headers::Asker,
    table,
    watch::Watch,
    worker::{Edge, Worker, spawn},
};
use crate::model::problem::Problem;

/// First port that is tried when none is set.
const FIRST_PORT: u16 = 8080;
/// Ports that are tried after it.
const PORTS: u16 = 1000;
/// Connections that the system may hold before they are accepted.
const BACKLOG: i32 = 4096;
/// How long a port that is not free yet is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// `STATE/edge/ports.json`: which ports were chosen, so that URLs outlive a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chosen {
    asked: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
}

/// Listening sockets: of each address one per thread.
#[derive(Default)]
pub(super) struct Listeners {
    pub addresses: Vec<SocketAddr>,
    pub per_thread: Vec<Vec<TcpListener>>,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Secure,
}

/// Opens the listeners for HTTPS; without an address there is none.
pub(super) fn open_secure(asked: &[SocketAddr], threads: usize, folder: &Path) -> Result<Listeners, Problem> {
    if asked.is_empty() { Ok(Listeners::default()) } else { open_known(asked, threads, &folder.join("ports-https.json")) }
}

/// Opens the listeners for plain HTTP.
pub(super) fn open(asked: &[SocketAddr], threads: usize, folder: &Path) -> Result<Listeners, Problem> {
    open_known(asked, threads, &folder.join("ports.json"))
}

/// Those that were chosen at the last start with the same settings, else new ones.
fn open_known(asked: &[SocketAddr], threads: usize, file: &Path) -> Result<Listeners, Problem> {
    let known: Option<Chosen> = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let addresses = match known.filter(|known| known.asked == asked && !known.http.is_empty()) {
        Some(known) => known.http,
        None if asked.is_empty() => return remember(file, asked, first_free(threads)?),
        None => asked.to_vec(),
    };
    remember(file, asked, wait_for(&addresses, threads)?)
}

fn remember(file: &Path, asked: &[SocketAddr], listeners: Listeners) -> Result<Listeners, Problem> {
    let chosen = Chosen { asked: asked.to_vec(), http: listeners.addresses.clone() };
    let text = serde_json::to_vec_pretty(&chosen).unwrap_or_default();
    table::replace(file, &text)
        .map_err(|error| Problem::unavailable(format!("cannot keep the edge's ports: {error}")).at(file.display().to_string()))?;
    Ok(listeners)
}

/// The first port from 8080 that is free on 127.0.0.1 and, where there is one, on `[::1]`.
fn first_free(threads: usize) -> Result<Listeners, Problem> {
    for port in FIRST_PORT..FIRST_PORT + PORTS {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        match listen_all(&[four, six], threads) {
            Ok(listeners) => return Ok(listeners),
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
            // Names such as `shop.localhost` lead to [::1] first, so it is wanted; but not every machine has it.
            Err((address, _)) if address == six => {
                if let Ok(listeners) = listen_all(&[four], threads) {
                    return Ok(listeners);
                }
            }
            Err((address, error)) => return Err(refused(address, &error)),
        }
    }
    Err(Problem::conflict(format!("no port from {FIRST_PORT} to {} is free", FIRST_PORT + PORTS - 1)).hint("set edge.http"))
}

/// Waits until the addresses are free: those of the edge's last run may still be closing.
fn wait_for(addresses: &[SocketAddr], threads: usize) -> Result<Listeners, Problem> {
    const STEP: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        match listen_all(addresses, threads) {
            Ok(listeners) => return Ok(listeners),
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && waited < PATIENCE => {
                std::thread::sleep(STEP);
                waited += STEP;
            }
            Err((address, error)) => return Err(refused(address, &error)),
        }
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Problem {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => Problem::conflict(format!("port {port} is taken by another program"))
            .hint(format!("find it with `ss -ltnp 'sport = :{port}'`, or set edge.http to another port")),
        io::ErrorKind::PermissionDenied => Problem::user(format!("port {port} needs rights that this user lacks"))
            .hint("set edge.http to a port from 1024 on, or grant CAP_NET_BIND_SERVICE"),
        _ => Problem::user(format!("cannot listen on {address}: {error}")).hint("set edge.http to an address of this machine"),
    }
    .at(address.to_string())
}

fn listen_all(addresses: &[SocketAddr], threads: usize) -> Result<Listeners, (SocketAddr, io::Error)> {
    let mut listeners = Listeners { addresses: Vec::new(), per_thread: (0..threads).map(|_| Vec::new()).collect() };
    for asked in addresses {
        let (address, sockets) = listen_at(*asked, threads, false).map_err(|error| (*asked, error))?;
        listeners.per_thread.iter_mut().zip(sockets).for_each(|(thread, socket)| thread.push(socket));
        listeners.addresses.push(address);
    }
    Ok(listeners)
}

/// One socket per thread. `any`: the address may become this machine's later (IP_FREEBIND of ip(7)).
pub(super) fn listen_at(asked: SocketAddr, threads: usize, any: bool) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let mut address = asked;
    let mut sockets = Vec::new();
    for number in 0..threads {
        let socket = listen(address, number == 0, any)?;
        // Port 0 becomes one of the system's choice, then the same for all threads.
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok((address, sockets))
}

fn listen(address: SocketAddr, is_first: bool, any: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if any && address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    }
    // The first socket must not share its port with another edge of this user: it shares only once it has it.
    if !is_first {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A connection of a client, counted while this value lives.
#[derive(Debug)]
pub(super) struct Seat(Arc<Edge>);

impl Seat {
    pub(super) fn take(edge: &Arc<Edge>) -> Self {
        edge.clients.fetch_add(1, SeqCst);
        Self(Arc::clone(edge))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, SeqCst);
    }
}

/// Takes connections until the edge stops.
pub(super) async fn accept(worker: Arc<Worker>, listener: TcpListener, kind: Kind) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let stop = worker.edge.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, from)) => greet(&worker, socket, from.ip(), kind),
            // Out of descriptors, most likely: some must be closed first.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    // What the system has accepted already would be reset by closing the listener.
    while let Ok(Ok((socket, from))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        greet(&worker, socket, from.ip(), kind);
    }
}

fn greet(worker: &Arc<Worker>, socket: TcpStream, ip: IpAddr, kind: Kind) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 28\r\n\
        Retry-After: 1\r\nConnection: close\r\n\r\ntoo many connections are open";
    let edge = &worker.edge;
    let seat = Seat::take(edge);
    if edge.clients.load(SeqCst) > edge.limits.connections {
        // As far as it goes at once; then it is closed.
        if kind == Kind::Plain {
            let _ = socket.try_write(FULL);
        }
        return;
    }
    // Small answers must not wait for an acknowledgement; a socket that refuses this is closed already.
    let _ = socket.set_nodelay(true);
    let watch = Arc::new(Watch::new());
    watch.read_by(edge.clock.now() + edge.limits.header_us);
    let ip = ip.to_canonical();
    let address = HeaderValue::from_str(&ip.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
    let scheme = HeaderValue::from_static(if kind == Kind::Plain { "http" } else { "https" });
    let asker = Asker { address, scheme, is_trusted: edge.trusted.contains(&ip) };
    let client = Arc::new(Client { ip, asker, watch: Arc::clone(&watch) });
    let watched = worker.watches.add(Arc::clone(&watch));
    let owner = Arc::clone(worker);
    let task = spawn(async move {
        let _unwatched = Unwatched { worker: &owner, watched };
        let _seat = seat;
        let conversation = Conversation { worker: Arc::clone(&owner), client };
        match kind {
            Kind::Plain => converse::plain(conversation, socket).await,
            Kind::Secure => converse::secure(conversation, socket).await,
        }
    });
    watch.owned_by(task);
}

struct Unwatched<'a> {
    worker: &'a Worker,
    watched: u64,
}

impl Drop for Unwatched<'_> {
    fn drop(&mut self) {
        self.worker.watches.remove(self.watched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_edge_of_the_same_user_does_not_share_the_port() {
        let ours = listen_all(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], 3).unwrap();
        assert_eq!(ours.per_thread.len(), 3);
        let (_, error) = listen_all(&ours.addresses, 3).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn two_edges_choose_two_ports() {
        let (one, other) = (first_free(2).unwrap(), first_free(2).unwrap());
        assert_ne!(one.addresses[0].port(), other.addresses[0].port());
    }

    #[test]
    fn the_port_stays_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let asked = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let first = open(&asked, 1, folder.path()).unwrap().addresses;
        assert_eq!(open(&asked, 1, folder.path()).unwrap().addresses, first);
    }
}
