//! What the runtime remembers of an instance beside Docker's own memory: `keepers/ID/container.json`.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    config::Settings,
    keep::spec::replace,
    model::{
        ids::InstanceId,
        instance::{Exit, InstanceSpec},
        log::LogLabels,
        problem::Problem,
        units::{Millis, Timestamp},
    },
};

/// The file's name.
const FILE: &str = "container.json";
/// How it ended last, while it is not stopped.
const EXIT: &str = "exit.json";

/// One instance. Written before its container is made, so that none is ever forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Absent until Docker has made it.
    pub(super) container: Option<String>,
    /// Digest of what it was started with.
    pub(super) spec: String,
    /// Port inside.
    pub(super) inside: u16,
    /// Port on loopback.
    pub(super) outside: u16,
    pub(super) kill_after: Millis,
    /// Restarts of the containers before this one, and these replacements.
    #[serde(default)]
    pub(super) restarts_before: u32,
    #[serde(default)]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) last_exit: Option<Exit>,
    /// It is being ended on request.
    #[serde(default)]
    pub(super) stopping: bool,
    /// It was ended on request: its absence is as it should be.
    #[serde(default)]
    pub(super) stopped: bool,
}

impl Memory {
    pub(super) fn read(settings: &Settings, id: &InstanceId) -> Option<Self> {
        let dir = settings.state.keeper(&id.0);
        let mut memory: Self = serde_json::from_slice(&fs::read(dir.join(FILE)).ok()?).ok()?;
        let seen: Option<Exit> = fs::read(dir.join(EXIT)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_newer = |exit: &Exit| memory.last_exit.as_ref().is_none_or(|known| known.at <= exit.at);
        if let Some(exit) = seen.filter(is_newer) {
            memory.last_exit = Some(exit);
        }
        Some(memory)
    }

    pub(super) fn write(&self, settings: &Settings, id: &InstanceId) -> Result<(), Problem> {
        let dir = settings.state.keeper(&id.0);
        let bytes = serde_json::to_vec(self).map_err(|error| Problem::internal(error.to_string()))?;
        replace(&dir.join(FILE), &bytes).map_err(|error| unwritable(&dir, &error))
    }

    /// Keeps how it ended, in a file of its own: a start may write the other one at the same time.
    pub(super) fn write_exit(settings: &Settings, id: &InstanceId, exit: &Exit) -> Result<(), Problem> {
        let dir = settings.state.keeper(&id.0);
        let bytes = serde_json::to_vec(exit).map_err(|error| Problem::internal(error.to_string()))?;
        replace(&dir.join(EXIT), &bytes).map_err(|error| unwritable(&dir, &error))
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.outside).into()
    }

    /// Every instance that has one.
    pub(super) fn all(settings: &Settings) -> Vec<(InstanceId, Self)> {
        let entries = fs::read_dir(settings.state.keepers()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok().map(InstanceId));
        names.filter_map(|id| Some((id.clone(), Self::read(settings, &id)?))).collect()
    }
}

/// Makes the folder in which an instance's log stands, and says whose it is.
pub(super) fn make_folder(settings: &Settings, instance: &InstanceSpec) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = settings.state.keeper(&instance.id.0);
    let labels = LogLabels { app: instance.app.clone(), release: instance.release, instance: instance.id.0.clone() };
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("log"))?;
        replace(&dir.join("labels.json"), &serde_json::to_vec(&labels)?)
    };
    make().map_err(|error| unwritable(&dir, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::unavailable(format!("cannot write: {error}")).at(path.display().to_string()).hint("make room on the disk")
}
