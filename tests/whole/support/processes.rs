//! Which processes belong to a state folder, read from /proc.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A process that still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub pid: i32,
    pub command: String,
}

/// Processes that carry `folder` in their command line, their environment or as their working folder.
pub fn of(folder: &Path) -> Vec<Found> {
    let needle = folder.to_string_lossy().into_owned();
    let own = std::process::id().cast_signed();
    let numbers =
        fs::read_dir("/proc").expect("/proc is there").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid != own).filter_map(|pid| belongs(pid, &needle)).collect()
}

fn belongs(pid: i32, needle: &str) -> Option<Found> {
    if !is_alive(pid) {
        return None;
    }
    let read =
        |file: &str| fs::read(format!("/proc/{pid}/{file}")).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    let command = read("cmdline").ok()?;
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let inside = folder.is_some_and(|folder| folder.to_string_lossy().starts_with(needle));
    (inside || command.contains(needle) || read("environ").is_ok_and(|text| text.contains(needle)))
        .then(|| Found { pid, command: command.trim().to_owned() })
}

/// Whether a process runs; one that only waits to be collected does not.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything; the state letter follows the last one.
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Ends everything of `folder`, by pid.
pub fn end_all(folder: &Path) {
    let from = Instant::now();
    loop {
        let left = of(folder);
        if left.is_empty() || from.elapsed() > Duration::from_secs(10) {
            return;
        }
        for process in left {
            signal(process.pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processor time that a process has taken so far, in seconds.
pub fn cpu_seconds(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    // Fields 14 and 15 of proc(5), counted after the name; a tick is 10 ms on Linux.
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Memory of a process: the resident set, in MiB.
pub fn resident_mib(pid: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
