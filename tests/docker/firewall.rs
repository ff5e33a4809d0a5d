//! A registry behind a firewall that drops what is sent to it.

use std::{net::TcpListener, process::Command};

use crate::{
    engine_support::{
        docker::{self, ask},
        engine::Engine,
        http::Poll,
        wait::{has, seconds, until},
    },
    whole::page,
};

/// Drops whatever goes to one port of this machine, which is ours for as long.
struct Dropped {
    port: TcpListener,
}

impl Dropped {
    fn begin() -> Option<Self> {
        let dropped = Self { port: TcpListener::bind("127.0.0.1:0").expect("a free port") };
        has("the right to set a rule of iptables", "run as root, with iptables", dropped.rule("-I")).then_some(dropped)
    }

    fn number(&self) -> u16 {
        self.port.local_addr().expect("an address").port()
    }

    fn rule(&self, deed: &str) -> bool {
        let port = self.number().to_string();
        let rule = [deed, "INPUT", "-i", "lo", "-p", "tcp", "--dport", &port, "-j", "DROP"];
        Command::new("iptables").arg("-w").args(rule).output().is_ok_and(|ran| ran.status.success())
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.rule("-D");
    }
}

#[test]
fn a_pull_that_a_firewall_drops_ends_as_failed_and_the_old_release_serves() {
    if !docker::is_there() {
        return;
    }
    let Some(dropped) = Dropped::begin() else { return };
    page("pilothouse-test/walled:v1", "before-the-wall");
    let engine = Engine::start();
    engine.live(engine.json(&["deploy", "--image", "pilothouse-test/walled:v1", "--name", "shop"]));
    let poll = Poll::start(&engine.url("shop"));
    let reference = format!("127.0.0.1:{}/shop:v2", dropped.number());
    let document = engine.not_live(engine.json(&["deploy", "--image", &reference, "--name", "shop"]), "failed");
    let seen = poll.stop();
    assert!(seen.bad.is_empty() && seen.answers() > 0, "the old release serves throughout: {seen:?}");
    let cause = document["cause"].as_str().unwrap_or_default();
    assert!(cause.contains(&reference) && cause.contains("registry"), "{document:#}");
    assert_eq!((document["serving"].as_u64(), engine.get("shop", "/").body.trim()), (Some(1), "before-the-wall"));
    assert!(!ask(&["images", "--format", "{{.Repository}}"]).contains(&reference[..reference.len() - 3]));
    until("one container of it is left", seconds(20), || docker::running(engine.state()).len() == 1);
    engine.json(&["--yes", "remove", "shop"]);
    assert!(docker::running(engine.state()).is_empty());
}
