//! Starting a keeper, and clearing away what a keeper that died left running; for the process that wants one.

use std::{fs, io::Read, os::unix::fs::DirBuilderExt, path::Path, process::Stdio, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::Signal,
};

use super::{
    child, clock,
    handed::Handed,
    process::{self, Process},
    spec::{self, Spec},
    state::KeeperState,
};
use crate::model::{instance::InstanceState, log::LogLabels, plan::Env, problem::Problem};

/// A keeper that has not answered by then does not answer any more.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// Starts a keeper for `spec` in `dir` and returns what it said first: the program was spawned.
///
/// Idempotent: a living keeper of this folder with the same spec is returned as it is; with another spec it is a conflict.
/// What a dead keeper left running is ended first. Blocks, as a rule for some 10 ms.
pub fn launch(binary: &Path, dir: &Path, spec: &Spec, labels: &LogLabels) -> Result<KeeperState, Problem> {
    if let Some(state) = alive_with(dir, spec)? {
        return Ok(state);
    }
    end_orphans(dir, &spec.boot_id, Duration::from_secs(1))?;
    write_folder(dir, spec, labels).map_err(|error| {
        Problem::unavailable(format!("cannot write the keeper's folder: {error}")).at(dir.display().to_string())
    })?;
    let answer = run(binary, dir, &spec.env)?;
    match answer.strip_prefix('!') {
        None if !answer.is_empty() => serde_json::from_str(&answer)
            .map_err(|error| Problem::internal(format!("the keeper's answer cannot be read: {error}"))),
        Some(told) => Err(Problem::unavailable(format!("the keeper cannot start: {told}")).at(dir.display().to_string())),
        None => Err(Problem::unavailable("the keeper ended before it had started").at(dir.display().to_string())),
    }
}

/// A living keeper of the folder that does what `spec` asks; one that is about to end is awaited first.
fn alive_with(dir: &Path, spec: &Spec) -> Result<Option<KeeperState>, Problem> {
    let Some(state) = KeeperState::read(dir).filter(|state| state.is_alive(&spec.boot_id)) else {
        return Ok(None);
    };
    if matches!(state.state, InstanceState::Stopping | InstanceState::Stopped) {
        let limit = spec.kill_after.duration() + Duration::from_secs(2);
        if !await_end(&state.keeper, limit) {
            return Err(Problem::unavailable("what ran here before has not ended yet").at(dir.display().to_string()));
        }
        return Ok(None);
    }
    match Spec::read(dir) {
        Ok(present) if present.is_same_as(spec) => Ok(Some(state)),
        _ => Err(Problem::conflict("something else is kept here").at(dir.display().to_string()).hint("stop it first")),
    }
}

/// Whether it has ended within this time.
pub fn await_end(process: &Process, limit: Duration) -> bool {
    let Some(descriptor) = process.open() else {
        return true;
    };
    let limit = rustix::time::Timespec::try_from(limit).ok();
    let _ = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref());
    !process.is_running()
}

fn write_folder(dir: &Path, spec: &Spec, labels: &LogLabels) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("log"))?;
    // What it says is over; a keeper that dies before its first state must not look like the one before.
    match fs::remove_file(dir.join("state.json")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut spec = spec.clone();
    if spec.search_path.is_empty() {
        spec.search_path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    }
    spec.write(dir)?;
    spec::replace(&dir.join("labels.json"), &serde_json::to_vec(labels)?)
}

#[expect(clippy::disallowed_types, reason = "keepers are started here")]
fn run(binary: &Path, dir: &Path, env: &Env) -> Result<String, Problem> {
    let failed = |error: std::io::Error| Problem::unavailable(format!("cannot run {}: {error}", binary.display()));
    let handed = Handed::new(env).and_then(|handed| handed.stdin()).map_err(failed)?;
    let mut middle = std::process::Command::new(binary)
        .args(["keep", "--launch"])
        .arg(dir)
        .env_clear()
        .current_dir("/")
        .stdin(handed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let answer = middle.stdout.take().map_or_else(|| Ok(String::new()), |mut pipe| read_within(&mut pipe, ANSWER_WAIT));
    // It ends by itself as soon as it has started the keeper; killed only when even that hangs.
    if answer.is_err() {
        let _ = middle.kill();
    }
    let _ = middle.wait();
    answer.map(|text| text.trim().to_owned()).map_err(failed)
}

fn read_within(pipe: &mut std::process::ChildStdout, limit: Duration) -> std::io::Result<String> {
    let deadline = clock::monotonic() + limit;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_sub(clock::monotonic());
        let timeout = rustix::time::Timespec::try_from(left).ok();
        if poll(&mut [PollFd::new(pipe, PollFlags::IN)], timeout.as_ref())? == 0 {
            return Err(std::io::Error::other("no answer in time"));
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            read => text.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Ends what a keeper that died left running: SIGTERM, after `grace` SIGKILL. Nothing when its keeper lives.
pub fn end_orphans(dir: &Path, boot_id: &str, grace: Duration) -> Result<(), Problem> {
    let Some(state) = KeeperState::read(dir) else {
        return Ok(());
    };
    if state.seen(boot_id) != InstanceState::Lost {
        return Ok(());
    }
    let kill_at = clock::monotonic() + grace;
    let give_up_at = kill_at + Duration::from_secs(5);
    let mut asked = false;
    loop {
        let now = clock::monotonic();
        let left = orphans(dir, &state, boot_id);
        if left.is_empty() {
            return Ok(());
        }
        if now >= give_up_at {
            let pids: Vec<String> = left.iter().map(|process| process.pid.to_string()).collect();
            return Err(Problem::unavailable(format!("process {} does not end", pids.join(", "))));
        }
        let signal = if now >= kill_at { Signal::KILL } else { Signal::TERM };
        if signal == Signal::KILL || !asked {
            for process in &left {
                process.signal(signal);
            }
            asked = true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What still runs of a dead keeper: its program and session, what is below them, and whatever carries its mark.
fn orphans(dir: &Path, state: &KeeperState, boot_id: &str) -> Vec<Process> {
    let all = process::all();
    let mark = format!("{}={}", child::MARK, dir.display());
    let child = state.child.filter(|_| state.boot_id == boot_id);
    // While a session has members its number is not given away; a younger leader says that it was.
    let session = child.filter(|child| !all.iter().any(|stat| stat.process.pid == child.pid && stat.process != *child));
    let is_mine = |stat: &process::Stat| {
        session.is_some_and(|child| stat.session == child.pid || stat.process == child)
            || process::has_in_environment(stat.process.pid, &mark)
    };
    let mut found: Vec<Process> = Vec::new();
    for stat in all.iter().filter(|stat| !matches!(stat.state, 'Z' | 'X')) {
        if is_mine(stat) {
            found.push(stat.process);
            found.extend(process::descendants_in(stat.process.pid, &all).iter().map(|stat| stat.process));
        }
    }
    found.retain(Process::is_running);
    found
}
