//! Orders to the edge; those that were replaced and still have clients hear what concerns them.

use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Tools, edges},
    model::{
        edge::{Drained, EdgeStatus, ProofRequest},
        ids::InstanceId,
        order::{Done, Outcome, Report},
        problem::Problem,
        route::RouteTable,
        units::Millis,
    },
    wire::edge::EdgeClient,
};

/// Puts a table in force, everywhere.
pub async fn route(tools: &Tools, table: &RouteTable, progress: impl Fn(String)) -> Outcome {
    let put = async {
        edges::awaited(tools, progress).await?;
        // No edge takes another one's place meanwhile: the new one would have the table before.
        let turn = edges::turn(tools).await;
        let status = edges::tend(tools, &turn).await?;
        let generation = tools.edge.put_table(table).await?;
        for other in edges::others(tools) {
            follow(&other, table).await;
        }
        drop(turn);
        // Whoever proves next wants to say under which address.
        let _ = tools.reports.send(Report::Edge(EdgeStatus { up: true, generation, ..status })).await;
        Ok(generation)
    };
    outcome(put.await.map(|generation| Done::Routed { generation }))
}

async fn follow(other: &EdgeClient, table: &RouteTable) {
    if let Err(problem) = other.follow_table(table).await
        && other.is_there()
    {
        tracing::warn!(%problem, "an edge that was replaced does not follow the table: it is ended");
        // One that does not even hear this has its own limit.
        let _ = other.stop().await;
    }
}

/// Has the edge prove by a request that a release answers.
pub async fn prove(tools: &Tools, request: &ProofRequest, progress: impl Fn(String), cancel: &CancellationToken) -> Outcome {
    let prove = async {
        edges::awaited(tools, progress).await?;
        tools.edge.prove(request).await
    };
    tokio::select! {
        proof = prove => outcome(proof.map(Done::Proved)),
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict("cancelled while it was being proved")),
    }
}

/// Waits until nothing is in flight to the instances and no edge holds a connection to them. An edge that does not
/// answer has nothing in flight.
pub async fn drain(tools: &Tools, instances: &[InstanceId], within: Millis) -> Outcome {
    let others =
        edges::others(tools).map(|other| async move { other.drain(instances, within).await.map_or(0, |drained| drained.left) });
    let serving = async {
        // One that waits would not answer.
        if edges::waits(tools) { Ok(Drained { left: 0 }) } else { tools.edge.drain(instances, within).await }
    };
    let (drained, others) = tokio::join!(serving, futures_util::future::join_all(others));
    let all = drained.map(|drained| Drained { left: drained.left + others.iter().sum::<u64>() });
    outcome(all.map(Done::Drained))
}

/// Replaces the edge, without closing its ports.
pub async fn replace(tools: &Tools) -> Outcome {
    let replaced = edges::replace(tools).await;
    if let Ok(status) = &replaced {
        let _ = tools.reports.send(Report::Edge(EdgeStatus { up: true, ..status.clone() })).await;
    }
    outcome(replaced.map(|status| Done::EdgeReplaced { pid: status.pid, version: status.version }))
}

/// Ends all edges and their keepers.
pub async fn stop(tools: &Tools) -> Outcome {
    outcome(edges::stop(tools).await.map(|()| Done::EdgeStopped))
}

fn outcome(result: Result<Done, Problem>) -> Outcome {
    match result {
        Ok(done) => Outcome::Done(done),
        Err(problem) if problem.is_transient() => Outcome::Transient(problem),
        Err(problem) => Outcome::Failed(problem),
    }
}
