//! A fixed port cannot be held twice: the old instance stops before the new one starts, and comes back when that fails.

use crate::support::{
    app::App,
    engine::Engine,
    wait::{seconds, until},
};

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Release 1 of `shop` serves on its fixed port.
fn serving() -> (Engine, App, u16) {
    let engine = Engine::start();
    let port = free_port();
    let mut app = App::sample(engine.home(), "shop");
    app.port = Some(port);
    let app = app.write();
    engine.deploy_live(&app);
    (engine, app, port)
}

fn keepers(engine: &Engine) -> usize {
    engine.processes().iter().filter(|found| found.command.contains("keepers/shop-")).count()
}

#[test]
fn a_release_takes_over_the_fixed_port_of_the_one_before() {
    let (engine, app, port) = serving();
    let app = app.version("v2").write();
    let plan = engine.cli(&["deploy", app.path(), "--plan"]);
    assert!(plan.stdout.contains(&format!("port {port} is fixed")) && plan.stdout.contains("503"), "{plan}");
    let poll = engine.poll("shop");
    engine.deploy_live(&app);
    let seen = poll.stop();
    let told = |line: &String| line.starts_with("503: ");
    assert!(seen.bad.iter().all(told), "whoever asks meanwhile is told to come again: {:?}", seen.bad);
    assert_eq!((engine.version("shop").as_str(), engine.serving("shop")), ("v2", Some(2)));
    until("one keeper runs", seconds(15), || keepers(&engine) == 1);

    engine.live(engine.json(&["rollback", "shop"]));
    assert_eq!((engine.version("shop").as_str(), engine.serving("shop")), ("v1", Some(1)));
    engine.live(engine.json(&["restart", "shop"]));
    assert_eq!(engine.version("shop"), "v1");
    until("one keeper runs", seconds(15), || keepers(&engine) == 1);
}

#[test]
fn the_release_before_comes_back_when_the_new_one_fails_on_its_port() {
    let (engine, app, _) = serving();
    let broken = app.version("v2").env("SAMPLE_UNHEALTHY", "1").ready_within("2s").write();
    engine.not_live(engine.deploy(&broken), "reverted");
    assert_eq!(engine.version("shop"), "v1");
    engine.await_status("shop", "release 1 serves again", |status| status["serving"]["release"] == 1);
    until("one keeper runs", seconds(15), || keepers(&engine) == 1);
    let exits = broken.without("SAMPLE_UNHEALTHY").command("exit 3").write();
    engine.not_live(engine.deploy(&exits), "reverted");
    assert_eq!(engine.version("shop"), "v1");
}

#[test]
fn a_cancel_while_the_port_changes_hands_brings_the_old_one_back() {
    let (engine, app, _) = serving();
    let slow = app.version("v2").env("SAMPLE_BOOT", "60s").ready_within("90s").write();
    let running = engine.begin(&["--json", "deploy", slow.path()]);
    until("the new one starts", seconds(20), || engine.snapshot()["instances"]["shop-2-a"].is_object());
    let fleet = engine.snapshot();
    let deployments = fleet["deployments"].as_object().expect("a map");
    let under_way = deployments.keys().max_by_key(|id| id.parse::<u64>().unwrap_or(0)).expect("one").clone();
    assert_eq!(engine.json(&["cancel", &under_way]).code, Some(0));
    engine.not_live(running.end(), "cancelled");
    assert_eq!(engine.version("shop"), "v1");
    engine.await_status("shop", "release 1 serves again", |status| status["serving"]["release"] == 1);
}
