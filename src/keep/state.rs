//! What a keeper observed: `state.json`.

use std::{fs, io, net::SocketAddr, path::Path, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{process::Process, spec};
use crate::model::{
    instance::{Exit, InstanceState},
    units::{Millis, Timestamp},
};

/// What stands in `state.json`; replaced as a whole at every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperState {
    /// The boot in which it was written; in another one it is over.
    pub boot_id: String,
    pub keeper: Process,
    /// The running program; its process group and session have the same number.
    pub child: Option<Process>,
    pub state: InstanceState,
    pub restarts: u32,
    pub address: Option<SocketAddr>,
    /// Start of the program that runs, or ran last.
    pub started_at: Option<Timestamp>,
    /// How long the last ended program ran.
    pub ran: Option<Millis>,
    pub last_exit: Option<Exit>,
    /// In back-off: when it is started again.
    pub restarts_at: Option<Timestamp>,
    /// Control group that holds the program.
    pub control_group: Option<PathBuf>,
}

impl KeeperState {
    /// Absent when there is none, or it cannot be read.
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join("state.json")).ok()?).ok()
    }

    /// Written by the keeper alone; by others only when it has ended.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        spec::replace(&dir.join("state.json"), &serde_json::to_vec(self)?)
    }

    /// Whether the keeper runs, in this boot.
    pub fn is_alive(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id && self.keeper.is_running()
    }

    /// What to call it: its own word while its keeper runs, or when it was the last word; otherwise lost.
    pub fn seen(&self, boot_id: &str) -> InstanceState {
        let ended = self.state == InstanceState::Stopped;
        if ended || self.is_alive(boot_id) { self.state } else { InstanceState::Lost }
    }
}
