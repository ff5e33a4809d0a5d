//! Instances as containers of this machine's Docker engine.

mod body;
pub mod client;
mod credentials;
mod deeds;
mod end;
mod image_names;
mod images;
pub mod labels;
pub mod logs;
mod make;
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
};

use async_trait::async_trait;
use bollard::{Docker, errors::Error, models::ContainerInspectResponse, query_parameters::InspectContainerOptions};
use tokio::sync::{Mutex, mpsc};

use self::{
    client::{Client, is_not_found},
    memory::Memory,
};
use super::{Runtime, RuntimeError, Started};
use crate::{
    config::Settings,
    model::{
        ids::InstanceId,
        instance::{Exit, InstanceSpec},
        order::{InstanceReport, Report},
        problem::Problem,
        units::Millis,
    },
};

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
        let own = InstanceSpec { image_name: None, replaces: Vec::new(), peers: Vec::new(), ..instance.clone() };
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
