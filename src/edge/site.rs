//! Static sites: files of one folder, never of another, answered by the edge itself.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_MODIFIED_SINCE,
        IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    },
};

use super::{body::Answer, content_type, forward::plain, range};
use crate::model::ids::ReleaseId;

/// Files up to here are read at once.
const SMALL: u64 = 64 << 10;

/// The files of one release.
#[derive(Debug)]
pub(super) struct Site {
    root: Arc<Path>,
    single_page: bool,
    release: ReleaseId,
}

/// A file that was found.
#[derive(Debug)]
struct Found {
    file: File,
    length: u64,
    modified: Duration,
    /// Path within the site, for its type.
    path: String,
    /// All of it, when it is small.
    content: Option<Bytes>,
}

#[derive(Debug)]
enum Look {
    File(Found),
    /// A folder asked for without its `/`.
    Folder,
    Missing,
}

impl Site {
    pub(super) fn new(root: PathBuf, single_page: bool, release: ReleaseId) -> Self {
        Self { root: root.into(), single_page, release }
    }

    pub(super) async fn answer(&self, method: &Method, path: &str, asked: &HeaderMap) -> Response<Answer> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "this site has only files".to_owned());
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let Some(wanted) = relative(path) else {
            return plain(StatusCode::BAD_REQUEST, "the path is not valid".to_owned());
        };
        let (root, single_page, is_head) = (Arc::clone(&self.root), self.single_page, method == Method::HEAD);
        let whole = !is_head && !asked.contains_key(RANGE);
        // Disks can be slow: not on the thread that serves all others.
        let found = tokio::task::spawn_blocking(move || find(&root, &wanted, single_page, whole)).await;
        match found {
            Ok(Ok((status, Look::File(found)))) => self.file_answer(status, found, is_head, asked),
            Ok(Ok((_, Look::Folder))) => folder_answer(path),
            Ok(Ok((_, Look::Missing))) => plain(StatusCode::NOT_FOUND, "there is no such page".to_owned()),
            Ok(Err(error)) => {
                tracing::warn!(root = %self.root.display(), %error, "a site cannot be read");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the site's files cannot be read".to_owned())
            }
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the edge is ending".to_owned()),
        }
    }

    fn file_answer(&self, status: StatusCode, found: Found, is_head: bool, asked: &HeaderMap) -> Response<Answer> {
        // Builds may set every file's time to the same moment: only with its release is a file known by time and size.
        let tag = format!("\"{}-{:x}-{:x}\"", self.release, found.modified.as_micros(), found.length);
        let modified = httpdate(found.modified);
        let mut answer = Response::new(Answer::whole(""));
        *answer.status_mut() = status;
        let head = answer.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            head.insert(ETAG, tag);
        }
        if let Ok(modified) = HeaderValue::from_str(&modified) {
            head.insert(LAST_MODIFIED, modified);
        }
        // Browsers ask again each time, which costs a 304: so a switch of releases is seen at once.
        head.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
        if status == StatusCode::OK && is_unchanged(asked, &tag, &modified) {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        head.insert(CONTENT_TYPE, HeaderValue::from_static(content_type::of(&found.path)));
        head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let range = if status == StatusCode::OK { asked_range(asked, &tag, found.length) } else { range::Asked::Whole };
        let (start, length) = match range {
            range::Asked::Whole => (0, found.length),
            range::Asked::Part { start, length } => {
                *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                let told = format!("bytes {start}-{}/{}", start + length - 1, found.length);
                if let Ok(told) = HeaderValue::from_str(&told) {
                    answer.headers_mut().insert(CONTENT_RANGE, told);
                }
                (start, length)
            }
            range::Asked::Outside => {
                let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter".to_owned());
                if let Ok(told) = HeaderValue::from_str(&format!("bytes */{}", found.length)) {
                    answer.headers_mut().insert(CONTENT_RANGE, told);
                }
                return answer;
            }
        };
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        if is_head {
            return answer;
        }
        *answer.body_mut() = match found.content {
            Some(content) => Answer::whole(content),
            None => match part(found.file, start) {
                Ok(file) => Answer::file(file, length),
                Err(_) => return plain(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read".to_owned()),
            },
        };
        answer
    }
}

fn part(mut file: File, start: u64) -> io::Result<tokio::fs::File> {
    if start > 0 {
        // Moves a mark in the kernel; no disk is touched.
        file.seek(io::SeekFrom::Start(start))?;
    }
    Ok(tokio::fs::File::from_std(file))
}

fn folder_answer(path: &str) -> Response<Answer> {
    let mut answer = plain(StatusCode::PERMANENT_REDIRECT, "this is a folder".to_owned());
    // One slash at the beginning: `//host` would lead to another site.
    let target = format!("/{}/", path.trim_matches('/'));
    match HeaderValue::from_str(&target) {
        Ok(target) => {
            answer.headers_mut().insert(LOCATION, target);
            answer
        }
        Err(_) => plain(StatusCode::BAD_REQUEST, "the path is not valid".to_owned()),
    }
}

fn is_unchanged(asked: &HeaderMap, tag: &str, modified: &str) -> bool {
    if let Some(known) = asked.get(IF_NONE_MATCH) {
        let is_it = |one: &str| one == "*" || one.trim_start_matches("W/") == tag;
        return known.to_str().is_ok_and(|known| known.split(',').any(|one| is_it(one.trim())));
    }
    // Compared as text: browsers send back what they were given.
    asked.get(IF_MODIFIED_SINCE).is_some_and(|since| since.as_bytes() == modified.as_bytes())
}

fn asked_range(asked: &HeaderMap, tag: &str, length: u64) -> range::Asked {
    let Some(wanted) = asked.get(RANGE).and_then(|range| range.to_str().ok()) else { return range::Asked::Whole };
    if asked.get(IF_RANGE).is_some_and(|condition| condition.as_bytes() != tag.as_bytes()) {
        return range::Asked::Whole;
    }
    range::parse(wanted, length)
}

/// The path below the site's root, decoded; `/` at the end is kept. Absent when it is not one that a site can have.
fn relative(path: &str) -> Option<String> {
    let decoded = percent_decoded(path)?;
    let is_allowed = |part: &str| part != "." && part != ".." && !part.contains(['\0', '\\']);
    decoded.split('/').all(is_allowed).then(|| {
        let parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        let slash = if decoded.ends_with('/') && !parts.is_empty() { "/" } else { "" };
        parts.join("/") + slash
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(others.get(..2)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The file for a path, and the status that it is answered with.
fn find(root: &Path, wanted: &str, single_page: bool, whole: bool) -> io::Result<(StatusCode, Look)> {
    let look = look_up(root, wanted, whole)?;
    if !matches!(look, Look::Missing) {
        return Ok((StatusCode::OK, look));
    }
    if let Look::File(page) = look_up(root, "404.html", whole)? {
        return Ok((StatusCode::NOT_FOUND, Look::File(page)));
    }
    if single_page && let Look::File(page) = look_up(root, "index.html", whole)? {
        return Ok((StatusCode::OK, Look::File(page)));
    }
    Ok((StatusCode::NOT_FOUND, Look::Missing))
}

fn look_up(root: &Path, wanted: &str, whole: bool) -> io::Result<Look> {
    // `.well-known` is public by its definition (RFC 8615); all other names with a dot are private by custom.
    let is_hidden = |part: &str| part.starts_with('.') && part != ".well-known";
    if wanted.split('/').any(is_hidden) {
        return Ok(Look::Missing);
    }
    let is_folder = wanted.is_empty() || wanted.ends_with('/');
    let path = if is_folder { format!("{wanted}index.html") } else { wanted.to_owned() };
    let file = match open_beneath(root, &path) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(Look::Missing),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if about.is_dir() {
        let index = open_beneath(root, &format!("{path}/index.html"));
        return Ok(if index.is_ok() { Look::Folder } else { Look::Missing });
    }
    if !about.is_file() {
        return Ok(Look::Missing);
    }
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let mut found = Found { file, length: about.len(), modified, path, content: None };
    if whole && found.length <= SMALL {
        let mut content = Vec::with_capacity(found.length as usize);
        (&mut found.file).take(found.length).read_to_end(&mut content)?;
        found.length = content.len() as u64;
        found.content = Some(content.into());
    }
    Ok(Look::File(found))
}

/// Whether an error means that the site has no such file for the public. A root that is gone is another thing, but
/// cannot be told apart cheaply; the proof of a release tells.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    let is_loop = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    is_loop || matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | CrossesDevices | InvalidFilename)
}

/// Opens a file below `root`. A symbolic link is followed only to places below it too.
#[cfg(target_os = "linux")]
fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
    let folder = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // Not waiting for the other end of a named pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened: Result<OwnedFd, _> =
        openat2(&folder, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS);
    match opened {
        Ok(file) => Ok(file.into()),
        // Kernels before 5.6, and sandboxes.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => open_checked(root, path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &Path, path: &str) -> io::Result<File> {
    open_checked(root, path)
}

fn open_checked(root: &Path, path: &str) -> io::Result<File> {
    let real = root.join(path).canonicalize()?;
    if !real.starts_with(root.canonicalize()?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    File::open(real)
}

/// A moment as HTTP writes it (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn httpdate(since_1970: Duration) -> String {
    chrono::DateTime::from_timestamp(since_1970.as_secs() as i64, 0)
        .map(|time| time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("secret.txt", "outside");
        write("site/index.html", "home");
        write("site/docs/index.html", "docs");
        write("site/a b.txt", "spaced");
        write("site/.env", "KEY=1");
        write("site/.well-known/security.txt", "well known");
        std::os::unix::fs::symlink("../secret.txt", folder.path().join("site/out.txt")).unwrap();
        std::os::unix::fs::symlink("index.html", folder.path().join("site/in.html")).unwrap();
        folder
    }

    fn read(root: &Path, path: &str, single_page: bool) -> (u16, String) {
        let Some(wanted) = relative(path) else { return (400, String::new()) };
        match find(root, &wanted, single_page, true).unwrap() {
            (status, Look::File(found)) => (status.as_u16(), String::from_utf8(found.content.unwrap().into()).unwrap()),
            (_, Look::Folder) => (308, String::new()),
            (_, Look::Missing) => (404, String::new()),
        }
    }

    #[test]
    fn files_and_folders_are_found() {
        let folder = site();
        let read = |path| read(&folder.path().join("site"), path, false);
        assert_eq!(read("/"), (200, "home".into()));
        assert_eq!(read("/docs/"), (200, "docs".into()));
        assert_eq!(read("/docs"), (308, String::new()));
        assert_eq!(read("/a%20b.txt"), (200, "spaced".into()));
        assert_eq!(read("/in.html"), (200, "home".into()));
        assert_eq!(read("/.well-known/security.txt"), (200, "well known".into()));
        assert_eq!(read("/none"), (404, String::new()));
    }

    #[test]
    fn nothing_outside_the_site_and_nothing_hidden_is_given() {
        let folder = site();
        let root = folder.path().join("site");
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/docs/../../secret.txt",
            "/out.txt",
            "/.env",
            "/%2eenv",
            "//etc/passwd",
            "/%00",
        ] {
            let (status, text) = read(&root, path, false);
            assert!(matches!(status, 400 | 404) && text.is_empty(), "{path}: {status} {text}");
        }
        assert!(open_checked(&root, "out.txt").is_err() && open_checked(&root, "in.html").is_ok());
    }

    #[test]
    fn a_missing_page_gets_the_sites_own_answer() {
        let folder = site();
        let root = folder.path().join("site");
        assert_eq!(read(&root, "/cart", true), (200, "home".into()));
        std::fs::write(root.join("404.html"), "not here").unwrap();
        assert_eq!(read(&root, "/cart", true), (404, "not here".into()));
    }

    #[test]
    fn a_folder_cannot_lead_to_another_site() {
        assert_eq!(folder_answer("//evil.example/x").headers()[LOCATION], "/evil.example/x/");
    }

    #[test]
    fn dates_are_written_as_http_asks() {
        assert_eq!(httpdate(Duration::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_site(path in "/[a-z./%0-9\\\\]{0,40}") {
            if let Some(path) = relative(&path) {
                prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."));
            }
        }
    }
}
