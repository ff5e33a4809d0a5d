//! Starting an instance.

use tokio_util::sync::CancellationToken;

use super::patience::patiently;
use crate::{
    agent::{Tools, edges::tended},
    model::{
        instance::InstanceSpec,
        manifest::Runtime as Kind,
        order::{Done, Outcome},
        problem::Problem,
    },
    runtimes::RuntimeError,
};

/// Starts it and answers once it was spawned. Takes some 10 ms, a container some 500 ms, so that it is not cancelled on its
/// way; only the wait for a Docker that is away is.
pub async fn start(
    tools: &Tools,
    spec: &InstanceSpec,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    if cancel.is_cancelled() {
        return Outcome::Failed(Problem::conflict(format!("the start of {} was cancelled", spec.id)));
    }
    let attempt = || async { tools.runtime.start(&with_peers(tools, spec).await?).await };
    let awaits = |error: &RuntimeError| match error {
        RuntimeError::Transient(problem) if spec.runtime == Kind::Docker => {
            progress(format!("waits: {}", problem.what));
            true
        }
        _ => false,
    };
    match patiently(attempt, awaits, cancel).await {
        Ok(started) => Outcome::Done(Done::Started { address: started.address, pid: started.pid }),
        Err(error) => error.into(),
    }
}

/// The instance with the other apps as it reaches them: a container by the edge's listener at the gateway of its network.
async fn with_peers(tools: &Tools, spec: &InstanceSpec) -> Result<InstanceSpec, Problem> {
    let mut spec = spec.clone();
    if spec.runtime != Kind::Docker || spec.peers.is_empty() {
        return Ok(spec);
    }
    let gateway = tools.docker.gateway().await?;
    let opened = async {
        tended(tools).await?;
        tools.edge.open_internal(gateway.into()).await
    };
    let peers = std::mem::take(&mut spec.peers).into_iter();
    spec.peers = match opened.await {
        Ok(address) => peers.map(|peer| peer.at(address)).collect(),
        // It does without them rather than not at all.
        Err(problem) => {
            tracing::warn!(%problem, instance = %spec.id, "no PILOTHOUSE_URL_… is told");
            peers.map(crate::model::peer::Peer::away).collect()
        }
    };
    Ok(spec)
}
