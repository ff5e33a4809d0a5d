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

#[test]
fn colours_returns_and_json_inside_of_a_value_do_not_show_it() {
    let engine = Engine::start();
    set(&engine, "shop-db", VALUE);
    let said = r#"echo "out $DB" | sed "s/rd of/$(printf '\033[1m')rd of/"; echo "ret $DB" | sed "s/rd of/$(printf '\015')rd of/"; echo "{\"msg\":\"$DB\"}" | sed 's/rd of/\\u001b[1mrd of/'"#;
    let app = App::of(engine.home(), "shop", &format!("{said}; exec {} sample", binary().display()))
        .build(said)
        .tables("[secrets]\nDB = \"store:shop-db\"\n")
        .write();
    engine.deploy_live(&app);
    until("all of it is in the log", seconds(20), || logs(&engine, &["shop"]).text().contains("msg"));
    let ran = [logs(&engine, &["shop"]), logs(&engine, &["shop", "--build"]), engine.json(&["logs", "shop"])];
    for told in &ran {
        assert!(told.text().contains("out ***") && told.text().contains("ret ***"), "{told}");
    }
    let failing = app.build(&format!("{said}; exit 4")).write();
    let failed = engine.cli(&["deploy", failing.path()]);
    assert!(failed.code == Some(1) && failed.text().contains("out ***"), "{failed}");
    for part in [VALUE, "rd of-7f3e91", "pa55/w0"] {
        assert_eq!(holding(engine.state(), part), Vec::<String>::new(), "{part}");
        assert!(ran.iter().chain([&failed]).all(|told| !told.text().contains(part)), "{part}");
    }
}

fn key(engine: &Engine) -> std::path::PathBuf {
    engine.state().join("secrets.key")
}

/// `shop` with a secret and a variable, and `plain`, which has neither.
fn with_two_apps(engine: &Engine) -> (App, App) {
    set(engine, "token", VALUE);
    let shop = App::sample(engine.home(), "shop").tables("[secrets]\nTOKEN = \"store:token\"\n").write();
    let plain = App::of(engine.home(), "plain", &format!("exec {} sample", binary().display())).write();
    engine.deploy_live(&shop);
    engine.deploy_live(&plain);
    (shop, plain)
}

#[test]
fn after_the_key_is_lost_setting_secrets_anew_and_deploying_again_mends_all() {
    let mut engine = Engine::start();
    let (shop, plain) = with_two_apps(&engine);
    engine.stop_engine();
    fs::remove_file(key(&engine)).expect("the key is there");
    engine.run_engine();
    engine.deploy_live(&plain);
    engine.live(engine.json(&["restart", "plain"]));
    let refused = engine.deploy(&shop);
    assert!(refused.code == Some(1) && refused.text().contains("pilothouse secret set token"), "{refused}");
    let listed = engine.cli(&["secret", "list"]);
    assert!(listed.text().contains("cannot be opened"), "{listed}");
    let given = engine.json(&["deploy", plain.path(), "--env", "COLOUR=blue"]);
    assert!(given.code == Some(1) && given.text().contains("is gone") && given.text().contains("put it back"), "{given}");
    assert!(!key(&engine).exists(), "no key is made without a word");
    assert_eq!(engine.version("shop"), "v1", "what runs goes on");

    let done = set(&engine, "token", "another-value-2");
    assert!(done.code == Some(0) && done.text().contains("a new one was made"), "{done}");
    engine.live(engine.json(&["deploy", plain.path(), "--env", "COLOUR=blue"]));
    let live = engine.deploy_live(&shop);
    assert_eq!(live["release"], 3, "{live:#}");
    // What still runs can be returned to: nothing is opened for it. What must be started cannot.
    engine.json(&["stop", "shop"]);
    engine.live(engine.json(&["start", "shop"]));
    let back = engine.json(&["rollback", "shop", "1"]);
    let told = ["environment of release 1 of shop cannot be opened", "another key", "deploy again"];
    assert!(back.code == Some(1) && told.iter().all(|part| back.text().contains(part)), "{back}");
    assert_eq!(engine.status("shop")["serving"]["release"], 3, "nothing ended for it");
    for app in ["shop", "plain"] {
        let gone = engine.json(&["remove", app, "--yes"]);
        assert_eq!(gone.code, Some(0), "{gone}");
    }
}

#[test]
fn an_engine_without_its_key_starts_what_needs_none_and_tells_of_the_rest() {
    let mut engine = Engine::start();
    let _apps = with_two_apps(&engine);
    engine.power_off();
    let kept = fs::read(key(&engine)).expect("the key is there");
    let aside = engine.home().join("aside");
    fs::rename(key(&engine), &aside).expect("it can be moved");
    engine.set(&[("PILOTHOUSE_BOOT_ID", "another-boot")]);
    engine.run_engine();
    engine.await_status("plain", "it serves again", |status| status["serving"]["release"] == 1);
    let status = engine.await_status("shop", "its cause is told", |status| status["trouble"].is_object());
    assert_eq!(status["state"], "down", "{status:#}");
    let cause = status["trouble"]["what"].as_str().expect("a cause");
    assert!(cause.contains("release 1 of shop cannot be opened") && cause.contains("is gone"), "{cause}");
    let shown = engine.cli(&["status", "shop"]);
    assert!(shown.text().contains("put the key"), "{shown}");
    fs::rename(&aside, key(&engine)).expect("it can be moved");
    assert_eq!(fs::read(key(&engine)).expect("the key"), kept);
    let status = engine.await_status("shop", "it serves again", |status| status["serving"]["release"] == 1);
    assert!(status["trouble"].is_null(), "{status:#}");
    fs::remove_file(key(&engine)).expect("the key is there");
    engine.kill_engine();
    engine.run_engine();
    let gone = engine.json(&["remove", "shop", "--yes"]);
    assert_eq!(gone.code, Some(0), "{gone}");
}

#[test]
fn a_folder_or_a_route_named_like_a_secret_is_refused() {
    let engine = Engine::start();
    let value = "Zq7TopSecret-7f3e91";
    set(&engine, "token", value);
    let app = App::sample(engine.home(), "shop").write();
    for more in [&[][..], &["--plan"]] {
        let held = engine.cli(&[&["deploy", app.path(), "--output", &format!("site/{value}")], more].concat());
        assert!(held.code == Some(1) && held.text().contains("--output"), "{held}");
        is_nowhere(&engine, value, &[&held]);
    }
    let small = value.to_lowercase();
    for route in [format!("host = \"{small}.localhost\""), format!("host = \"shop.localhost\"\npath = \"/{value}\"")] {
        let app = App::sample(engine.home(), "shop")
            .tables(&format!("[secrets]\nTOKEN = \"store:token\"\n[[route]]\n{route}\n"))
            .write();
        for more in [&[][..], &["--plan"]] {
            let held = engine.cli(&[&["deploy", app.path()], more].concat());
            assert!(held.code == Some(1) && held.text().contains("holds the value of the secret TOKEN"), "{held}");
            assert!(!held.text().to_lowercase().contains(&small), "{held}");
        }
    }
}

#[test]
fn other_users_may_read_nothing_of_the_state_and_are_told_at_once() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let engine = Engine::start();
    with_two_apps(&engine);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(engine.state()), 0o700);
    for entry in fs::read_dir(engine.state()).expect("a folder").flatten() {
        let kind = entry.file_type().expect("a kind");
        let wanted = if kind.is_dir() { 0o700 } else { 0o600 };
        assert!(kind.is_symlink() || mode(&entry.path()) == wanted, "{}: {:o}", entry.path().display(), mode(&entry.path()));
    }
    // Only root can be somebody else.
    let other = Command::new(binary())
        .args(["--state", engine.state().to_str().expect("text"), "apps"])
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME")
        .uid(65534)
        .output();
    let Ok(ran) = other else { return };
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains("this user may not use its socket") && said.contains("--state"), "{said}");
}
