//! Apps in containers, beside the same Docker engine alone in the same run: `cargo bench --bench containers`.
//!
//! Prints rows of the table of `docs/performance.md`; takes about four minutes. `DEPLOYS` and `RATE` change the numbers.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reports, and fails loudly"
)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "it stands outside: it runs programs and measures"
)]

#[allow(dead_code, reason = "each bench uses a part")]
#[path = "support/load.rs"]
mod load;
#[path = "support/page.rs"]
mod page;
#[path = "../tests/whole/support/mod.rs"]
mod support;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use load::Load;
use page::{middle, row};
use support::{app::binary, engine::Engine, http, processes, wait::until};

/// Times that each short measurement is made; the middle one counts.
const ROUNDS: usize = 9;
/// How long an idle engine is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Containers beside which the engine is to be idle.
const CONTAINERS: usize = 50;

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let Some(docker) = Docker::start() else {
        println!("| apps in containers | – | dockerd: not installed | – | open |");
        return;
    };
    let address = docker.address();
    // The networks of Docker's own choice may be somebody's.
    let environment = [("DOCKER_HOST", address.as_str()), ("PILOTHOUSE_DOCKER_SUBNET", "198.18.26.0/24")];
    let engine = Engine::with(&environment);
    first_answer(&engine, &docker);
    replaces(&engine);
    build(&engine, &docker);
    engine.json(&["--yes", "remove", "shop"]);
    idle(&engine, &docker);
}

/// A Docker engine of the bench's own, with the image `peer`: the sample on nothing else.
struct Docker(PathBuf);

impl Docker {
    fn start() -> Option<Self> {
        if !support::wait::is_installed("dockerd") || !rustix::process::getuid().is_root() {
            return None;
        }
        let docker = Self(PathBuf::from(format!("/tmp/phc-{}", std::process::id())));
        docker.script(&["start", docker.folder(), binary().to_str().expect("text")]).then_some(docker)
    }

    fn folder(&self) -> &str {
        self.0.to_str().expect("text")
    }

    #[allow(clippy::unused_self, reason = "it is this engine's script")]
    fn script(&self, arguments: &[&str]) -> bool {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/docker");
        Command::new(script).args(arguments).status().expect("bash runs").success()
    }

    fn address(&self) -> String {
        format!("unix://{}/docker.sock", self.folder())
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(["-H", &self.address()]).args(arguments).env("DOCKER_BUILDKIT", "0");
        let ran = command.output().expect("docker runs");
        assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// The image `peer:VERSION`, whose sample says that version.
    fn version(&self, version: &str) -> String {
        let made = self.ask(&["create", "peer"]);
        let (says, tag) = (format!("ENV SAMPLE_VERSION={version} HOST=0.0.0.0"), format!("peer:{version}"));
        self.ask(&["commit", "-c", &says, "-c", "EXPOSE 3000", &made, &tag]);
        self.ask(&["rm", &made]);
        tag
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.script(&["stop", self.folder()]);
    }
}

/// Waits until `url` answers with `text`.
fn await_answer(url: &str, text: &str) {
    let quoted = format!("\"{text}\"");
    let from = Instant::now();
    while !http::get(url).is_ok_and(|answer| answer.status == 200 && answer.body.contains(&quoted)) {
        assert!(from.elapsed() < Duration::from_secs(60), "{url} does not answer with {text} within 60 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn deploy(engine: &Engine, image: &str) -> support::engine::Running {
    engine.begin(&["--json", "deploy", "--image", image, "--name", "shop"])
}

/// From the command to the first answer of the new release, and the same of `docker run` alone, in turn.
fn first_answer(engine: &Engine, docker: &Docker) {
    engine.live(deploy(engine, &docker.version("v1")).end());
    let url = engine.url("shop") + "/version";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 2..ROUNDS + 2 {
        let version = format!("v{round}");
        let image = docker.version(&version);
        let from = Instant::now();
        let running = deploy(engine, &image);
        await_answer(&url, &version);
        ours.push(from.elapsed().as_secs_f64());
        engine.live(running.end());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let publish = format!("127.0.0.1:{port}:3000");
        let from = Instant::now();
        docker.ask(&["run", "-d", "--name", &version, "-p", &publish, &image]);
        await_answer(&format!("http://localhost:{port}/version"), &version);
        theirs.push(from.elapsed().as_secs_f64());
        docker.ask(&["rm", "-f", &version]);
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    row(
        "container: `deploy --image` to the first answer of the new release",
        "`docker run` alone + 0.5 s",
        &format!("{ours:.2} s, {:.2} × `docker run`", ours / theirs),
        &format!("`docker run -d -p` of the same image: {theirs:.2} s"),
        ours <= theirs + 0.5,
    );
}

/// Rolling releases of two containers under load.
fn replaces(engine: &Engine) {
    let number = |name: &str, default: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (deploys, rate) = (number("DEPLOYS", 10), number("RATE", 200));
    engine.live(engine.json(&["scale", "shop", "2"]));
    let url = engine.url("shop");
    let load = Load::echo(&url, rate);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let running = {
        let _inside = runtime.enter();
        load.start()
    };
    let mut took = Vec::new();
    for round in 0..deploys {
        let document = engine.live(deploy(engine, &format!("peer:v{}", round % 2 + 1)).end());
        took.push(document["took_ms"].as_f64().unwrap_or_default() / 1000.0);
        // Each serves for a while.
        std::thread::sleep(Duration::from_secs(2));
    }
    let tally = runtime.block_on(running.stop());
    row(
        &format!("container: {deploys} rolling releases of 2 containers under {rate} POST/s with keep-alive"),
        "0 failed",
        &format!(
            "{} failed of {}; latency p50 {:.1} ms, p99 {:.1} ms; a release takes {:.2} s in the middle",
            tally.failures(),
            tally.sent,
            tally.latency_ms(50.0),
            tally.latency_ms(99.0),
            middle(took)
        ),
        "–",
        tally.failures() == 0,
    );
    for (what, count) in &tally.failed {
        eprintln!("  {count} × {what}");
    }
}

/// A build whose every step is in the cache, beside `docker build` of the same folder.
fn build(engine: &Engine, docker: &Docker) {
    let folder = engine.home().join("apps/shop");
    fs::create_dir_all(&folder).expect("a folder");
    let text = "FROM peer:v1\nCOPY one.txt /one.txt\nCOPY two.txt /two.txt\n";
    for (name, text) in [
        ("Dockerfile", text),
        ("one.txt", "one"),
        ("two.txt", "two"),
        ("pilothouse.toml", "[process.web]\nruntime = \"docker\"\n"),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let path = folder.to_str().expect("text");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let document = engine.live(engine.json(&["deploy", path, "--name", "shop"]));
        let fleet = engine.snapshot();
        let steps = fleet["deployments"][document["deployment"].to_string()]["steps"].as_array().cloned().unwrap_or_default();
        let step = steps.iter().find(|step| step["name"] == "build").expect("the step of the build");
        let span = step["ended_at"].as_f64().expect("its end") - step["started_at"].as_f64().expect("its start");
        let from = Instant::now();
        docker.ask(&["build", "-q", path]);
        // The first of each fills the cache.
        if round > 0 {
            ours.push(span / 1000.0);
            theirs.push(from.elapsed().as_secs_f64());
        }
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    row(
        "container: build whose steps are all in the cache",
        "`docker build` + 0.3 s",
        &format!("{ours:.2} s, {:.2} × `docker build`", ours / theirs),
        &format!("`docker build` (classic): {theirs:.2} s"),
        ours <= theirs + 0.3,
    );
}

/// Processor time and memory of an engine beside 50 containers.
fn idle(engine: &Engine, docker: &Docker) {
    for number in 0..CONTAINERS {
        docker.ask(&["run", "-d", "--network", "none", "--name", &format!("idle-{number}"), "peer:v1"]);
    }
    let running = || {
        let fleet = engine.snapshot();
        let all = fleet["containers"].as_object().cloned().unwrap_or_default();
        all.values().filter(|one| one["state"] == "running").count()
    };
    until("all containers are seen", Duration::from_secs(60), || running() == CONTAINERS);
    std::thread::sleep(Duration::from_secs(5));
    let before = processes::cpu_seconds(engine.pid());
    std::thread::sleep(IDLE);
    let percent = (processes::cpu_seconds(engine.pid()) - before) / IDLE.as_secs_f64() * 100.0;
    let memory = processes::resident_mib(engine.pid());
    let with = format!("{CONTAINERS} containers");
    row(&format!("idle engine, {with}"), "1 % of a core", &format!("{percent:.2} %"), "–", percent < 1.0);
    row(&format!("engine's memory, {with}"), "60 MB", &format!("{memory:.1} MiB"), "–", memory * 1.048_576 < 60.0);
}
