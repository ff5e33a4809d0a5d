//! Bad input: refused with its place and the next step.

use std::{fs, path::Path};

use super::{answers_all, refused, serving, still_serves};
use crate::support::{app::App, engine::Engine, wait::seconds};

#[test]
fn a_wrong_manifest_is_refused_with_line_and_nearest_key() {
    let (engine, app) = serving();
    fs::write(Path::new(app.path()).join("pilothouse.toml"), "name = \"shop\"\n[process.web]\ncomand = \"x\"\n").expect("a file");
    let ran = engine.deploy(&app);
    refused(&ran, "pilothouse.toml:3");
    assert!(ran.text().contains("command"), "{ran}");
    still_serves(&engine);
}

#[test]
fn a_source_that_nothing_recognises_is_refused_with_the_way_out() {
    let engine = Engine::start();
    let folder = engine.home().join("riddle");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("notes.txt"), "what am I?").expect("a file");
    let ran = engine.json(&["deploy", folder.to_str().expect("text")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains("--start") || ran.text().contains("pilothouse.toml"), "{ran}");
}

#[test]
fn what_is_not_there_is_refused_with_the_next_step() {
    let (engine, app) = serving();
    refused(&engine.json(&["logs", "shop", "--instance", "shop-1-b"]), "shop-1-a");
    refused(&engine.json(&["cancel", "1"]), "deployment 1 is over");
    refused(&engine.json(&["cancel", "99"]), "pilothouse deployments");
    let port = engine.json(&["deploy", app.path(), "--env", "PORT=80"]);
    assert_eq!(port.code, Some(2), "{port}");
    assert!(port.document()["problem"]["next"].as_str().is_some_and(|next| next.contains("--port N")), "{port}");
    still_serves(&engine);
}

#[test]
fn a_source_that_is_not_there_is_refused() {
    let engine = Engine::start();
    let ran = engine.json(&["deploy", "file:///nowhere/at/all.git"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let ran = engine.json(&["deploy", "/nowhere/at/all"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains("/nowhere/at/all"), "{ran}");
}

#[test]
fn a_private_repository_is_refused_without_a_prompt() {
    let engine = Engine::start();
    // As a forge answers for what one may not see.
    let port = answers_all(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"forge\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let ran = engine.json(&["deploy", &format!("http://127.0.0.1:{port}/private.git")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text();
    assert!(text.contains("private") || text.contains("credential") || text.contains("token"), "the fix is named: {ran}");
    assert!(ran.took < seconds(30), "{ran}");
}

#[test]
fn an_odd_name_is_refused_or_made_even() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "fine");
    let ran = engine.json(&["deploy", app.path(), "--name", "../../etc"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{ran}");
    let folder = engine.home().join("Ünser Shop; rm -rf $HOME");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("index.html"), "odd").expect("a file");
    let document = engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    let name = document["app"].as_str().expect("a name");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    assert_eq!(engine.get(name, "/").body, "odd");
}

#[test]
fn usage_errors_exit_with_2() {
    let engine = Engine::absent();
    for arguments in [&["deploy", "--port", "eighty"][..], &["scale", "shop"], &["frobnicate"], &["--nonsense"]] {
        assert_eq!(engine.cli(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn what_a_repository_says_never_reaches_the_terminal_as_it_is() {
    let engine = Engine::start();
    let folder = engine.home().join("e\u{1b}[31mvil");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("Procfile"), "web: echo # \u{1b}]0;title\u{7}\u{1b}[31mred\u{202e}\n").expect("a file");
    let path = folder.to_str().expect("text");
    for command in [
        &["detect", path][..],
        &["deploy", path, "--name", "evil", "--plan"],
        &["deploy", path, "--name", "evil", "--ref", "a\u{1b}[2J"],
        &["init", path],
    ] {
        let ran = engine.cli(command);
        let said = ran.text();
        assert!(!said.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{command:?}: {said:?}");
    }
    let shown = engine.cli(&["detect", path]).text();
    assert!(shown.contains("\\u{1b}[31mred\\u{202e}"), "it is told all the same: {shown}");
}
