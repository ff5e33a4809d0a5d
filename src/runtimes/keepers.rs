//! Keepers by name, for whoever has something kept: instances, builds and the edge.

use std::{
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::timeout;

use crate::{
    config::Settings,
    keep::{KeeperState, Program, Spec, launch, process::Process, strays},
    model::{
        instance::{Exit, InstanceState},
        log::{LogLabels, Stream, read_record, safe},
        problem::Problem,
    },
};

/// A keeper ends this long after the limit of what it keeps, at the latest.
const SLACK: Duration = Duration::from_secs(5);
/// Lines shown of the log of a program that failed.
const EVIDENCE: usize = 20;
/// Longest wait for a keeper without a folder.
const STRAY: Duration = Duration::from_secs(15);

/// A spec with the engine's settings for logs and its boot; the rest as `Spec::new` has it.
pub fn spec(settings: &Settings, program: Program, folder: impl Into<PathBuf>) -> Spec {
    Spec {
        rotate_at: settings.config.logs.rotate_at,
        keep_files: settings.config.logs.keep,
        ..Spec::new(program, folder, &settings.boot_id)
    }
}

/// Starts a keeper in `keepers/NAME` and returns what it said first: the program was spawned.
///
/// Idempotent: a living keeper of this name with the same spec is returned as it is; with another spec it is a conflict.
/// What a dead keeper of this name left running is ended first. Takes some 10 ms.
pub async fn launch(settings: &Settings, name: &str, spec: &Spec, labels: &LogLabels) -> Result<KeeperState, Problem> {
    let (binary, dir) = (settings.binary.clone(), settings.state.keeper(name));
    let (spec, labels) = (spec.clone(), labels.clone());
    blocking(move || launch::launch(&binary, &dir, &spec, &labels)).await?
}

/// What is known of a keeper; absent when there never was one of this name, or its files are gone.
///
/// Its `state` is what the keeper said last; `KeeperState::seen` also knows whether it still lives.
pub fn state(settings: &Settings, name: &str) -> Option<KeeperState> {
    KeeperState::read(&settings.state.keeper(name))
}

/// Whether a keeper of this name runs.
pub fn is_alive(settings: &Settings, name: &str) -> bool {
    state(settings, name).is_some_and(|state| state.is_alive(&settings.boot_id))
}

/// Waits until the keeper has ended, and returns its last state: the program's exit is in `last_exit`.
///
/// Absent: there never was one. A keeper that was killed leaves a state whose `seen` is `Lost`. Without limit: drop it.
pub async fn await_exit(settings: &Settings, name: &str) -> Option<KeeperState> {
    await_end(&state(settings, name)?.keeper).await;
    state(settings, name)
}

/// Ends a keeper and all it runs, and answers when nothing of it runs any more, with the program's last exit.
///
/// SIGTERM, then SIGKILL after the spec's limit. Also what a dead keeper left running. Idempotent.
pub async fn stop(settings: &Settings, name: &str) -> Result<Option<Exit>, Problem> {
    let dir = settings.state.keeper(name);
    let Some(state) = KeeperState::read(&dir) else {
        return Ok(None);
    };
    let limit = Spec::read(&dir).map_or(Duration::ZERO, |spec| spec.kill_after.duration());
    if state.is_alive(&settings.boot_id) {
        state.keeper.signal(Signal::TERM);
        if timeout(limit + SLACK, await_end(&state.keeper)).await.is_err() {
            let told = format!("{name} has not ended {} s after it was asked to", (limit + SLACK).as_secs());
            return Err(Problem::unavailable(told).hint(format!("look at process {}", state.keeper.pid)));
        }
    }
    let boot_id = settings.boot_id.clone();
    blocking(move || {
        launch::end_orphans(&dir, &boot_id, limit)?;
        Ok(KeeperState::read(&dir).and_then(|state| close(&dir, state, &boot_id)))
    })
    .await?
}

/// Puts down that a keeper which died is not missed any more. Returns the last exit.
fn close(dir: &Path, state: KeeperState, boot_id: &str) -> Option<Exit> {
    if state.seen(boot_id) == InstanceState::Lost {
        let closed = KeeperState { state: InstanceState::Stopped, child: None, ..state.clone() };
        // On a full disk it stays lost, which is true as well.
        let _ = closed.write(dir);
    }
    state.last_exit
}

/// Ends keepers that nobody can reach by their folder any more, and says which they were; waits until they have ended.
pub async fn end_strays(settings: &Settings) -> Vec<String> {
    let root = settings.state.keepers();
    let strays = blocking(move || strays::find(&root)).await.unwrap_or_default();
    let ends = strays.into_iter().map(|stray| async move {
        stray.keeper.signal(Signal::TERM);
        // It gives what it runs the time that its spec says, and kills it then.
        let _ = timeout(STRAY, await_end(&stray.keeper)).await;
        stray.name
    });
    futures_util::future::join_all(ends).await
}

/// Waits until a process has ended; notices it within 30 ms.
pub async fn await_end(process: &Process) {
    let mut pause = Duration::from_millis(2);
    while process.is_running() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(30));
    }
}

/// The last lines that a keeper's program wrote, safe to show.
pub fn last_lines(settings: &Settings, name: &str) -> Vec<String> {
    let text = tail(&settings.state.keeper(name).join("log/current")).unwrap_or_default();
    let records = text.lines().filter_map(read_record).filter(|(_, stream, _)| *stream != Stream::Keeper);
    let mut lines: Vec<String> = records.map(|(_, _, line)| safe(line)).collect();
    lines.split_off(lines.len().saturating_sub(EVIDENCE))
}

/// The end of a file; its first line may be torn.
fn tail(path: &Path) -> std::io::Result<String> {
    const ENOUGH: u64 = 64 * 1024;
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH)))?;
    let mut bytes = Vec::new();
    file.take(ENOUGH).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Does blocking work beside the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::internal("a task of the runtime ended before its time"))
}
