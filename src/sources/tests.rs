mod folders;

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    sync::Mutex,
};

use super::*;

/// A folder with a repository in it, made by git itself.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn folder(files: &[(&str, &str)]) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap_or_else(|error| panic!("{error}")) };
        made.write(files);
        made
    }

    fn repository(files: &[(&str, &str)]) -> Self {
        let made = Self::folder(files);
        made.git(&["init", "-q", "-b", "main"]);
        made.commit("first\n\nwith a body");
        made
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.path().join(path);
            path.parent().map(fs::create_dir_all).transpose().unwrap_or_else(|error| panic!("{error}"));
            fs::write(path, text).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    #[expect(clippy::disallowed_types, reason = "the test makes its repositories by git")]
    fn git(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always"]);
        command.args(["-c", "commit.gpgsign=false"]).args(arguments).current_dir(self.path());
        let output = command.output().unwrap_or_else(|error| panic!("{error}"));
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// A place to fetch into, and what was told on the way.
struct Place {
    folder: tempfile::TempDir,
    told: Arc<Mutex<Vec<String>>>,
    visit: Visit,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = told.clone();
        let visit = Visit {
            scratch: folder.path().join("scratch"),
            without: Vec::new(),
            limits: Limits::default(),
            within: Duration::from_secs(60),
            progress: Arc::new(move |note| notes.lock().map(|mut notes| notes.push(note)).unwrap_or_default()),
            cancel: CancellationToken::new(),
        };
        Self { folder, told, visit }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    async fn fetch(&self, source: source::Source) -> Result<Survey, Problem> {
        open(&source).fetch(&self.target(), &self.visit).await
    }

    async fn fetch_git(&self, url: &str, reference: Option<&str>) -> Result<Survey, Problem> {
        self.fetch(source::Source::Git { url: url.to_owned(), reference: reference.map(str::to_owned) }).await
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.target().join(path)).unwrap_or_else(|error| format!("{path}: {error}"))
    }
}

fn folder(path: &Path) -> source::Source {
    source::Source::Folder { path: path.to_path_buf() }
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_are_found() {
    let made = Made::repository(&[("a", "1")]);
    let first = made.git(&["rev-parse", "HEAD"]);
    made.git(&["tag", "-a", "v1", "-m", "one"]);
    made.git(&["checkout", "-q", "-b", "feature/x"]);
    made.write(&[("a", "2")]);
    let second = made.commit("second");
    made.git(&["checkout", "-q", "main"]);
    made.write(&[("a", "3")]);
    let third = made.commit("third");
    for (reference, commit, name, text) in [
        (None, &third, Some("main"), "3"),
        (Some("feature/x"), &second, Some("feature/x"), "2"),
        (Some("refs/heads/feature/x"), &second, Some("feature/x"), "2"),
        (Some("v1"), &first, Some("v1"), "1"),
        (Some(first.as_str()), &first, None, "1"),
        (Some(&first[..8]), &first, None, "1"),
        (Some("HEAD"), &third, Some("main"), "3"),
    ] {
        let place = Place::new();
        let survey = place.fetch_git(&made.url(), reference).await.unwrap();
        assert_eq!(survey.commit.as_ref(), Some(commit), "{reference:?}");
        assert_eq!(survey.reference.as_deref(), name, "{reference:?}");
        assert_eq!((place.read("a").as_str(), survey.dirty), (text, false), "{reference:?}");
        assert!(!place.target().join(".git").exists());
    }
}

#[tokio::test]
async fn a_commit_that_no_branch_points_at_is_found_in_the_history() {
    let made = Made::repository(&[("a", "1")]);
    let first = made.git(&["rev-parse", "HEAD"]);
    made.write(&[("a", "2")]);
    made.commit("second");
    for reference in [first.as_str(), &first[..9]] {
        let place = Place::new();
        let survey = place.fetch_git(&made.url(), Some(reference)).await.unwrap();
        assert_eq!((survey.commit.as_ref(), survey.subject.as_deref()), (Some(&first), Some("first")));
        assert_eq!(place.read("a"), "1");
    }
}

#[tokio::test]
async fn a_survey_of_a_repository_keeps_nothing() {
    let made = Made::repository(&[("index.html", "1")]);
    let place = Place::new();
    let survey = open(&source::Source::Git { url: made.url(), reference: None }).survey(&place.visit).await.unwrap();
    assert_eq!(survey.listing, ["index.html"]);
    assert!(!place.visit.scratch.exists());
}

#[tokio::test]
async fn submodules_come_along() {
    let inner = Made::repository(&[("lib.js", "inner")]);
    let middle = Made::repository(&[("m", "middle")]);
    middle.git(&["submodule", "add", "-q", &inner.url(), "deep"]);
    middle.commit("with inner");
    let made = Made::repository(&[("a", "1")]);
    made.git(&["submodule", "add", "-q", &middle.url(), "vendor/middle"]);
    made.commit("with middle");
    let place = Place::new();
    let survey = place.fetch_git(&made.url(), None).await.unwrap();
    assert_eq!(place.read("vendor/middle/deep/lib.js"), "inner");
    assert!(survey.listing.contains(&"vendor/middle/m".to_owned()));
    assert!(!survey.listing.iter().any(|path| path.split('/').any(|part| part == ".git")), "{:?}", survey.listing);
}

#[tokio::test]
async fn an_unknown_reference_names_the_nearest_ones() {
    let made = Made::repository(&[("a", "1")]);
    made.git(&["branch", "release-2"]);
    let told = async |reference: &str| Place::new().fetch_git(&made.url(), Some(reference)).await.unwrap_err().to_string();
    assert!(told("mian").await.contains("did you mean `main`?"));
    assert!(told("relase-2").await.contains("`release-2`"));
    assert!(told("0123456789012345678901234567890123456789").await.contains("no branch, tag or commit"));
    assert!(told("abcdef0").await.contains("no branch, tag or commit `abcdef0`"));
}

#[tokio::test]
async fn an_option_in_place_of_a_value_is_refused_before_git_sees_it() {
    let made = Made::repository(&[("a", "1")]);
    let marker = made.path().join("marker");
    let evil = format!("--upload-pack=touch {}", marker.display());
    for (url, reference) in [(evil.as_str(), None), (&made.url(), Some(evil.as_str())), ("", None), ("ext::sh -c id", None)] {
        let problem = Place::new().fetch_git(url, reference).await.unwrap_err();
        assert_eq!(problem.kind, crate::model::problem::ProblemKind::User, "{problem}");
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn what_is_not_there_or_empty_says_so() {
    let empty = Made::folder(&[]);
    let told = async |url: &str| Place::new().fetch_git(url, None).await.unwrap_err().to_string();
    assert!(told("file:///no/such/repository").await.contains("there is no repository at file:///no/such/repository"));
    empty.git(&["init", "-q"]);
    assert!(told(&empty.url()).await.contains("the repository is empty"));
    assert!(told("http://127.0.0.1:9/x.git").await.contains("try it by hand"), "{}", told("http://127.0.0.1:9/x.git").await);
}

/// A web server that answers every request with 401, for `requests` connections; gives its port.
fn locked_door(requests: usize) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let Ok(mut stream) = stream else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let answer =
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn a_private_repository_fails_with_the_fix_and_without_its_password() {
    let port = locked_door(8);
    let place = Place::new();
    let problem = place.fetch_git(&format!("http://127.0.0.1:{port}/private.git"), None).await.unwrap_err();
    assert!(problem.what.contains("git may not read"), "{problem}");
    assert!(problem.next.as_ref().unwrap().contains("credential helper"), "{problem}");
    let place = Place::new();
    let url = format!("http://operator:hunter2-token@127.0.0.1:{port}/private.git");
    let problem = place.fetch_git(&url, None).await.unwrap_err();
    let all = format!("{problem:?} {:?}", place.told.lock().unwrap());
    assert!(!all.contains("hunter2"), "{all}");
    assert!(problem.what.contains("git may not read"), "{problem}");
}

/// A web server that takes connections and says nothing, for as long as the listener lives.
fn silent_door() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    (listener, port)
}

/// Processes whose command line holds `word`.
fn processes_with(word: &str) -> usize {
    let mine = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name().to_string_lossy() != mine);
    others
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word)))
        .count()
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_deadline_and_on_cancel_with_no_process_behind() {
    let (_door, port) = silent_door();
    let url = format!("http://127.0.0.1:{port}/silent.git");
    let mut place = Place::new();
    place.visit.within = Duration::from_millis(300);
    let problem = place.fetch_git(&url, None).await.unwrap_err();
    assert!(problem.what.contains("took longer than"), "{problem}");

    let place = Place::new();
    let cancel = place.visit.cancel.clone();
    let begun = tokio::time::Instant::now();
    let (outcome, ()) = tokio::join!(place.fetch_git(&url, None), async {
        while processes_with(&url) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    });
    assert_eq!(outcome.unwrap_err().what, "cancelled");
    while processes_with(&url) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "git is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
