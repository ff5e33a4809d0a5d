//! What the runtime does to containers.

use std::time::Duration;

use pilothouse::{
    model::{
        instance::{InstanceSpec, InstanceState},
        order::Report,
        units::{Bytes, Millis},
    },
    runtimes::{Runtime, RuntimeError},
};
use tokio::sync::mpsc;

use crate::{
    engine_support::docker::ask,
    kept::{contract, eventually},
    support::DockerWorld,
};

const SOON: Millis = Millis::seconds(20);
/// A server on the port that it was told.
const SERVES: &str = "httpd -f -p $PORT -h /";

#[tokio::test]
async fn it_keeps_to_the_contract() {
    let Some(world) = DockerWorld::new() else { return };
    let serves = world.spec(0, SERVES).await;
    let fails = world.spec(1, "echo no such table >&2; exit 3").await;
    // A second on a machine at rest; Docker's own part grows with the load.
    contract::contract(&world.runtime, &serves, &fails, Duration::from_secs(8)).await;
    world.clean().await;
}

#[tokio::test]
async fn those_that_start_side_by_side_share_one_network() {
    let Some(world) = DockerWorld::new() else { return };
    let specs = futures_util::future::join_all((0..4).map(|ordinal| world.spec(ordinal, SERVES))).await;
    let started = futures_util::future::join_all(specs.iter().map(|spec| world.runtime.start(spec))).await;
    for started in started {
        started.expect("it starts");
    }
    let label = format!("label=pilothouse.state={}", world.runtime.mark());
    let networks = ask(&["network", "ls", "-q", "--filter", &label]);
    assert_eq!(networks.lines().count(), 1, "{networks}");
    world.clean().await;
    let docker = world.runtime.client().docker().await.expect("Docker");
    world.runtime.remove_networks(&docker, &specs[0].app).await;
    assert_eq!(ask(&["network", "ls", "-q", "--filter", &label]), "");
}

#[tokio::test]
async fn listening_elsewhere_is_named_with_both_ports() {
    let Some(world) = DockerWorld::new() else { return };
    let spec = world.spec(0, "httpd -f -p 3000").await;
    world.runtime.start(&spec).await.unwrap();
    let problem = contract::problem(world.runtime.await_ready(&spec.id, true, SOON).await);
    assert_eq!(problem.what, "shop-1-a listens on port 3000, not on 8080, which it was given as PORT");
    assert!(problem.next.unwrap().contains("--port 3000"));
    let inner = world.spec(1, "httpd -f -p 127.0.0.1:8080").await;
    world.runtime.start(&inner).await.unwrap();
    let problem = contract::problem(world.runtime.await_ready(&inner.id, true, SOON).await);
    assert!(problem.what.contains("127.0.0.1:8080 inside its container only"), "{problem}");
    world.clean().await;
}

#[tokio::test]
async fn an_image_without_the_program_says_so_and_leaves_nothing() {
    let Some(world) = DockerWorld::new() else { return };
    let image_name = Some("registry.example/team/shop:v7".to_owned());
    let spec = InstanceSpec { image_name, ..world.spec(0, "gunicorn app:app").await };
    let problem = contract::problem(world.runtime.start(&spec).await);
    assert_eq!(problem.what, "shop-1-a was not started: its image registry.example/team/shop:v7 has no `gunicorn`");
    assert_eq!(problem.at.as_deref(), Some("process web of shop"));
    let docker = world.runtime.client().docker().await.unwrap();
    let name = format!("shop-1-a-{}", &world.runtime.mark()[..6]);
    assert!(docker.inspect_container(&name, None).await.is_err());
}

#[tokio::test]
async fn too_much_memory_is_named() {
    let Some(world) = DockerWorld::new() else { return };
    let mut spec = world.spec(0, "sleep 0.3; tail /dev/zero").await;
    spec.memory = Some(Bytes::mib(16));
    world.runtime.start(&spec).await.unwrap();
    let problem = contract::problem(world.runtime.await_ready(&spec.id, true, SOON).await);
    assert!(problem.what.starts_with("shop-1-a out of memory"), "{problem}");
    world.clean().await;
}

#[tokio::test]
async fn every_line_is_kept_once_over_restarts_of_engine_and_container() {
    let Some(world) = DockerWorld::new() else { return };
    let spec = world.spec(0, "for n in $(seq 1 40); do echo line $n; sleep 0.05; done; exit 1").await;
    world.runtime.start(&spec).await.unwrap();
    // An engine that is killed, one that sees the container die and come again, and one that finds it.
    for seen in [10, 50, 90] {
        let runtime = world.again();
        let (sender, mut reports) = mpsc::channel(256);
        tokio::select! {
            () = runtime.watch(sender) => panic!("the watch ended"),
            () = async { while reports.recv().await.is_some() {} } => {}
            lines = eventually("lines", || Some(own(&world, &spec.id.0)).filter(|lines| lines.len() >= seen)) => drop(lines),
        }
    }
    world.runtime.stop(&spec.id).await.unwrap();
    let lines = own(&world, &spec.id.0);
    let expected = (0..lines.len()).map(|n| format!("o line {}", n % 40 + 1));
    assert!(lines.iter().cloned().eq(expected), "{lines:?}");
    world.clean().await;
}

/// Lines that the container itself wrote.
fn own(world: &DockerWorld, name: &str) -> Vec<String> {
    world.world.log(name).into_iter().filter(|line| !line.starts_with('k')).collect()
}

#[tokio::test]
async fn one_that_was_removed_behind_our_back_is_lost_and_comes_back_as_a_restart() {
    let Some(world) = DockerWorld::new() else { return };
    let spec = world.spec(0, SERVES).await;
    let first = world.runtime.start(&spec).await.unwrap();
    let docker = world.runtime.client().docker().await.unwrap();
    let name = format!("shop-1-a-{}", &world.runtime.mark()[..6]);
    let (sender, mut reports) = mpsc::channel(256);
    let story = async {
        await_state(&mut reports, InstanceState::Running).await;
        let force = bollard::query_parameters::RemoveContainerOptions { force: true, ..Default::default() };
        docker.remove_container(&name, Some(force)).await.unwrap();
        await_state(&mut reports, InstanceState::Lost).await;
        let again = world.runtime.start(&spec).await.unwrap();
        assert_eq!(again.address, first.address);
        let report = await_state(&mut reports, InstanceState::Running).await;
        assert_eq!(report.restarts, 1);
    };
    tokio::select! {
        () = world.runtime.watch(sender) => panic!("the watch ended"),
        told = tokio::time::timeout(Duration::from_secs(30), story) => told.unwrap(),
    }
    world.clean().await;
}

async fn await_state(reports: &mut mpsc::Receiver<Report>, state: InstanceState) -> pilothouse::model::order::InstanceReport {
    loop {
        match reports.recv().await {
            Some(Report::Instance(report)) if report.state == state => return report,
            Some(_) => {}
            None => panic!("the reports ended"),
        }
    }
}

#[tokio::test]
async fn a_foreign_container_with_our_name_is_refused_and_left_alone() {
    let Some(world) = DockerWorld::new() else { return };
    let spec = world.spec(0, SERVES).await;
    let docker = world.runtime.client().docker().await.unwrap();
    let name = format!("shop-1-a-{}", &world.runtime.mark()[..6]);
    let body = bollard::models::ContainerCreateBody { image: spec.image.clone(), ..Default::default() };
    let options = bollard::query_parameters::CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
    let foreign = docker.create_container(Some(options), body).await.unwrap().id;
    let refused = world.runtime.start(&spec).await;
    let removal = docker.remove_container(&foreign, None).await;
    let problem = contract::problem(refused);
    assert_eq!(problem.what, format!("a container named {name} is there already, and it is not ours"));
    removal.unwrap();
}

#[tokio::test]
async fn a_docker_that_is_away_is_a_passing_failure() {
    let Some(world) = DockerWorld::new() else { return };
    let spec = world.spec(0, SERVES).await;
    let mut settings = world.world.settings.clone();
    settings.config.docker.host = "unix:///nowhere/docker.sock".to_owned();
    let runtime = pilothouse::runtimes::docker::DockerRuntime::new(settings);
    let Err(RuntimeError::Transient(problem)) = runtime.start(&spec).await else { panic!("it is to be tried again") };
    assert!(problem.what.starts_with("Docker does not answer"), "{problem}");
    assert!(problem.next.unwrap().contains("pilothouse doctor"));
}
