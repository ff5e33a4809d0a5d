//! How a program and all that it started is brought to its end: on request, over a limit, or after its own end.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Keeper;
use crate::keep::process::{self, Process};

/// Between two rounds of SIGKILL: what forks while it is being killed is met in the next one.
pub(super) const KILL_EVERY: Duration = Duration::from_millis(20);

/// How a running tree is brought to its end.
#[derive(Debug)]
pub(super) struct Ending {
    /// From here on SIGKILL.
    pub kill_at: Duration,
    /// Whether what outlived the program was asked to end too.
    rest_asked: bool,
}

impl Keeper {
    pub(super) fn enforce_limits(&mut self, now: Duration) {
        if self.state.child.is_none() {
            return;
        }
        if self.ending.is_none() && self.time_up().is_some_and(|at| now >= at) {
            let limit = self.spec.time_limit.unwrap_or_default();
            self.log.say(&format!("out of time after {limit}"));
            self.timed_out = true;
            self.begin_to_end(now);
        }
        if self.limit.every().is_some_and(|every| now >= self.limit_at + every) {
            self.limit_at = now;
            if self.limit.is_passed(std::process::id()) {
                self.out_of_memory = true;
                self.kill_all();
            }
        }
    }

    /// Asks the program to end, if it runs; what is left of it after its time is killed.
    pub(super) fn begin_to_end(&mut self, now: Duration) {
        if let Some(child) = self.state.child {
            signal_group(child, Signal::TERM);
        }
        let kill_at = now + self.spec.kill_after.duration();
        self.ending = Some(Ending { kill_at, rest_asked: false });
    }

    /// Brings what is left of a tree to its end: on request, or when its program has ended.
    pub(super) fn end_tree(&mut self, now: Duration) {
        let has_ended = self.state.child.is_none();
        if has_ended && self.any_left && self.ending.is_none() {
            self.begin_to_end(now);
        }
        let Some(ending) = &mut self.ending else {
            return;
        };
        if now >= ending.kill_at {
            self.kill_all();
        } else if has_ended && !ending.rest_asked {
            ending.rest_asked = true;
            for process in process::descendants(std::process::id()) {
                process.signal(Signal::TERM);
            }
        }
    }

    pub(super) fn kill_all(&self) {
        if let Some(child) = self.state.child {
            signal_group(child, Signal::KILL);
        }
        for process in process::descendants(std::process::id()) {
            process.signal(Signal::KILL);
        }
    }
}

/// To the program's process group, and to itself in case it has not made its group yet.
fn signal_group(child: Process, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.pid as i32) {
        // Gone already is as good.
        let _ = kill_process_group(group, signal);
    }
    child.signal(signal);
}
