//! Another program has the port of the edge.

use std::net::TcpListener;

use serde_json::Value;

use crate::support::{
    app::App,
    engine::Engine,
    wait::{seconds, until, until_some},
};

/// This process, which holds the port.
fn me() -> String {
    format!("(pid {})", std::process::id())
}

fn edge(engine: &Engine) -> Value {
    engine.json(&["engine", "status"]).document()["edge"].clone()
}

#[test]
fn an_asked_port_that_is_taken_is_told_everywhere_until_it_is_free() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = held.local_addr().expect("an address");
    let engine = Engine::with(&[("PILOTHOUSE_EDGE_HTTP", &address.to_string())]);
    let taken = format!("port {} is taken by", address.port());
    let tells = |text: &str| text.contains(&taken) && text.contains(&me()) && text.contains("edge.http");

    let troubles = until_some(
        "the engine knows",
        seconds(20),
        || Some(edge(&engine)["troubles"].to_string()).filter(|told| told.contains(&taken)),
        || engine.engine_output(),
    );
    assert!(tells(&troubles), "{troubles}");
    for words in [&["engine", "status"][..], &["doctor"]] {
        let ran = engine.cli(words);
        assert!(tells(&ran.text()), "{ran}");
    }
    let app = App::sample(engine.home(), "shop");
    let ran = engine.cli(&["deploy", app.path()]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(tells(&ran.text()) && ran.text().contains("shop failed"), "{ran}");

    drop(held);
    until("the edge serves", seconds(30), || edge(&engine)["up"] == true);
    assert_eq!(edge(&engine)["troubles"], serde_json::json!([]));
    engine.deploy_live(&app);
    assert!(engine.url("shop").contains(&format!(":{}", address.port())), "{}", engine.url("shop"));
}

#[test]
fn a_port_of_before_that_is_taken_is_another_one_and_that_is_an_event() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = held.local_addr().expect("an address").port();
    let mut engine = Engine::absent();
    std::fs::create_dir_all(engine.state().join("edge")).expect("a folder");
    let remembered = serde_json::json!({ "asked": [], "http": [format!("127.0.0.1:{port}")] });
    std::fs::write(engine.state().join("edge/ports.json"), remembered.to_string()).expect("a file");
    engine.run_engine();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let now = edge(&engine)["http"][0].as_str().and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok());
    let now = now.expect("a port");
    assert_ne!(now, port);
    let events = engine.snapshot()["events"].clone();
    let told = |event: &Value| {
        let what = event["what"].as_str().unwrap_or_default();
        event["subject"] == "edge"
            && [format!("port {port} is taken by"), me(), format!("port {now} now")].iter().all(|part| what.contains(part))
    };
    assert!(events.as_array().is_some_and(|events| events.iter().any(told)), "{events:#}");
    let ran = engine.cli(&["doctor"]);
    assert!(ran.text().contains(&format!("port {now} now")), "{ran}");
}
