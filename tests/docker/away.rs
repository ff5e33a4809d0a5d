//! Docker goes away in the middle of a deployment, and comes back.

use std::{fs, process::Command};

use crate::engine_support::{
    docker::{self, BUSYBOX},
    engine::Engine,
    http,
    wait::{seconds, until, until_some},
};

/// A Docker engine of one test's own, which may be killed.
struct Own {
    folder: tempfile::TempDir,
    flags: Vec<&'static str>,
}

impl Own {
    fn start(flags: &[&'static str]) -> Self {
        // Sockets lie below it: its path is short.
        let folder = tempfile::Builder::new().prefix("pho").tempdir_in("/tmp").expect("a folder");
        let own = Self { folder, flags: flags.to_vec() };
        own.run("start");
        own
    }

    fn run(&self, deed: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/dockerd");
        let mut command = Command::new(script);
        command.arg(deed).arg(self.folder.path());
        if deed == "start" {
            command.args(&self.flags);
        }
        let ran = command.output().expect("the script runs");
        assert!(ran.status.success(), "dockerd {deed}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn address(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// Builds an image of busybox; its own engine has no other.
    fn image(&self, tag: &str, command: &str) {
        let change = format!("CMD [\"sh\",\"-c\",\"{command}\"]");
        let address = self.address();
        let ask = |arguments: &[&str]| {
            let ran = Command::new("docker").args(["-H", &address]).args(arguments).output().expect("the docker command");
            assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8_lossy(&ran.stdout).trim().to_owned()
        };
        let made = ask(&["create", BUSYBOX, "true"]);
        ask(&["commit", "-c", &change, "-c", "EXPOSE 80", &made, tag]);
        ask(&["rm", &made]);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[test]
fn a_deploy_goes_on_after_docker_was_killed_and_started_again() {
    killed_while_staging(&[]);
}

#[test]
fn a_deploy_goes_on_over_a_docker_whose_containers_outlive_it() {
    killed_while_staging(&["--live-restore"]);
}

/// The end is live or stated, with cause and next step, and the app serves.
fn killed_while_staging(flags: &[&'static str]) {
    if !docker::is_there() {
        return;
    }
    let own = Own::start(flags);
    let serve = |text: &str, first: &str| format!("{first}echo {text} >/www/index.html; exec httpd -f -p 80 -h /www");
    own.image("pilothouse-test/away:v1", &serve("one", ""));
    own.image("pilothouse-test/away:v2", &serve("two", "sleep 4; "));
    let address = own.address();
    let engine = Engine::with(&[("DOCKER_HOST", &address)]);
    let deploy = |tag: &str| {
        [
            "--json".to_owned(),
            "deploy".into(),
            "--image".into(),
            format!("pilothouse-test/away:{tag}"),
            "--name".into(),
            "shop".into(),
        ]
    };
    let begin = |tag: &str| engine.begin(&deploy(tag).each_ref().map(String::as_str));
    engine.live(begin("v1").end());
    let url = engine.url("shop");
    let second = begin("v2");
    let staged = || {
        let fleet = engine.snapshot();
        let all = fleet["instances"].as_object().cloned().unwrap_or_default();
        all.values().any(|one| one["release"] == 2 && one["pid"].as_u64().is_some_and(|pid| pid > 0)).then_some(())
    };
    until_some("the second release is being staged", seconds(30), staged, || engine.engine_output());
    own.run("kill");
    until("the engine notices", seconds(20), || engine.snapshot()["docker"]["up"] == false);
    own.run("start");
    let ended = second.end();
    let document = ended.document();
    let serves = || http::get(&url).ok().filter(|answer| answer.status == 200).map(|answer| answer.body.trim().to_owned());
    let text = until_some("it serves", seconds(40), serves, || engine.engine_output());
    if ended.code == Some(0) {
        assert_eq!((document["state"].as_str(), text.as_str()), (Some("live"), "two"), "{ended}");
    } else {
        engine.not_live(ended, "reverted");
        assert_eq!(text, "one");
    }
    // Both ways every next deployment is as any other.
    engine.live(begin("v2").end());
    assert_eq!(serves().as_deref(), Some("two"));
    engine.json(&["--yes", "remove", "shop"]);
}

#[test]
fn a_build_whose_docker_was_killed_leaves_nothing_once_it_is_back() {
    if !docker::is_there() {
        return;
    }
    let own = Own::start(&[]);
    let address = own.address();
    let engine = Engine::with(&[("DOCKER_HOST", &address)]);
    let folder = engine.home().join("apps/slow");
    fs::create_dir_all(&folder).expect("a folder");
    let file = format!("FROM {BUSYBOX}\nRUN echo one >/one\nRUN sleep 600\nEXPOSE 80\nCMD [\"true\"]\n");
    fs::write(folder.join("Dockerfile"), file).expect("a file");
    let deploying = engine.begin(&["deploy", folder.to_str().expect("text"), "--runtime", "docker", "--name", "slow"]);
    let listed = |arguments: &[&str]| {
        let ran = Command::new("docker").args(["-H", &address]).args(arguments).output().expect("the docker command");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    };
    let steps = || listed(&["ps", "-aq"]);
    let sleeps = || listed(&["ps", "--no-trunc"]).contains("sleep 600").then_some(());
    until_some("the step runs", seconds(60), sleeps, || engine.engine_output());
    let remembers = || {
        let files = fs::read_dir(engine.state().join("left")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_to_string(file.path()).ok()).any(|text| text.contains("containers"))
    };
    until("its container is remembered", seconds(10), remembers);
    own.run("kill");
    let ended = deploying.end();
    assert_eq!(ended.code, Some(1), "{ended}");
    own.run("start");
    until("no step's container is left", seconds(40), || steps().is_empty());
    until("nothing is left without a name", seconds(10), || listed(&["images", "-q", "--filter", "dangling=true"]).is_empty());
    engine.json(&["--yes", "remove", "slow"]);
    assert!(!listed(&["images"]).contains("/slow"), "{}", listed(&["images"]));
}

#[test]
fn what_a_killed_docker_ran_is_not_said_to_serve() {
    if !docker::is_there() {
        return;
    }
    let own = Own::start(&[]);
    own.image("pilothouse-test/away:v1", "echo one >/www/index.html; exec httpd -f -p 80 -h /www");
    let address = own.address();
    let engine = Engine::with(&[("DOCKER_HOST", &address)]);
    engine.live(engine.json(&["deploy", "--image", "pilothouse-test/away:v1", "--name", "shop"]));
    let url = engine.url("shop");
    own.run("kill");
    let answers = || http::get(&url).is_ok_and(|answer| answer.status == 200);
    until("the engine notices", seconds(20), || engine.snapshot()["docker"]["up"] == false);
    let status = engine.status("shop");
    assert_ne!(status["state"], "serving", "nobody knows what runs: {status:#}");
    assert_eq!(status["instances"][0]["state"], "unknown", "{status:#}");
    let cause = status["trouble"]["what"].as_str().unwrap_or_default();
    assert!(cause.starts_with("Docker does not answer: ") && cause.ends_with("whether 1 instance runs is not known"), "{cause}");
    assert!(!cause.contains("hyper") && !cause.contains("os error"), "{cause}");
    assert!(status["trouble"]["next"].as_str().is_some_and(|next| next.contains("start Docker")), "{status:#}");
    if !answers() {
        let is_told = || engine.status("shop")["serving"].is_null();
        until("it is not said to serve", seconds(20), is_told);
        assert_eq!(engine.status("shop")["state"], "down");
        let text = engine.cli(&["status", "shop"]).stdout;
        assert!(text.contains("nothing: no instance answers the edge") && text.contains("next: start Docker"), "{text}");
    }
    own.run("start");
    until("it serves again, and is said to", seconds(60), || answers() && engine.status("shop")["state"] == "serving");
    assert!(engine.status("shop")["trouble"].is_null());
    engine.json(&["--yes", "remove", "shop"]);
}
