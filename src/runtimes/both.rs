//! Processes and containers as one runtime: what is asked, or who knows the instance, says which it is.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Runtime, RuntimeError, Started, docker::DockerRuntime, process::ProcessRuntime};
use crate::model::{
    ids::InstanceId,
    instance::{Exit, InstanceSpec},
    manifest,
    order::{InstanceReport, Report},
    units::Millis,
};

/// Every runtime of a host.
#[derive(Clone, Debug)]
pub struct Both {
    pub process: ProcessRuntime,
    pub docker: DockerRuntime,
}

impl Both {
    fn of(&self, id: &InstanceId) -> &dyn Runtime {
        if self.docker.knows(id) { &self.docker } else { &self.process }
    }
}

#[async_trait]
impl Runtime for Both {
    async fn start(&self, spec: &InstanceSpec) -> Result<Started, RuntimeError> {
        match spec.runtime {
            manifest::Runtime::Process => self.process.start(spec).await,
            manifest::Runtime::Docker => self.docker.start(spec).await,
        }
    }

    async fn await_ready(&self, id: &InstanceId, listens: bool, within: Millis) -> Result<(), RuntimeError> {
        self.of(id).await_ready(id, listens, within).await
    }

    async fn stop(&self, id: &InstanceId) -> Result<Option<Exit>, RuntimeError> {
        self.of(id).stop(id).await
    }

    /// Without Docker the processes are told all the same: what is a container is not known then.
    async fn list(&self) -> Result<Vec<InstanceReport>, RuntimeError> {
        let mut all = self.process.list().await?;
        match self.docker.list().await {
            Ok(containers) => all.extend(containers),
            Err(problem) => tracing::warn!(%problem, "containers are not known"),
        }
        Ok(all)
    }

    async fn watch(&self, reports: mpsc::Sender<Report>) {
        tokio::join!(self.process.watch(reports.clone()), self.docker.watch(reports));
    }
}
