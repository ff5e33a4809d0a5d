//! What the command line refuses as wrongly said, and how it says what it did.

use std::fs;

use serde_json::json;

use crate::support::{app::App, engine::Engine};

#[test]
fn a_setting_that_a_running_engine_does_not_follow_is_refused_with_the_way() {
    let engine = Engine::absent();
    let app = App::sample(engine.home(), "shop");
    // The engine is started by this very command: the setting counts.
    let ran = engine.json(&["--set", "engine.grace=1h", "deploy", app.path()]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let late = engine.json(&["engine", "status"]).document()["late_settings"].clone();
    assert_eq!(late, json!([{ "setting": "engine.grace", "engine": "1h", "here": "5m" }]));
    let told = engine.cli(&["engine", "status"]);
    assert!(told.stdout.contains("engine.grace is 1h until the engine's next start, then 5m"), "{told}");

    for words in [&["deploy", app.path()][..], &["apps"], &["engine", "start"]] {
        let refused = engine.cli(&[&["--set", "engine.grace=2h"], words].concat());
        assert_eq!(refused.code, Some(2), "{refused}");
        let said = refused.text();
        let way = "engine start --set engine.grace=2h";
        assert!(said.contains("engine.grace=1h") && said.contains("engine stop") && said.contains(way), "{refused}");
    }
    for same in ["engine.grace=60m", "console.reduced_motion=true"] {
        let ran = engine.cli(&["--set", same, "apps"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    assert_eq!(engine.serving("shop"), Some(1));

    // As it was told.
    assert_eq!(engine.cli(&["engine", "stop"]).code, Some(0));
    assert_eq!(engine.cli(&["engine", "start", "--set", "engine.grace=2h"]).code, Some(0));
    let ran = engine.cli(&["--set", "engine.grace=2h", "apps"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn nothing_is_started_to_end_everything_where_nothing_was() {
    let engine = Engine::absent();
    let ran = engine.json(&["engine", "stop", "--everything"]);
    assert_eq!((ran.code, ran.document()["outcome"].as_str()), (Some(0), Some("was not running")), "{ran}");
    assert!(!engine.state().join("journal.db").exists() && engine.processes().is_empty());
}

#[test]
fn an_edge_that_was_ended_is_not_started_again() {
    let engine = Engine::absent();
    for _ in 0..3 {
        assert_eq!(engine.cli(&["engine", "start"]).code, Some(0));
        assert_eq!(engine.cli(&["engine", "stop", "--everything"]).code, Some(0));
        let again = engine.json(&["engine", "stop", "--everything"]);
        assert_eq!(again.document()["outcome"], "was not running", "{again}");
        assert!(engine.processes().is_empty(), "{:?}", engine.processes());
    }
}

#[test]
fn the_edges_own_name_is_no_apps() {
    let engine = Engine::absent();
    let app = App::sample(engine.home(), "edge");
    let refused = engine.cli(&["deploy", app.path()]);
    assert!(refused.code == Some(1) && refused.text().contains("--name edge-app"), "{refused}");
    assert!(engine.json(&["apps"]).document().as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_value_of_the_wrong_form_is_a_usage_error_with_an_example() {
    let engine = Engine::absent();
    for (arguments, example) in [
        (&["deploy", "--env", "BAD"][..], "--env LOG_LEVEL=info"),
        (&["deploy", "--env", "1X=y"], "LOG_LEVEL=info"),
        (&["deploy", "--secret", "TOKEN=hunter2-hunter2"], "store:NAME"),
        (&["deploy", "--secret", "hunter2-hunter2"], "--secret DATABASE_URL=store:shop-db"),
        (&["deploy", "--port", "eighty"], "8080"),
        (&["deploy", "--replicas", "101"], "from 1 to 100"),
        (&["deploy", "--image", "no image"], "nginx:1.27"),
        (&["deploy", "--runtime", "jail"], "docker"),
        (&["deploy", "--strategy", "blue"], "rolling"),
        (&["deploy", "--name", "My Shop"], "--name my-shop"),
        (&["scale", "shop", "999"], "from 1 to 100"),
        (&["logs", "shop", "--since", "tomorrow"], "10m"),
        (&["logs", "shop", "--tail", "all"], "100"),
        (&["logs", "shop", "--build=x"], "such as 7"),
        (&["wait", "shop", "--timeout", "long"], "15m"),
        (&["deployments", "-n", "many"], "100"),
        (&["rollback", "shop", "last"], "such as 7"),
        (&["--set", "edge.threads", "apps"], "--set edge.threads=2"),
        (&["--set", "edge.thread=2", "apps"], "edge.threads"),
        (&["--set", "engine.grace=10", "apps"], "30s"),
    ] {
        let ran = engine.cli(arguments);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(example), "`{example}` is named: {ran}");
        assert!(!ran.text().contains("hunter2"), "it may be a value: {ran}");
        let document = engine.json(arguments).document();
        assert!(document["problem"]["what"].is_string(), "{document:#}");
    }
    assert!(!engine.state().exists(), "nothing was started for it");
}

#[test]
fn completions_are_one_document_with_the_script_in_it() {
    let engine = Engine::absent();
    let script = engine.cli(&["completions", "bash"]).stdout;
    let document = engine.json(&["completions", "bash"]).document();
    assert_eq!(document, json!({ "shell": "bash", "completions": script }));
}

#[test]
fn each_step_and_each_undo_is_told_once() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let ran = engine.cli(&["deploy", app.command("exit 3").write().path()]);
    assert_eq!(ran.code, Some(1), "{ran}");
    // Without the time at which it was told, and how long it took.
    let deed = |line: &str| line.split_whitespace().find(|word| word.contains('/')).map(str::to_owned);
    let undone: Vec<String> = ran.stderr.lines().filter(|line| line.contains('↶')).filter_map(deed).collect();
    let mut once = undone.clone();
    once.sort();
    once.dedup();
    assert!(!undone.is_empty() && undone.len() == once.len(), "{ran}");
    let places: Vec<&str> = ran.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("at ")).collect();
    assert!(places.iter().all(|place| !ran.stderr.contains(&format!("(at {place})"))), "the place is told once: {ran}");
}

#[test]
fn a_name_made_from_a_folder_keeps_its_letters_and_is_told() {
    let engine = Engine::start();
    let folder = engine.home().join("Café Ærø");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("index.html"), "coffee").expect("a file");
    let path = folder.to_str().expect("text");
    let planned = engine.cli(&["deploy", path, "--plan"]);
    assert!(planned.stdout.contains("cafe-aero, made from `Café Ærø`"), "{planned}");
    let ran = engine.cli(&["deploy", path]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("named cafe-aero, from `Café Ærø`; --name gives another"), "{ran}");
    assert_eq!(engine.get("cafe-aero", "/").body, "coffee");
    let named = engine.cli(&["deploy", path, "--name", "kaffee"]);
    assert!(named.code == Some(0) && !named.text().contains("made from"), "{named}");
    let written = engine.cli(&["init", path]);
    assert!(written.stderr.contains("named cafe-aero"), "{written}");
}

#[test]
fn one_app_is_told_as_one() {
    let engine = Engine::start();
    let secret = |value: &str| {
        let file = engine.home().join("value");
        fs::write(&file, value).expect("a file");
        engine.cli(&["secret", "set", "key", "--from-file", file.to_str().expect("text")])
    };
    assert_eq!(secret("a-value-of-some-length").code, Some(0));
    let app = App::sample(engine.home(), "shop");
    let deployed = engine.json(&["deploy", app.path(), "--secret", "KEY=store:key"]);
    engine.live(deployed);
    let again = secret("another-value-of-some-length");
    assert!(again.stdout.contains("shop gets it when it is restarted"), "{again}");
}
