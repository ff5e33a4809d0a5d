//! Processes of this machine as `/proc` tells them (proc_pid_stat(5)); a process is a number *and* a start time.

use std::{
    fs,
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process: its number may be given to another one later, its number and start time together not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Start, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub started: u64,
}

/// What is used of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub process: Process,
    pub state: char,
    pub parent: u32,
    pub session: u32,
    /// User and system time in clock ticks.
    pub cpu_ticks: u64,
    /// Resident memory in pages.
    pub pages: u64,
}

impl Process {
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| stat.process)
    }

    /// Whether it has not ended; one that ended and was not waited for has.
    pub fn is_running(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.process == *self && !matches!(stat.state, 'Z' | 'X'))
    }

    /// A descriptor that becomes readable when the process ends; absent when it is gone.
    pub fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid as i32)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Only after the descriptor is there can the number no longer change hands unseen.
        self.is_running().then_some(descriptor)
    }

    /// Sends a signal to this process, and to no other that got its number since. Absent: gone already.
    pub fn signal(&self, signal: Signal) -> Option<()> {
        pidfd_send_signal(self.open()?, signal).ok()
    }
}

pub fn stat(pid: u32) -> Option<Stat> {
    // One read into the stack: this is called for each process of the machine.
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let mut text = [0; 1024];
    let length = file.read(&mut text).ok()?;
    parse(pid, &String::from_utf8_lossy(&text[..length]))
}

/// The name, in parentheses, may hold anything, also parentheses and spaces: fields are counted from the last one.
fn parse(pid: u32, text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    // Field 3, the state, is the first after the name.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        process: Process { pid, started: number(22)? },
        state: fields.first()?.chars().next()?,
        parent: number(4)? as u32,
        session: number(6)? as u32,
        cpu_ticks: number(14)? + number(15)?,
        pages: number(24)?,
    })
}

/// Every process of the machine that can be seen.
pub fn all() -> Vec<Stat> {
    numbers("/proc").into_iter().filter_map(stat).collect()
}

/// All below `root`, in no order; not itself.
pub fn descendants(root: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let Ok(children) = children(parent) else {
            return descendants_in(root, &all()).iter().map(|stat| stat.process).collect();
        };
        found.extend(children.iter().filter_map(|pid| Process::of(*pid)));
        open.extend(children);
    }
    found
}

/// All below `root` in a picture of the machine.
pub fn descendants_in(root: u32, all: &[Stat]) -> Vec<&Stat> {
    let mut found: Vec<&Stat> = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        let children = all.iter().filter(|stat| stat.parent == parent && stat.process.pid != parent);
        for child in children {
            found.push(child);
            open.push(child.process.pid);
        }
    }
    found
}

/// Children of all threads of a process; an error where the kernel does not tell them.
fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in numbers(&format!("/proc/{pid}/task")) {
        match fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            Ok(text) => children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // The thread ended meanwhile, or the kernel is built without this file.
            Err(error) if fs::exists(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or(false) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(children)
}

fn numbers(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The words that it was started with; none of a process of the kernel. Absent when it is gone.
pub fn arguments(pid: u32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|b| *b == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Its command line with spaces between the words, or its name when there is none; absent when it is gone.
pub fn command_line(pid: u32) -> Option<String> {
    let text = arguments(pid)?.join(" ");
    if text.is_empty() { Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned()) } else { Some(text) }
}

/// Whether the process was started with `name=value` in its environment; false when that cannot be seen.
pub fn has_in_environment(pid: u32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|all| all.split(|b| *b == 0).any(|one| one == entry.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) R (b) S 3 5 6 0 -1 0 0 0 0 0 11 4 0 0 20 0 1 0 900 1000 42 18446744073709551615";
        let stat = parse(7, text).unwrap();
        assert_eq!((stat.parent, stat.session, stat.cpu_ticks), (3, 6, 15));
        assert_eq!((stat.process.started, stat.pages, stat.state), (900, 42, 'S'));
    }

    #[test]
    fn this_process_runs_and_a_namesake_of_another_time_does_not() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_running());
        assert!(!Process { started: me.started + 1, ..me }.is_running());
    }
}
