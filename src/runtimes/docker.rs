//! Instances as containers of this machine's Docker engine.

mod body;
pub mod client;
mod credentials;
mod deeds;
mod images;
pub mod labels;
mod logs;
mod memory;
pub mod network;
mod observe;
mod ready;
mod seen;
pub mod shell;
mod usage;
mod watch;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    errors::Error,
    models::ContainerInspectResponse,
    query_parameters::{CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions, StopContainerOptions},
};
use tokio::sync::{Mutex, mpsc};

use self::{
    client::{Client, is_not_found, is_unchanged},
    memory::Memory,
};
use super::{Runtime, RuntimeError, Started};
use crate::{
    config::Settings,
    keep::port,
    model::{
        ids::InstanceId,
        instance::{Exit, InstanceSpec},
        order::{InstanceReport, Report},
        problem::Problem,
        units::Millis,
    },
};

/// Ports tried when others take the chosen ones first.
const PORTS_TRIED: u32 = 5;
/// Longest wait for the last lines of a container that has ended.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The runtime `docker`. Docker restarts what ends by itself and brings it back after its own and the host's restarts;
/// our memory is the instance's folder among the keepers', where its log stands too.
#[derive(Clone)]
pub struct DockerRuntime {
    settings: Arc<Settings>,
    client: Arc<Client>,
    mark: Arc<str>,
    /// One start or stop of an instance at a time; held by whoever takes its log, too.
    locks: Arc<std::sync::Mutex<HashMap<InstanceId, Arc<Locks>>>>,
    /// Shared by those that make a container in a network.
    networks: Arc<tokio::sync::RwLock<()>>,
    /// Held while a network is made: before version 25 Docker makes a second one of the same name.
    making: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct Locks {
    deed: Mutex<()>,
    log: Mutex<()>,
}

impl fmt::Debug for DockerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerRuntime").field("client", &self.client).finish_non_exhaustive()
    }
}

impl DockerRuntime {
    pub fn new(settings: Settings) -> Self {
        let mark = labels::mark(&settings).into();
        Self {
            client: Arc::new(Client::new(&settings)),
            settings: Arc::new(settings),
            mark,
            locks: Arc::default(),
            networks: Arc::default(),
            making: Arc::default(),
        }
    }

    /// The way to Docker, for what is not an instance: images, foreign containers.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Twelve digits that mark what is ours.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether an instance is, or was, a container.
    pub fn knows(&self, id: &InstanceId) -> bool {
        Memory::read(&self.settings, id).is_some()
    }

    /// Instances that are to run.
    pub fn alive(&self) -> Vec<InstanceId> {
        let all = Memory::all(&self.settings).into_iter();
        all.filter(|(_, memory)| !memory.stopped && memory.container.is_some()).map(|(id, _)| id).collect()
    }

    fn locks(&self, id: &InstanceId) -> Arc<Locks> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(id.clone()).or_default())
    }

    async fn inspect(&self, docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>, Problem> {
        self.if_found("look at a container", docker.inspect_container(name, None::<InspectContainerOptions>).await)
    }

    fn problem(&self, deed: &str, error: Error) -> Problem {
        self.client.problem(deed, error)
    }

    /// What Docker answered; absent when it has no such thing.
    fn if_found<T>(&self, deed: &str, answer: Result<T, Error>) -> Result<Option<T>, Problem> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(self.problem(deed, error)),
        }
    }

    /// What runs under the instance's name, when it is its own and lives with this spec; what has ended is cleared away.
    async fn clear(
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

    /// Removes a container that has ended, once its last lines are kept. Named volumes stay.
    async fn remove(&self, docker: &Docker, id: &InstanceId, container: &str) -> Result<(), Problem> {
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

    async fn make(&self, docker: &Docker, instance: &InstanceSpec, name: &str, spec: &str) -> Result<Memory, Problem> {
        let image = instance.image.as_deref().ok_or_else(|| Problem::internal(format!("{} has no image", instance.id)))?;
        let found = match docker.inspect_image(image).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => {
                return Err(Problem::not_found(format!("the image of {} is not there any more", instance.id))
                    .at(image.to_owned())
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
                    let problem = not_started(instance, image, self.problem(&format!("start {}", instance.id), error));
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

    async fn end(&self, docker: &Docker, id: &InstanceId, mut memory: Memory) -> Result<Option<Exit>, Problem> {
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

#[async_trait]
impl Runtime for DockerRuntime {
    async fn start(&self, instance: &InstanceSpec) -> Result<Started, RuntimeError> {
        let locks = self.locks(&instance.id);
        let _deed = locks.deed.lock().await;
        let docker = self.client.docker().await?;
        // What only one may have, such as a volume, is free before this one takes it.
        for other in instance.replaces.iter().filter(|other| **other != instance.id && self.knows(other)) {
            self.stop(other).await?;
        }
        let own = InstanceSpec { replaces: Vec::new(), peers: Vec::new(), ..instance.clone() };
        let written = serde_json::to_vec(&own).map_err(|error| Problem::internal(error.to_string()))?;
        let spec = labels::hex(&written);
        let name = labels::container_name(&self.mark, &instance.id);
        memory::make_folder(&self.settings, instance)?;
        let found = self.clear(&docker, instance, &name, &spec).await?;
        let known = found.as_ref().and(Memory::read(&self.settings, &instance.id)).filter(|memory| !memory.stopped);
        let memory = match (known, found) {
            (Some(memory), Some(_)) => memory,
            // Nobody remembers on which port it was to listen: made by an engine whose disk forgot.
            (None, Some(seen)) => {
                self.remove(&docker, &instance.id, &seen.id.unwrap_or_default()).await?;
                self.make(&docker, instance, &name, &spec).await?
            }
            (_, None) => self.make(&docker, instance, &name, &spec).await?,
        };
        let seen = self.inspect(&docker, &name).await?;
        let pid = seen.and_then(|seen| seen.state?.pid).unwrap_or(0).max(0) as u32;
        Ok(Started { address: Some(memory.address()), pid })
    }

    async fn await_ready(&self, id: &InstanceId, listens: bool, within: Millis) -> Result<(), RuntimeError> {
        Ok(ready::await_ready(self, id, listens, within).await?)
    }

    async fn stop(&self, id: &InstanceId) -> Result<Option<Exit>, RuntimeError> {
        let locks = self.locks(id);
        let _deed = locks.deed.lock().await;
        match Memory::read(&self.settings, id) {
            None => Ok(None),
            // One with a container was left in the middle of its end.
            Some(memory) if memory.stopped && memory.container.is_none() => Ok(memory.last_exit),
            Some(memory) => {
                let docker = self.client.docker().await?;
                Ok(self.end(&docker, id, memory).await?)
            }
        }
    }

    async fn list(&self) -> Result<Vec<InstanceReport>, RuntimeError> {
        let all = Memory::all(&self.settings);
        if all.iter().all(|(_, memory)| memory.stopped) {
            return Ok(all.iter().map(|(id, memory)| seen::report(id, memory, None)).collect());
        }
        let docker = self.client.docker().await?;
        let mut reports = Vec::new();
        for (id, memory) in all {
            let seen = match &memory.container {
                Some(container) if !memory.stopped => self.inspect(&docker, container).await?,
                _ => None,
            };
            reports.push(seen::report(&id, &memory, seen.as_ref()));
        }
        Ok(reports)
    }

    async fn watch(&self, reports: mpsc::Sender<Report>) {
        watch::Watch::new(self.clone(), reports).run().await;
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

/// Why a container was made and not started, where it is the image's or the command's fault.
fn not_started(instance: &InstanceSpec, image: &str, problem: Problem) -> Problem {
    let what = &problem.what;
    let has_none = ["executable file not found", "no such file or directory", "permission denied: unknown"];
    if !has_none.iter().any(|words| what.contains(words)) || !what.contains("exec") {
        return problem;
    }
    let program = what.split("exec: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("what it is to run");
    let why = if what.contains("permission denied") { "cannot execute" } else { "has no" };
    Problem::app(format!("{} was not started: its image {why} `{program}`", instance.id))
        .at(image.to_owned())
        .hint("correct the command (--start, or `command` in pilothouse.toml), or the image")
        .evidence([what.clone()])
}
