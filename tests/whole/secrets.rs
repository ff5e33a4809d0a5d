//! Secrets: kept sealed, given to builds and instances, and shown nowhere, by real runs and a look at everything written.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    app::{App, binary},
    engine::{Engine, Ran},
    processes,
    wait::{seconds, until},
};

const VALUE: &str = "pa55/w0rd of-7f3e91";

/// `pilothouse secret set NAME` with the value on standard input.
fn set(engine: &Engine, name: &str, value: &str) -> Ran {
    let file = engine.home().join("value");
    fs::write(&file, format!("{value}\n")).expect("a file can be written");
    let ran = engine.json(&["secret", "set", name, "--from-file", file.to_str().expect("text")]);
    fs::remove_file(file).expect("the file can be removed");
    ran
}

/// Files below `folder` that hold `text`.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap_or_default();
                if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

/// Wants the value in no file of the state, no process list, no snapshot and none of these outputs.
fn is_nowhere(engine: &Engine, value: &str, ran: &[&Ran]) {
    assert_eq!(holding(engine.state(), value), Vec::<String>::new());
    assert!(!engine.snapshot().to_string().contains(value), "the API shows it");
    let listed: Vec<_> = engine.processes().into_iter().filter(|process| process.command.contains(value)).collect();
    assert!(listed.is_empty(), "{listed:?}");
    for ran in ran {
        assert!(!ran.text().contains(value), "{ran}");
    }
}

fn logs(engine: &Engine, arguments: &[&str]) -> Ran {
    engine.cli(&[&["logs"], arguments].concat())
}

#[test]
fn a_secret_reaches_build_and_app_and_stands_nowhere() {
    let engine = Engine::start();
    let done = set(&engine, "shop-db", VALUE);
    assert_eq!(done.code, Some(0), "{done}");
    // Printed by the build, on both streams, in pieces, encoded, and in what the page says about itself.
    let encoded = "import os,urllib.parse,base64;v=os.environ['DB'];print('enc',urllib.parse.quote(v,safe=''),base64.b64encode(('me:'+v).encode()).decode(),flush=True)";
    let start = format!(
        "echo \"out $DB\"; echo \"err $DB\" >&2; printf 'half pa55/w0'; sleep 0.4; printf 'rd of-7f3e91\\n'; python3 -c \"{encoded}\"; exec {} sample",
        binary().display()
    );
    let app = App::of(engine.home(), "shop", &start)
        .env("SAMPLE_VERSION", "v1")
        .build("echo \"build $DB\"; test \"${#DB}\" = 19")
        .tables("[secrets]\nDB = \"store:shop-db\"\n")
        .write();
    let deployed = engine.deploy(&app);
    let document = engine.live(engine.json(&["wait", "shop", "--live"]));
    assert_eq!(document["app"], "shop", "{deployed}");
    let plan = engine.cli(&["deploy", app.path(), "--plan"]);
    assert!(plan.text().contains("DB from store:shop-db"), "{plan}");
    until("all of it is in the log", seconds(20), || logs(&engine, &["shop"]).text().contains("enc "));
    let (log, build) = (logs(&engine, &["shop"]), logs(&engine, &["shop", "--build"]));
    for line in ["out ***", "err ***", "enc ***"] {
        assert!(log.text().contains(line), "`{line}`: {log}");
    }
    assert!(build.text().contains("build ***"), "{build}");
    let list = engine.cli(&["secret", "list"]);
    assert!(list.text().contains("shop-db") && list.text().contains("shop"), "{list}");
    is_nowhere(&engine, VALUE, &[&done, &deployed, &plan, &log, &build, &list]);
    for part in ["pa55%2Fw0rd", "pa55/w0", "rd of-7f3e91"] {
        assert!(!log.text().contains(part), "{part}: {log}");
    }
}

#[test]
fn a_crash_that_prints_its_secret_is_told_without_it() {
    let engine = Engine::start();
    set(&engine, "token", VALUE);
    let app = App::of(engine.home(), "shop", "echo cannot connect with \"$TOKEN\" >&2; exit 3")
        .build("true")
        .tables("[secrets]\nTOKEN = \"store:token\"\n")
        .write();
    let crashed = engine.deploy(&app);
    engine.not_live(crashed, "failed");
    let ran = engine.json(&["status", "shop"]);
    let snapshot = engine.snapshot().to_string();
    assert!(snapshot.contains("cannot connect with ***"), "the last lines are evidence, masked");
    let failing = app.build("echo \"$TOKEN\"; exit 4").write();
    let failed = engine.deploy(&failing);
    assert!(failed.text().contains("***") && failed.text().contains("exited with 4"), "{failed}");
    is_nowhere(&engine, VALUE, &[&ran, &failed]);
}

#[test]
fn stored_values_follow_at_a_restart_and_work_without_the_engine() {
    let mut engine = Engine::start();
    set(&engine, "word", "first-value-1");
    let start = format!("printf %s \"$WORD\" > $TMPDIR/seen; exec {} sample", binary().display());
    let seen = engine.home().join("seen");
    let app = App::of(engine.home(), "shop", &start)
        .env("TMPDIR", engine.home().to_str().expect("text"))
        .tables("[secrets]\nWORD = \"store:word\"\n")
        .write();
    engine.deploy_live(&app);
    let now = || fs::read_to_string(&seen).unwrap_or_default();
    assert_eq!(now(), "first-value-1");
    set(&engine, "word", "second-value-2");
    engine.live(engine.json(&["restart", "shop"]));
    assert_eq!(now(), "second-value-2");
    // The keeper starts its program again by itself, with what it was given.
    let programs = || engine.processes().into_iter().filter(|process| process.command.ends_with(" sample")).collect::<Vec<_>>();
    until("only the new instance runs", seconds(20), || programs().len() == 1);
    let program = programs().remove(0);
    engine.kill_engine();
    fs::remove_file(&seen).expect("the file is there");
    processes::signal(program.pid, rustix::process::Signal::KILL);
    until("the app runs again without an engine", seconds(10), || now() == "second-value-2");
    engine.run_engine();
    engine.await_status("shop", "it serves", |status| status["serving"]["release"] == 1);
    // After a loss of power the engine gives it out again.
    fs::remove_file(&seen).expect("the file is there");
    engine.power_off();
    engine.set(&[("PILOTHOUSE_BOOT_ID", "another-boot")]);
    engine.run_engine();
    until("the app is back", seconds(20), || now() == "second-value-2");
    fs::remove_file(&seen).expect("the file is there");
    assert_eq!(holding(engine.state(), "second-value-2"), Vec::<String>::new());
}

#[test]
fn variables_and_files_are_references_too_and_outlive_their_source() {
    let mut engine = Engine::with(&[("SHOP_TOKEN", "token-of-the-engine")]);
    let file = engine.home().join("key");
    fs::write(&file, "key-in-a-file\n").expect("a file");
    let start = format!("printf '%s %s' \"$TOKEN\" \"$KEY\" > $TMPDIR/seen; exec {} sample", binary().display());
    let app = App::of(engine.home(), "shop", &start).env("TMPDIR", engine.home().to_str().expect("text")).write();
    let seen = engine.home().join("seen");
    let references = [format!("KEY=file:{}", file.display()), "TOKEN=env:SHOP_TOKEN".to_owned()];
    let ran = engine.json(&["deploy", app.path(), "--secret", &references[0], "--secret", &references[1]]);
    engine.live(ran);
    let now = || fs::read_to_string(&seen).unwrap_or_default();
    assert_eq!(now(), "token-of-the-engine key-in-a-file");
    engine.kill_engine();
    engine.set(&[]);
    fs::remove_file(&file).expect("the file is there");
    engine.run_engine();
    engine.await_status("shop", "it serves", |status| status["serving"]["release"] == 1);
    fs::remove_file(&seen).expect("the file is there");
    engine.live(engine.json(&["restart", "shop"]));
    assert_eq!(now(), "token-of-the-engine key-in-a-file");
    fs::remove_file(&seen).expect("the file is there");
    is_nowhere(&engine, "token-of-the-engine", &[]);
    is_nowhere(&engine, "key-in-a-file", &[]);
}

#[test]
fn what_is_missing_or_too_short_is_refused_with_the_next_step() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").tables("[secrets]\nDB = \"store:shop-db\"\n").write();
    let ran = engine.deploy(&app);
    assert_eq!(ran.code, Some(1), "{ran}");
    for part in ["DB", "store:shop-db", "pilothouse secret set shop-db"] {
        assert!(ran.text().contains(part), "`{part}`: {ran}");
    }
    let short = set(&engine, "shop-db", "12345");
    assert!(short.code == Some(1) && short.text().contains("5 bytes") && short.text().contains("at least 6"), "{short}");
    assert!(!short.text().contains("12345"), "{short}");
    let wrong = engine.cli(&["deploy", app.path(), "--secret", &format!("DB={VALUE}")]);
    assert!(wrong.code == Some(2) && wrong.text().contains("store:") && !wrong.text().contains(VALUE), "{wrong}");
    set(&engine, "shop-db", VALUE);
    let app = app.command(&format!("connect '{VALUE}'")).write();
    let held = engine.deploy(&app);
    assert!(held.code == Some(1) && held.text().contains("$DB") && !held.text().contains(VALUE), "{held}");
    assert!(!engine.snapshot().to_string().contains(VALUE), "the API shows it");
}

#[test]
fn a_command_that_holds_a_known_value_is_refused_before_anything_is_recorded() {
    let engine = Engine::start();
    set(&engine, "shop-db", VALUE);
    let app = App::sample(engine.home(), "shop").write();
    for flag in ["--install", "--build", "--start"] {
        for more in [&[][..], &["--plan"], &["--name", "shop"]] {
            let held = engine.cli(&[&["deploy", app.path(), flag, &format!("connect '{VALUE}'")], more].concat());
            let text = held.text();
            assert!(held.code == Some(1) && text.contains(flag) && text.contains("--secret NAME=store:"), "{held}");
            is_nowhere(&engine, VALUE, &[&held]);
        }
    }
    let fleet = engine.snapshot();
    assert_eq!((&fleet["apps"], &fleet["deployments"]), (&serde_json::json!({}), &serde_json::json!({})), "{fleet:#}");
}

#[test]
fn a_used_secret_is_removed_only_when_that_is_said() {
    let engine = Engine::start();
    set(&engine, "shop-db", VALUE);
    let app = App::sample(engine.home(), "shop").tables("[secrets]\nDB = \"store:shop-db\"\n").write();
    engine.deploy_live(&app);
    let refused = engine.cli(&["secret", "remove", "shop-db"]);
    assert!(refused.code == Some(1) && refused.text().contains("shop cannot start"), "the plan is shown: {refused}");
    let listed = engine.json(&["secret", "list"]).document();
    assert_eq!(listed[0]["used_by"], serde_json::json!(["shop"]), "{listed:#}");
    let removed = engine.json(&["secret", "remove", "shop-db", "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed}");
    assert_eq!(engine.version("shop"), "v1", "what runs goes on");
    let restarted = engine.json(&["restart", "shop"]);
    assert!(restarted.code == Some(1) && restarted.text().contains("pilothouse secret set shop-db"), "{restarted}");
    assert_eq!(engine.version("shop"), "v1", "the old instances serve on");
    set(&engine, "shop-db", VALUE);
    engine.live(engine.json(&["restart", "shop"]));
    is_nowhere(&engine, VALUE, &[&restarted]);
}

#[test]
fn a_value_comes_by_a_pipe_or_a_variable_and_never_by_an_argument() {
    let engine = Engine::start();
    let mut child = Command::new(binary())
        .args(["--state", engine.state().to_str().expect("text"), "secret", "set", "piped"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(VALUE.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
    let status = Command::new(binary())
        .args(["--state", engine.state().to_str().expect("text"), "secret", "set", "exported", "--from-env", "MY_VALUE"])
        .env("MY_VALUE", VALUE)
        .stdout(Stdio::null())
        .status()
        .expect("the binary runs");
    assert!(status.success());
    let names: Vec<String> = engine
        .json(&["secret", "list"])
        .document()
        .as_array()
        .expect("a list")
        .iter()
        .map(|secret| secret["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["exported", "piped"]);
    assert_eq!(engine.cli(&["secret", "set", "x", VALUE]).code, Some(2), "a value is no argument");
    is_nowhere(&engine, VALUE, &[]);
}
