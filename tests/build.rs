//! Fetch and build by real keepers: what an artefact is, what a failure says, and that nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail loudly")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use pilothouse::{
    agent::orders::{build, fetch},
    config::{Settings, StateDir, settings::ConfigFile},
    model::{
        Problem,
        ids::{AppId, DeploymentId, ReleaseId},
        log::read_record,
        manifest::BuildLimits,
        order::{BuildWork, Done, Outcome},
        plan::{Artefact, Env},
        source::Source,
        units::{Bytes, Millis},
    },
    runtimes::keepers,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest wait for a condition.
const SOON: Duration = Duration::from_secs(20);

/// An engine's folder and an app's folder.
struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    cancel: CancellationToken,
    told: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path().join("state"));
        state.create().expect("the state's folders");
        for (path, text) in files {
            let path = folder.path().join("app").join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let settings = Settings {
            state,
            config: ConfigFile::default(),
            binary: env!("CARGO_BIN_EXE_pilothouse").into(),
            boot_id: "this-boot".to_owned(),
        };
        Self { folder, settings, cancel: CancellationToken::new(), told: Arc::default() }
    }

    fn app() -> AppId {
        AppId::suggest("shop")
    }

    fn release(&self) -> PathBuf {
        self.settings.state.release(&Self::app(), ReleaseId(1))
    }

    fn tell(&self) -> impl Fn(String) + Send + Sync + use<> {
        let told = self.told.clone();
        move |note| told.lock().expect("notes").push(note)
    }

    async fn fetch(&self) -> Outcome {
        let source = Source::Folder { path: self.folder.path().join("app") };
        fetch::fetch(&self.settings, &Self::app(), ReleaseId(1), &source, self.tell(), &self.cancel).await
    }

    fn work(commands: &[(&str, &str)]) -> BuildWork {
        BuildWork {
            app: Self::app(),
            release: ReleaseId(1),
            deployment: DeploymentId(7),
            commands: commands.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned())).collect(),
            source_image: None,
            pulls: BTreeMap::new(),
            image: None,
            image_builds: BTreeMap::new(),
            keeps_source: false,
            output: None,
            env: Env::default(),
            secrets: Env::default(),
            limits: BuildLimits::default(),
        }
    }

    async fn build(&self, work: &BuildWork) -> Result<Artefact, Problem> {
        match build::build(&self.settings, work, self.tell(), &self.cancel).await {
            Outcome::Done(Done::Built(artefact)) => Ok(artefact),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
            Outcome::Done(other) => panic!("{other:?}"),
        }
    }

    /// Fetches, builds, and checks that scratch is gone, however it ended.
    async fn make(&self, work: &BuildWork) -> Result<Artefact, Problem> {
        assert!(matches!(self.fetch().await, Outcome::Done(_)));
        let built = self.build(work).await;
        self.assert_swept();
        built
    }

    fn assert_swept(&self) {
        let left: Vec<_> =
            fs::read_dir(self.settings.state.scratch_root()).expect("scratch").flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    fn log(&self, index: usize) -> Vec<String> {
        let file = self.settings.state.keeper(&build::keeper_name(DeploymentId(7), index)).join("log/current");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(read_record).map(|(_, _, line)| line.to_owned()).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < SOON, "{what} did not come true");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that fails half-way must not leave a build running.
        for entry in fs::read_dir(self.settings.state.keepers()).into_iter().flatten().flatten() {
            if let Some(state) = keepers::state(&self.settings, &entry.file_name().to_string_lossy()) {
                for process in [Some(state.keeper), state.child].into_iter().flatten() {
                    process.signal(rustix::process::Signal::KILL);
                }
            }
        }
    }
}

/// Whether a process with this number runs; a dead one that nobody has collected does not.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|error| format!("{}: {error}", path.as_ref().display()))
}

#[tokio::test]
async fn a_tree_is_built_in_its_final_place() {
    let world = World::new(&[("in", "hello"), ("run.sh", "#!/bin/sh\n")]);
    fs::set_permissions(world.folder.path().join("app/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let work = World::work(&[("install", "pwd > where; echo one; echo two >&2"), ("build", "tr a-z A-Z < in > out")]);
    let artefact = world.make(&work).await.unwrap();
    assert_eq!(artefact.root, world.release().join("tree"));
    assert_eq!(read(artefact.root.join("out")), "HELLO");
    assert_eq!(
        PathBuf::from(read(artefact.root.join("where")).trim()).canonicalize().unwrap(),
        artefact.root.canonicalize().unwrap()
    );
    assert_eq!(artefact.files, 4);
    assert!(artefact.digest.starts_with("sha256:"));
    assert!(!world.release().join("source").exists(), "the source is not kept twice");
    let log = world.log(0);
    assert!(log.iter().any(|line| line == "one") && log.iter().any(|line| line == "two"), "{log:?}");
    assert!(world.told.lock().unwrap().iter().any(|note| note.starts_with("build: tr")));
    assert_eq!(world.build(&work).await.unwrap(), artefact, "the same order gives the same artefact");
    assert_eq!(world.fetch().await, world.fetch().await, "and the fetch before it still answers");
}

#[tokio::test]
async fn without_commands_the_source_is_the_artefact() {
    let world = World::new(&[("a", "1")]);
    let artefact = world.make(&World::work(&[])).await.unwrap();
    assert_eq!((read(artefact.root.join("a")).as_str(), artefact.bytes), ("1", 1));
}

#[tokio::test]
async fn a_static_site_is_its_output_alone() {
    let world = World::new(&[("page", "<p>")]);
    let mut work = World::work(&[("build", "mkdir -p dist/deep && cp page dist/index.html")]);
    work.output = Some("dist".to_owned());
    let artefact = world.make(&work).await.unwrap();
    assert_eq!(artefact.root, world.release().join("site"));
    assert_eq!(read(artefact.root.join("index.html")), "<p>");
    assert!(!world.release().join("tree").exists());
    assert_eq!(world.build(&work).await.unwrap(), artefact);
}

#[tokio::test]
async fn the_root_itself_can_be_the_output() {
    let world = World::new(&[("index.html", "<p>")]);
    let mut work = World::work(&[]);
    work.output = Some(".".to_owned());
    let artefact = world.make(&work).await.unwrap();
    assert_eq!((artefact.root.clone(), read(artefact.root.join("index.html"))), (world.release().join("site"), "<p>".to_owned()));
}

#[tokio::test]
async fn an_output_that_cannot_be_served_says_what_is_there_instead() {
    for (command, said, next) in [
        ("mkdir -p build && echo > build/index.html", "no folder `dist`", "--output build"),
        ("mkdir dist", "`dist` empty", "--output FOLDER"),
        ("mkdir -p dist/app && echo > dist/app/index.html", "no index.html in `dist`", "--output dist/app"),
        ("echo > dist", "is a file", "--output FOLDER"),
        ("ln -s /etc dist", "leads outside", "name a folder"),
        ("mkdir dist && echo > dist/index.html && ln -s /etc/passwd dist/x", "leads outside", "copy the file"),
    ] {
        let world = World::new(&[("a", "1")]);
        let mut work = World::work(&[("build", command)]);
        work.output = Some("dist".to_owned());
        let problem = world.make(&work).await.unwrap_err();
        assert!(problem.what.contains(said), "{command}: {problem}");
        assert!(problem.next.as_ref().unwrap().contains(next), "{command}: {problem}");
        assert!(!world.release().join("tree").exists() && !world.release().join("site").exists(), "{command}");
    }
}

#[tokio::test]
async fn a_failing_command_is_named_with_its_last_lines() {
    let world = World::new(&[("a", "1")]);
    let work = World::work(&[("install", "for n in $(seq 1 50); do echo line $n; done; exit 3"), ("build", "touch never")]);
    let problem = world.make(&work).await.unwrap_err();
    assert!(problem.what.starts_with("install failed: exited with 3 after "), "{problem}");
    assert!(problem.at.as_ref().unwrap().starts_with("install: for n in"));
    assert!(problem.next.as_ref().unwrap().contains("pilothouse logs shop --build"), "{problem}");
    assert_eq!((problem.evidence.len(), problem.evidence[0].as_str(), problem.evidence[19].as_str()), (20, "line 31", "line 50"));
    assert!(!world.release().join("tree").exists() && !world.release().join("source").exists());
    assert_eq!(world.build(&work).await.unwrap_err(), problem, "the same order fails the same way, without a second run");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let world = World::new(&[("a", "1")]);
    let problem = world.make(&World::work(&[("install", "no-such-tool install")])).await.unwrap_err();
    assert!(problem.next.unwrap().contains("`no-such-tool` is not installed"));
}

#[tokio::test]
async fn a_cancelled_build_is_gone_within_two_seconds_with_all_its_children() {
    let world = World::new(&[("a", "1")]);
    // A child in a session of its own that ignores SIGTERM, as a stubborn tool would be.
    let line =
        "trap '' TERM; (trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > ../deep; sleep 300') & echo $$ > ../pid; sleep 300";
    let work = World::work(&[("build", line)]);
    assert!(matches!(world.fetch().await, Outcome::Done(_)));
    let (pid, deep) = (world.release().join("pid"), world.release().join("deep"));
    let (built, took) = tokio::join!(world.build(&work), async {
        world.until("the build began", || read(&pid).ends_with('\n') && read(&deep).ends_with('\n')).await;
        assert!(runs(&read(&pid)) && runs(&read(&deep)));
        world.cancel.cancel();
        let begun = Instant::now();
        world.until("the build ended", || !runs(&read(&pid)) && !runs(&read(&deep))).await;
        begun.elapsed()
    });
    assert_eq!(built.unwrap_err().what, "cancelled");
    assert!(took < Duration::from_secs(2), "{took:?}");
    world.assert_swept();
    assert!(!world.release().join("tree").exists());
}

#[tokio::test]
async fn a_build_beyond_its_time_is_ended() {
    let world = World::new(&[("a", "1")]);
    let mut work = World::work(&[("install", "sleep 0.2"), ("build", "echo here; sleep 300")]);
    work.limits.time = Millis(700);
    let begun = Instant::now();
    let problem = world.make(&work).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(problem.what.contains("longer than 700 ms"), "{problem}");
    assert!(problem.next.as_ref().unwrap().contains("build.limits.time") && problem.evidence == ["here"], "{problem:?}");
}

#[tokio::test]
async fn a_build_beyond_its_disk_is_ended() {
    let world = World::new(&[("a", "1")]);
    let mut work = World::work(&[("build", "head -c 30000000 /dev/zero | tr '\\0' x > \"$TMPDIR/big\"; sleep 300")]);
    work.limits.disk = Bytes::mib(20);
    let problem = world.make(&work).await.unwrap_err();
    assert!(problem.what.contains("more than 20 MB of disk"), "{problem}");
    assert!(problem.next.as_ref().unwrap().contains("build.limits.disk"), "{problem}");
}

#[tokio::test]
async fn a_build_beyond_its_memory_is_ended() {
    let world = World::new(&[("a", "1")]);
    let mut work = World::work(&[("build", "a=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 300")]);
    work.limits.memory = Bytes::mib(64);
    let problem = world.make(&work).await.unwrap_err();
    assert!(problem.what.contains("more memory than 64 MB"), "{problem}");
}

#[tokio::test]
async fn a_restarted_engine_finds_the_running_build_and_runs_nothing_twice() {
    let world = World::new(&[("a", "1")]);
    let line = "echo run >> ../runs; until [ -e ../go ]; do sleep 0.02; done; echo done > out";
    let work = World::work(&[("install", "echo first >> ../runs"), ("build", line)]);
    assert!(matches!(world.fetch().await, Outcome::Done(_)));
    // The engine is killed while the build runs: its future is dropped.
    tokio::select! {
        built = world.build(&work) => panic!("{built:?}"),
        () = world.until("both commands began", || read(world.release().join("runs")) == "first\nrun\n") => {}
    }
    build::sweep(&world.settings);
    assert!(world.settings.state.scratch(DeploymentId(7)).exists(), "the running build keeps its scratch");
    fs::write(world.release().join("go"), "").unwrap();
    let artefact = world.build(&work).await.unwrap();
    assert_eq!(read(artefact.root.join("out")), "done\n");
    assert_eq!(read(world.release().join("runs")), "first\nrun\n");
    world.assert_swept();
}

#[tokio::test]
async fn a_build_that_a_reboot_tore_begins_anew_from_the_source() {
    let mut world = World::new(&[("a", "1")]);
    let line = "test ! -e half || exit 9; touch half; until [ -e ../go ]; do sleep 0.02; done";
    let work = World::work(&[("build", line)]);
    assert!(matches!(world.fetch().await, Outcome::Done(_)));
    tokio::select! {
        built = world.build(&work) => panic!("{built:?}"),
        () = world.until("the command began", || world.release().join("tree/half").exists()) => {}
    }
    keepers::stop(&world.settings, &build::keeper_name(DeploymentId(7), 0)).await.unwrap();
    let name = world.settings.state.keeper(&build::keeper_name(DeploymentId(7), 0)).join("state.json");
    // As a loss of power leaves it: running, in another boot.
    let text = read(&name).replace("\"stopped\"", "\"running\"");
    fs::write(&name, text).unwrap();
    world.settings.boot_id = "next-boot".to_owned();
    fs::write(world.release().join("go"), "").unwrap();
    let artefact = world.build(&work).await.unwrap();
    assert!(artefact.root.join("half").exists());
}

#[tokio::test]
async fn sweeping_removes_what_no_build_needs() {
    let world = World::new(&[]);
    for name in ["3", "survey-0123"] {
        fs::create_dir_all(world.settings.state.scratch_root().join(name).join("deep")).unwrap();
    }
    build::sweep(&world.settings);
    world.assert_swept();
}

#[tokio::test]
async fn a_build_sees_a_clean_environment() {
    let world = World::new(&[("a", "1")]);
    let line = "env > ../env && touch \"$HOME/x\" \"$TMPDIR/y\" && mkdir \"$npm_config_cache\" && touch \"$npm_config_cache/z\"";
    let mut work = World::work(&[("install", line)]);
    work.env = Env(BTreeMap::from([("API_KEY".to_owned(), "x y".to_owned()), ("NODE_ENV".to_owned(), "production".to_owned())]));
    world.make(&work).await.unwrap();
    let env = read(world.release().join("env"));
    let has = |name: &str| env.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(env.lines().any(|line| line == "API_KEY=x y") && env.lines().any(|line| line == "CI=1"), "{env}");
    assert!(!has("NODE_ENV") && !has("CARGO_MANIFEST_DIR") && !has("USER"), "{env}");
    assert!(world.settings.state.cache(&World::app()).join("npm/z").exists(), "the cache stays for the next build");
}
