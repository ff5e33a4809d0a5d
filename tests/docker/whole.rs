//! From an image to its page, and what goes wrong on the way, by the real program.

use crate::engine_support::{
    docker::{self, BUSYBOX, ask},
    engine::Engine,
    http,
    wait::{seconds, until, until_some},
};

/// Builds an image that serves a page with `text`, and says each request.
pub(crate) fn page(tag: &str, text: &str) {
    let serve = r#"["sh","-c","trap 'exit 0' TERM; echo serving; httpd -f -p 80 -h /www & wait"]"#;
    image(tag, &format!("RUN echo {text} > /www/index.html\nEXPOSE 80\nCMD {serve}\n"));
}

/// Builds an image of busybox by further lines of a Dockerfile.
pub(crate) fn image(tag: &str, lines: &str) {
    docker::build(tag, &format!("FROM {BUSYBOX}\n{lines}"));
}

/// An engine whose app goes with it.
struct Shop(Engine);

impl Shop {
    fn start() -> Self {
        Self(Engine::start())
    }

    fn text(&self) -> String {
        self.0.get("shop", "/").body.trim().to_owned()
    }

    /// Containers of the app, by Docker's own word.
    fn containers(&self) -> Vec<String> {
        let fleet = self.0.snapshot();
        let all = fleet["containers"].as_object().cloned().unwrap_or_default();
        all.into_iter().filter(|(_, one)| one["app"] == "shop").map(|(id, _)| id).collect()
    }

    /// Where this engine holds the app's images: named as its containers are.
    fn repository(&self) -> String {
        let fleet = self.0.snapshot();
        let all = fleet["containers"].as_object().cloned().unwrap_or_default();
        let own = all.values().find(|one| one["app"] == "shop").expect("a container");
        let mark = own["name"].as_str().and_then(|name| name.rsplit('-').next()).expect("a name").to_owned();
        format!("pilothouse-{mark}/shop")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.0.cli(&["--yes", "remove", "shop"]);
    }
}

#[test]
fn an_image_becomes_a_proved_url_and_the_way_back_is_short() {
    if !docker::is_there() {
        return;
    }
    page("pilothouse-test/page:v1", "one");
    page("pilothouse-test/page:v2", "two");
    let shop = Shop::start();
    let engine = &shop.0;
    let deploy = |tag: &str| engine.json(&["deploy", "--image", &format!("pilothouse-test/page:{tag}"), "--name", "shop"]);
    let document = engine.live(deploy("v1"));
    assert!(document["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{document:#}");
    assert_eq!(shop.text(), "one");
    let status = engine.status("shop");
    assert_eq!(status["instances"][0]["runtime"], "docker", "{status:#}");
    engine.live(deploy("v2"));
    assert_eq!(shop.text(), "two");
    engine.live(engine.json(&["rollback", "shop"]));
    assert_eq!(shop.text(), "one");
    engine.live(engine.json(&["scale", "shop", "2"]));
    let all = || format!("{:#}", engine.snapshot()["containers"]);
    until_some("two containers and the warm one run", seconds(20), || (shop.containers().len() == 3).then_some(()), all);
    until("its lines are kept", seconds(20), || {
        engine.cli(&["logs", "shop"]).stdout.lines().filter(|line| line.contains("serving")).count() >= 2
    });
    // A version that does not start changes nothing.
    let broken = engine.not_live(
        engine.json(&["deploy", "--image", "pilothouse-test/page:v1", "--name", "shop", "--start", "gunicorn app"]),
        "reverted",
    );
    let cause = broken["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("its image pilothouse-test/page:v1 has no `gunicorn`"), "{broken:#}");
    assert_eq!(shop.text(), "one");
    let held = shop.repository();
    assert!(ask(&["images", "--format", "{{.Repository}}"]).contains(&held));
    assert_eq!(engine.json(&["--yes", "remove", "shop"]).code, Some(0));
    until("no container is left", seconds(20), || shop.containers().is_empty());
    let images = ask(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains(&held), "{images}");
    assert!(images.contains("pilothouse-test/page"), "what is not ours stays: {images}");
}

#[test]
fn what_runs_goes_on_without_an_engine_and_what_was_removed_comes_back() {
    if !docker::is_there() {
        return;
    }
    page("pilothouse-test/page:v3", "three");
    let mut shop = Shop::start();
    shop.0.live(shop.0.json(&["deploy", "--image", "pilothouse-test/page:v3", "--name", "shop"]));
    let url = shop.0.url("shop");
    shop.0.kill_engine();
    assert_eq!(http::get(&url).expect("it serves on").body.trim(), "three");
    shop.0.run_engine();
    shop.0.await_status("shop", "it serves as before", |status| status["serving"]["release"] == 1);
    assert_eq!(shop.0.status("shop")["instances"][0]["restarts"], 0);
    let container = until_some("its container", seconds(20), || shop.containers().pop(), String::new);
    ask(&["rm", "-f", &container]);
    shop.0.await_status("shop", "it was brought back, as a restart", |status| {
        let instance = &status["instances"][0];
        instance["restarts"] == 1 && instance["state"] == "running" && instance["health"] == "passing"
    });
    assert_eq!(shop.text(), "three");
}

#[test]
fn a_foreign_container_is_shown_and_touched_only_by_name() {
    if !docker::is_there() {
        return;
    }
    let engine = Engine::start();
    let name = format!("foreign-{}", std::process::id());
    let id = ask(&["run", "-d", "--name", &name, BUSYBOX, "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]);
    let foreign = until_some(
        "it is shown",
        seconds(20),
        || Some(engine.snapshot()["containers"][&id].clone()).filter(|seen| seen["state"] == "running"),
        || engine.engine_output(),
    );
    assert!(foreign["app"].is_null(), "{foreign:#}");
    assert_eq!(engine.json(&["--yes", "prune"]).code, Some(0));
    assert_eq!(ask(&["inspect", "-f", "{{.State.Running}}", &name]), "true");
    let refused = engine.json(&["container", "remove", &name]);
    assert_eq!(refused.code, Some(1), "a removal is asked for: {refused}");
    assert_eq!(engine.json(&["container", "stop", &name]).code, Some(0));
    assert_eq!(ask(&["inspect", "-f", "{{.State.Running}}", &name]), "false");
    assert_eq!(engine.json(&["--yes", "container", "remove", &name]).code, Some(0));
    until("it is gone", seconds(10), || engine.snapshot()["containers"][&id].is_null());
}

#[test]
fn an_image_that_no_registry_gives_is_refused_with_the_next_step() {
    if !docker::is_there() {
        return;
    }
    let engine = Engine::start();
    // A registry that is there, and one that is not.
    let document = engine.not_live(engine.json(&["deploy", "--image", "127.0.0.1:9/shop:v1", "--name", "shop"]), "failed");
    assert!(
        document["cause"].as_str().is_some_and(|cause| cause.contains("the registry of 127.0.0.1:9/shop:v1 does not answer")),
        "{document:#}"
    );
}
