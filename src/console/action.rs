//! Everything that can happen to the console, and everything it can cause.

use super::{keymap::Key, theme::Role};
use crate::model::{
    Problem,
    change::Numbered,
    command::{Answer, Request},
    fleet::Fleet,
    ids::{AppId, DeploymentId, HostId, InstanceId, ReleaseId},
    log::{LogLine, LogQuery},
    units::{Millis, Timestamp},
};

/// What happens.
#[derive(Clone, Debug)]
pub enum Action {
    Key(Key),
    Paste(String),
    Mouse(Mouse),
    Resize(u16, u16),
    /// The whole fleet anew, and how long the engine took to answer.
    Snapshot(Box<Fleet>, Millis),
    Changed(Vec<Numbered>),
    /// The engine answered a question that changes nothing.
    Alive(Millis),
    Lost(Problem),
    /// The engine's folder was removed: it will not come back by itself.
    Removed(Problem),
    Answered(u64, Result<Answer, Problem>),
    Lines(Slot, u64, Vec<LogLine>),
    /// The stream of lines ended, or broke.
    LinesEnded(Slot, u64, Option<Problem>),
    /// A program had the terminal and ended: what to say of it.
    HandedBack(String, Role),
    Tick(Timestamp),
}

/// What the mouse did, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    Press(u16, u16),
    WheelUp(u16, u16),
    WheelDown(u16, u16),
}

/// Where followed lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Logs,
    Build,
}

/// What the console causes; `runtime` alone carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answered by `Answered` with the same ticket.
    Send {
        ticket: u64,
        request: Box<Request>,
    },
    /// In place of what the slot followed before; lines of an older generation are to be dropped.
    Follow {
        slot: Slot,
        generation: u64,
        query: Option<LogQuery>,
    },
    /// Into the clipboard of the terminal (OSC 52).
    Copy(String),
    /// Draws every cell anew.
    Redraw,
    Suspend,
    /// Gives the terminal to a program until it ends; `what` stands above its first line.
    HandOver {
        argv: Vec<String>,
        what: String,
    },
    Quit(Left),
}

/// How the console was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Quit,
    /// The demo goes on.
    KeepDemo,
    /// The demo is to be removed.
    RemoveDemo,
}

/// A place to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    App(AppId),
    Host(HostId),
    Deployment(DeploymentId),
    Logs { app: AppId, instance: Option<InstanceId> },
    BuildLog { app: AppId, release: ReleaseId },
    Tasks,
}
