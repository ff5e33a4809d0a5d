//! A folder of this machine: its working tree as it is, named after its commit.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    Source, Visit, copy,
    git_command::{Git, Stop},
    listing::{self, Which},
};
use crate::model::{Problem, source::Survey};

/// A folder.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether it is a folder that the engine can know.
    fn check(&self, visit: &Visit) -> Result<(), Problem> {
        if !self.path.is_absolute() {
            let what = format!("`{}` is a relative path, which the engine cannot know", self.path.display());
            return Err(Problem::user(what).hint("give the whole path"));
        }
        std::fs::read_dir(&self.path).map(drop).map_err(|error| listing::unreadable(&self.path, &error))?;
        let real = self.path.canonicalize().map_err(|error| listing::unreadable(&self.path, &error))?;
        if visit.without.iter().any(|kept| kept.canonicalize().is_ok_and(|kept| kept == real)) {
            return Err(Problem::user("this is where Pilothouse keeps its own state: journal, keys and releases")
                .at(self.path.display().to_string())
                .hint("give the folder that holds the app"));
        }
        Ok(())
    }

    /// Walks the folder away from the runtime's threads; ends soon after the visit's cancellation, or `keep` failing.
    async fn list(&self, visit: &Visit, into: Option<PathBuf>) -> Result<Survey, Problem> {
        let (root, without, limits) = (self.path.clone(), visit.without.clone(), visit.limits);
        // Dropped with this future: the thread then ends by itself.
        let cancel = visit.cancel.child_token();
        let guard = cancel.clone().drop_guard();
        let kept = tokio::time::timeout(
            visit.within,
            tokio::task::spawn_blocking(move || {
                let entries = listing::walk(&root, Which::WorkingTree, &without, limits, &cancel)?;
                if let Some(into) = into {
                    copy::copy(&root, &entries, &into, &cancel)?;
                }
                Ok::<_, Problem>(listing::survey(&root, &entries))
            }),
        );
        let survey = kept.await.map_err(|_| Problem::limit(format!("reading the folder took longer than {:?}", visit.within)));
        drop(guard);
        survey?.map_err(|error| Problem::internal(format!("reading the folder broke off: {error}")))?
    }

    /// The commit and whether the working tree differs from it; nothing when the folder is no repository, or git is absent.
    async fn version(&self, visit: &Visit) -> Result<Version, Problem> {
        let stop = Stop { within: visit.within, cancel: visit.cancel.clone() };
        let git = Git::here(&self.path, stop);
        let Some(head) = git.ask(&["log", "-1", "--format=%H%n%s"]).await? else {
            return Ok(Version::default());
        };
        let mut lines = head.lines();
        let commit = lines.next().map(str::to_owned).filter(|commit| commit.len() >= 40);
        let subject = lines.next().map(str::to_owned);
        let reference = git.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?.map(|name| name.trim().to_owned());
        let status = git.ask(&["status", "--porcelain", "--untracked-files=normal", "--", "."]).await?;
        // Without an answer nobody can say that the tree is the commit.
        let dirty = commit.is_some() && status.is_none_or(|status| !status.trim().is_empty());
        Ok(Version { commit, subject, reference, dirty })
    }
}

#[derive(Default)]
struct Version {
    commit: Option<String>,
    subject: Option<String>,
    reference: Option<String>,
    dirty: bool,
}

#[async_trait]
impl Source for Folder {
    async fn survey(&self, visit: &Visit) -> Result<Survey, Problem> {
        self.check(visit)?;
        let survey = self.list(visit, None).await?;
        Ok(named(survey, self.version(visit).await?))
    }

    async fn fetch(&self, into: &Path, visit: &Visit) -> Result<Survey, Problem> {
        self.check(visit)?;
        (visit.progress)(format!("copying {}", self.path.display()));
        let before = self.version(visit).await?;
        let survey = self.list(visit, Some(into.to_path_buf())).await?;
        let after = self.version(visit).await?;
        // A tree that was changed while it was copied is neither commit.
        let dirty = before.dirty || after.dirty || before.commit != after.commit;
        Ok(named(survey, Version { dirty: dirty && after.commit.is_some(), ..after }))
    }
}

fn named(survey: Survey, version: Version) -> Survey {
    let Version { commit, subject, reference, dirty } = version;
    Survey { commit, subject, reference, dirty, ..survey }
}

/// The survey of a folder without its commit, at once and without a runtime: what `detect` and `init` look at. Blocks.
pub fn look(path: &Path) -> Result<Survey, Problem> {
    let names = listing::names(path, super::Limits::default(), &CancellationToken::new())?;
    Ok(listing::survey_of(path, names.iter().map(|(path, is_folder)| (path.as_path(), *is_folder))))
}
