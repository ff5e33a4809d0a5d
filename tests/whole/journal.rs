//! The journal is the truth of a state folder: one engine holds it, a bad one is refused and told, a backup brings all back.

use std::{fs, path::Path, process::Command};

use crate::support::{
    app::App,
    engine::Engine,
    wait::{seconds, until, until_some},
};

/// A world with release 1 of `shop` serving.
fn serving() -> Engine {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    engine
}

#[test]
fn a_second_engine_is_refused_with_the_pid_of_the_first() {
    let engine = Engine::start();
    let ran = engine.cli(&["engine", "run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains(&engine.pid().to_string()), "{ran}");
}

#[test]
fn a_corrupt_journal_is_refused_and_never_overwritten() {
    let mut engine = serving();
    engine.kill_engine();
    let journal = engine.state().join("journal.db");
    for file in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(engine.state().join(file));
    }
    let junk = vec![0x5a_u8; 64 << 10];
    fs::write(&journal, &junk).expect("a file");
    let ran = engine.cli(&["engine", "run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text();
    assert!(text.contains("journal.db") && text.len() > 40, "the file and the way out are named: {ran}");
    assert_eq!(fs::read(&journal).expect("it is still there"), junk);
}

#[test]
fn a_newer_journal_is_refused_and_never_overwritten() {
    let mut engine = serving();
    engine.kill_engine();
    let journal = engine.state().join("journal.db");
    let database = rusqlite::Connection::open(&journal).expect("the journal is SQLite");
    database.pragma_update(None, "user_version", 9999).expect("the version can be written");
    drop(database);
    let ran = engine.cli(&["engine", "run"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.text().contains("newer") && ran.text().contains("journal.db"), "{ran}");
    let database = rusqlite::Connection::open(&journal).expect("the journal is SQLite");
    let version: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert_eq!(version, 9999);
}

#[test]
fn a_command_that_starts_the_engine_tells_at_once_why_it_does_not_run() {
    let mut engine = serving();
    engine.kill_engine();
    let journal = engine.state().join("journal.db");
    for file in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(engine.state().join(file));
    }
    fs::write(&journal, "").expect("a file");
    let ran = engine.json(&["apps"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let problem = &ran.document()["problem"];
    assert_eq!(problem["kind"], "conflict", "{ran}");
    assert!(problem["what"].as_str().is_some_and(|what| what.contains("empty")), "the cause itself is told: {ran}");
    assert!(problem["next"].as_str().is_some_and(|next| next.contains("backup")), "{ran}");
    assert_eq!(fs::metadata(&journal).expect("it is still there").len(), 0);
    let looked = engine.json(&["doctor"]);
    assert_eq!((looked.code, &looked.document()["ok"]), (Some(1), &false.into()), "{looked}");
    let checks = looked.document()["checks"].as_array().cloned().unwrap_or_default();
    assert!(checks.iter().any(|check| check["name"] == "journal" && check["usable"] == false), "{looked}");
}

#[test]
fn an_engine_says_nothing_false_of_what_served_on_without_it() {
    let mut engine = serving();
    let served = engine.status("shop");
    for ends in [Engine::kill_engine, Engine::stop_engine] {
        ends(&mut engine);
        engine.spawn_engine();
        let first = until_some("it tells of its apps", seconds(10), || engine.snapshot().as_object().cloned(), String::new);
        assert_eq!(first["apps"]["shop"]["serving"]["release"], 1, "{first:#?}");
        let told = engine.status("shop");
        for field in ["state", "running", "serving"] {
            assert_eq!(told[field], served[field], "{field}, since when too: {told:#}");
        }
        assert_eq!(told["instances"][0]["state"], "running", "{told:#}");
    }
}

/// A copy of `from` with all that is in it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success(), "{} is copied", from.display());
}

fn keepers(engine: &Engine) -> Vec<String> {
    let commands = engine.processes().into_iter().map(|found| found.command);
    commands.filter(|command| command.contains("keep ") && command.contains("/keepers/shop-")).collect()
}

#[test]
fn a_restored_folder_serves_what_it_held_and_ends_what_ran_in_its_place() {
    let mut engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    engine.stop_engine();
    let backup = engine.home().join("backup");
    copy(engine.state(), &backup);
    engine.run_engine();
    engine.deploy_live(&app.version("v2").write());
    engine.stop_engine();
    // Nobody ended the apps first: their keepers, and the edge's, lose their folders.
    fs::remove_dir_all(engine.state()).expect("the folder can be removed");
    copy(&backup, engine.state());
    engine.run_engine();
    engine.await_status("shop", "the release of the backup serves", |status| status["serving"]["release"] == 1);
    assert_eq!(engine.version("shop"), "v1");
    until("only the restored instance runs", seconds(15), || keepers(&engine).len() == 1);
    engine.stop_everything();
    assert!(engine.processes().is_empty(), "nothing is left behind: {:?}", engine.processes());
}

#[test]
fn an_older_journal_ends_what_it_does_not_know() {
    let mut engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    engine.stop_engine();
    let backup = engine.home().join("journal.db");
    copy(&engine.state().join("journal.db"), &backup);
    engine.run_engine();
    let app = app.version("v2").write();
    engine.deploy_live(&app);
    engine.stop_engine();
    copy(&backup, &engine.state().join("journal.db"));
    engine.run_engine();
    engine.await_status("shop", "the release of the journal serves", |status| status["serving"]["release"] == 1);
    until("what the journal does not know is ended", seconds(15), || keepers(&engine).len() == 1);
    // The number is given again, to another release.
    engine.deploy_live(&app.version("v3").write());
    assert_eq!(engine.version("shop"), "v3");
}
