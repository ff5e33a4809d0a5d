//! Deeds to containers by their id, and the removal of what is ours and not needed.

use bollard::{
    Docker,
    errors::Error,
    query_parameters::{RemoveContainerOptions, RemoveVolumeOptions, RestartContainerOptions, StopContainerOptions},
};

use super::{
    DockerRuntime,
    client::{is_not_found, is_unchanged},
    labels, make,
};
use crate::model::{
    container::{ContainerAct, ContainerId, PruneKind, PruneObject},
    problem::Problem,
    units::Bytes,
};

impl DockerRuntime {
    /// Does it to one container, whoever started it. One that is already so is done.
    pub async fn act(&self, id: &ContainerId, act: ContainerAct) -> Result<(), Problem> {
        let docker = self.client.docker().await?;
        let done = match act {
            ContainerAct::Start => docker.start_container(&id.0, None).await,
            // The container's own limit, ten seconds where it has none.
            ContainerAct::Stop => docker.stop_container(&id.0, None::<StopContainerOptions>).await,
            ContainerAct::Restart => docker.restart_container(&id.0, None::<RestartContainerOptions>).await,
            ContainerAct::Remove => {
                let stopped = docker.stop_container(&id.0, None::<StopContainerOptions>).await;
                match stopped {
                    Err(error) if !is_unchanged(&error) && !is_not_found(&error) => Err(error),
                    _ => match docker.remove_container(&id.0, None::<RemoveContainerOptions>).await {
                        Err(error) if is_not_found(&error) => Ok(()),
                        removed => removed,
                    },
                }
            }
        };
        match done {
            Err(error) if is_unchanged(&error) => Ok(()),
            Err(error) if is_not_found(&error) => {
                Err(Problem::not_found(format!("there is no container {id} any more")).hint("pilothouse containers lists them"))
            }
            done => done.map_err(|error| {
                let problem = self.problem(&format!("{} container {id}", act.word()), error);
                match make::lacks(&problem.what) {
                    Some(lacks) => Problem::app(format!("container {id} does not run: its image {lacks}"))
                        .hint("make it anew with another command or image: docker run …")
                        .evidence([problem.what]),
                    None => problem,
                }
            }),
        }
    }

    /// Removes each of `objects` that is ours and unused; gives what that freed. What is gone already is no failure.
    pub async fn prune(&self, objects: &[PruneObject]) -> Result<Bytes, Problem> {
        let docker = self.client.docker().await?;
        let mut freed = 0;
        for object in objects {
            let is_gone = match object.kind {
                PruneKind::Container => self.prune_container(&docker, &object.id).await?,
                PruneKind::Image => self.prune_image(&docker, &object.id).await?,
                PruneKind::Volume => self.prune_volume(&docker, &object.id).await?,
            };
            if is_gone {
                freed += object.size.map_or(0, |size| size.0);
            }
        }
        Ok(Bytes(freed))
    }

    async fn prune_container(&self, docker: &Docker, id: &str) -> Result<bool, Problem> {
        let Some(seen) = self.inspect(docker, id).await? else { return Ok(false) };
        let labels = seen.config.and_then(|config| config.labels).unwrap_or_default();
        self.check_ours(labels.get(labels::STATE), "container", id)?;
        // Without force: one that runs stays.
        self.removed(docker.remove_container(id, None::<RemoveContainerOptions>).await, "container", id)
    }

    async fn prune_image(&self, docker: &Docker, id: &str) -> Result<bool, Problem> {
        if labels::of_tag(&self.mark, id).is_none() {
            let found = match docker.inspect_image(id).await {
                Ok(found) => found,
                Err(error) if is_not_found(&error) => return Ok(false),
                Err(error) => return Err(self.problem("look at an image", error)),
            };
            let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
            self.check_ours(labels.get(labels::STATE), "image", id)?;
        }
        self.untag(docker, id).await
    }

    async fn prune_volume(&self, docker: &Docker, name: &str) -> Result<bool, Problem> {
        let found = match docker.inspect_volume(name).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => return Ok(false),
            Err(error) => return Err(self.problem("look at a volume", error)),
        };
        self.check_ours(found.labels.get(labels::STATE), "volume", name)?;
        self.removed(docker.remove_volume(name, None::<RemoveVolumeOptions>).await, "volume", name)
    }

    fn check_ours(&self, state: Option<&String>, kind: &str, name: &str) -> Result<(), Problem> {
        if state.is_some_and(|state| *state == *self.mark) {
            return Ok(());
        }
        Err(Problem::conflict(format!("{kind} {name} is not ours; it is left alone"))
            .hint(format!("docker {kind} rm {name} removes it")))
    }

    fn removed(&self, removal: Result<(), Error>, kind: &str, name: &str) -> Result<bool, Problem> {
        match removal {
            Ok(()) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(self.problem(&format!("remove {kind} {name}"), error)),
        }
    }
}
