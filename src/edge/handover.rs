//! An edge takes the place of another one without closing a port: its sockets first, then the place, then its word that
//! it accepts no more.
//!
//! The place is one link on disk (`wire::serving`). Whoever is killed, whenever: the edge that the link names is started
//! again by its keeper, takes the sockets from whoever still accepts, and tells it; every other edge that is started
//! again is not needed, and ends.

use std::{
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    passed,
    ports::{self, Handed, Listeners},
    table,
    watch::lock,
    worker::Edge,
};
use crate::{
    config::{StateDir, settings::EdgeSettings},
    model::{
        ids::Generation,
        problem::{Problem, ProblemKind},
    },
    wire::{
        edge::{EdgeClient, EdgeStart, Successor},
        http,
        serving::{serve_as, serving},
        waiting,
    },
};

/// How long an edge that another one waits to be replaced by waits for an address that is not free.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the port of the last run is wanted back when nobody asked for it: that run may still be closing.
const SAME_PORT: Duration = Duration::from_secs(2);
/// After this wait, and as often, it is told who has the address.
const TELL: Duration = Duration::from_secs(1);
/// Between two tries.
const STEP: Duration = Duration::from_millis(50);
/// Longest wait for the other side of a hatch.
const PASSING: Duration = Duration::from_secs(5);

/// The listeners, as far as possible from the edge that accepts now, and all that it has handed over; absent when another
/// edge serves, and this one is not to take its place. An address that is not free is waited for: as long as it takes, but
/// only for a while when the edge before serves meanwhile.
pub(super) async fn listeners(
    state: &StateDir,
    me: Successor,
    config: &EdgeSettings,
    threads: usize,
) -> Result<Option<(Listeners, Listeners, Handed)>, Problem> {
    let began = Instant::now();
    let mut told = began;
    loop {
        // Looked at anew each time: an edge that was killed may be back, or another one may have come first.
        let place = serving(state);
        if place.is_some_and(|slot| slot != me.slot && me.replaces != Some(slot)) {
            return Ok(None);
        }
        let is_needed = place.is_none_or(|slot| slot == me.slot);
        let handed = take_sockets(state, me).await;
        match ports::open(config, threads, &state.edge(), &handed, began.elapsed() >= SAME_PORT) {
            Err(problem) if problem.kind == ProblemKind::Conflict && (is_needed || began.elapsed() < PATIENCE) => {
                if is_needed && told.elapsed() >= TELL {
                    tracing::warn!(%problem, "the edge waits for its port");
                    // Without it only the log tells.
                    let _ = waiting::tell(state, me.slot, &problem);
                    told = Instant::now();
                }
                sleep(STEP).await;
            }
            opened => return opened.map(|(plain, secure)| Some((plain, secure, handed))),
        }
    }
}

/// Sockets of the edges that accept now: one at most, but for one that was killed in the midst of this.
async fn take_sockets(state: &StateDir, me: Successor) -> Handed {
    let mut handed = Handed::default();
    for other in EdgeClient::others(state, me.slot) {
        match take_from(state, me, &other).await {
            Ok(sockets) => sockets.into_iter().for_each(|socket| handed.add(socket)),
            Err(problem) => tracing::debug!(%problem, "no sockets from another edge"),
        }
    }
    handed
}

async fn take_from(state: &StateDir, me: Successor, other: &EdgeClient) -> Result<Vec<TcpListener>, Problem> {
    let hatch = state.edge_hatch(me.slot);
    let broken =
        |error| Problem::unavailable(format!("cannot take over listening sockets: {error}")).at(hatch.display().to_string());
    let listener = http::bind(&hatch).map_err(broken)?;
    let passing = async {
        let count = other.hand_over(&me).await?;
        // It has connected and sent them before it answered.
        let (stream, _) = listener.accept().await.map_err(broken)?;
        let stream = stream.into_std().map_err(broken)?;
        stream.set_nonblocking(false).map_err(broken)?;
        stream.set_read_timeout(Some(PASSING)).map_err(broken)?;
        passed::receive(&stream, count).map_err(broken)
    };
    let taken = passing.await;
    // The next one makes its own.
    let _ = std::fs::remove_file(&hatch);
    taken
}

/// Passes the listening sockets to the hatch of an edge that is to serve; gives how many there are. Accepts on.
pub(super) fn hand_over(edge: &Edge, to: Successor) -> Result<usize, Problem> {
    let now = serving(&edge.state);
    let is_due = now == Some(to.slot) || (now == Some(edge.slot) && to.replaces == now);
    if !is_due {
        return Err(Problem::conflict(format!("edge {} is not to take the place of edge {}", to.slot, edge.slot)));
    }
    let sockets = lock(&edge.sockets);
    if sockets.is_empty() {
        return Err(Problem::conflict(format!("edge {} accepts no more", edge.slot)));
    }
    let internal = edge.internal.borrow();
    let sockets: Vec<&TcpListener> = sockets.iter().chain(&internal.copies).collect();
    let hatch = edge.state.edge_hatch(to.slot);
    let pass = || {
        let stream = UnixStream::connect(&hatch)?;
        stream.set_write_timeout(Some(PASSING))?;
        passed::send(&stream, &sockets)
    };
    pass().map(|()| sockets.len()).map_err(|error: std::io::Error| {
        Problem::unavailable(format!("cannot pass the listening sockets: {error}")).at(hatch.display().to_string())
    })
}

/// Makes this edge the one that is asked and, when it is killed, started again.
pub(super) fn take_place(edge: &Edge, config: &EdgeSettings) -> Result<(), Problem> {
    let cannot = |error| {
        Problem::unavailable(format!("cannot take the edge's place: {error}")).at(edge.state.edge_socket().display().to_string())
    };
    waiting::over(&edge.state, edge.slot).map_err(cannot)?;
    serve_as(&edge.state, edge.slot).map_err(cannot)?;
    // Whoever takes a slot later must not be taken for the one that was replaced here.
    EdgeStart { edge: config.clone(), replaces: None }.write(&edge.state, edge.slot).map_err(cannot)
}

/// Tells every other edge that this one serves, and takes up what they were told last.
pub(super) async fn tell_others(edge: Arc<Edge>, me: Successor) {
    for other in EdgeClient::others(&edge.state, me.slot) {
        // Two edges with two tables must not both accept: asked again as long as it lives.
        while !edge.is_stopping() && other.is_there() {
            match other.replaced(&me).await {
                Ok(generation) if generation > edge.live.load().table.generation => {
                    if let Err(problem) = table::restore(&edge) {
                        tracing::error!(%problem, "the table of the edge before is not taken up");
                    }
                    break;
                }
                Ok(_) => break,
                Err(problem) => {
                    tracing::warn!(%problem, "the edge before does not give way yet");
                    sleep(STEP).await;
                }
            }
        }
    }
}

/// Gives way to an edge that serves: accepts no more, finishes what it has.
pub(super) fn give_way(edge: &Edge, to: Successor) -> Result<Generation, Problem> {
    if serving(&edge.state) != Some(to.slot) {
        return Err(Problem::conflict(format!("edge {} does not serve", to.slot)));
    }
    // A table that is being put is put before, or refused.
    let _no_table = lock(&edge.swap);
    edge.is_replaced.store(true, SeqCst);
    edge.close();
    Ok(edge.live.load().table.generation)
}
