//! The demo from outside: two apps that serve, one of them under load; it outlives its engine, and its removal leaves
//! nothing.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::{
    engine::Engine,
    http, processes,
    terminal::Terminal,
    wait::{seconds, until},
};

/// The port of `http://NAME.localhost:PORT`.
fn port(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok()).expect("a URL with a port")
}

#[test]
fn the_demo_serves_under_load_outlives_its_engine_and_is_removed_without_a_trace() {
    let engine = Engine::absent();
    let ran = engine.json(&["demo", "--headless"]);
    assert_eq!(ran.code, Some(0), "{ran}\n{}", engine.engine_output());
    let document = ran.document();
    let urls: Vec<String> =
        document["urls"].as_array().expect("a list").iter().map(|url| url.as_str().expect("a URL").to_owned()).collect();
    assert_eq!(urls.len(), 2, "{document:#}");
    let answer = |url: &str| http::get(url).is_ok_and(|answer| answer.status == 200);
    assert!(urls.iter().all(|url| answer(url)), "both answer");
    let most = u32::try_from(
        document["apps"].as_array().expect("a list").iter().filter_map(|app| app["instances"].as_u64()).max().unwrap_or(0),
    );
    assert_eq!(most, Ok(2), "one has two replicas: {document:#}");

    let loaded = document["load"]["app"].as_str().expect("a name").to_owned();
    let rate = || {
        let fleet = engine.snapshot();
        let last = fleet["app_history"][&loaded].as_array().and_then(|history| history.last()).cloned().unwrap_or_default();
        last["requests_per_s"].as_f64().unwrap_or(0.0)
    };
    until("the load is measured", seconds(30), || rate() > 1.0);
    let bound = document["load"]["per_second"].as_f64().expect("a bound");
    assert!(rate() <= bound * 1.5, "{} of at most {bound} per second", rate());

    let pid = engine.json(&["engine", "status"]).document()["pid"].as_i64().expect("a pid");
    processes::signal(i32::try_from(pid).expect("a pid"), Signal::KILL);
    until("the engine is dead", seconds(5), || !processes::is_alive(i32::try_from(pid).expect("a pid")));
    assert!(urls.iter().all(|url| answer(url)), "both answer without their engine");
    let again = engine.json(&["demo", "--headless"]);
    assert_eq!(again.code, Some(0), "it goes on: {again}");
    assert_eq!(again.document()["urls"], document["urls"]);

    let removed = engine.json(&["demo", "--remove"]);
    assert_eq!(removed.code, Some(0), "{removed}");
    assert_eq!(engine.processes(), Vec::new());
    assert!(!engine.state().exists(), "its folder is gone");
    // No other test runs meanwhile: `.config/nextest.toml` says so.
    assert!(TcpStream::connect(("127.0.0.1", port(&urls[0]))).is_err(), "its port is free");
    let twice = engine.json(&["demo", "--remove"]);
    assert_eq!(twice.code, Some(0), "what is gone is no error: {twice}");
}

#[test]
fn a_demo_whose_engine_was_killed_is_removed_all_the_same() {
    let engine = Engine::absent();
    assert_eq!(engine.json(&["demo", "--headless"]).code, Some(0));
    let pid = engine.json(&["engine", "status"]).document()["pid"].as_i64().expect("a pid");
    processes::signal(i32::try_from(pid).expect("a pid"), Signal::KILL);
    let removed = engine.json(&["demo", "--remove"]);
    assert_eq!(removed.code, Some(0), "{removed}");
    assert_eq!(engine.processes(), Vec::new());
    assert!(!engine.state().exists(), "its folder is gone");
}

#[test]
fn a_console_says_that_its_demo_was_removed() {
    let engine = Engine::absent();
    let mut terminal = Terminal::start(80, 24, &["--state", engine.state().to_str().expect("text"), "demo"]);
    terminal.await_text("2 Apps");
    let removed = engine.cli(&["demo", "--remove"]);
    assert_eq!(removed.code, Some(0), "{removed}");
    terminal.await_screen("it says so", seconds(20), |screen| screen.contains("The demo was removed from outside"));
    terminal.keys("\r");
    assert_eq!(terminal.end(), 0);
    terminal.await_screen("and how to begin another", seconds(5), |screen| screen.contains("it was removed meanwhile"));
}
