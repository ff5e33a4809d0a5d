//! An engine's settings with a Docker engine for tests.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use pilothouse::{
    config::Settings,
    model::{
        ids::{AppId, InstanceId, ReleaseId},
        instance::InstanceSpec,
        manifest,
        plan::Env,
        units::Millis,
    },
    runtimes::docker::DockerRuntime,
};

use crate::kept::World;

/// Image that every engine for tests has.
pub(crate) const BUSYBOX: &str = "pilothouse-test/busybox:1";

/// Address of the Docker engine for tests; absent, and said so, where there is none. In CI that is a failure.
pub(crate) fn docker() -> Option<String> {
    let address = std::env::var("PILOTHOUSE_TEST_DOCKER").ok().filter(|address| !address.is_empty());
    if address.is_none() {
        eprintln!("skipped: needs a Docker engine for tests (PILOTHOUSE_TEST_DOCKER; tests/run starts one)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no test may be skipped in CI");
    }
    address
}

/// A world whose containers go when it goes.
pub(crate) struct DockerWorld {
    pub(crate) world: World,
    pub(crate) runtime: DockerRuntime,
}

impl DockerWorld {
    pub(crate) fn new() -> Option<Self> {
        let mut world = World::new();
        world.settings.config.docker.host = docker()?;
        let runtime = DockerRuntime::new(Settings::clone(&world.settings));
        Some(Self { world, runtime })
    }

    /// A fresh runtime on the same folder: what an engine that was started again has.
    pub(crate) fn again(&self) -> DockerRuntime {
        DockerRuntime::new(Settings::clone(&self.world.settings))
    }

    pub(crate) async fn image(&self) -> String {
        let docker = self.runtime.client().docker().await.expect("Docker");
        docker.inspect_image(BUSYBOX).await.expect("the image").id.expect("its id")
    }

    /// An instance of busybox.
    pub(crate) async fn spec(&self, ordinal: u32, command: &str) -> InstanceSpec {
        let app = AppId::parse("shop").expect("a name");
        InstanceSpec {
            id: InstanceId::of(&app, ReleaseId(1), ordinal),
            app,
            release: ReleaseId(1),
            process: "web".to_owned(),
            runtime: manifest::Runtime::Docker,
            command: command.to_owned(),
            folder: self.world.folder(),
            image: Some(self.image().await),
            volumes: Vec::new(),
            container: None,
            replaces: Vec::new(),
            peers: Vec::new(),
            env: Env::default(),
            secrets: Env::default(),
            port: None,
            memory: None,
            kill_after: Millis(1000),
        }
    }

    /// Removes every container and volume of this world.
    pub(crate) async fn clean(&self) {
        use pilothouse::runtimes::docker::labels;
        let docker = self.runtime.client().docker().await.expect("Docker");
        let filters = [("label".to_owned(), vec![format!("{}={}", labels::STATE, self.runtime.mark())])];
        let filters = Some(filters.into_iter().collect::<std::collections::HashMap<_, _>>());
        let all = bollard::query_parameters::ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
        for container in docker.list_containers(Some(all)).await.expect("a list") {
            let force = bollard::query_parameters::RemoveContainerOptions { force: true, v: true, ..Default::default() };
            docker.remove_container(&container.id.expect("an id"), Some(force)).await.expect("its removal");
        }
        let all = bollard::query_parameters::ListVolumesOptions { filters };
        for volume in docker.list_volumes(Some(all)).await.expect("a list").volumes.unwrap_or_default() {
            docker
                .remove_volume(&volume.name, None::<bollard::query_parameters::RemoveVolumeOptions>)
                .await
                .expect("its removal");
        }
    }
}
