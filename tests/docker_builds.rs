//! Images that are built, and a Compose system, from the command line to the page: with a real Docker engine.
//!
//! `PILOTHOUSE_TEST_DOCKER` names an engine for tests alone: `tests/run` starts one (tests/peers/dockerd) and ends it.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_types,
    reason = "a test runs programs, fails loudly, and says a skip"
)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Image that every engine for tests has.
const BUSYBOX: &str = "pilothouse-test/busybox:1";

/// An engine of Pilothouse with a Docker engine; both are left without anything of ours.
struct World {
    home: tempfile::TempDir,
    docker: String,
}

impl World {
    /// Absent, and said so, where there is no Docker engine for tests. In CI that is a failure.
    fn new() -> Option<Self> {
        let docker = std::env::var("PILOTHOUSE_TEST_DOCKER").ok().filter(|address| !address.is_empty());
        if docker.is_none() {
            eprintln!("skipped: needs a Docker engine for tests (PILOTHOUSE_TEST_DOCKER; tests/run starts one)");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no test may be skipped in CI");
        }
        let home = tempfile::Builder::new().prefix("phb-").tempdir_in("/tmp").expect("a folder");
        Some(Self { home, docker: docker? })
    }

    /// A folder with files, in a git repository.
    fn source(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.home.path().join(name);
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        for arguments in
            [&["init", "-q", "."][..], &["add", "-A"], &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]]
        {
            let ran = Command::new("git").args(arguments).current_dir(&folder).status().expect("git");
            assert!(ran.success(), "git {arguments:?}");
        }
        folder
    }

    /// Runs the program; its exit code and the one document that it printed.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let ran = Command::new(env!("CARGO_BIN_EXE_pilothouse"))
            .args(["--state", self.home.path().join("s").to_str().expect("text"), "--json", "--yes"])
            .args(arguments)
            .env("DOCKER_HOST", &self.docker)
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        let document = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(format!("{text}\n{errors}")));
        (ran.status.code(), document)
    }

    /// What the program prints for people.
    fn text(&self, arguments: &[&str]) -> String {
        let ran = Command::new(env!("CARGO_BIN_EXE_pilothouse"))
            .args(["--state", self.home.path().join("s").to_str().expect("text")])
            .args(arguments)
            .output()
            .expect("the program runs");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    fn deploy(&self, folder: &Path, name: &str, more: &[&str]) -> (Option<i32>, Value) {
        let url = format!("file://{}", folder.display());
        self.run(&[&["deploy", &url, "--name", name, "--runtime", "docker"], more].concat())
    }

    /// What the app answers at `path`, asked through the edge.
    fn page(&self, name: &str, path: &str) -> String {
        let (_, status) = self.run(&["status", name]);
        let url = status["url"].as_str().unwrap_or_else(|| panic!("a URL in {status}"));
        let host = url.trim_start_matches("http://");
        let port = host.rsplit(':').next().expect("a port");
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the edge");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// What `docker` prints.
    fn docker(&self, arguments: &[&str]) -> String {
        let ran = Command::new("docker").args(["-H", &self.docker]).args(arguments).output().expect("docker");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let (_, apps) = self.run(&["apps"]);
        for app in apps.as_array().into_iter().flatten() {
            let name = app["app"].as_str().unwrap_or_default();
            let _ = self.run(&["remove", name]);
        }
        let _ = self.run(&["engine", "stop", "--everything"]);
    }
}

fn await_true(what: &str, within: Duration, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn dockerfile(more: &str) -> String {
    format!("FROM {BUSYBOX}\n{more}\nEXPOSE 3000\nCMD [\"httpd\", \"-f\", \"-p\", \"3000\", \"-h\", \"/www\"]\n")
}

#[test]
fn a_dockerfile_from_git_becomes_a_page() {
    let Some(world) = World::new() else { return };
    let text = dockerfile("COPY . /www/");
    let files = [("Dockerfile", text.as_str()), ("page.txt", "from the image"), ("key", "x"), (".dockerignore", "key\n")];
    let source = world.source("hello", &files);
    let (code, outcome) = world.deploy(&source, "hello", &[]);
    assert_eq!((code, outcome["state"].as_str()), (Some(0), Some("live")), "{outcome}");
    assert!(world.page("hello", "/page.txt").contains("from the image"));
    assert!(world.page("hello", "/key").starts_with("HTTP/1.1 404"), "what .dockerignore names is not in the image");
    assert_eq!(world.docker(&["images", "-q", "-f", "dangling=true"]), "");
}

#[test]
fn a_build_that_fails_says_why_and_leaves_nothing() {
    let Some(world) = World::new() else { return };
    let limits = ("pilothouse.toml", "[build.limits]\nmemory = \"32M\"\n");
    for (name, step, word) in [
        ("oom", "RUN head -c 200m /dev/zero | tail", "more memory than"),
        ("fails", "RUN false", "ended with 1"),
        ("nowhere", "FROM 127.0.0.1:1/nowhere:1", "127.0.0.1:1/nowhere:1"),
    ] {
        let text = dockerfile(step);
        let source = world.source(name, &[("Dockerfile", &text), limits]);
        let (code, outcome) = world.deploy(&source, name, &[]);
        let told = outcome.to_string();
        assert_eq!((code, outcome["state"].as_str()), (Some(1), Some("failed")), "{told}");
        assert!(told.contains(word) && outcome["next"].is_string(), "{told}");
    }
    assert_eq!(world.docker(&["images", "-q", "-f", "dangling=true"]), "");
}

#[test]
fn what_only_buildkit_knows_is_built_by_it() {
    let Some(world) = World::new() else { return };
    // The frontend that it asks for comes from nowhere: the one inside Docker reads it.
    let text = format!(
        "# syntax=127.0.0.1:1/frontend:1\nFROM --platform=$BUILDPLATFORM {BUSYBOX} AS made\nARG TARGETOS\n\
         RUN --mount=type=cache,target=/kept --mount=target=/context echo x >>/kept/runs; \
         echo \"$TARGETOS $(cat /context/page.txt)\" >/page\n{}",
        dockerfile("COPY --link --from=made /page /www/\nCOPY --chmod=755 . /www/")
    );
    let files = [("Dockerfile", text.as_str()), ("page.txt", "from the context"), ("key", "x"), (".dockerignore", "key\n")];
    let source = world.source("kit", &files);
    let (code, plan) = world.deploy(&source, "kit", &["--plan"]);
    assert!(code == Some(0) && plan.to_string().contains("Dockerfile:2"), "{plan}");
    let (code, outcome) = world.deploy(&source, "kit", &[]);
    assert_eq!((code, outcome["state"].as_str()), (Some(0), Some("live")), "{outcome}");
    assert!(world.page("kit", "/page").contains("linux from the context"));
    for gone in ["/key", "/.dockerignore", "/.pilothouse.dockerfile"] {
        assert!(world.page("kit", gone).starts_with("HTTP/1.1 404"), "{gone} is not in the image");
    }
    let log = world.text(&["logs", "kit", "--build"]);
    for part in ["RUN --mount=type=cache", "DONE", "own frontend"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert_eq!(world.docker(&["images", "-q", "-f", "dangling=true"]), "");
}

#[test]
fn a_build_by_buildkit_that_fails_says_why() {
    let Some(world) = World::new() else { return };
    for (name, step, words) in [
        ("code", "RUN echo before; exit 3", &["ended with 3", "RUN --mount=type=tmpfs,target=/t echo before; exit 3"][..]),
        ("copy", "COPY nothing /x", &["not there", "nothing"]),
        ("base", "COPY --from=127.0.0.1:1/tools:1 /a /b", &["127.0.0.1:1", "Dockerfile:3"]),
        ("odd", "ODD x", &["cannot be read", "ODD", "# syntax="]),
    ] {
        let step = step.replace("RUN ", "RUN --mount=type=tmpfs,target=/t ");
        let text = dockerfile(&format!("RUN --mount=type=tmpfs,target=/t true\n{step}"));
        let source = world.source(name, &[("Dockerfile", &text)]);
        let (code, outcome) = world.deploy(&source, name, &[]);
        let told = outcome.to_string();
        assert_eq!((code, outcome["state"].as_str()), (Some(1), Some("failed")), "{told}");
        assert!(words.iter().all(|word| told.contains(word)) && outcome["next"].is_string(), "{words:?} in {told}");
    }
}

#[test]
fn a_build_by_buildkit_is_gone_within_two_seconds_of_its_cancel() {
    let Some(world) = World::new() else { return };
    let text = dockerfile("RUN --mount=type=cache,target=/kept exec sleep 30119");
    let source = world.source("still", &[("Dockerfile", &text)]);
    let (code, asked) = world.deploy(&source, "still", &["--detach"]);
    assert_eq!(code, Some(0), "{asked}");
    await_true("the step runs", Duration::from_secs(60), || runs("30119"));
    let begun = Instant::now();
    let (code, answer) = world.run(&["cancel", &asked["deployment"].to_string()]);
    assert_eq!(code, Some(0), "{answer}");
    await_true("the step is gone", Duration::from_secs(2).saturating_sub(begun.elapsed()), || !runs("30119"));
}

/// Whether a process of this machine has `word` on its command line.
fn runs(word: &str) -> bool {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let mut lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes()))
}

#[test]
fn a_cancelled_build_is_gone_within_two_seconds() {
    let Some(world) = World::new() else { return };
    let text = dockerfile("RUN echo one\nRUN sleep 311");
    let source = world.source("slow", &[("Dockerfile", &text)]);
    let (code, asked) = world.deploy(&source, "slow", &["--detach"]);
    assert_eq!(code, Some(0), "{asked}");
    let runs = || world.docker(&["ps", "-a", "--no-trunc"]).contains("sleep 311");
    await_true("the step runs", Duration::from_secs(60), runs);
    let deployment = asked["deployment"].to_string();
    let begun = Instant::now();
    let (code, answer) = world.run(&["cancel", &deployment]);
    assert_eq!(code, Some(0), "{answer}");
    await_true("the step is gone", Duration::from_secs(2).saturating_sub(begun.elapsed()), || !runs());
    assert_eq!(world.docker(&["images", "-q", "-f", "dangling=true"]), "");
}

#[test]
fn a_compose_system_keeps_its_data_over_releases() {
    let Some(world) = World::new() else { return };
    let text = dockerfile("RUN mkdir -p /www/cgi-bin\nCOPY ask /www/cgi-bin/ask\nRUN chmod +x /www/cgi-bin/ask");
    let ask = "#!/bin/sh\nprintf 'content-type: text/plain\\r\\n\\r\\n'; echo \"$WORD $(wget -q -O - http://db:5432/count)\"\n";
    let compose = format!(
        "services:\n  web:\n    build: .\n    ports: [\"8000:3000\"]\n    environment: {{WORD: \"${{WORD:-one}}\"}}\n    \
         depends_on: {{db: {{condition: service_healthy}}}}\n    gpus: all\n  db:\n    image: {BUSYBOX}\n    \
         command: sh -c \"echo x >> /data/count; exec httpd -f -p 5432 -h /data\"\n    volumes: [\"data:/data\"]\n    \
         healthcheck: {{test: [\"CMD\", \"test\", \"-e\", \"/data/count\"], interval: 300ms}}\n"
    );
    let source = world.source("stall", &[("Dockerfile", &text), ("ask", ask), ("compose.yaml", &compose)]);
    let (_, plan) = world.deploy(&source, "stall", &["--plan"]);
    assert!(plan.to_string().contains("compose.yaml:7 services.web.gpus"), "{plan}");
    let (code, outcome) = world.deploy(&source, "stall", &[]);
    assert_eq!((code, outcome["state"].as_str()), (Some(0), Some("live")), "{outcome}");
    assert!(world.page("stall", "/cgi-bin/ask").contains("one x"));
    let database =
        || world.docker(&["ps", "-q", "--filter", "label=pilothouse.app=stall", "--filter", "label=pilothouse.process=db"]);
    let before = database();
    let (code, outcome) = world.deploy(&source, "stall", &["--env", "WORD=two"]);
    assert_eq!((code, outcome["state"].as_str()), (Some(0), Some("live")), "{outcome}");
    assert!(world.page("stall", "/cgi-bin/ask").contains("two x"));
    assert_eq!(database(), before, "an unchanged database stays as it is");
}
