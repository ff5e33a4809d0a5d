//! The control door: a Unix socket on which the agent puts tables and asks for drains, proofs and figures.

use std::sync::Arc;

use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use serde::Serialize;

use super::{
    drain, handover, internal, prove, table,
    tls::Tls,
    worker::{Edge, Worker},
};
use crate::{
    config::clock,
    model::{
        edge::{EdgeCounters, EdgeStatus, ProofRequest},
        problem::Problem,
        route::RouteTable,
    },
    wire::{
        edge::{DrainRequest, Successor},
        http::{self, Body},
    },
};

/// Answers one request of the door.
pub(super) async fn answer(worker: Arc<Worker>, request: Request<Incoming>) -> Response<Body> {
    let edge = &worker.edge;
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (method, path.as_str()) {
        (Method::GET, "/v1/status") => http::json(StatusCode::OK, &status(edge)),
        (Method::GET, "/v1/counters") => http::json(StatusCode::OK, &counters(edge)),
        (Method::PUT, "/v1/table") => told(match http::read_json::<RouteTable>(request).await {
            Ok(table) => table::put(edge, table),
            Err(problem) => Err(problem),
        }),
        (Method::PUT, "/v1/follow") => told(match http::read_json::<RouteTable>(request).await {
            Ok(table) => table::follow(edge, table),
            Err(problem) => Err(problem),
        }),
        (Method::POST, "/v1/hand-over") => told(match http::read_json::<Successor>(request).await {
            Ok(successor) => handover::hand_over(edge, successor),
            Err(problem) => Err(problem),
        }),
        (Method::POST, "/v1/replaced") => told(match http::read_json::<Successor>(request).await {
            Ok(successor) => handover::give_way(edge, successor),
            Err(problem) => Err(problem),
        }),
        (Method::POST, "/v1/prove") => told(match http::read_json::<ProofRequest>(request).await {
            Ok(asked) => prove::prove(&worker, &asked).await,
            Err(problem) => Err(problem),
        }),
        (Method::POST, "/v1/drain") => told(match http::read_json::<DrainRequest>(request).await {
            Ok(asked) => Ok(drain::drain(edge, &asked.instances, asked.within).await),
            Err(problem) => Err(problem),
        }),
        (Method::PUT, "/v1/internal") => told(match http::read_json::<std::net::IpAddr>(request).await {
            Ok(gateway) => internal::open(edge, gateway).await,
            Err(problem) => Err(problem),
        }),
        (Method::POST, "/v1/stop") => {
            edge.end();
            http::json(StatusCode::OK, &())
        }
        (method, path) => http::problem(&Problem::not_found(format!("the edge has no {method} {path}"))),
    }
}

fn told<T: Serialize>(outcome: Result<T, Problem>) -> Response<Body> {
    match outcome {
        Ok(value) => http::json(StatusCode::OK, &value),
        Err(problem) => http::problem(&problem),
    }
}

fn status(edge: &Edge) -> EdgeStatus {
    EdgeStatus {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        http: edge.http.clone(),
        https: edge.https.clone(),
        internal: edge.internal.borrow().address,
        names: edge.tls.as_ref().map(Tls::names).unwrap_or_default(),
        troubles: edge.tls.iter().flat_map(Tls::troubles).chain(edge.moved.clone()).collect(),
        moved_from: edge.moved_from,
        domain: edge.domain.clone(),
        generation: edge.live.load().table.generation,
        started_at: edge.started_at,
        up: true,
    }
}

fn counters(edge: &Edge) -> EdgeCounters {
    use std::sync::atomic::Ordering::Relaxed;
    let now = edge.clock.now();
    let backends = &edge.live.load().backends;
    EdgeCounters {
        at: clock::now(),
        started_at: edge.started_at,
        releases: edge.counters.sums(),
        backends: backends.iter().map(|(instance, backend)| (instance.clone(), backend.status(now))).collect(),
        unrouted: edge.unrouted.load(Relaxed),
        log_lines_lost: edge.log_lines_lost.load(Relaxed),
    }
}
