//! Instances as processes of this host, each under a keeper of its own.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Runtime, RuntimeError, Started, keepers, ready, watch};
use crate::{
    config::{Settings, sockets},
    keep::{KeeperState, Program, Spec, port, process},
    model::{
        ids::InstanceId,
        instance::{Exit, InstanceSpec, InstanceState},
        log::LogLabels,
        manifest::Runtime as Kind,
        order::{InstanceReport, Report},
        problem::Problem,
        units::Millis,
    },
};

/// The runtime `process`. Its memory is the keepers' folder.
#[derive(Clone, Debug)]
pub struct ProcessRuntime {
    settings: Arc<Settings>,
}

impl ProcessRuntime {
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// The keeper's spec for an instance, without a port where none is asked for.
    fn spec(&self, instance: &InstanceSpec) -> Spec {
        let program = Program::Shell(instance.command.clone());
        Spec {
            env: instance.environment(),
            secrets: instance.secrets.0.keys().cloned().collect(),
            port: instance.port,
            port_chosen: instance.port.is_none(),
            memory: instance.memory,
            kill_after: instance.kill_after,
            ..keepers::spec(&self.settings, program, &instance.folder)
        }
    }

    /// Makes room: what is about to end has ended, and nothing of a dead keeper is left, above all not on the port.
    async fn clear(&self, name: &str) -> Result<(), RuntimeError> {
        match keepers::state(&self.settings, name).map(|state| state.seen(&self.settings.boot_id)) {
            Some(InstanceState::Stopping | InstanceState::Lost) => keepers::stop(&self.settings, name).await?,
            _ => None,
        };
        Ok(())
    }

    fn with_port(&self, id: &InstanceId, mut spec: Spec) -> Result<Spec, Problem> {
        match spec.port {
            Some(port) => match taken(port, id, &self.settings) {
                Some(problem) => return Err(problem),
                None => spec.port = Some(port),
            },
            None => spec.port = Some(self.free_port()?),
        }
        Ok(spec)
    }

    /// A port that no other instance was promised, also none that waits to be started again.
    fn free_port(&self) -> Result<u16, Problem> {
        let keepers = fs::read_dir(self.settings.state.keepers()).into_iter().flatten().flatten();
        let states = keepers.filter_map(|entry| KeeperState::read(&entry.path()));
        let promised: Vec<u16> =
            states.filter(|state| state.state.is_alive()).filter_map(|state| Some(state.address?.port())).collect();
        port::free(&promised).ok_or_else(|| {
            Problem::unavailable("every port from 20000 on is in use")
                .hint("stop what uses them, or set `port` in pilothouse.toml")
        })
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    async fn start(&self, instance: &InstanceSpec) -> Result<Started, RuntimeError> {
        if instance.runtime != Kind::Process {
            let what = format!("{} is to run as a container, and this is the runtime for processes", instance.id);
            return Err(Problem::conflict(what).hint("use the runtime `process`").into());
        }
        let name = &instance.id.0;
        let labels = LogLabels { app: instance.app.clone(), release: instance.release, instance: name.clone() };
        self.clear(name).await?;
        let mut spec = self.spec(instance);
        if !keepers::is_alive(&self.settings, name) {
            let (me, id) = (self.clone(), instance.id.clone());
            spec = keepers::blocking(move || me.with_port(&id, spec)).await??;
        }
        let state = keepers::launch(&self.settings, name, &spec, &labels).await?;
        let pid = state.child.map_or(state.keeper.pid, |child| child.pid);
        Ok(Started { address: state.address, pid })
    }

    async fn await_ready(&self, id: &InstanceId, listens: bool, within: Millis) -> Result<(), RuntimeError> {
        Ok(ready::await_ready(&self.settings, id, listens, within).await?)
    }

    async fn stop(&self, id: &InstanceId) -> Result<Option<Exit>, RuntimeError> {
        Ok(keepers::stop(&self.settings, &id.0).await?)
    }

    async fn list(&self) -> Result<Vec<InstanceReport>, RuntimeError> {
        let settings = Arc::clone(&self.settings);
        Ok(keepers::blocking(move || watch::list(&settings)).await?)
    }

    async fn watch(&self, reports: mpsc::Sender<Report>) {
        watch::Watch::new(Arc::clone(&self.settings), reports).run().await;
    }
}

/// What is wrong with a port that was asked for: somebody listens on it.
fn taken(port: u16, id: &InstanceId, settings: &Settings) -> Option<Problem> {
    if !port::is_taken(port) {
        return None;
    }
    let listener = sockets::listeners(std::process::id()).into_iter().find(|listener| listener.address.port() == port);
    let by = match listener.and_then(|listener| sockets::holder(listener.inode)) {
        Some(pid) => match keeper_of(pid, settings) {
            Some(instance) => format!("by {instance} (process {pid})"),
            None => format!("by process {pid} ({})", process::command_line(pid).unwrap_or_default()),
        },
        None => "by a process of another user".to_owned(),
    };
    Some(
        Problem::conflict(format!("{id} cannot have port {port}: it is taken {by}"))
            .at(format!("port {port}"))
            .hint("stop that process, or take `port` out of pilothouse.toml to have a free one chosen"),
    )
}

/// The keeper of this engine under which a process runs.
fn keeper_of(pid: u32, settings: &Settings) -> Option<String> {
    let keepers = fs::read_dir(settings.state.keepers()).ok()?.flatten();
    keepers.into_iter().find_map(|entry| {
        let mark = format!("{}={}", crate::keep::MARK, entry.path().display());
        process::has_in_environment(pid, &mark).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}
