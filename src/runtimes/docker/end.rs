//! An instance's container ends and goes, once its last lines are kept.

use std::time::Duration;

use bollard::{
    Docker,
    errors::Error,
    models::ContainerInspectResponse,
    query_parameters::{RemoveContainerOptions, StopContainerOptions},
};

use super::{
    DockerRuntime, body,
    client::{is_not_found, is_unchanged},
    labels, logs,
    memory::Memory,
    seen,
};
use crate::model::{ids::InstanceId, instance::Exit, problem::Problem};

/// Longest wait for the last lines of a container that has ended.
const LAST_LINES: Duration = Duration::from_secs(5);

impl DockerRuntime {
    /// Removes a container that has ended, once its last lines are kept. Named volumes stay.
    pub(super) async fn remove(&self, docker: &Docker, id: &InstanceId, container: &str) -> Result<(), Problem> {
        self.take_last_lines(docker, id, container).await;
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        match docker.remove_container(container, Some(options)).await {
            Err(error) if !is_not_found(&error) && !is_being_removed(&error) => Err(self.problem("remove a container", error)),
            _ => Ok(()),
        }
    }

    /// A follower holds the lock until the container has ended and all is kept; without one it is done here.
    async fn take_last_lines(&self, docker: &Docker, id: &InstanceId, container: &str) {
        let locks = self.locks(id);
        let taking = async {
            let _log = locks.log.lock().await;
            logs::take(docker, &self.settings, id, container, false).await
        };
        match tokio::time::timeout(LAST_LINES, taking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_not_found(&error) => {}
            Ok(Err(error)) => tracing::warn!(%id, %error, "the last lines of a container are lost"),
            Err(_) => tracing::warn!(%id, "the last lines of a container did not come in time"),
        }
    }

    pub(super) async fn end(&self, docker: &Docker, id: &InstanceId, mut memory: Memory) -> Result<Option<Exit>, Problem> {
        let name = labels::container_name(&self.mark, id);
        let container = match (&memory.container, self.inspect(docker, &name).await?) {
            (_, Some(seen)) if is_of(&seen, &self.mark, id) => seen.id.clone().unwrap_or(name),
            (Some(container), _) => container.clone(),
            (None, _) => String::new(),
        };
        if !container.is_empty() && self.inspect(docker, &container).await?.is_some() {
            memory.stopping = true;
            memory.write(&self.settings, id)?;
            let limit = body::seconds(memory.kill_after.0);
            let options = StopContainerOptions { t: Some(limit as i32), ..StopContainerOptions::default() };
            match docker.stop_container(&container, Some(options)).await {
                Ok(()) => {}
                Err(error) if is_not_found(&error) || is_unchanged(&error) => {}
                Err(error) => return Err(self.problem(&format!("stop {id}"), error)),
            }
            let seen = self.inspect(docker, &container).await?;
            memory.last_exit = seen::exit(seen.as_ref()).or(memory.last_exit);
            // Before the removal: whoever hears of that is to know that it was asked for.
            memory.stopping = false;
            memory.stopped = true;
            memory.write(&self.settings, id)?;
            self.remove(docker, id, &container).await?;
        }
        memory.stopping = false;
        memory.stopped = true;
        memory.container = None;
        memory.write(&self.settings, id)?;
        Ok(memory.last_exit)
    }
}

fn is_of(seen: &ContainerInspectResponse, mark: &str, id: &InstanceId) -> bool {
    let labels = seen.config.as_ref().and_then(|config| config.labels.as_ref());
    let is = |name: &str, value: &str| labels.and_then(|labels| labels.get(name)).is_some_and(|label| label == value);
    is(labels::STATE, mark) && is(labels::INSTANCE, &id.0)
}

fn is_being_removed(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, message } if message.contains("already in progress"))
}
