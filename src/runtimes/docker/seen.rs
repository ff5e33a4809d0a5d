//! From Docker's words for a container to ours.

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use chrono::DateTime;

use super::memory::Memory;
use crate::model::{
    ids::InstanceId,
    instance::{Exit, InstanceState},
    order::InstanceReport,
    units::Timestamp,
};

/// A time in Docker's writing (RFC 3339), in microseconds since 1970; absent for its zero.
pub(super) fn micros(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros()).filter(|micros| *micros > 0)
}

pub(super) fn time(text: Option<&String>) -> Option<Timestamp> {
    micros(text?).map(|micros| Timestamp(micros / 1000))
}

/// What is seen of an instance: its container, when there is one, and what is remembered.
pub(super) fn report(id: &InstanceId, memory: &Memory, seen: Option<&ContainerInspectResponse>) -> InstanceReport {
    let state = state(memory, seen);
    let docker = seen.and_then(|seen| seen.state.as_ref());
    let pid = docker.and_then(|state| state.pid).filter(|pid| *pid > 0 && state.is_alive()).map(|pid| pid as u32);
    let own = seen.and_then(|seen| seen.restart_count).unwrap_or(0).max(0) as u32;
    InstanceReport {
        id: id.clone(),
        state,
        pid,
        address: Some(memory.address()),
        restarts: memory.restarts_before + own,
        started_at: docker.and_then(|state| time(state.started_at.as_ref())).or(memory.started_at),
        last_exit: exit(seen).or_else(|| memory.last_exit.clone()),
    }
}

fn state(memory: &Memory, seen: Option<&ContainerInspectResponse>) -> InstanceState {
    use ContainerStateStatusEnum as Docker;
    let status = seen.and_then(|seen| seen.state.as_ref()?.status);
    match status {
        _ if memory.stopped => InstanceState::Stopped,
        Some(Docker::RUNNING | Docker::PAUSED | Docker::RESTARTING) if memory.stopping => InstanceState::Stopping,
        Some(Docker::RUNNING | Docker::PAUSED) => InstanceState::Running,
        Some(Docker::RESTARTING) => InstanceState::BackOff,
        Some(Docker::CREATED) => InstanceState::Starting,
        _ if memory.stopping => InstanceState::Stopping,
        // It is to run, and neither runs nor will be started again by Docker.
        _ => InstanceState::Lost,
    }
}

/// How it ended, when it does not run.
pub(super) fn exit(seen: Option<&ContainerInspectResponse>) -> Option<Exit> {
    let state = seen?.state.as_ref()?;
    let at = time(state.finished_at.as_ref())?;
    if state.running == Some(true) && state.restarting != Some(true) {
        return None;
    }
    Some(exit_of(state.exit_code?, state.oom_killed == Some(true), at))
}

/// Docker tells a signal as 128 and its number.
pub(super) fn exit_of(code: i64, out_of_memory: bool, at: Timestamp) -> Exit {
    let signal = (129..=128 + 64).contains(&code).then(|| (code - 128) as i32);
    Exit { code: signal.is_none().then_some(code as i32), signal, out_of_memory, timed_out: false, at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_from_a_code() {
        assert_eq!(exit_of(137, false, Timestamp(1)).words(), "ended by signal 9");
        assert_eq!(exit_of(137, true, Timestamp(1)).words(), "out of memory");
        assert_eq!(exit_of(3, false, Timestamp(1)).words(), "exited with 3");
    }

    #[test]
    fn dockers_zero_is_no_time() {
        assert_eq!(micros("0001-01-01T00:00:00Z"), None);
        assert_eq!(micros("1970-01-01T00:00:01.000002Z"), Some(1_000_002));
    }
}
