//! The figures of `docs/performance.md` that need no long load, each with its bar and, where there is one, a peer's in the
//! same run: `cargo bench --bench figures`. Prints rows of the table; takes about three minutes.
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

#[path = "support/page.rs"]
mod page;
#[path = "../tests/whole/support/mod.rs"]
mod support;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use page::{middle, row};
use support::{
    app::{App, binary},
    engine::Engine,
    http, processes,
    terminal::Terminal,
    wait::until,
};

/// Times that each short measurement is made; the middle one counts.
const ROUNDS: usize = 9;
/// How long an idle program is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Instances beside which engine and console are to be idle.
const INSTANCES: u32 = 50;

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    first_answer();
    rollback();
    console();
    idle();
}

/// From the command to the first answer of the new release, beside the app alone and beside `docker run`.
fn first_answer() {
    let engine = Engine::start();
    let mut app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let url = engine.url("shop") + "/version";
    let mut deploys = Vec::new();
    for round in 2..ROUNDS + 2 {
        let version = format!("v{round}");
        app = app.version(&version).write();
        let from = Instant::now();
        let running = engine.begin(&["--json", "deploy", app.path()]);
        await_answer(&url, &version);
        deploys.push(from.elapsed().as_secs_f64());
        engine.live(running.end());
    }
    let boot = middle((0..ROUNDS).map(|_| boot_alone()).collect());
    let deploy = middle(deploys);
    let docker = docker_run();
    let overhead = deploy - boot;
    let peer =
        docker.map_or("docker: not installed".to_owned(), |docker| format!("`docker run`, app's boot included: {docker:.2} s"));
    row(
        "`deploy` to the first answer of the new release, less the app's boot",
        "`docker run` alone + 0.5 s",
        &format!("{overhead:.2} s (with boot {deploy:.2} s, boot {boot:.3} s)"),
        &peer,
        docker.is_some_and(|docker| overhead <= docker - boot + 0.5),
    );
}

/// Waits for an answer that holds `text`.
fn await_answer(url: &str, text: &str) {
    let quoted = format!("\"{text}\"");
    let from = Instant::now();
    while !http::get(url).is_ok_and(|answer| answer.status == 200 && answer.body.contains(&quoted)) {
        assert!(from.elapsed() < Duration::from_secs(30), "{url} does not answer with {text} within 30 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// The sample started by hand: seconds to its first answer.
fn boot_alone() -> f64 {
    let port = free_port();
    let from = Instant::now();
    let mut child = Ended(
        Command::new(binary())
            .arg("sample")
            .env("PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary runs"),
    );
    await_answer(&format!("http://localhost:{port}/version"), "v1");
    let took = from.elapsed().as_secs_f64();
    child.end();
    took
}

/// A child that does not outlive the bench.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

/// `docker run` of the same program: seconds to its first answer; absent without Docker.
fn docker_run() -> Option<f64> {
    if !support::wait::is_installed("dockerd") || !rustix::process::getuid().is_root() {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/docker");
    let folder = PathBuf::from(format!("/tmp/phd-{}", std::process::id()));
    let started = Command::new(&script).arg("start").arg(&folder).arg(binary()).status().expect("bash runs");
    let stop = || Command::new(&script).arg("stop").arg(&folder).status().expect("bash runs");
    if !started.success() {
        stop();
        return None;
    }
    let docker = |arguments: &[&str]| {
        let socket = format!("unix://{}/docker.sock", folder.display());
        let run = Command::new("docker").args(["-H", &socket]).args(arguments).output().expect("docker runs");
        assert!(run.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    };
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let (port, name) = (free_port(), format!("peer-{round}"));
        let publish = format!("127.0.0.1:{port}:3000");
        let from = Instant::now();
        docker(&["run", "-d", "--name", &name, "-e", "HOST=0.0.0.0", "-p", &publish, "peer"]);
        await_answer(&format!("http://localhost:{port}/version"), "v1");
        took.push(from.elapsed().as_secs_f64());
        docker(&["rm", "-f", &name]);
    }
    stop();
    Some(middle(took))
}

/// From the command to the last answer of the new release, with the old one kept warm.
fn rollback() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let url = engine.url("shop") + "/version";
    engine.deploy_live(&app.version("v2").write());
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let (target, version) = if round % 2 == 0 { ("1", "v1") } else { ("2", "v2") };
        let from = Instant::now();
        let running = engine.begin(&["--json", "rollback", "shop", target]);
        let (mut last_other, until_then) = (Duration::ZERO, Duration::from_secs(2));
        while from.elapsed() < until_then {
            let answer = http::get(&url).expect("the edge answers");
            if !answer.body.contains(&format!("\"{version}\"")) {
                last_other = from.elapsed();
            }
        }
        took.push(last_other.as_secs_f64());
        engine.live(running.end());
    }
    let (longest, took) = (took.iter().copied().fold(0.0, f64::max), middle(took));
    row(
        "warm rollback: command to 100 % old answers",
        "0.3 s",
        &format!("{took:.3} s (longest of {ROUNDS}: {longest:.3} s)"),
        "–",
        took <= 0.3,
    );
}

/// First frame, and from a key to the screen.
fn console() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let state = engine.state().to_str().expect("text").to_owned();
    let mut frames = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..ROUNDS {
        let from = Instant::now();
        let mut terminal = Terminal::start(120, 40, &["--state", &state]);
        spin(|| terminal.text().contains("2 Apps"));
        frames.push(from.elapsed().as_secs_f64() * 1000.0);
        spin(|| terminal.text().contains("shop"));
        for round in 0..20 {
            // A frame may be due up to 16 ms after the last one: the pause lets the console come to rest.
            std::thread::sleep(Duration::from_millis(60));
            let (before, from) = (terminal.text(), Instant::now());
            terminal.keys(if round % 2 == 0 { "2" } else { "1" });
            spin(|| terminal.text() != before);
            keys.push(from.elapsed().as_secs_f64() * 1000.0);
        }
        processes::signal(terminal.pid(), rustix::process::Signal::TERM);
        terminal.end();
    }
    let (frame, key) = (middle(frames), middle(keys));
    row("console: first frame, engine up", "100 ms", &format!("{frame:.0} ms"), "–", frame <= 100.0);
    row("console: key to screen, p50", "5 ms", &format!("{key:.1} ms"), "–", key <= 5.0);
}

fn spin(mut condition: impl FnMut() -> bool) {
    let from = Instant::now();
    while !condition() {
        assert!(from.elapsed() < Duration::from_secs(20), "not within 20 s");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Processor time and memory of engine and console beside 50 idle instances.
fn idle() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").replicas(INSTANCES).ready_within("120s").write();
    engine.deploy_live(&app);
    until("all instances run", Duration::from_secs(60), || {
        engine.status("shop")["running"][0]["instances"].as_u64() == Some(u64::from(INSTANCES))
    });
    let terminal = Terminal::start(160, 45, &["--state", engine.state().to_str().expect("text")]);
    spin(|| terminal.text().contains("shop"));
    std::thread::sleep(Duration::from_secs(5));
    let pids = [engine.pid(), terminal.pid()];
    let before = pids.map(processes::cpu_seconds);
    std::thread::sleep(IDLE);
    let after = pids.map(processes::cpu_seconds);
    let percent = |index: usize| (after[index] - before[index]) / IDLE.as_secs_f64() * 100.0;
    let memory = pids.map(processes::resident_mib);
    let all: f64 = engine
        .processes()
        .iter()
        .filter(|found| found.command.contains(" keep "))
        .map(|found| processes::resident_mib(found.pid))
        .sum();
    let with = format!("{INSTANCES} instances");
    row(&format!("idle engine, {with}"), "1 % of a core", &format!("{:.2} %", percent(0)), "–", percent(0) < 1.0);
    row(&format!("idle console, {with}"), "0.5 % of a core", &format!("{:.2} %", percent(1)), "–", percent(1) < 0.5);
    row(&format!("engine's memory, {with}"), "60 MB", &format!("{:.1} MiB", memory[0]), "–", memory[0] * 1.048_576 < 60.0);
    row(&format!("console's memory, {with}"), "40 MB", &format!("{:.1} MiB", memory[1]), "–", memory[1] * 1.048_576 < 40.0);
    eprintln!("keepers: {:.1} MiB each", all / f64::from(INSTANCES));
}
