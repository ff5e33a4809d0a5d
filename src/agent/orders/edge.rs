//! Orders to the edge, and keeping one running.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    agent::Tools,
    keep::Program,
    model::{
        edge::{EdgeStatus, ProofRequest},
        ids::{AppId, InstanceId, ReleaseId},
        log::LogLabels,
        order::{Done, Outcome, Report},
        problem::Problem,
        route::RouteTable,
        units::Millis,
    },
    runtimes::keepers,
    wire::edge::EdgeStart,
};

/// Name of the edge's keeper.
const KEEPER: &str = "edge";
/// How long a starting edge is waited for.
const STARTING: Duration = Duration::from_secs(15);

/// Sees to it that an edge is kept. Cheap when it is.
pub async fn ensure(tools: &Tools) -> Result<(), Problem> {
    let settings = &tools.settings;
    let _turn = tools.tending.lock().await;
    if keepers::is_alive(settings, KEEPER) {
        return Ok(());
    }
    EdgeStart { edge: settings.config.edge.clone() }
        .write(&settings.state)
        .map_err(|error| Problem::unavailable(format!("cannot write the edge's settings: {error}")))?;
    let state = settings.state.root().display().to_string();
    let program = Program::Argv(vec![settings.binary.display().to_string(), "edge".to_owned(), state]);
    let mut spec = keepers::spec(settings, program, settings.state.root());
    // It gives requests in flight up to 30 s.
    spec.kill_after = Millis::seconds(35);
    let labels = LogLabels { app: AppId::suggest(KEEPER), release: ReleaseId(0), instance: KEEPER.to_owned() };
    keepers::launch(settings, KEEPER, &spec, &labels).await.map(|_| ())
}

/// How the edge is, which is started if need be and waited for.
pub async fn tended(tools: &Tools) -> Result<EdgeStatus, Problem> {
    ensure(tools).await?;
    let deadline = tokio::time::Instant::now() + STARTING;
    loop {
        match tools.edge.status().await {
            Ok(status) => return Ok(status),
            Err(problem) if tokio::time::Instant::now() >= deadline => {
                return Err(problem.hint(format!("see {}", tools.settings.state.keeper(KEEPER).join("log/current").display())));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Puts a table in force.
pub async fn route(tools: &Tools, table: &RouteTable) -> Outcome {
    let put = async {
        let status = tended(tools).await?;
        let generation = tools.edge.put_table(table).await?;
        // Whoever proves next wants to say under which address.
        let _ = tools.reports.send(Report::Edge(EdgeStatus { up: true, generation, ..status })).await;
        Ok(generation)
    };
    outcome(put.await.map(|generation| Done::Routed { generation }))
}

/// Has the edge prove by a request that a release answers.
pub async fn prove(tools: &Tools, request: &ProofRequest, cancel: &CancellationToken) -> Outcome {
    let prove = async {
        tended(tools).await?;
        tools.edge.prove(request).await
    };
    tokio::select! {
        proof = prove => outcome(proof.map(Done::Proved)),
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict("cancelled while it was being proved")),
    }
}

/// Waits until nothing is in flight to the instances and the edge holds no connection to them. An edge that does not
/// answer has nothing in flight.
pub async fn drain(tools: &Tools, instances: &[InstanceId], within: Millis) -> Outcome {
    outcome(tools.edge.drain(instances, within).await.map(Done::Drained))
}

/// Ends the edge and its keeper.
pub async fn stop(tools: &Tools) -> Outcome {
    outcome(keepers::stop(&tools.settings, KEEPER).await.map(|_| Done::EdgeStopped))
}

fn outcome(result: Result<Done, Problem>) -> Outcome {
    match result {
        Ok(done) => Outcome::Done(done),
        Err(problem) if problem.is_transient() => Outcome::Transient(problem),
        Err(problem) => Outcome::Failed(problem),
    }
}
