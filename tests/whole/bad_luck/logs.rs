//! What apps write, however odd it is.

use serde_json::Value;

use crate::support::{
    app::App,
    engine::Engine,
    wait::{seconds, until},
};

#[test]
fn binary_junk_and_escapes_in_logs_are_shown_safely() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "noisy");
    let sample = app.command.clone();
    let junk = r"printf 'bell \007 esc \033[31mred\033[0m title \033]0;owned\007 nul \000 bad \377\376 end\n'; head -c 4096 /dev/urandom; echo; ";
    engine.deploy_live(&app.command(&format!("{junk} {sample}")).write());
    until("the line is in the logs", seconds(10), || engine.cli(&["logs", "noisy"]).stdout.contains("title"));
    let text = engine.cli(&["logs", "noisy"]);
    assert!(
        !text.stdout.bytes().any(|byte| byte < 0x20 && byte != b'\n' && byte != b'\t'),
        "a control byte reaches the terminal"
    );
    for line in engine.json(&["logs", "noisy"]).stdout.lines() {
        serde_json::from_str::<Value>(line).expect("each line is a document");
    }
}

#[test]
fn a_very_long_line_does_not_hurt() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "long");
    let sample = app.command.clone();
    engine.deploy_live(&app.command(&format!("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after; {sample}")).write());
    until("the line after it is in the logs", seconds(10), || engine.cli(&["logs", "long"]).stdout.contains("after"));
}
