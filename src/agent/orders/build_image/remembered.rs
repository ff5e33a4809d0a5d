//! What a build has in Docker, remembered on disk until it is cleared away: Docker may go away in the middle of it.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::answer::Made;
use crate::{
    config::StateDir,
    model::{
        Problem,
        ids::{AppId, DeploymentId},
    },
};

/// Files that one image's build may find held.
const NAMES: u32 = 10;

/// One line of the file, and all of them together. A line that was cut off by a crash is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<AppId>,
    /// Where its layers get their names, and the middle of these.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) containers: Vec<String>,
    /// The last layer of each stage; a later line stands for all before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stages: Vec<String>,
    /// The app is gone: nobody builds on its layers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_forgotten: bool,
}

impl Entry {
    fn read(text: &str) -> Self {
        let mut all = Self::default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|line| all.take(line));
        all
    }

    fn take(&mut self, line: Self) {
        self.app = line.app.or(self.app.take());
        self.containers.extend(line.containers);
        self.is_forgotten |= line.is_forgotten;
        for (known, said) in [(&mut self.repository, line.repository), (&mut self.key, line.key)] {
            if !said.is_empty() {
                *known = said;
            }
        }
        if !line.stages.is_empty() {
            self.stages = line.stages;
        }
    }

    pub(super) fn made(&self) -> Made {
        Made { containers: self.containers.clone(), stages: self.stages.clone(), step: String::new() }
    }
}

/// One build's file, locked for as long as this lives, so that nobody clears away what is being built.
pub(super) struct Remembered {
    file: File,
    path: PathBuf,
    entry: Entry,
}

impl Remembered {
    /// Begins a build's file; what one of the same name that was cut off has left is part of it.
    pub(super) fn begin(
        state: &StateDir,
        deployment: DeploymentId,
        app: &AppId,
        repository: &str,
        key: &str,
    ) -> Result<Self, Problem> {
        let entry = Entry { app: Some(app.clone()), repository: repository.into(), key: key.into(), ..Entry::default() };
        let begin = || {
            crate::config::state_dir::make_own(&state.left_by_builds())?;
            let names = (0..NAMES).map(|number| state.left_by_builds().join(format!("{deployment}-{key}-{number}")));
            // What is just being cleared away has its name until it is.
            let free =
                names.map(|path| Self::open(&path)).find(|opened| opened.as_ref().err().is_none_or(|error| !is_held(error)));
            let mut begun = free.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
            begun.add(entry.clone())?;
            Ok(begun)
        };
        begin().map_err(|error| Problem::unwritable(&state.left_by_builds(), &error))
    }

    /// Every file that no build holds.
    pub(super) fn all(state: &StateDir) -> Vec<Self> {
        let entries = fs::read_dir(state.left_by_builds()).into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::open(&entry.path()).ok()).collect()
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).append(true).create(true).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // It may have been done with in between.
        if fs::metadata(path).map(|now| now.ino()).ok() != Some(file.metadata()?.ino()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let entry = Entry::read(&fs::read_to_string(path)?);
        Ok(Self { file, path: path.to_owned(), entry })
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Writes down what is new of `made`.
    pub(super) fn note(&mut self, made: &Made) -> io::Result<()> {
        let new = made.containers.iter().filter(|id| !self.entry.containers.contains(id)).cloned().collect();
        let stages = if made.stages == self.entry.stages { Vec::new() } else { made.stages.clone() };
        self.add(Entry { containers: new, stages, ..Entry::default() })
    }

    pub(super) fn forget_app(&mut self) -> io::Result<()> {
        self.add(Entry { is_forgotten: true, ..Entry::default() })
    }

    fn add(&mut self, line: Entry) -> io::Result<()> {
        if line == Entry::default() {
            return Ok(());
        }
        // A line of its own, whatever stands before it.
        let text = format!("\n{}\n", serde_json::to_string(&line)?);
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.entry.take(line);
        Ok(())
    }

    /// Nothing of it is left.
    pub(super) fn done(self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn is_held(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_a_crash_is_known_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        let app = AppId::parse("shop").unwrap();
        let mut build = Remembered::begin(&state, DeploymentId(1), &app, "r", "app").unwrap();
        let made = Made { containers: vec!["c1".into()], stages: vec!["l1".into()], step: String::new() };
        build.note(&made).unwrap();
        assert!(Remembered::all(&state).is_empty(), "a build at work is nobody else's");
        build.file.write_all(b"{\"containers\":[\"c").unwrap();
        drop(build);
        let mut left = Remembered::all(&state).remove(0);
        left.forget_app().unwrap();
        assert_eq!(left.entry().made(), made);
        assert!(left.entry().is_forgotten && left.entry().app == Some(app) && left.entry().repository == "r");
        left.done();
        assert!(Remembered::all(&state).is_empty());
    }
}
