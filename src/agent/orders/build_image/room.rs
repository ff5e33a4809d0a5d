//! Whether there is room for a build.

use std::path::{Path, PathBuf};

use bollard::Docker;

use super::super::disk::{self, blocking};
use crate::{
    agent::Tools,
    model::{Problem, units::Bytes},
};

/// Space that a build leaves to everybody else.
pub(super) const LEFT_FREE: Bytes = Bytes::mib(256);
/// Memory that must be free for a build to begin.
const LEAST_MEMORY: Bytes = Bytes::mib(128);

/// Whether a build that may take `memory` has room, and where Docker keeps its layers, when that is on this machine.
pub(super) async fn check(tools: &Tools, memory: Bytes, docker: &Docker) -> Result<Option<PathBuf>, Problem> {
    let client = tools.docker.client();
    let facts = docker.info().await.map_err(|error| client.problem("ask Docker what it is", error))?;
    let store = facts.docker_root_dir.map(PathBuf::from).filter(|path| path.is_dir());
    let store_there = store.clone();
    blocking(move || {
        if let Some(store) = &store_there {
            check_free(store, LEFT_FREE)?;
        }
        let needed = Bytes(memory.0.min(LEAST_MEMORY.0));
        match disk::free_memory() {
            Some(free) if free < needed => {
                Err(Problem::limit(format!("only {free} of memory are free, and a build needs {needed}"))
                    .hint("stop something, then deploy again"))
            }
            _ => Ok(()),
        }
    })
    .await??;
    Ok(store)
}

pub(super) fn check_free(path: &Path, needed: Bytes) -> Result<(), Problem> {
    match disk::free(path) {
        Some(free) if free < needed => Err(Problem::limit(format!("only {free} are free on the disk, and {needed} are needed"))
            .at(path.display().to_string())
            .hint("free some space (docker system df shows what images take), then deploy again")),
        _ => Ok(()),
    }
}
