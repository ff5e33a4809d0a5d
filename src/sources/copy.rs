//! Copies a listed folder: shared blocks where the file system can, else streamed; never a hard link.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink},
    path::Path,
};

use tokio_util::sync::CancellationToken;

use super::{
    cancelled,
    listing::{Entry, Kind, unreadable},
};
use crate::model::Problem;

/// Bytes that are copied between two looks at the cancellation.
const CHUNK: usize = 1 << 20;

/// Makes `into` with `entries` of `from`. Modes become 0755 for folders and executables, 0644 for other files.
///
/// Blocks; ends soon after `cancel`. A file that has gone since it was listed is left out.
pub fn copy(from: &Path, entries: &[Entry], into: &Path, cancel: &CancellationToken) -> Result<(), Problem> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o755);
    folder.create(into).map_err(|error| Problem::unwritable(into, &error))?;
    let mut buffer = vec![0; CHUNK];
    for entry in entries {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let target = into.join(&entry.path);
        match &entry.kind {
            Kind::Folder => folder.create(&target).map_err(|error| Problem::unwritable(&target, &error))?,
            Kind::Link { target: to } => symlink(to, &target).map_err(|error| Problem::unwritable(&target, &error))?,
            Kind::File { executable, .. } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                match File::open(from.join(&entry.path)) {
                    Ok(source) => copy_file(source, &target, mode, &mut buffer, cancel)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unreadable(&from.join(&entry.path), &error)),
                }
            }
        }
    }
    Ok(())
}

fn copy_file(mut source: File, path: &Path, mode: u32, buffer: &mut [u8], cancel: &CancellationToken) -> Result<(), Problem> {
    let wrong = |error: io::Error| Problem::unwritable(path, &error);
    let mut target = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(wrong)?;
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        loop {
            let read = source.read(buffer).map_err(|error| unreadable(path, &error))?;
            if read == 0 {
                break;
            }
            if cancel.is_cancelled() {
                return Err(cancelled());
            }
            target.write_all(&buffer[..read]).map_err(wrong)?;
        }
    }
    // The umask may have taken bits away; the time is what `Last-Modified` and incremental builds go by.
    rustix::fs::fchmod(&target, rustix::fs::Mode::from_raw_mode(mode)).map_err(|error| wrong(error.into()))?;
    if let Ok(time) = source.metadata().and_then(|meta| meta.modified()) {
        target.set_modified(time).map_err(wrong)?;
    }
    Ok(())
}
