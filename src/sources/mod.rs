//! Where releases come from: a folder or a git repository, looked at or brought into a folder.

pub mod copy;
pub mod folder;
mod git;
mod git_command;
mod image;
pub mod listing;

use std::{fmt, path::Path, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::model::{
    Problem,
    source::{self, Survey, Tip},
    units::Bytes,
};

/// A place that files are taken from.
///
/// Both calls end within `Visit::within` and within 2 s of its cancellation, and leave no process behind, also when their
/// future is dropped. Nothing ever waits for input.
#[async_trait]
pub trait Source: Send + Sync {
    /// Looks without keeping anything.
    async fn survey(&self, visit: &Visit) -> Result<Survey, Problem>;

    /// Brings the files into `into`, which must not exist yet and exists on success. On failure the caller wipes it.
    ///
    /// Files keep their contents, time and whether they are executable; links stay links and lead nowhere outside.
    async fn fetch(&self, into: &Path, visit: &Visit) -> Result<Survey, Problem>;
}

/// The place that `source` names.
pub fn open(source: &source::Source) -> Box<dyn Source> {
    match source {
        source::Source::Folder { path } => Box::new(folder::Folder::new(path.clone())),
        source::Source::Git { url, reference } => Box::new(git::Repository::new(url.clone(), reference.clone())),
        source::Source::Image { reference } => Box::new(image::Image { reference: reference.clone() }),
    }
}

/// Where the branch that `source` names is, and whether it was rewritten since it was at `known`. Only a repository has one.
pub async fn tip(source: &source::Source, known: Option<&str>, visit: &Visit) -> Result<Tip, Problem> {
    match source {
        source::Source::Git { url, reference: Some(branch) } => {
            git::Repository::new(url.clone(), Some(branch.clone())).tip(branch, known, visit).await
        }
        _ => Err(Problem::user(format!("{source} has no branches")).hint("watch a git repository by its URL")),
    }
}

/// What a visit of a source may take, and whom it tells.
#[derive(Clone)]
pub struct Visit {
    /// A folder for temporary files, made and removed by the visit.
    pub scratch: PathBuf,
    /// Folders that are never part of a source: the engine's own state.
    pub without: Vec<PathBuf>,
    pub limits: Limits,
    pub within: Duration,
    /// Told what is going on, at most about once a second.
    pub progress: Progress,
    pub cancel: CancellationToken,
}

/// Whom a visit tells what is going on.
pub type Progress = Arc<dyn Fn(String) + Send + Sync>;

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("scratch", &self.scratch).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Most that a source may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes: Bytes,
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: Bytes::gib(4), files: 300_000 }
    }
}

/// The answer to a cancelled visit.
fn cancelled() -> Problem {
    Problem::conflict("cancelled")
}

#[cfg(test)]
mod tests;
