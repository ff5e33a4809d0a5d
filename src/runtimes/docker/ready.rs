//! Waiting until a container is ready: it listens on its port inside, or says at once why it never will.

use std::{net::SocketAddr, time::Duration};

use bollard::{
    Docker,
    models::{ContainerInspectResponse, EventMessage, Health, HealthStatusEnum},
    query_parameters::EventsOptions,
};
use futures_util::StreamExt;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{DockerRuntime, Memory, logs, seen};
use crate::{
    config::{clock, sockets},
    model::{
        ids::InstanceId,
        instance::Exit,
        problem::{Problem, ProblemKind},
        units::{Millis, Timestamp},
    },
};

/// Where Docker itself listens in a container of a network.
const RESOLVER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));
/// Instances that need not listen are ready after so long without an exit.
const WORKER_RUNS: Duration = Duration::from_secs(1);
/// An instance that listens elsewhere may still come to its port.
const ELSEWHERE_GRACE: Duration = Duration::from_secs(2);
/// Lines shown of the log of an instance that failed.
const EVIDENCE: usize = 20;
/// A connection that stays open so long has somebody at its other end.
const HELD: Duration = Duration::from_millis(150);

/// See `Runtime::await_ready`.
pub(super) async fn await_ready(runtime: &DockerRuntime, id: &InstanceId, listens: bool, within: Millis) -> Result<(), Problem> {
    let Some(memory) = Memory::read(&runtime.settings, id).filter(|memory| !memory.stopped) else {
        return Err(Problem::not_found(format!("there is no instance {id}")));
    };
    let docker = runtime.client.docker().await?;
    let container = memory.container.clone().unwrap_or_default();
    let mut waiting = Waiting { runtime, docker, id, listens, memory, container, elsewhere: None, runs_since: None };
    match timeout(within.duration(), waiting.until_ready()).await {
        Ok(answer) => answer,
        Err(_) => Err(waiting.time_up(within).await),
    }
}

struct Waiting<'a> {
    runtime: &'a DockerRuntime,
    docker: Docker,
    id: &'a InstanceId,
    listens: bool,
    memory: Memory,
    container: String,
    /// Where it listens instead, and since when that is known.
    elsewhere: Option<(SocketAddr, Instant)>,
    /// Since when it was seen to run. Not by the time of its start: the wall clock may jump.
    runs_since: Option<Instant>,
}

impl Waiting<'_> {
    async fn until_ready(&mut self) -> Result<(), Problem> {
        let begun = Instant::now();
        // Its deaths, from its making on: Docker starts it again so soon that a look could miss them.
        let filters = [("container", self.container.as_str()), ("event", "die"), ("event", "oom")];
        let mut by_name: std::collections::HashMap<String, Vec<String>> = std::collections::HashMap::new();
        for (name, value) in filters {
            by_name.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let first = self.runtime.inspect(&self.docker, &self.container).await?.ok_or_else(|| self.gone())?;
        let since = first.created.as_deref().and_then(seen::micros).unwrap_or_else(clock::micros) / 1_000_000;
        let options = EventsOptions { since: Some(since.to_string()), until: None, filters: Some(by_name) };
        let docker = self.docker.clone();
        let mut deaths = std::pin::pin!(docker.events(Some(options)));
        let mut is_out_of_memory = false;
        let mut are_told = true;
        loop {
            let Some(seen) = self.runtime.inspect(&self.docker, &self.container).await? else { return Err(self.gone()) };
            if self.is_ready(&seen).await? {
                return Ok(());
            }
            let is_young = begun.elapsed() < Duration::from_secs(3);
            let pause = sleep(Duration::from_millis(if is_young { 30 } else { 150 }));
            tokio::select! {
                death = deaths.next(), if are_told => match death {
                    Some(Ok(event)) if event.action.as_deref() == Some("oom") => is_out_of_memory = true,
                    Some(Ok(event)) => return Err(self.died(&event, is_out_of_memory, &seen).await),
                    Some(Err(_)) | None => are_told = false,
                },
                () = pause => {}
            }
            if !are_told && let Some(exit) = seen::exit(Some(&seen)) {
                return Err(self.ended(&exit, &seen).await);
            }
        }
    }

    async fn is_ready(&mut self, seen: &ContainerInspectResponse) -> Result<bool, Problem> {
        let state = seen.state.as_ref();
        if state.is_none_or(|state| state.running != Some(true) || state.restarting == Some(true)) {
            self.runs_since = None;
            return Ok(false);
        }
        if !self.listens {
            if let Some(health) = state.and_then(|state| state.health.as_ref()) {
                match health.status {
                    Some(HealthStatusEnum::HEALTHY) => return Ok(true),
                    Some(HealthStatusEnum::UNHEALTHY) => return Err(self.unhealthy(health).await),
                    Some(HealthStatusEnum::STARTING) => return Ok(false),
                    Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => {}
                }
            }
            return Ok(self.runs_since.get_or_insert_with(Instant::now).elapsed() >= WORKER_RUNS);
        }
        let pid = state.and_then(|state| state.pid).filter(|pid| *pid > 0).unwrap_or(0) as u32;
        let mut listeners = if pid > 0 { sockets::listeners(pid) } else { Vec::new() };
        listeners.retain(|listener| listener.address.ip() != RESOLVER);
        let is_outside = |at: SocketAddr| at.ip().is_unspecified() || !at.ip().is_loopback();
        let inside = self.memory.inside;
        if listeners.iter().any(|listener| listener.address.port() == inside && is_outside(listener.address)) {
            return Ok(true);
        }
        if listeners.is_empty() {
            // Nothing listens, or its network cannot be seen from here: then a connection tells.
            return Ok(is_held(self.memory.address()).await);
        }
        let elsewhere = listeners.iter().map(|listener| listener.address).min_by_key(|at| at.port() != inside);
        self.check_elsewhere(elsewhere)?;
        Ok(false)
    }

    fn check_elsewhere(&mut self, at: Option<SocketAddr>) -> Result<(), Problem> {
        let Some(at) = at else {
            self.elsewhere = None;
            return Ok(());
        };
        let (known, since) = *self.elsewhere.get_or_insert((at, Instant::now()));
        if known != at {
            self.elsewhere = Some((at, Instant::now()));
        }
        if since.elapsed() < ELSEWHERE_GRACE {
            return Ok(());
        }
        let port = self.memory.inside;
        let problem = if at.port() == port {
            Problem::app(format!("{} listens on {at} inside its container only, where nobody outside reaches it", self.id))
                .hint(format!("have it listen on 0.0.0.0, port {port}"))
        } else {
            Problem::app(format!("{} listens on port {}, not on {port}, which it was given as PORT", self.id, at.port()))
                .hint(format!("have it listen on $PORT, or deploy it with --port {}", at.port()))
        };
        Err(problem.at(self.id.to_string()))
    }

    async fn died(&self, event: &EventMessage, is_out_of_memory: bool, seen: &ContainerInspectResponse) -> Problem {
        let attribute = |name: &str| event.actor.as_ref()?.attributes.as_ref()?.get(name).cloned();
        let code = attribute("exitCode").and_then(|code| code.parse().ok()).unwrap_or(0);
        let is_out_of_memory = is_out_of_memory || seen.state.as_ref().is_some_and(|state| state.oom_killed == Some(true));
        let at = event.time_nano.map_or_else(clock::now, |nanos| Timestamp(nanos / 1_000_000));
        self.ended(&seen::exit_of(code, is_out_of_memory, at), seen).await
    }

    async fn ended(&self, exit: &Exit, seen: &ContainerInspectResponse) -> Problem {
        let started = seen.state.as_ref().and_then(|state| seen::time(state.started_at.as_ref()));
        // It may have been started again since: then how long it ran is not known any more.
        let ran = started.filter(|started| *started <= exit.at).map(|started| started.age(exit.at));
        let ran = ran
            .map_or_else(|| ", soon after its start".to_owned(), |ran| format!(", {:.1} s after its start", ran.as_secs_f64()));
        self.with_evidence(Problem::app(format!("{} {}{ran}", self.id, exit.words()))).await
    }

    async fn unhealthy(&self, health: &Health) -> Problem {
        let last = health.log.as_ref().and_then(|log| log.last());
        let said = last.and_then(|last| last.output.as_deref()).unwrap_or_default();
        let said: Vec<String> = said.lines().take(EVIDENCE).map(crate::model::log::safe).collect();
        let problem = Problem::app(format!("{} is not healthy: its check fails", self.id)).evidence(said);
        self.with_evidence(problem).await
    }

    fn gone(&self) -> Problem {
        Problem::app(format!("the container of {} was removed while it was waited for", self.id)).at(self.id.to_string())
    }

    async fn time_up(&self, within: Millis) -> Problem {
        let what = if self.listens {
            format!("{} did not listen on port {} inside its container within {within}", self.id, self.memory.inside)
        } else {
            format!("{} was not ready within {within}", self.id)
        };
        self.with_evidence(Problem::new(ProblemKind::Limit, what)).await
    }

    async fn with_evidence(&self, problem: Problem) -> Problem {
        let lines = timeout(Duration::from_secs(2), logs::last(&self.docker, &self.container, EVIDENCE)).await;
        let app = self.id.0.rsplitn(3, '-').nth(2).unwrap_or("APP");
        problem
            .at(self.id.to_string())
            .hint(format!("pilothouse logs {app} --instance {}", self.id))
            .evidence(lines.unwrap_or_default())
    }
}

/// Whether a connection to a published port finds somebody: Docker's own proxy takes every one, and ends it at once when
/// nobody listens inside.
async fn is_held(address: SocketAddr) -> bool {
    let Ok(Ok(mut connection)) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await else { return false };
    let mut byte = [0];
    match timeout(HELD, connection.read(&mut byte)).await {
        Ok(Ok(read)) => read > 0,
        Ok(Err(_)) => false,
        Err(_) => true,
    }
}
