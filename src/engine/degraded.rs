//! Whether the journal can be written, without waiting for somebody who has something to write.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{fleet::Hub, supervisor::Supervisor};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(2);
/// With less free space, in bytes, the journal may refuse the next record.
const FULL: u64 = 64 << 10;

/// Tries the journal while it is known to refuse records, and while its disk is about full.
pub fn watch(hub: &Hub, supervisor: &Supervisor, root: PathBuf) {
    let (stop, hub) = (supervisor.stop().clone(), hub.clone());
    supervisor.start(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            if is_full(&root) || hub.look(|fleet| fleet.engine.degraded.is_some()).await {
                hub.try_journal().await;
            }
        }
    });
}

fn is_full(root: &Path) -> bool {
    rustix::fs::statvfs(root).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL)
}
