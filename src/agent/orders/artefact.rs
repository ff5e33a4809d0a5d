//! What a build leaves: its digest, and the file that says that it is complete.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::disk;
use crate::model::{Problem, plan::Artefact};

/// From here on two threads hash.
const LARGE: u64 = 16 << 20;

/// The artefact that `file` tells of, if it is complete and still there.
pub(super) fn read(file: &Path) -> Option<Artefact> {
    let artefact: Artefact = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    artefact.root.is_dir().then_some(artefact)
}

/// Writes down in `file` that `artefact` is complete. On return it, and all of its files, outlive a loss of power.
pub(super) fn write(file: &Path, artefact: &Artefact) -> Result<(), Problem> {
    // One call for all files: each by itself would take a disk's turn per file.
    if let Ok(root) = File::open(&artefact.root) {
        rustix::fs::syncfs(&root).map_err(|error| Problem::unwritable(&artefact.root, &error.into()))?;
    }
    let content =
        serde_json::to_vec_pretty(artefact).map_err(|error| Problem::internal(format!("cannot write the artefact: {error}")))?;
    disk::write_whole(file, &content).map_err(|error| Problem::unwritable(file, &error))
}

/// One thing in a tree, with what its digest is made of.
struct Item {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Folder,
    File { executable: bool, bytes: u64 },
    Link(PathBuf),
}

/// Measures the tree below `root`: SHA-256 over the sorted paths, each with its kind, whether it is executable, and the
/// hash of its contents or link. Times, owners and the rest of the mode do not count. Blocks; ends soon after `cancel`.
pub(super) fn measure(root: &Path, cancel: &CancellationToken) -> Result<Artefact, Problem> {
    let mut items = Vec::new();
    collect(root, Path::new(""), &mut items).map_err(|error| unreadable(root, &error))?;
    items.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = items.iter().map(|item| if let Kind::File { bytes, .. } = item.kind { bytes } else { 0 }).sum();
    let files = items.iter().filter(|item| !matches!(item.kind, Kind::Folder)).count() as u64;
    let hashes = hash_all(root, &items, bytes, cancel)?;
    let mut digest = Sha256::new();
    for (item, hash) in items.iter().zip(hashes) {
        let kind = match item.kind {
            Kind::Folder => b'd',
            Kind::File { executable: true, .. } => b'x',
            Kind::File { .. } => b'f',
            Kind::Link(_) => b'l',
        };
        let path = item.path.as_os_str().as_bytes();
        digest.update([kind]);
        digest.update((path.len() as u64).to_be_bytes());
        digest.update(path);
        digest.update(hash);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(Artefact {
        digest: format!("sha256:{digest}"),
        root: root.to_path_buf(),
        bytes,
        files,
        image: None,
        images: BTreeMap::new(),
    })
}

fn collect(root: &Path, folder: &Path, items: &mut Vec<Item>) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let meta = entry.metadata()?;
        if meta.is_dir() {
            items.push(Item { path: path.clone(), kind: Kind::Folder });
            collect(root, &path, items)?;
        } else if meta.is_symlink() {
            items.push(Item { kind: Kind::Link(fs::read_link(entry.path())?), path });
        } else if meta.is_file() {
            let executable = meta.permissions().mode() & 0o100 != 0;
            items.push(Item { path, kind: Kind::File { executable, bytes: meta.len() } });
        }
    }
    Ok(())
}

/// The hash of each item, in order.
fn hash_all(root: &Path, items: &[Item], bytes: u64, cancel: &CancellationToken) -> Result<Vec<[u8; 32]>, Problem> {
    let next = AtomicUsize::new(0);
    let hashes = Mutex::new(vec![[0; 32]; items.len()]);
    let work = || -> Result<(), Problem> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return Ok(()) };
            if cancel.is_cancelled() {
                return Err(Problem::conflict("cancelled"));
            }
            let hash = hash(root, item, &mut buffer)?;
            hashes.lock().unwrap_or_else(PoisonError::into_inner)[index] = hash;
        }
    };
    if bytes < LARGE {
        work()?;
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            let mine = work();
            other.join().unwrap_or_else(|_| Err(Problem::internal("hashing broke off"))).and(mine)
        })?;
    }
    Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn hash(root: &Path, item: &Item, buffer: &mut [u8]) -> Result<[u8; 32], Problem> {
    let mut digest = Sha256::new();
    match &item.kind {
        Kind::Folder => {}
        Kind::Link(target) => digest.update(target.as_os_str().as_bytes()),
        Kind::File { .. } => {
            let path = root.join(&item.path);
            let mut file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
            loop {
                let read = file.read(buffer).map_err(|error| unreadable(&path, &error))?;
                if read == 0 {
                    break;
                }
                digest.update(&buffer[..read]);
            }
        }
    }
    Ok(digest.finalize().into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let problem = match error.kind() {
        std::io::ErrorKind::PermissionDenied => Problem::app("the build left a file that cannot be read")
            .hint("have the build make its files readable for their owner"),
        _ => Problem::unavailable(format!("cannot read what was built: {error}")),
    };
    problem.at(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn digest(root: &Path) -> String {
        measure(root, &CancellationToken::new()).unwrap().digest
    }

    fn tree(contents: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), contents).unwrap();
        symlink("a/b", folder.path().join("link")).unwrap();
        folder
    }

    #[test]
    fn equal_trees_have_one_digest_and_every_difference_shows() {
        let (one, other) = (tree(b"x"), tree(b"x"));
        assert_eq!(digest(one.path()), digest(other.path()));
        let before = digest(one.path());
        fs::set_permissions(one.path().join("a/b"), fs::Permissions::from_mode(0o755)).unwrap();
        let executable = digest(one.path());
        fs::create_dir(one.path().join("empty")).unwrap();
        let with_folder = digest(one.path());
        fs::remove_file(one.path().join("link")).unwrap();
        symlink("a", one.path().join("link")).unwrap();
        let with_link = digest(one.path());
        let all = [before, executable, with_folder, with_link, digest(tree(b"y").path())];
        assert!(
            all.iter().all(|digest| digest.len() == 71 && all.iter().filter(|other| *other == digest).count() == 1),
            "{all:?}"
        );
    }

    #[test]
    fn a_large_tree_has_the_same_digest_by_two_threads() {
        let folder = tree(b"x");
        fs::write(folder.path().join("large"), vec![7; LARGE as usize]).unwrap();
        let mut items = Vec::new();
        collect(folder.path(), Path::new(""), &mut items).unwrap();
        let cancel = CancellationToken::new();
        let alone = hash_all(folder.path(), &items, 0, &cancel).unwrap();
        assert_eq!(hash_all(folder.path(), &items, LARGE, &cancel).unwrap(), alone);
    }

    #[test]
    fn an_artefact_is_there_only_when_its_folder_is() {
        let folder = tree(b"x");
        let root = folder.path().join("a");
        let artefact = measure(&root, &CancellationToken::new()).unwrap();
        assert_eq!((artefact.files, artefact.bytes), (1, 1));
        let file = folder.path().join("artefact.json");
        write(&file, &artefact).unwrap();
        assert_eq!(read(&file), Some(artefact));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(read(&file), None);
    }
}
