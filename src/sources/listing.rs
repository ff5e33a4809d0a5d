//! What lies in a folder: a walk within limits, and the survey that detection reads.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use ignore::WalkBuilder;
use tokio_util::sync::CancellationToken;

use super::{Limits, cancelled};
use crate::model::{
    Problem,
    problem::is_full,
    source::{NotUtf8, Survey},
    units::Bytes,
};

/// One thing in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root.
    pub path: PathBuf,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File { executable: bool, bytes: u64 },
    Link { target: PathBuf },
}

/// Which files count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A working tree: without what its ignore files name, without `.git`, and without what is rebuilt from lock files.
    WorkingTree,
    /// Everything but `.git`.
    All,
}

/// Folders of a working tree that are rebuilt on the host, whatever the ignore files say.
const REBUILT: [&str; 3] = ["node_modules", ".venv", "__pycache__"];

/// All of `root`, folders before their contents, sorted by path. Sockets, pipes and devices are left out.
///
/// Blocks. Fails on what cannot be read, on links that lead outside, and beyond `limits`.
pub fn walk(
    root: &Path,
    which: Which,
    without: &[PathBuf],
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    let mut bytes = 0_u64;
    each(root, which, without, cancel, |real, path, _| {
        let Some(kind) = kind(real, &path)? else { return Ok(()) };
        if let Kind::File { bytes: more, .. } = kind {
            bytes = bytes.saturating_add(more);
        }
        entries.push(Entry { path, kind });
        if entries.len() > limits.files || bytes > limits.bytes.0 { Err(too_large(root, limits, which)) } else { Ok(()) }
    })?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// A path of a working tree, and whether it is a folder.
pub type Name = (PathBuf, bool);

/// The names of a working tree, sorted: as `walk`, but for the size of each file, which would be a question for each.
pub fn names(root: &Path, limits: Limits, cancel: &CancellationToken) -> Result<Vec<Name>, Problem> {
    let mut names: Vec<Name> = Vec::new();
    each(root, Which::WorkingTree, &[], cancel, |real, path, is| {
        let is_folder = is.is_dir();
        // Where a link leads must be asked.
        let is_there = is_folder || is.is_file() || (is.is_symlink() && kind(real, &path)?.is_some());
        names.extend(is_there.then_some((path, is_folder)));
        if names.len() > limits.files { Err(too_large(root, limits, Which::WorkingTree)) } else { Ok(()) }
    })?;
    names.sort();
    Ok(names)
}

/// Calls `take` with the real root, and each path below it with what its folder says that it is.
fn each(
    root: &Path,
    which: Which,
    without: &[PathBuf],
    cancel: &CancellationToken,
    mut take: impl FnMut(&Path, PathBuf, fs::FileType) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let real = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    for found in walker(&real, which, without).build() {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let found = found.map_err(|error| refused(&real, error))?;
        let Ok(path) = found.path().strip_prefix(&real).map(Path::to_path_buf) else { continue };
        if let Some(is) = found.file_type().filter(|_| !path.as_os_str().is_empty()) {
            take(&real, path, is)?;
        }
    }
    Ok(())
}

fn walker(real: &Path, which: Which, without: &[PathBuf]) -> WalkBuilder {
    let mut walker = WalkBuilder::new(real);
    let tree = which == Which::WorkingTree;
    // Above a folder that is no repository, ignore files belong to something else: a home folder's, say.
    let in_repository = real.ancestors().any(|folder| folder.join(".git").exists());
    let without: Vec<PathBuf> = without.iter().filter_map(|path| path.canonicalize().ok()).collect();
    walker.standard_filters(false).follow_links(false).same_file_system(false);
    walker.git_ignore(tree).git_exclude(tree).git_global(tree && in_repository).require_git(false).parents(tree && in_repository);
    walker.filter_entry(move |entry| {
        let name = entry.file_name();
        // Only a folder can be one: a question less for each file.
        let is_environment = || entry.file_type().is_some_and(|kind| kind.is_dir()) && entry.path().join("pyvenv.cfg").exists();
        let rebuilt = || tree && entry.depth() > 0 && (REBUILT.iter().any(|one| name == *one) || is_environment());
        name != ".git" && !rebuilt() && !without.iter().any(|path| path == entry.path())
    });
    walker
}

fn kind(root: &Path, path: &Path) -> Result<Option<Kind>, Problem> {
    let full = root.join(path);
    let meta = match fs::symlink_metadata(&full) {
        Ok(meta) => meta,
        // Gone since it was listed: a working tree lives.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&full, &error)),
    };
    if meta.is_dir() {
        return Ok(Some(Kind::Folder));
    }
    if meta.is_symlink() {
        let target = fs::read_link(&full).map_err(|error| unreadable(&full, &error))?;
        if leads_outside(root, path, &target) {
            return Err(Problem::user(format!("the link `{}` leads outside, to `{}`", path.display(), target.display()))
                .at(full.display().to_string())
                .hint("replace it by a copy of the file, or ignore it in .gitignore"));
        }
        return Ok(Some(Kind::Link { target }));
    }
    let executable = meta.permissions().mode() & 0o100 != 0;
    Ok(meta.is_file().then_some(Kind::File { executable, bytes: meta.len() }))
}

/// Whether the link `path` with `target` leaves `root`: as it is written, or as the file system follows it.
fn leads_outside(root: &Path, path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() as i64 - 1;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
        if depth < 0 {
            return true;
        }
    }
    // Through other links a path can climb higher than it is written; a link to nothing cannot.
    root.join(path).canonicalize().is_ok_and(|real| !real.starts_with(root))
}

fn refused(root: &Path, error: ignore::Error) -> Problem {
    let place = match &error {
        ignore::Error::WithPath { path, .. } => path.clone(),
        _ => root.to_path_buf(),
    };
    match error.io_error() {
        Some(io) => unreadable(&place, io),
        None => Problem::user(format!("cannot list the files: {error}")).at(place.display().to_string()),
    }
}

/// Why a path cannot be read, with the way out.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let place = path.display().to_string();
    match error.kind() {
        std::io::ErrorKind::NotFound => Problem::not_found("there is no such folder").at(place).hint("check the path"),
        std::io::ErrorKind::NotADirectory => {
            Problem::user("this is no folder").at(place).hint("give the folder that holds the app")
        }
        std::io::ErrorKind::PermissionDenied => Problem::user("no permission to read it")
            .at(place.clone())
            .hint(format!("chmod -R u+rX {place}, or ignore it in .gitignore")),
        _ if is_full(error) => Problem::unwritable(path, error),
        _ => Problem::unavailable(format!("cannot read it: {error}")).at(place),
    }
}

fn too_large(root: &Path, limits: Limits, which: Which) -> Problem {
    let next = match which {
        Which::WorkingTree => "ignore what the build does not need in .gitignore",
        Which::All => "keep large files out of the repository",
    };
    Problem::limit(format!("the source is larger than {} or {} files", limits.bytes, limits.files))
        .at(root.display().to_string())
        .hint(next)
}

/// The survey of `entries` below `root`; what is known of commits is left to the caller. Blocks.
pub fn survey(root: &Path, entries: &[Entry]) -> Survey {
    survey_of(root, entries.iter().map(|entry| (entry.path.as_path(), entry.kind == Kind::Folder)))
}

/// The survey of names below `root`, each with whether it is a folder. Blocks.
pub fn survey_of<'n>(root: &Path, names: impl Iterator<Item = (&'n Path, bool)> + Clone) -> Survey {
    let shown = |(path, is_folder): (&Path, bool)| {
        let mark = if is_folder { "/" } else { "" };
        (path.components().count(), format!("{}{mark}", path.to_string_lossy()))
    };
    let mut shown: Vec<(usize, String)> = names.clone().map(shown).collect();
    let truncated = shown.len() > Survey::LIMIT;
    if truncated {
        // What tells an app stands near the root.
        shown.sort();
        shown.truncate(Survey::LIMIT);
    }
    let mut listing: Vec<String> = shown.into_iter().map(|(_, path)| path).collect();
    listing.sort();
    let (texts, not_utf8) = texts(root, names);
    Survey { listing, truncated, texts, not_utf8: Box::new(NotUtf8(not_utf8)), ..Survey::default() }
}

type Texts = (BTreeMap<String, String>, BTreeMap<String, usize>);

/// The surveyed texts: the head of each file that detection reads, within the bounds of a survey; and those that are not
/// UTF-8, by line.
fn texts<'n>(root: &Path, names: impl Iterator<Item = (&'n Path, bool)>) -> Texts {
    let files = names.filter(|(_, is_folder)| !is_folder).filter_map(|(path, _)| path.to_str());
    let mut left = Survey::ALL_TEXTS;
    let mut not_utf8 = BTreeMap::new();
    let read = |path: &str| {
        let mut head = Vec::new();
        let full = root.join(path);
        // Links among the entries lead inside; one to a pipe would wait for ever.
        let file = fs::metadata(&full).ok().filter(fs::Metadata::is_file).and_then(|_| fs::File::open(&full).ok())?;
        file.take(left.min(Survey::LONGEST_TEXT) as u64).read_to_end(&mut head).ok()?;
        left -= head.len();
        not_utf8.extend(odd_line(&head).map(|line| (path.to_owned(), line)));
        Some((path.to_owned(), String::from_utf8_lossy(&head).into_owned()))
    };
    let texts = Survey::wanted(files).into_iter().filter_map(read).collect();
    (texts, not_utf8)
}

/// The first line, from 1, that is not UTF-8. A character that the end cuts off is none.
fn odd_line(head: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(head).err().filter(|error| error.error_len().is_some())?;
    Some(head[..error.valid_up_to()].split(|byte| *byte == b'\n').count())
}

/// Size of all files of `entries`.
pub fn size(entries: &[Entry]) -> Bytes {
    Bytes(entries.iter().map(|entry| if let Kind::File { bytes, .. } = entry.kind { bytes } else { 0 }).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_alone_are_what_a_walk_finds() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        for path in ["package.json", "src/a.js", "src/deep/b.js", "node_modules/x/index.js", "env/pyvenv.cfg", "out/c"] {
            put(path, "{}");
        }
        put(".gitignore", "out\n");
        std::os::unix::fs::symlink("src/a.js", root.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        let cancel = CancellationToken::new();
        let walked = walk(root.path(), Which::WorkingTree, &[], Limits::default(), &cancel).unwrap();
        let walked: Vec<Name> = walked.into_iter().map(|entry| (entry.path, entry.kind == Kind::Folder)).collect();
        assert_eq!(names(root.path(), Limits::default(), &cancel).unwrap(), walked);
        let few = Limits { files: 2, ..Limits::default() };
        assert_eq!(names(root.path(), few, &cancel).unwrap_err().kind, crate::model::problem::ProblemKind::Limit);
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("outside")).unwrap();
        assert!(names(root.path(), Limits::default(), &cancel).unwrap_err().what.contains("leads outside"));
    }
}
