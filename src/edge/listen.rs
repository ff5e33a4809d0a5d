//! Public listeners: connections are taken, each within its limits, until the edge accepts no more.

use std::{
    net::{IpAddr, TcpListener},
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use hyper::header::HeaderValue;
use tokio::net::TcpStream;

use super::{
    converse::{self, Conversation},
    forward::Client,
    headers::Asker,
    watch::Watch,
    worker::{Edge, Worker, spawn},
};

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Secure,
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

/// Takes connections until the edge accepts no more.
pub(super) async fn accept(worker: Arc<Worker>, listener: TcpListener, kind: Kind) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let closing = worker.edge.closing.clone();
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, from)) => greet(&worker, socket, from.ip(), kind),
            // Out of descriptors, most likely: some must be closed first.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    // What the system has accepted already would be reset by closing the listener, unless another edge has it too.
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
    let client = Arc::new(Client { ip, asker, watch: Arc::clone(&watch), stream: None });
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
