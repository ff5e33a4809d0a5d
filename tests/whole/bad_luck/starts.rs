//! Apps that do not start, or do not stay.

use std::time::Instant;

use super::{answers_all, fails, free_port, serving};
use crate::support::{
    app::App,
    engine::Engine,
    http,
    wait::{seconds, until},
};

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
    let port = answers_all("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nstranger");
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
