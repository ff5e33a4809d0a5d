//! Folders, and working trees of repositories.

use super::*;

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
