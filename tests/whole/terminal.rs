//! The console in a real terminal: few tests, for what its own tests without one cannot show.

use rustix::process::Signal;

use crate::support::{
    app::App,
    engine::Engine,
    http, processes,
    terminal::Terminal,
    wait::{seconds, until, until_some},
};

/// Opens the console on a test's engine.
fn open(engine: &Engine, columns: u16, rows: u16) -> Terminal {
    let terminal = Terminal::start(columns, rows, &["--state", engine.state().to_str().expect("text")]);
    terminal.await_text("2 Apps");
    terminal
}

#[test]
fn a_deploy_by_keys_ends_in_a_page() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    let mut terminal = open(&engine, 120, 40);
    terminal.keys("n");
    terminal.await_screen("a form that asks for a source", seconds(10), |screen| screen.to_lowercase().contains("source"));
    terminal.keys(app.path());
    terminal.await_text("apps/shop");
    terminal.keys("\r");
    terminal.await_text("● What it is");
    terminal.keys("\r\r\r\r");
    terminal.await_text("Enter deploy");
    terminal.keys("\r");
    let answers = || {
        let status = engine.json(&["status", "shop"]);
        let url = (status.code == Some(0)).then(|| status.document()["url"].as_str().map(str::to_owned)).flatten();
        url.filter(|url| http::get(url).is_ok_and(|page| page.status == 200 && page.body.contains("shop v1")))
    };
    until_some("the page answers", seconds(30), answers, || terminal.text());
    terminal.keys("\x1b\x1b2");
    terminal
        .await_screen("the app is shown serving", seconds(10), |screen| screen.contains("shop") && screen.contains("serving"));
    quit(&mut terminal);
    assert_eq!(engine.version("shop"), "v1");
}

#[test]
fn a_console_starts_an_engine_that_was_killed_and_says_how_one_that_was_stopped_is_started() {
    let mut engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let mut terminal = open(&engine, 120, 40);
    engine.kill_engine();
    terminal.await_text("the engine was gone: it is started again");
    until("it answers", seconds(20), || engine.answers());
    assert_eq!(engine.cli(&["engine", "stop"]).code, Some(0));
    // Its line may be broken anywhere.
    let is_told = |screen: &str| screen.contains("the engine does not run") && screen.contains("try: pilothouse");
    terminal.await_screen("how it is started is said", seconds(20), is_told);
    assert!(!engine.answers(), "what was stopped is left at rest");
    quit(&mut terminal);
}

/// `q` goes back, then leaves.
fn quit(terminal: &mut Terminal) {
    for _ in 0..5 {
        if !processes::is_alive(terminal.pid()) {
            break;
        }
        terminal.keys("q");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(terminal.end(), 0);
    until("the terminal is given back", seconds(2), || terminal.is_restored());
}

#[test]
fn the_console_starts_an_engine_and_leaves_it_running() {
    let engine = Engine::absent();
    let mut terminal = open(&engine, 80, 24);
    quit(&mut terminal);
    let status = engine.json(&["engine", "status"]);
    assert_eq!(status.code, Some(0), "{status}");
}

#[test]
fn a_terminal_too_small_says_so_and_is_right_again_when_it_grows() {
    let engine = Engine::start();
    let mut terminal = open(&engine, 80, 24);
    terminal.resize(20, 5);
    terminal
        .await_screen("something is still said", seconds(5), |screen| !screen.trim().is_empty() && !screen.contains("2 Apps"));
    terminal.keys("jk?:\x1b\x1b");
    assert!(processes::is_alive(terminal.pid()));
    terminal.resize(200, 60);
    terminal.await_text("2 Apps");
    quit(&mut terminal);
}

#[test]
fn a_console_told_to_end_gives_the_terminal_back() {
    let engine = Engine::start();
    let mut terminal = open(&engine, 80, 24);
    processes::signal(terminal.pid(), Signal::TERM);
    terminal.end();
    until("the terminal is given back", seconds(2), || terminal.is_restored());
}

#[test]
fn a_killed_console_stops_nothing() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let mut terminal = open(&engine, 80, 24);
    processes::signal(terminal.pid(), Signal::KILL);
    terminal.end();
    assert_eq!(engine.version("shop"), "v1");
    assert_eq!(engine.json(&["engine", "status"]).code, Some(0));
}

#[test]
fn a_console_outlives_its_engine_and_finds_the_next_one() {
    let mut engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let mut terminal = open(&engine, 120, 40);
    terminal.keys("2");
    terminal.await_text("shop");
    engine.kill_engine();
    terminal.await_text("no answer");
    assert!(terminal.text().contains("shop"), "what was seen last stays");
    engine.run_engine();
    engine.deploy_live(&App::sample(engine.home(), "later"));
    terminal.await_text("later");
    quit(&mut terminal);
}
