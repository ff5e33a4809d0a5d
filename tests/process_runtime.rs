//! The runtime `process` with real programs.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod kept;

use std::time::Duration;

use kept::{World, contract, eventually};
use pilothouse::{
    keep::KeeperState,
    model::{
        ids::{AppId, InstanceId, ReleaseId},
        instance::{InstanceSpec, InstanceState},
        manifest,
        order::Report,
        plan::Env,
        units::Millis,
    },
    runtimes::{Runtime, keepers, process::ProcessRuntime},
};
use rustix::process::Signal;
use tokio::sync::mpsc;

/// Answers nothing, but listens where it is told to.
const LISTENS: &str = "exec python3 -c \"
import os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((HOST, PORT)); s.listen()
while True: s.accept()
\"";

fn listens(host: &str, port: &str) -> String {
    LISTENS.replace("HOST", &format!("'{host}'")).replace("PORT", port)
}

fn on_port() -> String {
    listens("127.0.0.1", "int(os.environ['PORT'])")
}

fn spec(world: &World, ordinal: u32, command: &str) -> InstanceSpec {
    let app = AppId::parse("shop").expect("a name");
    InstanceSpec {
        id: InstanceId::of(&app, ReleaseId(1), ordinal),
        app,
        release: ReleaseId(1),
        process: "web".to_owned(),
        runtime: manifest::Runtime::Process,
        command: command.to_owned(),
        folder: world.folder(),
        image: None,
        image_name: None,
        volumes: Vec::new(),
        container: None,
        replaces: Vec::new(),
        peers: Vec::new(),
        env: Env::default(),
        secrets: Env::default(),
        port: None,
        memory: None,
        kill_after: Millis(500),
    }
}

fn runtime(world: &World) -> ProcessRuntime {
    ProcessRuntime::new(world.settings.clone())
}

const SOON: Millis = Millis::seconds(20);

#[tokio::test]
async fn it_keeps_to_the_contract() {
    let world = World::new();
    let serves = spec(&world, 0, &on_port());
    let fails = spec(&world, 1, "echo no such table >&2; exit 3");
    contract::contract(&runtime(&world), &serves, &fails, std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn listening_elsewhere_is_named_with_both_ports() {
    let world = World::new();
    let runtime = runtime(&world);
    let other = pilothouse::keep::port::free(&[]).unwrap();
    let spec = spec(&world, 0, &listens("127.0.0.1", &other.to_string()));
    let port = runtime.start(&spec).await.unwrap().address.unwrap().port();
    let problem = contract::problem(runtime.await_ready(&spec.id, true, SOON).await);
    assert_eq!(problem.what, format!("shop-1-a listens on port {other}, not on {port}, which it was given as PORT"));
    assert!(problem.next.unwrap().contains(&format!("--port {other}")));
}

#[tokio::test]
async fn listening_where_the_edge_cannot_reach_it_is_named() {
    let world = World::new();
    let runtime = runtime(&world);
    let spec = spec(&world, 0, &listens("127.0.0.7", "int(os.environ['PORT'])"));
    let port = runtime.start(&spec).await.unwrap().address.unwrap().port();
    let problem = contract::problem(runtime.await_ready(&spec.id, true, SOON).await);
    assert_eq!(problem.what, format!("shop-1-a listens on 127.0.0.7:{port} only, where the edge does not reach it"));
}

#[tokio::test]
async fn a_grandchild_that_listens_late_counts() {
    let world = World::new();
    let runtime = runtime(&world);
    let spec = spec(&world, 0, &format!("(sleep 0.3; {}) & wait", on_port()));
    runtime.start(&spec).await.unwrap();
    runtime.await_ready(&spec.id, true, SOON).await.unwrap();
}

#[tokio::test]
async fn one_that_never_listens_is_told_apart_from_one_that_need_not() {
    let world = World::new();
    let runtime = runtime(&world);
    let spec = spec(&world, 0, "echo thinking; sleep 1000");
    let port = runtime.start(&spec).await.unwrap().address.unwrap().port();
    let problem = contract::problem(runtime.await_ready(&spec.id, true, Millis(400)).await);
    assert_eq!(problem.what, format!("shop-1-a did not listen on port {port} (its PORT) within 400 ms"));
    assert_eq!(problem.evidence, ["thinking"]);
    runtime.await_ready(&spec.id, false, SOON).await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_refused_with_who_has_it() {
    let world = World::new();
    let runtime = runtime(&world);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = InstanceSpec { port: Some(port), ..spec(&world, 0, &on_port()) };
    let problem = contract::problem(runtime.start(&asked).await);
    assert!(problem.what.contains(&format!("cannot have port {port}: it is taken by process {} (", std::process::id())));
    assert!(keepers::state(&world.settings, "shop-1-a").is_none(), "nothing was started");
    drop(listener);
    runtime.start(&asked).await.unwrap();
    runtime.await_ready(&asked.id, true, SOON).await.unwrap();
    let second = InstanceSpec { port: Some(port), ..spec(&world, 1, &on_port()) };
    let problem = contract::problem(runtime.start(&second).await);
    assert!(problem.what.contains("it is taken by shop-1-a (process "), "{problem}");
}

#[tokio::test]
async fn a_chosen_port_that_somebody_else_took_first_is_replaced() {
    let world = World::new();
    let runtime = runtime(&world);
    let gate = world.folder().join("gate");
    let spec = spec(&world, 0, &format!("while [ ! -e {} ]; do sleep 0.02; done; {}", gate.display(), on_port()));
    let first = runtime.start(&spec).await.unwrap().address.unwrap();
    let thief = std::net::TcpListener::bind(first).unwrap();
    std::fs::write(gate, "").unwrap();
    runtime.await_ready(&spec.id, true, SOON).await.unwrap();
    let address = keepers::state(&world.settings, "shop-1-a").unwrap().address.unwrap();
    assert_ne!(address, first);
    assert_eq!(runtime.start(&spec).await.unwrap().address, Some(address));
    drop(thief);
}

#[tokio::test]
async fn a_killed_keeper_is_reported_as_lost_and_its_orphan_makes_room() {
    let world = World::new();
    let runtime = runtime(&world);
    let port = pilothouse::keep::port::free(&[]).unwrap();
    let spec = InstanceSpec { port: Some(port), ..spec(&world, 0, &on_port()) };
    runtime.start(&spec).await.unwrap();
    runtime.await_ready(&spec.id, true, SOON).await.unwrap();
    let (sender, mut reports) = mpsc::channel(64);
    let watching = ProcessRuntime::new(world.settings.clone());
    let story = async {
        let state = KeeperState::read(&world.settings.state.keeper("shop-1-a")).unwrap();
        state.keeper.signal(Signal::KILL);
        let begun = tokio::time::Instant::now();
        loop {
            let report = tokio::time::timeout(Duration::from_secs(10), reports.recv()).await.unwrap().unwrap();
            if matches!(&report, Report::Instance(report) if report.state == InstanceState::Lost) {
                break;
            }
        }
        assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
        let problem = contract::problem(runtime.await_ready(&spec.id, true, SOON).await);
        assert_eq!(problem.what, "shop-1-a was lost: its keeper is gone");
        runtime.start(&spec).await.unwrap();
        runtime.await_ready(&spec.id, true, SOON).await.unwrap();
        assert!(!state.child.unwrap().is_running());
    };
    tokio::select! {
        () = watching.watch(sender) => panic!("the watch ended"),
        () = story => {}
    }
}

#[tokio::test]
async fn figures_of_the_whole_tree_are_reported() {
    let world = World::new();
    let runtime = runtime(&world);
    let spec = spec(&world, 0, "(while :; do :; done) & sleep 1000");
    runtime.start(&spec).await.unwrap();
    let mut settings = world.settings.clone();
    settings.config.engine.sample_every = Millis(300);
    let watching = ProcessRuntime::new(settings);
    let (sender, mut reports) = mpsc::channel(64);
    let story = async {
        loop {
            let report = tokio::time::timeout(Duration::from_secs(10), reports.recv()).await.unwrap().unwrap();
            if let Report::InstanceSample { sample, .. } = report
                && let Some(cpu) = sample.cpu_percent
                && cpu > 1.0
            {
                assert!(sample.memory > 100_000);
                break;
            }
        }
    };
    tokio::select! {
        () = watching.watch(sender) => panic!("the watch ended"),
        () = story => {}
    }
}

#[tokio::test]
async fn two_instances_of_a_machine_never_get_the_same_port() {
    let world = World::new();
    let runtime = runtime(&world);
    let mut ports = Vec::new();
    for ordinal in 0..4 {
        let spec = spec(&world, ordinal, "sleep 1000");
        ports.push(runtime.start(&spec).await.unwrap().address.unwrap().port());
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
    eventually("all states", || (runtime_states(&world) == 4).then_some(())).await;
}

fn runtime_states(world: &World) -> usize {
    (0..4).filter(|n| keepers::is_alive(&world.settings, &format!("shop-1-{}", char::from(b'a' + n)))).count()
}
