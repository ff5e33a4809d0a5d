//! The end of the demo: its instances, its edge, its engine, its files; also when its engine was killed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::folder::{self, Owner};
use crate::{
    cli::{Ended, context::Context, engine},
    model::problem::Problem,
};

/// From SIGTERM to SIGKILL for what the engine did not end.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for killed processes to be gone.
const LAST: Duration = Duration::from_secs(5);

/// Removes the demo with all that belongs to it. What is already gone is no error.
pub(super) async fn remove(context: &Context<'_>) -> Result<Ended, Problem> {
    let state = &context.settings.state;
    match folder::owner(state) {
        Owner::Demo => {}
        Owner::Other => return Err(folder::foreign(state)),
        Owner::Nobody => {
            tell(context, "there was none");
            return Ok(Ended::Well);
        }
    }
    context.output.progress("ending the demo's apps, edge and engine");
    if let Err(problem) = engine::stop(context, true).await {
        context.output.progress(&format!("its engine does not end it: {}; ending its processes one by one", problem.what));
    }
    end_processes(state.root(), &context.settings.binary).await?;
    for path in [Some(state.root()), state.socket_folder()].into_iter().flatten() {
        remove_folder(path)?;
    }
    tell(context, "removed: no process, no port and no file of it is left");
    Ok(Ended::Well)
}

fn tell(context: &Context<'_>, outcome: &str) {
    if context.output.json {
        context.output.document(&serde_json::json!({ "outcome": outcome, "next": "pilothouse demo" }));
    }
    context.output.line(&format!("✓ {outcome}"));
}

fn remove_folder(path: &Path) -> Result<(), Problem> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Problem::unavailable(format!("cannot remove the demo's folder: {error}"))
                .at(path.display().to_string())
                .hint("remove it by hand; nothing of the demo runs any more"))
        }
        _ => Ok(()),
    }
}

/// Ends every process of ours that belongs to this folder, by SIGTERM, and by SIGKILL after a while.
async fn end_processes(root: &Path, binary: &Path) -> Result<(), Problem> {
    // Keepers first: they take their instances with them.
    if wait_for_end(root, binary, Signal::TERM, PATIENCE).await || wait_for_end(root, binary, Signal::KILL, LAST).await {
        return Ok(());
    }
    let left = processes(root, binary);
    Err(Problem::internal(format!("processes of the demo are left: {left:?}")).hint("end them with kill -9, then try again"))
}

async fn wait_for_end(root: &Path, binary: &Path, signal: Signal, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut told: Vec<u32> = Vec::new();
    loop {
        let left = processes(root, binary);
        if left.is_empty() {
            return true;
        }
        for process in left.into_iter().filter(|process| !told.contains(process)).collect::<Vec<_>>() {
            told.push(process);
            if let Some(pid) = Pid::from_raw(process as i32) {
                // Gone meanwhile: that is what is wanted.
                let _ = kill_process(pid, signal);
            }
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Processes of this program that work in or for the folder: engine, edge, keepers, samples.
fn processes(root: &Path, binary: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != std::process::id() && engine::is_alive(*pid) && belongs(*pid, root, binary)).collect()
}

fn belongs(pid: u32, root: &Path, binary: &Path) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let Ok(program) = std::fs::read_link(folder.join("exe")) else {
        return false;
    };
    let shown = program.to_string_lossy();
    if Path::new(shown.trim_end_matches(" (deleted)")) != binary {
        return false;
    }
    let works_there = std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd.starts_with(root));
    let line = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let words: Vec<&str> = line.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    let is_role = matches!(words.get(1), Some(&("keep" | "edge" | "sample" | "engine")));
    let names_it = words.iter().skip(2).any(|word| Path::new(word).starts_with(root));
    let is_engine = words.contains(&"engine") && words.contains(&"run") && names_it;
    is_role && (works_there || names_it) || is_engine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_belongs_to_a_demo() {
        let home = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        assert!(processes(home.path(), &own).is_empty());
        assert!(!belongs(1, home.path(), &own));
    }
}
