//! `--watch`: real repositories, commits pushed, rewritten and taken away, and an engine that is killed between.

use crate::support::{
    app::App,
    engine::Engine,
    git::Repository,
    wait::{seconds, until, until_some},
};

const EVERY: (&str, &str) = ("PILOTHOUSE_ENGINE_WATCH_EVERY", "300ms");

fn manifest(engine: &Engine, version: &str) -> String {
    App::sample(engine.home(), "shop").version(version).manifest()
}

/// A world whose release 1 was deployed with its branch watched.
fn watched() -> (Engine, Repository) {
    let engine = Engine::with(&[EVERY]);
    let text = manifest(&engine, "v1");
    let repository = Repository::with(engine.home().join("shop.git.d"), &[("pilothouse.toml", &text)]);
    engine.live(engine.json(&["deploy", &repository.url(), "--watch", "main"]));
    (engine, repository)
}

fn push(engine: &Engine, repository: &Repository, version: &str) -> String {
    repository.commit(version, &[("pilothouse.toml", &manifest(engine, version))])
}

fn serves(engine: &Engine, version: &str) {
    until(&format!("{version} is served"), seconds(60), || {
        engine.serving("shop").is_some() && engine.get("shop", "/version").body.contains(version)
    });
    engine.await_status("shop", "nothing is under way", |status| status["deployment"].is_null());
}

/// Releases ever begun of the app.
fn deployments(engine: &Engine) -> usize {
    engine.snapshot()["deployments"].as_object().map_or(0, serde_json::Map::len)
}

/// Waits until the branch was looked at so often from now on.
fn looked(engine: &Engine, times: usize) {
    let at = || engine.status("shop")["watch"]["checked_at"].as_str().unwrap_or_default().to_owned();
    for _ in 0..times {
        let before = at();
        until("the branch is looked at again", seconds(20), || at() != before);
    }
}

fn events(engine: &Engine) -> String {
    engine.snapshot()["events"].to_string()
}

#[test]
fn each_new_commit_is_deployed_once() {
    let (engine, repository) = watched();
    looked(&engine, 2);
    assert_eq!(deployments(&engine), 1, "the first commit is not deployed again");
    let second = push(&engine, &repository, "v2");
    serves(&engine, "v2");
    looked(&engine, 2);
    assert_eq!(deployments(&engine), 2);
    let status = engine.status("shop");
    assert_eq!((&status["watch"]["branch"], &status["watch"]["commit"]), (&"main".into(), &second.clone().into()), "{status:#}");
    assert!(status["watch"]["next_at"].is_string() && status["watch"]["error"].is_null(), "{status:#}");
    let tasks = engine.cli(&["tasks"]);
    assert!(tasks.text().contains("watch shop") && tasks.text().contains(&second[..7]), "{tasks}");
    assert!(events(&engine).contains("has a new commit"), "{}", events(&engine));
}

#[test]
fn of_several_commits_only_the_newest_is_deployed_also_by_an_engine_that_was_away() {
    let (mut engine, repository) = watched();
    engine.kill_engine();
    for version in ["v2", "v3", "v4"] {
        push(&engine, &repository, version);
    }
    engine.run_engine();
    serves(&engine, "v4");
    looked(&engine, 1);
    assert_eq!(deployments(&engine), 2);
    // Killed while it deploys: the same commit is not deployed a second time.
    push(&engine, &repository, "v5");
    until("the deployment is begun", seconds(20), || deployments(&engine) == 3);
    engine.kill_engine();
    engine.run_engine();
    serves(&engine, "v5");
    looked(&engine, 2);
    assert_eq!(deployments(&engine), 3);
}

#[test]
fn a_rewritten_branch_is_told_and_its_new_commit_deployed_once() {
    let (engine, repository) = watched();
    let first = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
    push(&engine, &repository, "v2");
    serves(&engine, "v2");
    // In one step, as a forced push does it.
    repository.git(&["checkout", "-q", "--detach", &first]);
    push(&engine, &repository, "v3");
    repository.git(&["branch", "-q", "-f", "main", "HEAD"]);
    repository.git(&["checkout", "-q", "main"]);
    serves(&engine, "v3");
    assert!(events(&engine).contains("rewritten by a forced push"), "{}", events(&engine));
    // Back to a commit that was deployed before: deployed again, since the branch is there now.
    repository.git(&["reset", "-q", "--hard", &first]);
    serves(&engine, "v1");
    looked(&engine, 2);
    assert_eq!(deployments(&engine), 4);
}

#[test]
fn a_branch_that_is_gone_is_told_and_watched_on() {
    let (engine, repository) = watched();
    repository.git(&["checkout", "-q", "-b", "other"]);
    repository.git(&["branch", "-q", "-D", "main"]);
    let status = engine.await_status("shop", "the error is told", |status| !status["watch"]["error"].is_null());
    let told = status["watch"]["error"].to_string();
    assert!(told.contains("no branch `main`") && told.contains("watch shop --off"), "{told}");
    assert_eq!(engine.version("shop"), "v1", "what serves goes on");
    repository.git(&["checkout", "-q", "-b", "main"]);
    push(&engine, &repository, "v2");
    serves(&engine, "v2");
    assert!(engine.status("shop")["watch"]["error"].is_null());
}

#[test]
fn a_commit_that_fails_is_tried_once() {
    let (engine, repository) = watched();
    let broken = App::sample(engine.home(), "shop").command("exit 3").manifest();
    repository.commit("broken", &[("pilothouse.toml", &broken)]);
    until("it was tried", seconds(60), || deployments(&engine) == 2);
    engine.await_status("shop", "it is over", |status| status["deployment"].is_null());
    looked(&engine, 3);
    assert_eq!(deployments(&engine), 2, "not again and again");
    assert_eq!(engine.version("shop"), "v1");
    repository.commit("unreadable", &[("pilothouse.toml", "nonsense = 1\n")]);
    until("it was tried", seconds(60), || deployments(&engine) == 3);
    looked(&engine, 2);
    push(&engine, &repository, "v2");
    serves(&engine, "v2");
    assert_eq!(deployments(&engine), 4);
}

#[test]
fn a_watch_ends_by_command_and_a_stopped_app_stays_stopped() {
    let (mut engine, repository) = watched();
    assert_eq!(engine.json(&["stop", "shop"]).code, Some(0));
    push(&engine, &repository, "v2");
    // It would be seen by now: another app's watch is looked at meanwhile.
    std::thread::sleep(seconds(1));
    assert_eq!(engine.status("shop")["state"], "stopped");
    engine.live(engine.json(&["start", "shop"]));
    serves(&engine, "v2");
    let off = engine.json(&["watch", "shop", "--off"]);
    assert_eq!(off.code, Some(0), "{off}");
    let before = deployments(&engine);
    push(&engine, &repository, "v3");
    engine.kill_engine();
    engine.run_engine();
    until("the board shows no watch", seconds(10), || !engine.cli(&["tasks"]).text().contains("watch shop"));
    assert!(engine.status("shop")["watch"].is_null());
    assert_eq!(deployments(&engine), before);
    let again = engine.cli(&["watch", "shop", "--off"]);
    assert!(again.code == Some(1) && again.text().contains("no branch is watched"), "{again}");
}

#[test]
fn a_manifest_begins_and_ends_a_watch() {
    let engine = Engine::with(&[EVERY]);
    let with = |version: &str, line: &str| format!("{line}{}", manifest(&engine, version));
    let repository =
        Repository::with(engine.home().join("shop.git.d"), &[("pilothouse.toml", &with("v1", "watch = \"main\"\n"))]);
    let environment = ["deploy", &repository.url(), "--env", "SAMPLE_NOTE=kept"];
    engine.live(engine.json(&environment));
    let status = engine.status("shop");
    assert_eq!((&status["watch"]["branch"], &status["watch"]["by"]), (&"main".into(), &"pilothouse.toml".into()), "{status:#}");
    repository.commit("v2", &[("pilothouse.toml", &with("v2", "watch = \"main\"\n"))]);
    serves(&engine, "v2");
    let blueprint = until_some(
        "the plan of release 2",
        seconds(10),
        || engine.snapshot().pointer("/releases/shop/2/blueprint/env").cloned(),
        || engine.engine_output(),
    );
    assert!(blueprint.to_string().contains("SAMPLE_NOTE"), "what the first deploy was given stays: {blueprint}");
    repository.commit("v3", &[("pilothouse.toml", &with("v3", ""))]);
    serves(&engine, "v3");
    assert!(engine.status("shop")["watch"].is_null(), "the manifest leaves it out");
}

#[test]
fn what_has_no_branch_is_refused_with_the_reason() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    let ran = engine.cli(&["deploy", app.path(), "--watch", "main"]);
    assert!(ran.code == Some(1) && ran.text().contains("a folder has no commits") && ran.text().contains("file://"), "{ran}");
    let text = format!("name = \"shop\"\nwatch = \"main\"\n{}", manifest(&engine, "v1").replacen("name = \"shop\"\n", "", 1));
    std::fs::write(std::path::Path::new(app.path()).join("pilothouse.toml"), text).expect("a manifest");
    // What its author keeps in the repository does not keep the working tree from being tried.
    let ran = engine.cli(&["deploy", app.path(), "--plan"]);
    let told = ["pilothouse.toml:2 watch: a folder has no commits", "file://"];
    assert!(ran.code == Some(0) && told.iter().all(|words| ran.text().contains(words)), "{ran}");
    engine.live(engine.json(&["deploy", app.path(), "--name", "shop"]));
    assert!(engine.status("shop")["watch"].is_null());
    let ran = engine.cli(&["deploy", "file:///nowhere", "--watch", "main", "--ref", "v1", "--name", "shop"]);
    assert!(ran.code == Some(1) && ran.text().contains("--ref"), "{ran}");
    assert_eq!(engine.cli(&["deploy", "file:///nowhere", "--watch", "a..b"]).code, Some(2));
}
