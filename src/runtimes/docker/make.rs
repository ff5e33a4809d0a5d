//! An instance's container is made and started, on a port that is free.

use bollard::{Docker, models::ContainerInspectResponse, query_parameters::CreateContainerOptions};

use super::{DockerRuntime, body, client::is_not_found, labels, memory::Memory};
use crate::{
    keep::port,
    model::{instance::InstanceSpec, problem::Problem},
};

/// Ports tried when others take the chosen ones first.
const PORTS_TRIED: u32 = 5;

impl DockerRuntime {
    /// What runs under the instance's name, when it is its own and lives with this spec; what has ended is cleared away.
    pub(super) async fn clear(
        &self,
        docker: &Docker,
        instance: &InstanceSpec,
        name: &str,
        spec: &str,
    ) -> Result<Option<ContainerInspectResponse>, Problem> {
        let Some(seen) = self.inspect(docker, name).await? else { return Ok(None) };
        let id = seen.id.clone().unwrap_or_default();
        let label = |name: &str| seen.config.as_ref()?.labels.as_ref()?.get(name).cloned();
        if label(labels::STATE).as_deref() != Some(&self.mark) || label(labels::INSTANCE).as_deref() != Some(&instance.id.0) {
            return Err(Problem::conflict(format!("a container named {name} is there already, and it is not ours"))
                .at(name.to_owned())
                .hint(format!("look at it with docker inspect {name}; then rename or remove it: docker rename {name} NEW")));
        }
        let runs = |state: &bollard::models::ContainerState| state.running == Some(true) || state.restarting == Some(true);
        let is_alive = seen.state.as_ref().is_some_and(runs);
        let is_stopping = Memory::read(&self.settings, &instance.id).is_some_and(|memory| memory.stopping);
        match (is_alive && !is_stopping, label(labels::SPEC).as_deref() == Some(spec)) {
            (true, true) => Ok(Some(seen)),
            (true, false) => Err(Problem::conflict(format!("{} runs already, with another spec", instance.id))
                .hint("stop it first; a new release has instances of its own")),
            (false, _) => {
                self.remove(docker, &instance.id, &id).await?;
                Ok(None)
            }
        }
    }

    pub(super) async fn make(&self, docker: &Docker, instance: &InstanceSpec, name: &str, spec: &str) -> Result<Memory, Problem> {
        let image = instance.image.as_deref().ok_or_else(|| Problem::internal(format!("{} has no image", instance.id)))?;
        let found = match docker.inspect_image(image).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => {
                let name = instance.image_name.as_deref().map(|name| format!(", {name},")).unwrap_or_default();
                return Err(Problem::not_found(format!("the image of {}{name} is not there any more", instance.id))
                    .at(format!("process {} of {}", instance.process, instance.app))
                    .hint(format!("deploy it again: pilothouse deploy … --name {}", instance.app)));
            }
            Err(error) => return Err(self.problem("look at an image", error)),
        };
        let inside = body::port_inside(instance, found.config.as_ref());
        let before = Memory::read(&self.settings, &instance.id).filter(|memory| !memory.stopped);
        let mut refused = Vec::new();
        loop {
            let kept = before.as_ref().map(|memory| memory.outside).filter(|port| !refused.contains(port));
            let outside = match kept.filter(|port| !port::is_taken(*port)) {
                Some(port) => port,
                None => self.free_port(&refused)?,
            };
            let mut memory = Memory {
                container: None,
                spec: spec.to_owned(),
                inside,
                outside,
                kill_after: instance.kill_after,
                restarts_before: before
                    .as_ref()
                    .map_or(0, |memory| memory.restarts_before + u32::from(memory.container.is_some())),
                started_at: None,
                last_exit: before.as_ref().and_then(|memory| memory.last_exit.clone()),
                stopping: false,
                stopped: false,
            };
            memory.write(&self.settings, &instance.id)?;
            let _network_stays = self.networks.read().await;
            let network = self.network_of(docker, instance).await?;
            let asked = body::Asked {
                mark: &self.mark,
                instance,
                image,
                spec,
                inside,
                outside,
                logs: &self.settings.config.logs,
                network: &network,
            };
            let options = CreateContainerOptions { name: Some(name.to_owned()), ..CreateContainerOptions::default() };
            let made = docker.create_container(Some(options), body::body(&asked)).await;
            let container = made.map_err(|error| self.problem(&format!("make a container for {}", instance.id), error))?.id;
            memory.container = Some(container.clone());
            memory.write(&self.settings, &instance.id)?;
            match docker.start_container(&container, None).await {
                Ok(()) => return Ok(memory),
                Err(error) => {
                    let is_port = error.to_string().contains("port is already allocated")
                        || error.to_string().contains("address already in use");
                    let problem = not_started(instance, self.problem(&format!("start {}", instance.id), error));
                    self.remove(docker, &instance.id, &container).await?;
                    memory.container = None;
                    memory.stopped = true;
                    memory.write(&self.settings, &instance.id)?;
                    refused.push(outside);
                    if !is_port || refused.len() as u32 >= PORTS_TRIED {
                        return Err(problem);
                    }
                }
            }
        }
    }

    fn free_port(&self, refused: &[u16]) -> Result<u16, Problem> {
        let all = Memory::all(&self.settings).into_iter();
        let mut promised: Vec<u16> = all.filter(|(_, memory)| !memory.stopped).map(|(_, memory)| memory.outside).collect();
        promised.extend(refused);
        port::free(&promised)
            .ok_or_else(|| Problem::unavailable("every port from 20000 on is in use").hint("stop what uses them"))
    }
}

/// Why a container was made and not started, where it is the image's or the command's fault.
fn not_started(instance: &InstanceSpec, problem: Problem) -> Problem {
    let Some(lacks) = lacks(&problem.what) else { return problem };
    let image = instance.image_name.as_ref().map_or_else(|| "its image".to_owned(), |name| format!("its image {name}"));
    Problem::app(format!("{} was not started: {image} {lacks}", instance.id))
        .at(format!("process {} of {}", instance.process, instance.app))
        .hint("correct the command (--start, or `command` in pilothouse.toml), or the image")
        .evidence([problem.what])
}

/// What an image lacks, by Docker's words for a start that failed: "has no `gunicorn`".
pub(super) fn lacks(said: &str) -> Option<String> {
    let has_none = ["executable file not found", "no such file or directory", "permission denied: unknown"];
    if !has_none.iter().any(|words| said.contains(words)) || !said.contains("exec") {
        return None;
    }
    let program = said.split("exec: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("what it is to run");
    let why = if said.contains("permission denied") { "cannot execute" } else { "has no" };
    Some(format!("{why} `{program}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_lacks_is_read_from_dockers_words() {
        let said = "cannot start shop: Docker says: failed to create task for container: OCI runtime create failed: runc create \
                    failed: unable to start container process: exec: \"gunicorn\": executable file not found in $PATH: unknown";
        assert_eq!(lacks(said).as_deref(), Some("has no `gunicorn`"));
        assert_eq!(lacks("cannot start shop: Docker says: port is already allocated"), None);
    }
}
