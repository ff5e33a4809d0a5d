//! What lies or runs in the state folder and the journal does not know: a backup was restored over it. Nobody would ever end
//! it, and its numbers will be given again, to other releases.

use std::{fs, io, path::Path};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{controllers::orders::Orders, fleet::Hub, supervisor::Supervisor};
use crate::{
    config::StateDir,
    model::{
        fleet::{Fleet, Level},
        ids::{DeploymentId, InstanceId},
        order::{Outcome, Work},
        route::RouteTable,
    },
};

/// Strays that may be found before the first is ended.
pub const MOST: usize = 1000;

/// Lease of the engine that put the edge's table in force; 0 without one. A restored journal may be older than that engine,
/// and the edge refuses older tables.
pub fn lease_in_force(state: &StateDir) -> u64 {
    let table = std::fs::read(state.edge_table()).ok();
    let table: Option<RouteTable> = table.and_then(|text| serde_json::from_slice(&text).ok());
    table.map_or(0, |table| table.generation.lease())
}

/// Puts folders of releases aside that the journal does not know, so that nothing takes them for what it is about to make;
/// before anything is made. Removes nothing: the journal may be the part that was lost.
pub fn put_aside(state: &StateDir, fleet: &Fleet) -> io::Result<()> {
    let of_deployments = fleet.deployments.values().map(|deployment| state.release(&deployment.app, deployment.release));
    let of_releases = fleet.releases.values().flat_map(|releases| releases.values());
    let known: Vec<_> = of_deployments.chain(of_releases.map(|release| state.release(&release.app, release.id))).collect();
    for app in folders(&state.releases_root())? {
        for release in folders(&app)?.into_iter().filter(|release| !known.contains(release)) {
            let aside = state.strays(fleet.epoch).join(app.file_name().unwrap_or_default());
            crate::config::state_dir::make_own(&aside)?;
            fs::rename(&release, aside.join(release.file_name().unwrap_or_default()))?;
            tracing::warn!(release = %release.display(), to = %aside.display(), "put aside: the journal does not know it");
        }
    }
    Ok(())
}

fn folders(root: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    match fs::read_dir(root) {
        Ok(entries) => {
            let all = entries.collect::<io::Result<Vec<_>>>()?;
            Ok(all.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Ends each stray that the first survey found, once it is complete, and says so.
///
/// What this engine starts is journaled before, so that nothing of it is taken for one.
pub fn end(
    hub: Hub,
    supervisor: &Supervisor,
    orders: Orders,
    mut found: mpsc::Receiver<InstanceId>,
    mut surveyed: watch::Receiver<bool>,
) {
    let stop = supervisor.stop().clone();
    supervisor.start(async move {
        let work = async {
            let _ = surveyed.wait_for(|is| *is).await;
            while let Ok(instance) = found.try_recv() {
                end_one(&hub, &orders, instance, &stop).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    });
}

async fn end_one(hub: &Hub, orders: &Orders, instance: InstanceId, stop: &CancellationToken) {
    let asked = instance.clone();
    if hub.look(move |fleet| fleet.instances.contains_key(&asked)).await {
        return;
    }
    let key = Orders::key(DeploymentId(0), format!("stray/{instance}"));
    let subject = instance.to_string();
    match orders.perform(&key, Work::Stop { instance }, stop).await {
        Outcome::Done(_) => hub.event(subject, Level::Warn, "ended: it ran, and the journal does not know it").await,
        Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => {
            tracing::warn!(instance = subject, %problem, "a stray could not be ended");
            hub.event(subject, Level::Danger, format!("runs, unknown to the journal, and does not end: {}", problem.what)).await;
        }
    }
}
