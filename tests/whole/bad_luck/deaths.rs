//! Parts that die: engine, edge, keeper, the whole machine.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{keepers, serving};
use crate::support::{
    app::App,
    engine::Engine,
    http, processes,
    wait::{seconds, until},
};

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

#[test]
fn an_engine_that_does_not_answer_is_never_said_to_have_stopped() {
    let (engine, _app) = serving();
    let url = engine.url("shop");
    fs::remove_file(engine.state().join("engine.sock")).expect("a socket");
    for command in [&["engine", "stop"][..], &["engine", "status"]] {
        let ran = engine.json(command);
        assert_eq!(ran.code, Some(1), "{ran}");
        let problem = ran.document()["problem"].clone();
        assert!(problem["what"].as_str().is_some_and(|what| what.contains(&format!("(pid {})", engine.pid()))), "{problem:#}");
        assert!(problem["next"].as_str().is_some_and(|next| next.contains("kill ")), "{problem:#}");
    }
    assert_eq!(http::get(&url).expect("the edge answers").status, 200, "what serves goes on");
}

#[test]
fn a_hung_edge_is_told_and_another_is_started() {
    let (engine, _app) = serving();
    let hung = edge_pid(&engine).expect("an edge runs");
    processes::signal(hung, Signal::STOP);
    engine.await_status("shop", "nothing serves", |status| status["serving"].is_null());
    assert_eq!(engine.status("shop")["state"], "down");
    until("another edge runs", seconds(60), || edge_pid(&engine).is_some_and(|pid| pid != hung));
    engine.await_status("shop", "it serves again", |status| status["serving"]["release"] == 1);
    assert_eq!(engine.version("shop"), "v1");
}

#[test]
fn what_serves_is_told_as_such_by_an_engine_that_is_back_amid_a_build() {
    let (mut engine, app) = serving();
    let app = app.version("v2").build("sleep 600").write();
    let mut running = engine.begin(&["--json", "deploy", app.path()]);
    until("it builds", seconds(20), || engine.status("shop")["last_deployment"]["state"] == "building");
    engine.kill_engine();
    engine.run_engine();
    engine.await_status("shop", "release 1 serves", |status| status["serving"]["release"] == 1);
    assert_eq!(engine.status("shop")["last_deployment"]["state"], "building");
    assert_eq!(engine.json(&["cancel", "2"]).code, Some(0));
    until("the command ends", seconds(30), || !running.runs());
    assert_eq!(engine.status("shop")["serving"]["release"], 1, "and after it");
}
