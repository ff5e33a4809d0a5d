//! An engine's settings with a Docker engine for tests.

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

use crate::{
    engine_support::docker::{self, BUSYBOX},
    kept::World,
};

/// A world whose containers go when it goes.
pub(crate) struct DockerWorld {
    pub(crate) world: World,
    pub(crate) runtime: DockerRuntime,
}

impl DockerWorld {
    pub(crate) fn new() -> Option<Self> {
        if !docker::is_there() {
            return None;
        }
        let mut world = World::new();
        world.settings.config.docker.host = std::env::var("DOCKER_HOST").ok()?;
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
            image_name: None,
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
