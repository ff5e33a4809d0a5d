//! Bad input and bad luck: each ends in a stated state, names cause and next step, keeps the old release serving, and
//! leaves nothing behind.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    app::App,
    engine::{Engine, Ran},
    http, processes,
    wait::{has, seconds, until},
};

/// A world with release 1 of `shop` serving.
pub(crate) fn serving() -> (Engine, App) {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    (engine, app)
}

/// Deploys `app` over release 1 and wants it to end in `state` with `cause` in its words, while release 1 serves on;
/// gives the deployment's document.
fn fails(engine: &Engine, app: &App, state: &str, cause: &str) -> Value {
    let poll = engine.poll("shop");
    let ran = engine.deploy(app);
    let told = ran.text();
    let document = engine.not_live(ran, state);
    let seen = poll.stop();
    assert!(told.to_lowercase().contains(&cause.to_lowercase()), "`{cause}` is named: {told}");
    assert!(seen.bad.is_empty() && seen.answers() > 0, "release 1 serves throughout: {seen:?}");
    still_serves(engine);
    told_everywhere(engine, state);
    document
}

/// A deployment that ended badly is told by every command that tells of deployments.
fn told_everywhere(engine: &Engine, state: &str) {
    let last = &engine.status("shop")["last_deployment"];
    assert_eq!(last["state"], state, "{last:#}");
    assert!(last["cause"].is_string() && last["next"].is_string(), "{last:#}");
    let listed = engine.json(&["deployments", "shop", "-n", "1"]).document();
    assert_eq!((&listed[0]["state"], &listed[0]["deployment"]), (&last["state"], &last["deployment"]), "{listed:#}");
    let tasks = engine.json(&["tasks"]).document();
    let task = tasks.as_array().and_then(|tasks| tasks.iter().find(|task| task["deployment"] == last["deployment"]));
    assert_eq!(task.map(|task| &task["state"]), Some(&"failed".into()), "{tasks:#}");
}

/// Wants release 1 of `shop` to serve, and nothing else of it to run or lie about.
pub(crate) fn still_serves(engine: &Engine) {
    assert_eq!(engine.version("shop"), "v1");
    let status = engine.await_status("shop", "only release 1 runs", |status| {
        status["running"].as_array().is_some_and(|list| list.len() == 1 && list[0]["release"] == 1)
    });
    assert_eq!(status["serving"]["release"], 1, "{status:#}");
    until("only one keeper of shop runs", seconds(15), || keepers(engine, "shop") == 1);
    engine.has_no_scratch();
}

pub(crate) fn keepers(engine: &Engine, app: &str) -> usize {
    engine.processes().iter().filter(|found| found.command.contains(&format!("keepers/{app}-"))).count()
}

/// Wants a command to be refused at once with `cause` and a next step.
fn refused(ran: &Ran, cause: &str) {
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text();
    assert!(text.contains(cause) && text.contains("next"), "`{cause}` and a next step are named: {ran}");
}

// ---- false success ----

#[test]
fn a_release_that_never_answers_is_not_live() {
    let (engine, app) = serving();
    let app = app.version("v2").env("SAMPLE_UNHEALTHY", "1").ready_within("3s").write();
    fails(&engine, &app, "reverted", "503");
}

#[test]
fn a_release_that_takes_requests_and_never_answers_is_not_live() {
    let (engine, app) = serving();
    let app = app.version("v2").env("SAMPLE_LATENCY", "1h").ready_within("3s");
    let mut app = app;
    app.ready = "/".to_owned();
    fails(&engine, &app.write(), "reverted", "answer");
}

#[test]
fn a_release_that_lies_about_its_id_is_not_live() {
    let engine = Engine::start();
    // Release 1 says of itself that it is release 2.
    let app = App::sample(engine.home(), "shop").env("SAMPLE_LIE", "2").write();
    engine.deploy_live(&app);
    let document = fails(&engine, &app.version("v2").env("SAMPLE_UNHEALTHY", "1").ready_within("3s").write(), "reverted", "503");
    assert_eq!(document["release"], 2);
    assert_eq!(engine.serving("shop"), Some(1));
}

#[test]
fn a_first_release_that_fails_is_never_green() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").env("SAMPLE_UNHEALTHY", "1").ready_within("2s").write();
    engine.not_live(engine.deploy(&app), "failed");
    let status = engine.status("shop");
    assert!(status["serving"].is_null() && status["running"] == serde_json::json!([]), "{status:#}");
    until("no keeper of shop runs", seconds(15), || keepers(&engine, "shop") == 0);
    engine.has_no_scratch();
}

// ---- bad input ----

#[test]
fn a_wrong_manifest_is_refused_with_line_and_nearest_key() {
    let (engine, app) = serving();
    fs::write(Path::new(app.path()).join("pilothouse.toml"), "name = \"shop\"\n[process.web]\ncomand = \"x\"\n").expect("a file");
    let ran = engine.deploy(&app);
    refused(&ran, "pilothouse.toml:3");
    assert!(ran.text().contains("command"), "{ran}");
    still_serves(&engine);
}

#[test]
fn a_source_that_nothing_recognises_is_refused_with_the_way_out() {
    let engine = Engine::start();
    let folder = engine.home().join("riddle");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("notes.txt"), "what am I?").expect("a file");
    let ran = engine.json(&["deploy", folder.to_str().expect("text")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains("--start") || ran.text().contains("pilothouse.toml"), "{ran}");
}

#[test]
fn what_is_not_there_is_refused_with_the_next_step() {
    let (engine, app) = serving();
    refused(&engine.json(&["logs", "shop", "--instance", "shop-1-b"]), "shop-1-a");
    refused(&engine.json(&["cancel", "1"]), "deployment 1 is over");
    refused(&engine.json(&["cancel", "99"]), "pilothouse deployments");
    refused(&engine.json(&["deploy", app.path(), "--env", "PORT=80"]), "--port");
    still_serves(&engine);
}

#[test]
fn a_source_that_is_not_there_is_refused() {
    let engine = Engine::start();
    let ran = engine.json(&["deploy", "file:///nowhere/at/all.git"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let ran = engine.json(&["deploy", "/nowhere/at/all"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains("/nowhere/at/all"), "{ran}");
}

#[test]
fn a_private_repository_is_refused_without_a_prompt() {
    let engine = Engine::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // As a forge answers for what one may not see.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"forge\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let ran = engine.json(&["deploy", &format!("http://127.0.0.1:{port}/private.git")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text();
    assert!(text.contains("private") || text.contains("credential") || text.contains("token"), "the fix is named: {ran}");
    assert!(ran.took < seconds(30), "{ran}");
}

#[test]
fn an_odd_name_is_refused_or_made_even() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "fine");
    let ran = engine.json(&["deploy", app.path(), "--name", "../../etc"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{ran}");
    let folder = engine.home().join("Ünser Shop; rm -rf $HOME");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("index.html"), "odd").expect("a file");
    let document = engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    let name = document["app"].as_str().expect("a name");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    assert_eq!(engine.get(name, "/").body, "odd");
}

#[test]
fn usage_errors_exit_with_2() {
    let engine = Engine::absent();
    for arguments in [&["deploy", "--port", "eighty"][..], &["scale", "shop"], &["frobnicate"], &["--nonsense"]] {
        assert_eq!(engine.cli(arguments).code, Some(2), "{arguments:?}");
    }
}

// ---- apps that do not start ----

#[test]
fn a_missing_command_is_named() {
    let (engine, app) = serving();
    let document = fails(&engine, &app.command("exec no-such-program --serve").write(), "reverted", "no-such-program");
    assert!(document["took_ms"].as_u64().is_some_and(|took| took < 5000), "{document:#}");
}

#[test]
fn an_app_that_exits_at_once_is_seen_at_once_with_its_last_lines() {
    let (engine, app) = serving();
    let script = "for i in $(seq 1 30); do echo line-$i; done; echo cannot-open-the-database >&2; exit 3";
    let document = fails(&engine, &app.command(script).write(), "reverted", "exited with 3");
    let evidence = document.to_string();
    assert!(evidence.contains("cannot-open-the-database") && evidence.contains("line-30"), "{document:#}");
    assert!(!evidence.contains("line-5\""), "at most the last 20 lines: {document:#}");
    // From the ask to the end, with everything that stands between; the exit itself is to be seen in under 1 s.
    assert!(document["took_ms"].as_u64().is_some_and(|took| took < 4000), "{document:#}");
}

#[test]
fn an_app_that_listens_elsewhere_is_told_which_port() {
    let (engine, app) = serving();
    let port = free_port();
    let app = app.version("v2").env("SAMPLE_WRONG_PORT", &port.to_string()).ready_within("10s").write();
    fails(&engine, &app, "reverted", &port.to_string());
}

#[test]
fn a_taken_port_is_named_and_its_owner_is_not_taken_for_the_app() {
    let (engine, mut app) = serving();
    // A stranger holds the port and answers 200 to everybody.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut head = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nstranger");
        }
    });
    app.port = Some(port);
    fails(&engine, &app.version("v2").ready_within("5s").write(), "reverted", &port.to_string());
}

#[test]
fn an_app_that_never_listens_is_given_up_in_time() {
    let (engine, app) = serving();
    let from = Instant::now();
    fails(&engine, &app.command("exec sleep 1000").ready_within("2s").write(), "reverted", "listen");
    assert!(from.elapsed() < seconds(20), "{:?}", from.elapsed());
}

#[test]
fn an_app_that_takes_too_much_memory_is_named_so() {
    let engine = Engine::start();
    let mut app = App::sample(engine.home(), "eater").env("SAMPLE_MEMORY", "64M");
    app.memory = Some("96M".to_owned());
    engine.deploy_live(&app.write());
    let logs = || engine.cli(&["logs", "eater", "--tail", "200"]).text();
    until("the end is named out of memory", seconds(30), || logs().contains("out of memory"));
}

#[test]
fn an_app_that_ignores_sigterm_is_ended_all_the_same() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "deaf").env("SAMPLE_IGNORE_TERM", "1").write();
    engine.deploy_live(&app);
    let ran = engine.json(&["--yes", "remove", "deaf"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    engine.leaves_nothing_of("deaf");
}

#[test]
fn a_crash_after_ready_is_restarted_and_counted() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let url = engine.url("shop");
    http::request("POST", &format!("{url}/crash"), &[], "").expect("the sample takes the order");
    engine.await_status("shop", "the instance was restarted", |status| {
        status["instances"][0]["restarts"].as_u64() >= Some(1) && status["running"][0]["instances"] == 1
    });
    until("it answers again", seconds(20), || http::get(&url).is_ok_and(|answer| answer.status == 200));
    engine.await_status("shop", "it serves again", |status| status["serving"]["release"] == 1);
}

// ---- builds ----

#[test]
fn a_build_that_fails_shows_its_last_lines() {
    let (engine, app) = serving();
    let document =
        fails(&engine, &app.build("echo compiling; echo missing-semicolon >&2; exit 7").write(), "failed", "exited with 7");
    assert!(document.to_string().contains("missing-semicolon"), "{document:#}");
    assert!(engine.json(&["logs", "shop", "--build"]).stdout.contains("missing-semicolon"));
}

#[test]
fn a_build_that_never_ends_is_ended_by_its_limit() {
    let (engine, app) = serving();
    let app = app.build("echo begun; sleep 1000 & sleep 1001").tables("[build.limits]\ntime = \"2s\"\n").write();
    let document = fails(&engine, &app, "failed", "2.0 s");
    assert!(document["took_ms"].as_u64().is_some_and(|took| took < 10_000), "{document:#}");
    no_sleepers(&engine);
}

#[test]
fn a_build_that_takes_too_much_disk_or_memory_is_ended() {
    let (engine, app) = serving();
    let app = app.build("head -c 200M /dev/zero > big; sleep 30").tables("[build.limits]\ndisk = \"50M\"\n").write();
    let app = {
        fails(&engine, &app, "failed", "disk");
        app
    };
    let eater = "python3 -c 'x = bytearray(300 << 20); import time; time.sleep(30)'";
    let app = app.build(eater).tables("[build.limits]\nmemory = \"100M\"\n").write();
    fails(&engine, &app, "failed", "memory");
}

#[test]
fn a_cancel_ends_the_whole_build_within_two_seconds() {
    let (engine, app) = serving();
    let app = app.build("echo begun; (sleep 1000 & setsid sleep 1001 & trap '' TERM; sleep 1002) & sleep 1003").write();
    let poll = engine.poll("shop");
    let running = engine.begin(&["--json", "deploy", app.path()]);
    until("the build runs", seconds(20), || sleepers(&engine) >= 4);
    let deployment = deployment_under_way(&engine);
    let from = Instant::now();
    let cancelled = engine.json(&["cancel", &deployment]);
    let ran = running.end();
    let took = from.elapsed();
    engine.not_live(ran, "cancelled");
    assert_eq!(cancelled.code, Some(0), "{cancelled}");
    assert!(took < Duration::from_millis(2500), "cancelled after {took:?}");
    no_sleepers(&engine);
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    still_serves(&engine);
}

#[test]
fn a_cancel_while_staging_returns_to_the_old_release() {
    let (engine, app) = serving();
    let poll = engine.poll("shop");
    let running =
        engine.begin(&["--json", "deploy", app.version("v2").env("SAMPLE_BOOT", "60s").ready_within("90s").write().path()]);
    until("an instance of release 2 starts", seconds(20), || keepers(&engine, "shop") == 2);
    let ran = engine.json(&["cancel", &deployment_under_way(&engine)]);
    assert_eq!(ran.code, Some(0), "{ran}");
    engine.not_live(running.end(), "cancelled");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    still_serves(&engine);
}

fn sleepers(engine: &Engine) -> usize {
    processes::of(engine.home()).iter().filter(|found| found.command.starts_with("sleep 100")).count()
}

fn no_sleepers(engine: &Engine) {
    until("every process of the build is gone", seconds(3), || sleepers(engine) == 0);
}

/// The number of the one deployment that is not over, as `tasks` tells it.
fn deployment_under_way(engine: &Engine) -> String {
    let tasks = engine.json(&["tasks"]).document();
    let list = tasks.as_array().cloned().unwrap_or_default();
    let running = list.iter().find(|task| !task["deployment"].is_null() && task["state"] == "running");
    running.unwrap_or_else(|| panic!("no deployment is under way: {tasks:#}"))["deployment"].to_string()
}

#[test]
fn a_build_that_writes_two_hundred_megabytes_is_kept_short_and_says_so() {
    let (engine, app) = serving();
    let app =
        app.version("v2").build("yes 'a line of a chatty build tool, long enough to count' | head -c 200M; echo the-end").write();
    engine.deploy_live(&app);
    assert_eq!(engine.version("shop"), "v2");
    let kept = disk_of(&engine.state().join("keepers")) + disk_of(&engine.state().join("releases"));
    assert!(kept < 80 << 20, "{} MB are kept", kept >> 20);
    let log = engine.cli(&["logs", "shop", "--build", "--tail", "5"]).stdout;
    assert!(log.contains("the-end"), "the last lines are there: {log}");
}

/// Bytes that the files below `path` take.
pub(crate) fn disk_of(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let below = fs::read_dir(path).map_or(0, |entries| entries.flatten().map(|entry| disk_of(&entry.path())).sum());
    if meta.is_dir() { below } else { meta.len() }
}

#[test]
fn a_disk_that_fills_up_in_a_build_fails_that_build_alone() {
    let mut engine = Engine::absent();
    let disk = engine.home().join("s");
    let image = engine.home().join("disk.img");
    fs::create_dir_all(&disk).expect("a folder");
    let made = Command::new("sh")
        .args(["-c", "truncate -s 500M \"$0\" && mkfs.ext4 -q -F \"$0\" && mount -o loop \"$0\" \"$1\""])
        .args([&image, &disk])
        .status();
    if !has("the right to mount a disk image", "run as root, with e2fsprogs", made.is_ok_and(|status| status.success())) {
        return;
    }
    let _disk = Mounted(disk.clone());
    engine.run_engine();
    let app = App::sample(engine.home(), "shop").tables("[build.limits]\ndisk = \"100M\"\n").write();
    engine.deploy_live(&app);
    let app = app.version("v2").build("head -c 900M /dev/zero > big").tables("[build.limits]\ndisk = \"2G\"\n").write();
    let poll = engine.poll("shop");
    let ran = engine.deploy(&app);
    let text = ran.text().to_lowercase();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(text.contains("disk") || text.contains("space"), "the cause is named: {ran}");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    still_serves(&engine);
    engine.power_off();
}

// ---- logs ----

#[test]
fn binary_junk_and_escapes_in_logs_are_shown_safely() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "noisy");
    let sample = app.command.clone();
    let junk = r"printf 'bell \007 esc \033[31mred\033[0m title \033]0;owned\007 nul \000 bad \377\376 end\n'; head -c 4096 /dev/urandom; echo; ";
    engine.deploy_live(&app.command(&format!("{junk} {sample}")).write());
    until("the line is in the logs", seconds(10), || engine.cli(&["logs", "noisy"]).stdout.contains("title"));
    let text = engine.cli(&["logs", "noisy"]);
    assert!(
        !text.stdout.bytes().any(|byte| byte < 0x20 && byte != b'\n' && byte != b'\t'),
        "a control byte reaches the terminal"
    );
    for line in engine.json(&["logs", "noisy"]).stdout.lines() {
        serde_json::from_str::<Value>(line).expect("each line is a document");
    }
}

#[test]
fn a_very_long_line_does_not_hurt() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "long");
    let sample = app.command.clone();
    engine.deploy_live(&app.command(&format!("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after; {sample}")).write());
    until("the line after it is in the logs", seconds(10), || engine.cli(&["logs", "long"]).stdout.contains("after"));
}

// ---- parts that die ----

#[test]
fn a_killed_engine_finishes_the_deployment_when_it_is_back() {
    let (mut engine, app) = serving();
    let url = engine.url("shop");
    let poll = engine.poll("shop");
    let app = app.version("v2").env("SAMPLE_BOOT", "2s").write();
    let mut running = engine.begin(&["--json", "deploy", app.path()]);
    until("an instance of release 2 starts", seconds(20), || keepers(&engine, "shop") == 2);
    engine.kill_engine();
    assert_eq!(http::get(&url).expect("the edge answers without the engine").status, 200);
    engine.run_engine();
    engine.await_status("shop", "release 2 serves", |status| status["serving"]["release"] == 2);
    until("the command ends", seconds(30), || !running.runs());
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    assert_eq!(engine.version("shop"), "v2");
}

#[test]
fn a_killed_edge_is_back_by_itself_with_its_routes() {
    let (engine, _app) = serving();
    let url = engine.url("shop");
    let edge = edge_pid(&engine).expect("an edge runs");
    processes::signal(edge, Signal::KILL);
    until("the edge answers again", seconds(10), || http::get(&url).is_ok_and(|answer| answer.status == 200));
    assert_ne!(edge_pid(&engine), Some(edge));
    engine.await_status("shop", "it serves", |status| status["serving"]["release"] == 1);
}

#[test]
fn a_killed_edge_is_back_while_the_engine_is_dead() {
    let (mut engine, _app) = serving();
    let url = engine.url("shop");
    engine.kill_engine();
    processes::signal(edge_pid(&engine).expect("an edge runs"), Signal::KILL);
    until("the edge answers again", seconds(10), || http::get(&url).is_ok_and(|answer| answer.status == 200));
}

fn edge_pid(engine: &Engine) -> Option<i32> {
    let role = |found: &&processes::Found| found.command.split(' ').nth(1) == Some("edge");
    engine.processes().iter().find(role).map(|found| found.pid)
}

#[test]
fn a_killed_keeper_is_replaced() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop").replicas(2).write());
    let keeper = engine
        .processes()
        .into_iter()
        .find(|found| found.command.split(' ').nth(1) == Some("keep") && found.command.contains("keepers/shop-"))
        .expect("a keeper runs");
    processes::signal(keeper.pid, Signal::KILL);
    until("two instances answer again", seconds(30), || {
        let status = engine.status("shop");
        status["running"][0]["instances"] == 2 && status["serving"]["release"] == 1 && keepers(&engine, "shop") == 2
    });
    assert!(!processes::is_alive(keeper.pid));
    let samples = || engine.processes().iter().filter(|found| found.command.ends_with(" sample")).count();
    until("no third copy runs", seconds(10), || samples() == 2);
    assert_eq!(engine.version("shop"), "v1");
}

#[test]
fn everything_is_back_after_a_reboot() {
    let mut engine = Engine::with(&[("PILOTHOUSE_BOOT_ID", "boot-one")]);
    engine.deploy_live(&App::sample(engine.home(), "shop").replicas(2).write());
    let folder = engine.home().join("pages");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("index.html"), "home").expect("a file");
    engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    engine.power_off();
    engine.set(&[("PILOTHOUSE_BOOT_ID", "boot-two")]);
    engine.run_engine();
    engine.await_status("shop", "both instances serve", |status| {
        status["serving"]["release"] == 1 && status["running"][0]["instances"] == 2
    });
    assert_eq!(engine.version("shop"), "v1");
    engine.await_status("pages", "the site serves", |status| status["serving"]["release"] == 1);
    assert_eq!(engine.get("pages", "/").body, "home");
}

#[test]
fn a_reboot_amid_a_deployment_ends_it_as_asked() {
    let mut engine = Engine::with(&[("PILOTHOUSE_BOOT_ID", "boot-one")]);
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let app = app.version("v2").env("SAMPLE_BOOT", "2s").write();
    let ran = engine.json(&["deploy", app.path(), "--detach"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    until("an instance of release 2 starts", seconds(20), || keepers(&engine, "shop") == 2);
    engine.power_off();
    engine.set(&[("PILOTHOUSE_BOOT_ID", "boot-two")]);
    engine.run_engine();
    engine.await_status("shop", "release 2 serves", |status| status["serving"]["release"] == 2);
    assert_eq!(engine.version("shop"), "v2");
}

#[test]
fn what_was_ended_with_its_engine_stays_ended_and_comes_back_with_it() {
    let mut engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop").replicas(3).write());
    engine.deploy_live(&App::sample(engine.home(), "other").replicas(3).write());
    let ran = engine.json(&["engine", "stop", "--everything"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    until("the engine has ended", seconds(10), || engine.ended().is_some());
    // At once, and after the time in which a controller would have started them again.
    let from = Instant::now();
    while from.elapsed() < Duration::from_millis(1500) {
        assert_eq!(engine.processes(), Vec::new(), "after {:?}", from.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    engine.run_engine();
    for app in ["shop", "other"] {
        engine.await_status(app, "all three serve again", |status| {
            status["serving"]["release"] == 1 && status["running"][0]["instances"] == 3
        });
    }
}

#[test]
fn a_stopped_app_stays_stopped_after_a_reboot() {
    let mut engine = Engine::with(&[("PILOTHOUSE_BOOT_ID", "boot-one")]);
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    assert_eq!(engine.json(&["stop", "shop"]).code, Some(0));
    engine.deploy_live(&App::sample(engine.home(), "other"));
    engine.power_off();
    engine.set(&[("PILOTHOUSE_BOOT_ID", "boot-two")]);
    engine.run_engine();
    engine.await_status("other", "the other app serves", |status| status["serving"]["release"] == 1);
    assert_eq!(keepers(&engine, "shop"), 0);
    assert!(engine.status("shop")["serving"].is_null());
}

// ---- the disk ----

#[test]
fn a_full_disk_stops_changes_and_never_what_serves() {
    let mut engine = Engine::absent();
    let disk = engine.home().join("s");
    fs::create_dir_all(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=400m", "none"]).arg(&disk).status();
    if !has("the right to mount a small disk", "run as root", mounted.is_ok_and(|status| status.success())) {
        return;
    }
    let _disk = Mounted(disk.clone());
    engine.run_engine();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let poll = engine.poll("shop");
    let filler = disk.join("filler");
    fill(&filler);
    let ran = engine.deploy(&app.version("v2").write());
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text().to_lowercase();
    assert!(text.contains("disk") || text.contains("full") || text.contains("space"), "the cause is named: {ran}");
    fs::remove_file(&filler).expect("the filler can be removed");
    // Without a restart: the journal takes records again.
    until("a deployment is accepted again", seconds(30), || {
        let ran = engine.deploy(&app_again(&engine));
        ran.code == Some(0)
    });
    assert_eq!(engine.version("shop"), "v3");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "the old release serves throughout: {seen:?}");
    engine.power_off();
}

fn app_again(engine: &Engine) -> App {
    App::sample(engine.home(), "shop").version("v3").write()
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// A mounted disk, unmounted at the end.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        processes::end_all(&self.0);
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
