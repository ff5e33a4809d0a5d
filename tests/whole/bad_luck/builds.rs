//! Builds that fail, never end, or take too much.

use std::time::{Duration, Instant};

use super::{disk_of, fails, keepers, serving, still_serves};
use crate::support::{
    engine::Engine,
    processes,
    wait::{seconds, until},
};

#[test]
fn a_build_that_fails_shows_its_last_lines() {
    let (engine, app) = serving();
    let document =
        fails(&engine, &app.build("echo compiling; echo missing-semicolon >&2; exit 7").write(), "failed", "exited with 7");
    assert!(document.to_string().contains("missing-semicolon"), "{document:#}");
    assert!(engine.json(&["logs", "shop", "--build"]).stdout.contains("missing-semicolon"));
    let never = engine.cli(&["logs", "shop", "--build=99"]);
    assert!(never.code == Some(1) && never.text().contains("there is no release 99 of shop"), "{never}");
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
