//! The context of a build: a folder as one tar stream, without what `.dockerignore` names.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    builder::Builder,
    ignore_file::{FILE, Ignored},
};
use crate::{
    model::{Problem, units},
    sources::{
        Limits,
        listing::{self, Entry, Kind, Which},
    },
};

/// Name under which a Dockerfile is sent that is not among the files; the classic builder removes it before it copies anything.
const DOCKERFILE: &str = ".pilothouse.dockerfile";
/// Bytes that are sent at once.
const PIECE: usize = 128 << 10;

/// What is sent to the builder.
#[derive(Debug)]
pub(super) struct Context {
    folder: PathBuf,
    entries: Vec<Entry>,
    /// Files of our own, in place of those of the same path.
    own: BTreeMap<String, String>,
    dockerfile: String,
}

impl Context {
    /// Lists `folder`. Blocks; ends soon after `cancel`.
    ///
    /// `file` is the path of the Dockerfile in `folder`, if it is there, and `text` what it says.
    pub(super) fn of(
        folder: &Path,
        file: Option<&str>,
        text: String,
        by: Builder,
        cancel: &CancellationToken,
    ) -> Result<Self, Problem> {
        let ignored = fs::read_to_string(folder.join(FILE)).map(|text| Ignored::read(&text)).unwrap_or_default();
        let unlimited = Limits { bytes: units::Bytes(u64::MAX), files: usize::MAX };
        let mut entries = listing::walk(folder, Which::All, &[], unlimited, cancel)?;
        entries.retain(|entry| {
            let path = entry.path.to_string_lossy();
            path != FILE && path != DOCKERFILE && !ignored.leaves_out(&path)
        });
        // BuildKit applies no `.dockerignore` to what is sent to it: nothing is sent that was not in the folder.
        let is_there = |file: &&str| by == Builder::BuildKit && entries.iter().any(|entry| entry.path == Path::new(file));
        let dockerfile = file.filter(is_there).unwrap_or(DOCKERFILE).to_owned();
        let mut own = BTreeMap::from([(dockerfile.clone(), text)]);
        if by != Builder::BuildKit {
            own.insert(FILE.to_owned(), format!("{DOCKERFILE}\n{FILE}\n"));
        }
        entries.retain(|entry| !own.contains_key(entry.path.to_string_lossy().as_ref()));
        Ok(Self { folder: folder.to_path_buf(), entries, own, dockerfile })
    }

    /// Path of the Dockerfile among what is sent.
    pub(super) fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    pub(super) fn bytes(&self) -> units::Bytes {
        listing::size(&self.entries)
    }

    /// Writes the tar into `pieces`; ends when nobody takes them any more. Blocks.
    ///
    /// Owners, times of folders and most of the modes do not count for the builder's cache, and are made equal.
    pub(super) fn send(&self, pieces: mpsc::Sender<Bytes>) -> io::Result<()> {
        let mut tar = tar::Builder::new(Pieces { pieces, waiting: Vec::with_capacity(PIECE) });
        tar.follow_symlinks(false);
        for (path, text) in &self.own {
            let mut header = header(0o644, 0, text.len() as u64, tar::EntryType::Regular);
            tar.append_data(&mut header, path, text.as_bytes())?;
        }
        for entry in &self.entries {
            self.append(&mut tar, entry)?;
        }
        tar.into_inner()?.finish()
    }

    fn append(&self, tar: &mut tar::Builder<Pieces>, entry: &Entry) -> io::Result<()> {
        let path = self.folder.join(&entry.path);
        match &entry.kind {
            Kind::Folder => {
                let mut header = header(0o755, 0, 0, tar::EntryType::Directory);
                tar.append_data(&mut header, entry.path.join(""), io::empty())
            }
            Kind::Link { target } => {
                let mut header = header(0o777, 0, 0, tar::EntryType::Symlink);
                tar.append_link(&mut header, &entry.path, target)
            }
            Kind::File { executable, .. } => {
                let file = File::open(&path)?;
                let meta = file.metadata()?;
                let mode = if *executable { 0o755 } else { 0o644 };
                let mut header = header(mode, meta.mtime().max(0) as u64, meta.len(), tar::EntryType::Regular);
                // A file that grows or shrinks meanwhile must not shift what comes after it.
                let exact = io::Read::take(io::Read::chain(file, io::repeat(0)), meta.len());
                tar.append_data(&mut header, &entry.path, exact)
            }
        }
    }
}

fn header(mode: u32, time: u64, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// A file of a source, whole; the problem names it.
pub(super) fn text(root: &Path, path: &str) -> Result<String, Problem> {
    let full = root.join(path);
    let inside = full.canonicalize().ok().zip(root.canonicalize().ok()).is_some_and(|(file, root)| file.starts_with(root));
    if !inside {
        return Err(Problem::user(format!("there is no `{path}` in the source"))
            .at(path.to_owned())
            .hint("say which file it is: --dockerfile PATH, or [build] dockerfile in pilothouse.toml"));
    }
    fs::read_to_string(&full).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Problem::user("it is not text").at(path.to_owned()),
        _ => Problem::unwritable(&full, &error),
    })
}

/// Gives what is written in pieces.
struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    waiting: Vec<u8>,
}

impl Pieces {
    fn finish(mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE)));
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(context: Context) -> Vec<String> {
        let (pieces, mut taken) = mpsc::channel(4);
        let sender = std::thread::spawn(move || context.send(pieces));
        let mut all = Vec::new();
        while let Some(piece) = taken.blocking_recv() {
            all.extend_from_slice(&piece);
        }
        sender.join().unwrap().unwrap();
        let mut archive = tar::Archive::new(all.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            format!("{} {:o}", entry.path().unwrap().display(), entry.header().mode().unwrap())
        });
        entries.collect()
    }

    #[test]
    fn the_builder_gets_what_is_not_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(".dockerignore", "secret\n*.log\n");
        put("secret/key", "x");
        put("a.log", "x");
        put("src/a.js", "x");
        std::os::unix::fs::symlink("src/a.js", folder.path().join("link")).unwrap();
        let of = |file, by| Context::of(folder.path(), file, "FROM a\n".to_owned(), by, &CancellationToken::new()).unwrap();
        let context = of(None, Builder::Classic { memory: units::Bytes::gib(1) });
        assert_eq!(context.bytes(), units::Bytes(1));
        let entries = sent(context);
        assert_eq!(entries, [".dockerignore 644", ".pilothouse.dockerfile 644", "link 777", "src/ 755", "src/a.js 644"]);
        let context = of(Some("src/a.js"), Builder::BuildKit);
        assert_eq!(context.dockerfile(), "src/a.js");
        assert_eq!(sent(context), ["src/a.js 644", "link 777", "src/ 755"]);
        assert_eq!(of(Some("a.log"), Builder::BuildKit).dockerfile(), DOCKERFILE);
    }

    #[test]
    fn a_dockerfile_outside_the_source_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let problem = text(folder.path(), "../../etc/passwd").unwrap_err();
        assert!(problem.next.is_some_and(|next| next.contains("--dockerfile")));
    }
}
