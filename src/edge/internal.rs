//! The internal listener: plain HTTP at an address that containers of this machine reach, the gateway of their bridge.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    listen::{self, Kind},
    ports::{self, Handed},
    table,
    watch::lock,
    worker::{Edge, Worker, spawn},
};
use crate::model::problem::Problem;

/// Pause between two tries for a port that is not free yet.
const STEP: Duration = Duration::from_millis(100);
/// Tries for the port that containers know before another one is taken.
const TRIES: u32 = 30;
/// Ports tried after the public one.
const PORTS: u16 = 100;

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub address: Option<SocketAddr>,
    /// The sockets, to hand over; none once the edge accepts no more.
    pub copies: Vec<TcpListener>,
    /// Those of each thread, until that has taken them.
    per_thread: Arc<[Mutex<Vec<TcpListener>>]>,
}

/// `STATE/edge/internal.json`: containers keep the port that they were told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Kept {
    address: SocketAddr,
}

fn file(edge: &Edge) -> std::path::PathBuf {
    edge.state.edge().join("internal.json")
}

/// Opens the listener at `gateway`, in place of one at another address; gives where it is. Idempotent.
///
/// The address need not be one of this machine's yet: bridges come and go with Docker.
pub(super) async fn open(edge: &Edge, gateway: IpAddr) -> Result<SocketAddr, Problem> {
    if let Some(address) = edge.internal.borrow().address.filter(|address| address.ip() == gateway) {
        return Ok(address);
    }
    let none = Handed::default();
    let kept: Option<Kept> = std::fs::read(file(edge)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let known = kept.map(|kept| kept.address).filter(|address| address.ip() == gateway);
    for _ in 0..TRIES {
        let Some(address) = known else { break };
        match take(edge, address, &none) {
            Ok(()) => return Ok(address),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(STEP).await,
            Err(error) => return Err(refused(address, &error)),
        }
    }
    let first = edge.http.first().map_or(8080, SocketAddr::port);
    for port in first..first.saturating_add(PORTS) {
        let address = SocketAddr::new(gateway, port);
        match take(edge, address, &none) {
            Ok(()) => {
                let text = serde_json::to_vec_pretty(&Kept { address }).unwrap_or_default();
                let place = file(edge);
                table::replace(&place, &text).map_err(|error| {
                    Problem::unavailable(format!("cannot keep the internal port: {error}")).at(place.display().to_string())
                })?;
                return Ok(address);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(refused(address, &error)),
        }
    }
    Err(Problem::conflict(format!("no port from {first} on is free at {gateway}"))
        .hint(format!("find who has them with `ss -ltnp 'src {gateway}'`")))
}

fn refused(address: SocketAddr, error: &io::Error) -> Problem {
    Problem::unavailable(format!("cannot listen for containers: {error}")).at(address.to_string())
}

/// Opens it, as far as possible with sockets of the edge before, and gives them to the threads.
fn take(edge: &Edge, address: SocketAddr, handed: &Handed) -> io::Result<()> {
    // A listener on all addresses has this one too.
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    // The thread that checks and proves has no clients.
    let threads = edge.threads - 1;
    let per_thread = if edge.http.contains(&everywhere) {
        Vec::new()
    } else {
        ports::spread(ports::listen_at(address, threads, handed, true)?.1, threads)
    };
    let copies = per_thread.iter().flatten().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
    let per_thread = per_thread.into_iter().map(Mutex::new).collect();
    let open = Open { address: Some(address), copies, per_thread };
    let is_open = edge.internal.send_if_modified(|held| {
        let accepts = !edge.is_stopping();
        if accepts {
            *held = open;
        }
        accepts
    });
    if is_open { Ok(()) } else { Err(io::Error::other("this edge accepts no more")) }
}

/// Opens the listener of the last run: at once with sockets of the edge before, else as soon as its port is free.
pub(super) fn restore(edge: &Arc<Edge>, handed: &Handed) {
    let Some(Kept { address }) = std::fs::read(file(edge)).ok().and_then(|text| serde_json::from_slice(&text).ok()) else {
        return;
    };
    if take(edge, address, handed).is_ok() {
        return;
    }
    let edge = Arc::clone(edge);
    spawn(async move {
        while !edge.is_stopping() && edge.internal.borrow().address.is_none() {
            match take(&edge, address, &Handed::default()) {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, %address, "containers do not reach the edge yet"),
            }
            tokio::time::sleep(STEP * 5).await;
        }
    });
}

/// Takes this thread's connections of the listener, whichever it is by then, until the edge accepts no more.
pub(super) async fn accept(worker: Arc<Worker>) {
    let mut open = worker.edge.internal.subscribe();
    loop {
        let per_thread = Arc::clone(&open.borrow_and_update().per_thread);
        let own = per_thread.get(worker.index).map(|sockets| std::mem::take(&mut *lock(sockets))).unwrap_or_default();
        drop(per_thread);
        let taking = async {
            let accepting = own.into_iter().map(|socket| listen::accept(Arc::clone(&worker), socket, Kind::Plain));
            tokio::join!(futures_util::future::join_all(accepting), worker.edge.closing.cancelled());
        };
        tokio::select! {
            () = taking => return,
            changed = open.changed() => if changed.is_err() { return },
        }
    }
}
