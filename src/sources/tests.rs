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
async fn a_clean_working_tree_is_named_after_its_commit() {
    let made = Made::repository(&[("package.json", "{}"), ("src/a.js", "1")]);
    let commit = made.git(&["rev-parse", "HEAD"]);
    let place = Place::new();
    let survey = place.fetch(folder(made.path())).await.unwrap();
    assert_eq!(survey.version(), commit[..7]);
    assert_eq!((survey.subject.as_deref(), survey.reference.as_deref()), (Some("first"), Some("main")));
    assert_eq!(survey.listing, ["package.json", "src/", "src/a.js"]);
    assert_eq!(survey.texts["package.json"], "{}");
    assert_eq!(place.read("src/a.js"), "1");
    assert!(!place.target().join(".git").exists());
}

#[tokio::test]
async fn a_changed_working_tree_says_so_and_comes_as_it_is() {
    let made = Made::repository(&[("a", "1"), (".gitignore", "*.log\n/dist\n")]);
    let at_commit = Place::new().fetch(folder(made.path())).await.unwrap();
    made.write(&[
        ("a", "2"),
        ("new", "3"),
        ("x.log", ""),
        ("dist/out", ""),
        ("node_modules/x/index.js", ""),
        ("venv/pyvenv.cfg", ""),
    ]);
    let place = Place::new();
    let survey = place.fetch(folder(made.path())).await.unwrap();
    assert_eq!(survey.version(), format!("{}+dirty", at_commit.version()));
    assert_eq!((place.read("a").as_str(), place.read("new").as_str()), ("2", "3"));
    assert_eq!(survey.listing, [".gitignore", "a", "new"]);
    assert_eq!(open(&folder(made.path())).survey(&place.visit).await.unwrap(), survey);
}

#[tokio::test]
async fn an_ignored_file_alone_does_not_make_a_tree_dirty() {
    let made = Made::repository(&[("a", "1"), (".gitignore", "*.log\n")]);
    made.write(&[("x.log", "")]);
    assert!(!Place::new().fetch(folder(made.path())).await.unwrap().dirty);
}

#[tokio::test]
async fn a_folder_within_a_repository_is_judged_by_itself() {
    let made = Made::repository(&[("shop/index.html", "1"), ("other/a", "1"), (".gitignore", "secret\n")]);
    made.write(&[("other/a", "2"), ("shop/secret", "x")]);
    let survey = Place::new().fetch(folder(&made.path().join("shop"))).await.unwrap();
    assert!(!survey.dirty, "a change elsewhere is not this folder's");
    assert_eq!(survey.listing, ["index.html"]);
}

#[tokio::test]
async fn a_folder_that_is_no_repository_has_no_commit() {
    let made = Made::folder(&[("index.html", "hello")]);
    let survey = Place::new().fetch(folder(made.path())).await.unwrap();
    assert_eq!((survey.commit.clone(), survey.version().as_str()), (None, "folder"));
}

#[tokio::test]
async fn modes_times_and_inner_links_are_kept() {
    let made = Made::folder(&[("run.sh", "#!/bin/sh"), ("data/a", "1")]);
    fs::set_permissions(made.path().join("run.sh"), fs::Permissions::from_mode(0o775)).unwrap();
    symlink("data/a", made.path().join("link")).unwrap();
    symlink("nowhere", made.path().join("dangling")).unwrap();
    let place = Place::new();
    place.fetch(folder(made.path())).await.unwrap();
    let mode = |path: &str| fs::metadata(place.target().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("data/a")), (0o755, 0o644));
    assert_eq!(fs::read_link(place.target().join("link")).unwrap(), Path::new("data/a"));
    let time = |root: &Path| fs::metadata(root.join("data/a")).unwrap().modified().unwrap();
    assert_eq!(time(&place.target()), time(made.path()));
}

#[tokio::test]
async fn links_that_lead_outside_are_refused() {
    for target in ["/etc/passwd", "../outside", "data/../../x", "data/deep/up/../../etc"] {
        let made = Made::folder(&[("data/deep/a", "1")]);
        symlink("../..", made.path().join("data/deep/up")).unwrap();
        symlink(target, made.path().join("link")).unwrap();
        let outcome = Place::new().fetch(folder(made.path())).await;
        let real_escape =
            made.path().join("link").canonicalize().is_ok_and(|real| !real.starts_with(made.path().canonicalize().unwrap()));
        match outcome {
            Err(problem) => assert!(problem.what.contains("the link `link` leads outside"), "{target}: {problem}"),
            Ok(_) => assert!(!real_escape, "{target} was let through"),
        }
    }
}

#[tokio::test]
async fn sockets_and_pipes_are_left_out() {
    let made = Made::folder(&[("a", "1")]);
    let _socket = std::os::unix::net::UnixListener::bind(made.path().join("socket")).unwrap();
    let fifo = made.path().join("package.json");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(Place::new().fetch(folder(made.path())).await.unwrap().listing, ["a"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_taken_says_why() {
    let made = Made::folder(&[("file", "1")]);
    let told = async |path: PathBuf| Place::new().fetch(folder(&path)).await.unwrap_err().to_string();
    assert!(told(made.path().join("absent")).await.contains("there is no such folder"));
    assert!(told(made.path().join("file")).await.contains("no folder"));
    assert!(told("relative".into()).await.contains("relative path"));
}

#[tokio::test]
async fn a_source_beyond_its_limit_is_refused() {
    let made = Made::folder(&[("a", "12345"), ("b", "12345")]);
    let mut place = Place::new();
    place.visit.limits = Limits { bytes: Bytes(9), files: 10 };
    assert!(place.fetch(folder(made.path())).await.unwrap_err().what.contains("larger than 9 B"));
    place.visit.limits = Limits { bytes: Bytes(99), files: 1 };
    assert!(place.fetch(folder(made.path())).await.unwrap_err().what.contains("or 1 files"));
}

#[tokio::test]
async fn the_state_of_the_engine_is_never_part_of_a_source() {
    let made = Made::folder(&[("a", "1"), ("state/journal.db", "x")]);
    let mut place = Place::new();
    place.visit.without = vec![made.path().join("state")];
    assert_eq!(place.fetch(folder(made.path())).await.unwrap().listing, ["a"]);
    let itself = made.path().join("state");
    let problem = open(&folder(&itself)).survey(&place.visit).await.unwrap_err();
    assert!(problem.what.contains("its own state"), "{}", problem.what);
    assert_eq!(problem.at, Some(itself.display().to_string()));
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
