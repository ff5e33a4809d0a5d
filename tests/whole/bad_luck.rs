//! Bad input and bad luck: each ends in a stated state, names cause and next step, keeps the old release serving, and
//! leaves nothing behind.

mod builds;
mod deaths;
mod disk;
mod falsehood;
mod input;
mod logs;
mod starts;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
};

use serde_json::Value;

use crate::support::{
    app::App,
    engine::{Engine, Ran},
    wait::{seconds, until},
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

/// A server that answers everybody with `answer`, for as long as the test runs; gives its port.
fn answers_all(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Bytes that the files below `path` take.
pub(crate) fn disk_of(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let below = fs::read_dir(path).map_or(0, |entries| entries.flatten().map(|entry| disk_of(&entry.path())).sum());
    if meta.is_dir() { below } else { meta.len() }
}
