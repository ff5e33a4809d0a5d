//! Bad luck from around an app: what its source points to, the clock, other operators, its own noise.

use std::{fs, path::Path};

use crate::{
    bad_luck::{disk_of, keepers, serving, still_serves},
    support::{
        app::App,
        engine::{Engine, Ran},
        git::Repository,
        http,
        wait::{has, is_installed, seconds, until},
    },
};

/// Deploys something else over release 1 of `shop`, which serves throughout; wants that to end in `state` with each of
/// `told` in its words.
fn ends(engine: &Engine, arguments: &[&str], state: &str, told: &[&str]) {
    let poll = engine.poll("shop");
    let ran = engine.json(arguments);
    let text = ran.text();
    engine.not_live(ran, state);
    for part in told {
        assert!(text.contains(part), "`{part}` is told: {text}");
    }
    let seen = poll.stop();
    assert!(seen.bad.is_empty() && seen.answers() > 0, "release 1 serves throughout: {seen:?}");
    still_serves(engine);
}

#[test]
fn a_submodule_that_is_not_there_is_named() {
    if !has("git", "apt-get install git", is_installed("git")) {
        return;
    }
    let (engine, app) = serving();
    let theme = Repository::with(engine.home().join("git/theme"), &[("theme.css", "body {}")]);
    let shop = Repository::from(engine.home().join("git/shop"), Path::new(app.path()));
    shop.git(&["-c", "protocol.file.allow=always", "submodule", "add", "-q", &theme.url(), "vendor/theme"]);
    shop.commit("with a theme", &[]);
    engine.live(engine.json(&["deploy", &shop.url(), "--name", "themed"]));
    fs::remove_dir_all(theme.folder()).expect("it is there");
    ends(&engine, &["deploy", &shop.url(), "--name", "shop"], "failed", &["git/theme", "submodule"]);
}

#[test]
fn a_lock_file_that_does_not_match_is_named_with_what_mends_it() {
    if !has("npm", "apt-get install npm", is_installed("npm")) {
        return;
    }
    let (engine, app) = serving();
    // Of a folder, so that no registry is asked.
    let package =
        r#"{"name": "shop", "version": "1.0.0", "scripts": {"start": "node ."}, "dependencies": {"tide": "file:./tide"}}"#;
    let lock = r#"{"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {"": {"name": "shop", "version": "1.0.0"}}}"#;
    let app = app
        .file("package.json", package)
        .file("package-lock.json", lock)
        .file("tide/package.json", r#"{"name": "tide", "version": "1.0.0"}"#);
    let told = ["package-lock.json", "`npm install`", "commit"];
    ends(&engine, &["deploy", app.path(), "--name", "shop"], "failed", &told);
}

#[test]
fn a_clock_that_jumps_by_hours_changes_nothing() {
    let mut engine = Engine::absent();
    let shift = engine.home().join("shift");
    let jump = |hours: i64| fs::write(&shift, (hours * 3600).to_string()).expect("a file");
    jump(0);
    engine.set(&[("PILOTHOUSE_CLOCK_SHIFT", shift.to_str().expect("text"))]);
    engine.run_engine();
    // Its worker has to have run for a while before it counts as ready.
    let worker = "[process.jobs]\ncommand = \"exec sleep 100000\"\n";
    let app = App::sample(engine.home(), "shop").tables(worker).write();
    engine.deploy_live(&app);
    let poll = engine.poll("shop");
    let mut app = app.env("SAMPLE_BOOT", "1s");
    for (release, hours) in [(2, 7), (3, -9), (4, 0)] {
        app = app.version(&format!("v{release}")).write();
        let deploying = engine.begin(&["--json", "deploy", app.path()]);
        engine.await_status("shop", "its instances start", |status| {
            status["instances"].as_array().is_some_and(|list| list.iter().any(|one| one["release"] == release))
        });
        jump(hours);
        engine.live(deploying.end());
        assert_eq!(engine.version("shop"), format!("v{release}"));
    }
    // It is no other with an engine that begins in another hour.
    jump(-30);
    engine.kill_engine();
    engine.run_engine();
    engine.await_status("shop", "release 4 serves", |status| status["serving"]["release"] == 4);
    engine.live(engine.json(&["rollback", "shop"]));
    assert_eq!(engine.version("shop"), "v3");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
}

#[test]
fn two_operators_at_once_are_both_told_how_it_ended() {
    let (engine, app) = serving();
    let path = app.path().to_owned();
    engine.deploy_live(&app.version("v2").write());
    let poll = engine.poll("shop");
    let rounds: [[&[&str]; 2]; 3] = [
        [&["--json", "deploy", &path], &["--json", "deploy", &path]],
        [&["--json", "rollback", "shop", "1"], &["--json", "deploy", &path]],
        [&["--json", "restart", "shop"], &["--json", "deploy", &path]],
    ];
    for round in rounds {
        let running = round.map(|arguments| engine.begin(arguments));
        let ended = running.map(|running| {
            let ran = running.end();
            (ran.document(), ran)
        });
        // Whoever was first is told of the other, or was live before the other began.
        for (document, ran) in &ended {
            let state = document["state"].as_str().unwrap_or_default();
            let code = if state == "live" { Some(0) } else { Some(1) };
            assert!(matches!(state, "live" | "superseded") && ran.code == code, "{ran}");
            let is_told = |field: &str| !document[field].is_null();
            assert!(state == "live" || is_told("cause") && is_told("next"), "{ran}");
        }
        let newest = ended.iter().max_by_key(|(document, _)| document["deployment"].as_u64()).expect("two");
        assert_eq!(newest.0["state"], "live", "the newer wish is met: {}", newest.1);
        assert_eq!(engine.serving("shop"), newest.0["release"].as_u64(), "{}", newest.1);
    }
    let seen = poll.stop();
    assert!(seen.bad.is_empty() && seen.answers() > 0, "{seen:?}");
    engine.has_no_scratch();
}

#[test]
fn a_hundred_thousand_log_lines_a_second_hurt_nobody() {
    let (engine, app) = serving();
    let sample = app.command.clone();
    // Some 200,000 lines a second, for as long as it runs.
    let flood = "(while :; do yes 'one of a hundred thousand lines a second' | head -n 20000; sleep 0.1; done) &";
    let noisy = app.version("v2").command(&format!("{flood} {sample}")).env("SAMPLE_UNHEALTHY", "1").ready_within("5s").write();
    // On a busy machine it may not even come to listen.
    ends(&engine, &["deploy", noisy.path()], "reverted", &["did not"]);
    let noisy = noisy.without("SAMPLE_UNHEALTHY").ready_within("20s").write();
    let poll = engine.poll("shop");
    let document = engine.deploy_live(&noisy);
    let kept = || engine.state().join("keepers").join(format!("shop-{}-a", document["release"])).join("log");
    // Its log has been written from its beginning to its bound: what is older goes.
    let bound = 100 << 20;
    let turned = || fs::read_dir(kept()).map_or(0, Iterator::count) > 2;
    until("its log was turned over", seconds(60), turned);
    assert!(disk_of(&kept()) <= bound, "{} MB are kept", disk_of(&kept()) >> 20);
    let url = engine.url("shop");
    assert_eq!(http::get(&format!("{url}/version")).expect("it answers").json()["version"], "v2");
    let log: Ran = engine.cli(&["logs", "shop", "--tail", "5"]);
    assert!(log.code == Some(0) && log.stdout.lines().count() == 5, "{log}");
    let quiet = noisy.command(&sample).version("v3").write();
    engine.deploy_live(&quiet);
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    assert_eq!(engine.json(&["--yes", "remove", "shop"]).code, Some(0));
    until("no keeper of shop runs", seconds(30), || keepers(&engine, "shop") == 0);
    engine.leaves_nothing_of("shop");
}
