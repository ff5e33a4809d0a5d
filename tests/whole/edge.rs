//! The edge from outside: replaced under load, killed meanwhile, asked by HTTPS as real clients do.

use std::{path::PathBuf, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    app::App,
    engine::Engine,
    http, processes,
    wait::{has, is_installed, seconds, until, until_some},
};

/// Processes that are edges.
fn edges(engine: &Engine) -> Vec<i32> {
    let found = engine.processes().into_iter();
    found.filter(|found| found.command.split(' ').nth(1) == Some("edge")).map(|found| found.pid).collect()
}

/// What the engine says of its edge.
fn status(engine: &Engine) -> Value {
    engine.json(&["engine", "status"]).document()["edge"].clone()
}

/// The one edge, once there is no other.
fn one_edge(engine: &Engine) -> i32 {
    until_some(
        "one edge is left",
        seconds(30),
        || edges(engine).try_into().ok().map(|[edge]: [i32; 1]| edge),
        || format!("{:?}\n{}", engine.processes(), engine.engine_output()),
    )
}

#[test]
fn an_edge_is_replaced_by_command_and_no_request_is_lost() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let (url, poll) = (engine.url("shop"), engine.poll("shop"));
    for _ in 0..3 {
        let before = one_edge(&engine);
        let ran = engine.json(&["edge", "replace"]);
        assert_eq!(ran.code, Some(0), "{ran}\n{}", engine.engine_output());
        assert!(ran.document()["outcome"].as_str().is_some_and(|what| what.contains("replaced")), "{ran}");
        assert_ne!(one_edge(&engine), before);
    }
    assert_eq!(engine.url("shop"), url);
    let seen = poll.stop();
    assert!(seen.bad.is_empty() && seen.answers() > 0, "{seen:?}");
    engine.json(&["engine", "stop", "--everything"]);
    assert_eq!(edges(&engine), [0; 0]);
}

#[test]
fn changed_settings_replace_the_edge_at_the_engines_start_and_bad_ones_do_not() {
    let mut engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let poll = engine.poll("shop");
    let first = one_edge(&engine);
    engine.kill_engine();
    engine.run_engine();
    engine.await_status("shop", "it serves", |status| status["serving"]["release"] == 1);
    assert_eq!(one_edge(&engine), first, "nothing changed");

    engine.kill_engine();
    engine.set(&[("PILOTHOUSE_EDGE_IDLE_TIMEOUT", "7s")]);
    engine.run_engine();
    until("another edge serves", seconds(30), || one_edge(&engine) != first);
    let second = one_edge(&engine);

    engine.kill_engine();
    engine.set(&[("PILOTHOUSE_EDGE_TRUSTED_PROXIES", "nobody")]);
    engine.run_engine();
    let told = |status: &Value| status["troubles"].to_string().contains("`nobody` is not an address");
    until("it is told why the edge was not replaced", seconds(30), || told(&status(&engine)));
    let ran = engine.json(&["edge", "replace"]);
    let problem = &ran.document()["problem"];
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(problem["what"].as_str().is_some_and(|what| what.contains("the old one serves on")), "{ran}");
    assert!(problem.to_string().contains("`nobody` is not an address"), "{ran}");
    assert_eq!(one_edge(&engine), second);
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
}

#[test]
fn whoever_is_killed_during_a_replace_one_edge_serves_in_the_end() {
    let mut engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let url = engine.url("shop");
    let keepers = |engine: &Engine| {
        let found = engine.processes().into_iter();
        found.filter(|found| found.command.contains(" keep ") && found.command.contains("keepers/edge")).count()
    };
    for victim in ["old", "new", "engine"] {
        for wait_ms in [0, 20, 60, 150] {
            let old = one_edge(&engine);
            let mut command = engine.begin(&["--json", "edge", "replace"]);
            std::thread::sleep(std::time::Duration::from_millis(wait_ms));
            match victim {
                "old" => processes::signal(old, Signal::KILL),
                "new" => {
                    edges(&engine).into_iter().filter(|pid| *pid != old).for_each(|new| processes::signal(new, Signal::KILL));
                }
                _ => {
                    engine.kill_engine();
                    engine.run_engine();
                }
            }
            until("the command ends", seconds(60), || !command.runs());
            until("one edge and one keeper of it are left", seconds(30), || edges(&engine).len() == 1 && keepers(&engine) == 1);
            until("it answers", seconds(10), || http::get(&url).is_ok_and(|answer| answer.status == 200));
        }
    }
    engine.await_status("shop", "it serves", |status| status["serving"]["release"] == 1);
}

/// What curl says of one request: `%{http_version} %{http_code} %{redirect_url}`.
fn curl(certificate: &PathBuf, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", "--noproxy", "*", "--cacert"]);
    command.arg(certificate).args(["--write-out", "%{http_version} %{http_code} %{redirect_url}"]).args(arguments);
    let ran = command.output().expect("curl runs");
    assert!(ran.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

#[test]
fn an_app_is_served_by_https_and_http2_to_a_real_client() {
    if !has("curl", "apt install curl", is_installed("curl")) {
        return;
    }
    let mut engine = Engine::absent();
    let made = rcgen::generate_simple_self_signed(vec!["shop.localhost".to_owned()]).unwrap();
    let (cert, key) = (engine.home().join("shop.pem"), engine.home().join("shop.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = engine.home().join("config.toml");
    let text =
        format!("[edge]\nhttps = [\"127.0.0.1:0\"]\nredirect = true\ncertificates = [{{ cert = {cert:?}, key = {key:?} }}]\n");
    std::fs::write(&config, text).unwrap();
    engine.set(&[("PILOTHOUSE_CONFIG", config.to_str().unwrap())]);
    engine.run_engine();
    let live = engine.deploy_live(&App::sample(engine.home(), "shop"));
    let url = live["url"].as_str().unwrap_or_default().to_owned();
    let port = url.strip_prefix("https://shop.localhost:").unwrap_or_else(|| panic!("{url} is by HTTPS"));
    let plain = status(&engine)["http"][0].as_str().and_then(|at| at.rsplit_once(':')).unwrap().1.to_owned();
    let at = [format!("shop.localhost:{port}:127.0.0.1"), format!("shop.localhost:{plain}:127.0.0.1")];
    let to = ["--resolve", at[0].as_str(), "--resolve", at[1].as_str()];
    let ask = |more: &[&str]| curl(&cert, &[to.as_slice(), more].concat());
    let path = format!("{url}/version");
    assert_eq!(ask(&["--http1.1", &path]), "1.1 200");
    assert_eq!(ask(&["--http2", &path]), "2 200");
    assert_eq!(ask(&["--http2", "--data", "x=1", &path]).split(' ').next(), Some("2"));
    let plain = format!("http://shop.localhost:{plain}/version");
    assert_eq!(ask(&[&plain]), format!("1.1 308 {path}"));
    assert_eq!(ask(&["--http2", "--location", &plain]), "2 200");

    let replaced = engine.json(&["edge", "replace"]);
    assert_eq!(replaced.code, Some(0), "{replaced}");
    assert_eq!(ask(&["--http2", &path]), "2 200", "by the next edge too");
}
