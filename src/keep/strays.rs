//! Keepers whose folder is not theirs any more: a state folder was removed, or a backup put in its place, while they ran.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::process::{self, Process};

/// A keeper that nobody can reach by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    pub name: String,
    pub keeper: Process,
}

/// All strays of the keepers' folder `root`.
pub fn find(root: &Path) -> Vec<Stray> {
    let running = process::all().into_iter().filter(|stat| !matches!(stat.state, 'Z' | 'X'));
    running.filter_map(|stat| stray(root, stat.process)).collect()
}

fn stray(root: &Path, keeper: Process) -> Option<Stray> {
    let line = process::arguments(keeper.pid)?;
    let [_, role, dir] = line.as_slice() else { return None };
    let dir = PathBuf::from(dir);
    if role != "keep" || dir.parent() != Some(root) || holds_lock_of(keeper.pid, &dir)? {
        return None;
    }
    Some(Stray { name: dir.file_name()?.to_str()?.to_owned(), keeper })
}

/// Whether the lock that a keeper holds is the one that lies in `dir` now. Absent while it holds none, at its very beginning.
fn holds_lock_of(pid: u32, dir: &Path) -> Option<bool> {
    let lock = dir.join("lock");
    let present = fs::metadata(&lock).ok().map(|lock| (lock.dev(), lock.ino()));
    // The kernel writes ` (deleted)` after the name of a file that is gone.
    let mut deleted = OsString::from(&lock);
    deleted.push(" (deleted)");
    let names = [PathBuf::from(&lock), PathBuf::from(deleted)];
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().map(|entry| entry.path());
    let held = open.filter(|file| fs::read_link(file).is_ok_and(|name| names.contains(&name)));
    // Through the link of /proc, which leads to a deleted file too.
    let mut held = held.filter_map(|file| fs::metadata(file).ok()).map(|file| (file.dev(), file.ino())).peekable();
    held.peek()?;
    Some(held.any(|file| Some(file) == present))
}
