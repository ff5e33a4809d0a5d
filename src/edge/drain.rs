//! Takes instances out of service in the order that loses nothing: mark, wait for what is in flight, close, say so.

use std::sync::Arc;

use tokio::time::Instant;

use super::{backend::Backend, watch::lock, worker::Edge};
use crate::model::{edge::Drained, ids::InstanceId, units::Millis};

/// Waits until nothing is in flight to the instances and no connection to them is open, at most for `within`.
pub(super) async fn drain(edge: &Edge, instances: &[InstanceId], within: Millis) -> Drained {
    let deadline = Instant::now() + within.duration();
    let backends: Vec<Arc<Backend>> = instances.iter().flat_map(|instance| known(edge, instance)).collect();
    for backend in &backends {
        backend.mark_draining(true);
    }
    let waits = backends.iter().map(|backend| backend.drain(deadline));
    futures_util::future::join_all(waits).await;
    Drained { left: backends.iter().map(|backend| backend.in_flight()).sum() }
}

fn known(edge: &Edge, instance: &InstanceId) -> Vec<Arc<Backend>> {
    let mut backends = lock(&edge.retired).get(instance).cloned().unwrap_or_default();
    backends.extend(edge.live.load().backends.get(instance).cloned());
    backends
}
