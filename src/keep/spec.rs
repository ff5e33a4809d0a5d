//! What a keeper is asked to run: `spec.json`.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::model::{
    mask::Masker,
    peer,
    plan::Env,
    units::{Bytes, Millis},
};

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A command line for `sh -c`.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// What follows an exit that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// It is started again after a back-off: 0.2 s, doubled to 30 s, from the start again after a minute of running.
    Always,
    /// As `Always`, but an exit with code 0 is the last one: the program says that it is not needed any more.
    OnFailure,
    /// The keeper ends; the exit stands in `state.json`.
    Never,
}

/// What a keeper runs, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub program: Program,
    /// Working folder, and `HOME` unless `env` has one.
    pub folder: PathBuf,
    /// The whole environment, besides `HOME`, `LANG`, `PATH`, `PORT` where it lacks them, and `PILOTHOUSE_KEEPER`.
    /// On disk its names alone.
    pub env: Env,
    /// Names in `env` whose values are masked in the log.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// `PATH` where `env` has none. Empty: that of the process that launches.
    pub search_path: String,
    /// Given to the program as `PORT`.
    pub port: Option<u16>,
    /// The port was chosen for it, not asked for: when another process takes it first, the keeper chooses anew.
    pub port_chosen: bool,
    /// Of the whole process tree; more ends it, and its exit says so.
    pub memory: Option<Bytes>,
    /// Whether a control group may enforce `memory`; otherwise resident memory is watched.
    pub control_group: bool,
    /// From SIGTERM to SIGKILL.
    pub kill_after: Millis,
    pub restart: Restart,
    /// Longest run; then it is ended as by a stop, and its exit says so.
    pub time_limit: Option<Millis>,
    /// Size at which the log is rotated.
    pub rotate_at: Bytes,
    /// Rotated log files kept.
    pub keep_files: u32,
    /// Boot of the machine as the launcher knows it; a state of another boot is over.
    pub boot_id: String,
}

impl Spec {
    /// A program without limits that is started again whenever it ends.
    pub fn new(program: Program, folder: impl Into<PathBuf>, boot_id: &str) -> Self {
        Self {
            program,
            folder: folder.into(),
            env: Env::default(),
            secrets: Vec::new(),
            search_path: String::new(),
            port: None,
            port_chosen: false,
            memory: None,
            control_group: true,
            kill_after: Millis::seconds(10),
            restart: Restart::Always,
            time_limit: None,
            rotate_at: Bytes::mib(8),
            keep_files: 4,
            boot_id: boot_id.to_owned(),
        }
    }

    /// Whether both ask for the same, whatever port was chosen and whoever launches it. Values of the environment are not
    /// compared: what is on disk has none.
    pub fn is_same_as(&self, other: &Spec) -> bool {
        let asked = |spec: &Spec| Spec {
            env: without_peers(&names(&spec.env)),
            port: spec.port.filter(|_| !spec.port_chosen),
            search_path: String::new(),
            boot_id: String::new(),
            ..spec.clone()
        };
        asked(self) == asked(other)
    }

    pub fn read(dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(dir.join("spec.json"))?)?)
    }

    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let bare = Spec { env: names(&self.env), ..self.clone() };
        replace(&dir.join("spec.json"), &serde_json::to_vec(&bare)?)
    }

    /// Finds the values of `secrets`.
    pub(super) fn masker(&self) -> Masker {
        Masker::new(self.secrets.iter().filter_map(|name| self.env.0.get(name)).map(String::as_str))
    }
}

/// Without what it was told of other apps: they come and go while it runs.
fn without_peers(env: &Env) -> Env {
    let own = env.0.iter().filter(|(name, _)| !name.starts_with(peer::VARIABLE));
    Env(own.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The environment without its values.
fn names(env: &Env) -> Env {
    Env(env.0.keys().map(|name| (name.clone(), String::new())).collect())
}

/// Puts `content` in place of the file as a whole or not at all, readable by its owner alone.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    drop(file);
    fs::rename(&fresh, path)
}
