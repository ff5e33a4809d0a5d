//! What releases and builds leave in Docker.

use std::{fs, path::Path};

use crate::engine_support::{
    docker::{self, BUSYBOX, ask},
    engine::Engine,
    wait::{seconds, until_some},
};

/// Writes an app that is an image of its own.
fn write(folder: &Path, lines: &str) {
    fs::create_dir_all(folder).expect("a folder");
    let file = format!("FROM {BUSYBOX}\n{lines}\nEXPOSE 80\nCMD [\"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/www\"]\n");
    fs::write(folder.join("Dockerfile"), file).expect("a file");
    fs::write(
        folder.join("pilothouse.toml"),
        "[rollout]\nkeep = { releases = 1, warm = \"0s\" }\n[process.web]\nruntime = \"docker\"\n",
    )
    .expect("a file");
}

#[test]
fn images_of_pruned_releases_go_with_them() {
    if !docker::is_there() {
        return;
    }
    let engine = Engine::start();
    let folder = engine.home().join("apps/pruned");
    let path = folder.to_str().expect("text").to_owned();
    for version in 1..=4 {
        write(&folder, &format!("RUN echo {version} of {} >/www/index.html", std::process::id()));
        engine.live(engine.json(&["deploy", &path, "--name", "pruned"]));
    }
    let images = || ask(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let own = |tag: &str| images().lines().any(|name| name.contains("/pruned:") && name.ends_with(&format!(":{tag}")));
    let is_pruned = || (!own("1") && !own("2") && own("4")).then_some(());
    until_some("images of old releases are gone", seconds(30), is_pruned, images);
    assert_eq!(engine.json(&["--yes", "remove", "pruned"]).code, Some(0));
    assert!(!images().contains("/pruned:"), "{}", images());
}

#[test]
fn a_build_of_a_killed_engine_leaves_no_container() {
    if !docker::is_there() {
        return;
    }
    let mut engine = Engine::start();
    let folder = engine.home().join("apps/slow");
    let mark = format!("9{}.25", std::process::id());
    write(&folder, &format!("RUN sleep {mark}"));
    let deploying = engine.begin(&["deploy", folder.to_str().expect("text"), "--name", "slow"]);
    let steps = || {
        let all = ask(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]);
        let own = all.lines().filter(|line| line.contains(&mark));
        own.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect::<Vec<_>>()
    };
    let first = until_some("the step runs", seconds(60), || steps().pop(), || engine.engine_output());
    engine.kill_engine();
    engine.run_engine();
    until_some("its container is gone", seconds(30), || (!steps().contains(&first)).then_some(()), || steps().join(" "));
    // The build goes on by another one, which ends with the deployment.
    let fleet = engine.snapshot();
    let number = fleet["deployments"].as_object().and_then(|all| all.keys().next()).expect("a deployment").clone();
    engine.cli(&["cancel", &number]);
    until_some("nothing of the build is left", seconds(30), || steps().is_empty().then_some(()), || steps().join(" "));
    drop(deploying.end());
    engine.json(&["--yes", "remove", "slow"]);
}
