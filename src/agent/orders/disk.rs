//! Folders on disk: how much they take, how much is free, and removing them whatever is in them.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::model::{Problem, units::Bytes};

/// Space that the files below `path` take; nothing when it is not there. Links are not followed. Blocks.
pub(super) fn taken(path: &Path) -> Bytes {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Bytes(0);
    };
    let mut bytes = meta.blocks() * 512;
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            bytes += taken(&entry.path()).0;
        }
    }
    Bytes(bytes)
}

/// Space that is free for an unprivileged user on the file system of `path`; absent when it cannot be told.
pub(super) fn free(path: &Path) -> Option<Bytes> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)))
}

/// Memory that programs can have; absent where the kernel does not tell (`MemAvailable`, proc(5)).
pub(super) fn free_memory() -> Option<Bytes> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(Bytes(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024))
}

/// Removes what is at `path`, links themselves and not what they lead to, and gives how much space that freed.
///
/// Idempotent. Also folders that a tool made read-only. Blocks.
pub(super) fn remove(path: &Path) -> Result<Bytes, Problem> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(Bytes(0));
    };
    let freed = taken(path);
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                make_writable(path);
                fs::remove_dir_all(path)
            }
            // A program that is just ending may have added a file meanwhile.
            io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(path),
            _ => Err(error),
        })
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Problem::unavailable(format!("cannot remove it: {error}")).at(path.display().to_string()))
        }
        _ => Ok(freed),
    }
}

/// Module caches are read-only on purpose; a folder must be writable for its files to go.
fn make_writable(folder: &Path) {
    let Ok(meta) = fs::symlink_metadata(folder) else { return };
    if !meta.is_dir() {
        return;
    }
    // What cannot be changed will be named by the removal.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

/// Puts `content` at `path` as a whole or not at all; durable on return.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Does blocking work beside the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::internal("a task of the agent ended before its time"))
}
