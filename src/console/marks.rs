//! Status as symbol and word: the symbol alone never carries it, neither does the colour.

use super::theme::Role;
use crate::model::{
    container::{Container, ContainerHealth, ContainerState},
    deployment::{Deployment, Phase, StepState},
    fleet::{AppStatus, Host, Level, Task, TaskState},
    instance::{Health, Instance, InstanceState},
};

/// How a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub symbol: &'static str,
    pub word: &'static str,
    pub role: Role,
}

const fn mark(symbol: &'static str, word: &'static str, role: Role) -> Mark {
    Mark { symbol, word, role }
}

/// Only *serving* is green.
pub fn app(status: AppStatus) -> Mark {
    let (symbol, role) = match status {
        AppStatus::Down => ("✖", Role::Danger),
        AppStatus::Degraded => ("▲", Role::Warn),
        AppStatus::UnderWay => ("◐", Role::Accent),
        AppStatus::Serving => ("●", Role::Ok),
        AppStatus::Running => ("●", Role::Text),
        AppStatus::Stopped | AppStatus::Empty => ("○", Role::Muted),
    };
    mark(symbol, status.word(), role)
}

pub fn deployment(deployment: &Deployment) -> Mark {
    let phase = deployment.phase;
    let (symbol, role) = match phase {
        Phase::Live => ("●", Role::Ok),
        Phase::Done => ("✓", Role::Text),
        Phase::Failed | Phase::Reverted | Phase::Stuck => ("✖", Role::Danger),
        Phase::Cancelled | Phase::Superseded => ("○", Role::Muted),
        Phase::Aborting => ("▲", Role::Warn),
        _ => ("◐", Role::Accent),
    };
    mark(symbol, phase.word(), role)
}

pub fn instance(instance: &Instance) -> Mark {
    let (symbol, role) = match (instance.state, instance.health) {
        (InstanceState::BackOff | InstanceState::Lost, _) => ("✖", Role::Danger),
        (InstanceState::Running, Health::Failing | Health::Ejected) | (InstanceState::Unknown, _) => ("▲", Role::Warn),
        (InstanceState::Running, Health::Draining) | (InstanceState::Starting | InstanceState::Stopping, _) => {
            ("◐", Role::Accent)
        }
        (InstanceState::Running, Health::Passing) => ("●", Role::Ok),
        (InstanceState::Running, Health::Unknown) => ("●", Role::Text),
        (InstanceState::Stopped, _) => ("○", Role::Muted),
    };
    mark(symbol, instance.state.word(), role)
}

pub fn health(health: Health) -> Role {
    match health {
        Health::Failing | Health::Ejected => Role::Warn,
        _ => Role::Muted,
    }
}

pub fn host(host: &Host) -> Mark {
    if host.reachable { mark("●", "reachable", Role::Ok) } else { mark("○", "unreachable", Role::Danger) }
}

/// Green only when its own health check passes.
pub fn container(container: &Container) -> Mark {
    let failed = container.is_ours() && container.exit_code.is_some_and(|code| code != 0);
    match (container.state, container.health) {
        (ContainerState::Running, Some(ContainerHealth::Healthy)) => mark("●", "healthy", Role::Ok),
        (ContainerState::Running, Some(ContainerHealth::Unhealthy)) => mark("▲", "unhealthy", Role::Warn),
        (ContainerState::Running, Some(ContainerHealth::Starting)) => mark("◐", "starting", Role::Accent),
        (ContainerState::Running, None) => mark("●", "running", Role::Text),
        (ContainerState::Restarting, _) => mark("✖", "restarting", Role::Danger),
        (ContainerState::Dead, _) => mark("✖", "dead", Role::Danger),
        (ContainerState::Exited, _) if failed => mark("✖", "exited", Role::Danger),
        (ContainerState::Removing, _) => mark("◐", "removing", Role::Accent),
        (state, _) => mark("○", state.word(), Role::Muted),
    }
}

pub fn task(task: &Task) -> Mark {
    let (symbol, role) = match task.state {
        TaskState::Running => ("◐", Role::Accent),
        TaskState::Waiting if task.last_error.is_some() => ("▲", Role::Warn),
        TaskState::Waiting => ("○", Role::Muted),
        TaskState::Succeeded => ("✓", Role::Text),
        TaskState::Failed => ("✖", Role::Danger),
    };
    mark(symbol, task.state.word(), role)
}

pub fn step(state: StepState) -> Mark {
    match state {
        StepState::Started => mark("◐", "under way", Role::Accent),
        StepState::Succeeded => mark("✓", "done", Role::Ok),
        StepState::Failed => mark("✖", "failed", Role::Danger),
        StepState::UndoStarted => mark("◐", "undoing", Role::Warn),
        StepState::UndoFinished => mark("✓", "undone", Role::Muted),
        StepState::UndoFailed => mark("✖", "undo failed", Role::Danger),
    }
}

pub fn level(level: Level) -> Role {
    match level {
        Level::Good => Role::Ok,
        Level::Plain => Role::Text,
        Level::Warn => Role::Warn,
        Level::Danger => Role::Danger,
    }
}
