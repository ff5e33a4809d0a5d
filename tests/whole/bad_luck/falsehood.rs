//! Success that is none: it is never shown as live.

use super::{fails, keepers, serving};
use crate::support::{
    app::App,
    engine::Engine,
    wait::{seconds, until},
};

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
