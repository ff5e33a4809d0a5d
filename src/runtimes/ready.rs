//! Waiting until an instance is ready: it listens where it was told to, or says at once why it never will.

use std::{collections::HashSet, net::IpAddr, net::SocketAddr, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::keepers;
use crate::{
    config::{Settings, sockets},
    keep::{KeeperState, process},
    model::{ids::InstanceId, instance::InstanceState, log::LogLabels, problem::Problem, units::Millis},
};

/// Instances that need not listen are ready after so long without an exit.
const WORKER_RUNS: Duration = Duration::from_secs(1);
/// An instance that listens elsewhere may still come to its port, such as when it opens a debugger's port first.
const ELSEWHERE_GRACE: Duration = Duration::from_secs(2);

/// See `Runtime::await_ready`.
pub(super) async fn await_ready(settings: &Settings, id: &InstanceId, listens: bool, within: Millis) -> Result<(), Problem> {
    let mut waiting = Waiting { settings, id, listens, elsewhere: None, begun: None, runs_since: None };
    match timeout(within.duration(), waiting.until_ready()).await {
        Ok(answer) => answer,
        Err(_) => Err(waiting.time_up(within)),
    }
}

struct Waiting<'a> {
    settings: &'a Settings,
    id: &'a InstanceId,
    listens: bool,
    /// Where it listens instead, and since when that is known.
    elsewhere: Option<(SocketAddr, Instant)>,
    /// Restarts and address as they were first seen.
    begun: Option<(u32, Option<SocketAddr>)>,
    /// Since when it was seen to run. Not by the time of its start: the wall clock may jump.
    runs_since: Option<Instant>,
}

impl Waiting<'_> {
    async fn until_ready(&mut self) -> Result<(), Problem> {
        let begun = Instant::now();
        loop {
            let Some(state) = keepers::state(self.settings, &self.id.0) else {
                return Err(Problem::not_found(format!("there is no instance {}", self.id)));
            };
            self.check_exit(&state)?;
            let is_ready = if self.listens { self.has_port(&state)? } else { self.has_run(&state) };
            if is_ready {
                return Ok(());
            }
            let is_young = begun.elapsed() < Duration::from_secs(3);
            sleep(Duration::from_millis(if is_young { 20 } else { 100 })).await;
        }
    }

    fn check_exit(&mut self, state: &KeeperState) -> Result<(), Problem> {
        let (restarts, address) = *self.begun.get_or_insert((state.restarts, state.address));
        if address != state.address {
            // Somebody else took the port that was chosen for it: it has got another one, and is started again.
            let coming = u32::from(state.state == InstanceState::BackOff);
            self.begun = Some((state.restarts + coming, state.address));
            self.elsewhere = None;
            return Ok(());
        }
        let has_ended = state.seen(&self.settings.boot_id) != InstanceState::Running || state.restarts > restarts;
        let is_moving = state.state == InstanceState::BackOff && state.restarts < restarts;
        if !has_ended || is_moving {
            return Ok(());
        }
        let how = match (&state.last_exit, state.seen(&self.settings.boot_id)) {
            (_, InstanceState::Lost) => "was lost: its keeper is gone".to_owned(),
            (Some(exit), _) => exit.words(),
            (None, _) => "was asked to end".to_owned(),
        };
        let ran = state.ran.map(|ran| format!(", {:.1} s after its start", ran.duration().as_secs_f64()));
        Err(self.with_evidence(Problem::app(format!("{} {how}{}", self.id, ran.unwrap_or_default()))))
    }

    fn has_run(&mut self, state: &KeeperState) -> bool {
        if state.state != InstanceState::Running {
            self.runs_since = None;
            return false;
        }
        self.runs_since.get_or_insert_with(Instant::now).elapsed() >= WORKER_RUNS
    }

    /// Whether its tree listens on its port.
    fn has_port(&mut self, state: &KeeperState) -> Result<bool, Problem> {
        let (Some(child), Some(address)) = (state.child, state.address) else {
            return Ok(false);
        };
        let listeners = sockets::listeners(child.pid);
        let mut tree = vec![child.pid];
        tree.extend(process::descendants(child.pid).iter().map(|process| process.pid));
        let sockets: Vec<std::io::Result<HashSet<u64>>> = tree.into_iter().map(sockets::inodes_of).collect();
        let is_hidden = sockets.iter().any(Result::is_err);
        let own: HashSet<u64> = sockets.into_iter().flatten().flatten().collect();
        let reaches = |at: SocketAddr| at.port() == address.port() && (at.ip() == address.ip() || is_any(at.ip()));
        // Of a process that changed its user the sockets cannot be seen; then what listens there counts as its own.
        if listeners.iter().any(|listener| reaches(listener.address) && (own.contains(&listener.inode) || is_hidden)) {
            return Ok(true);
        }
        let elsewhere = listeners.iter().find(|listener| own.contains(&listener.inode));
        self.check_elsewhere(elsewhere.map(|listener| listener.address), address)?;
        Ok(false)
    }

    fn check_elsewhere(&mut self, at: Option<SocketAddr>, asked: SocketAddr) -> Result<(), Problem> {
        let Some(at) = at else {
            self.elsewhere = None;
            return Ok(());
        };
        let (_, since) = *self.elsewhere.get_or_insert((at, Instant::now()));
        if since.elapsed() < ELSEWHERE_GRACE {
            return Ok(());
        }
        let port = asked.port();
        let problem = if at.port() == port {
            Problem::app(format!("{} listens on {at} only, where the edge does not reach it", self.id))
                .hint(format!("have it listen on 127.0.0.1 or 0.0.0.0, port {port}"))
        } else {
            Problem::app(format!("{} listens on port {}, not on {port}, which it was given as PORT", self.id, at.port()))
                .hint(format!("have it listen on $PORT, or deploy it with --port {}", at.port()))
        };
        Err(problem.at(self.id.to_string()))
    }

    fn time_up(&self, within: Millis) -> Problem {
        let port = self.begun.and_then(|(_, address)| address).map(|address| address.port());
        let what = match port.filter(|_| self.listens) {
            Some(port) => format!("{} did not listen on port {port} (its PORT) within {within}", self.id),
            None => format!("{} was not ready within {within}", self.id),
        };
        self.with_evidence(Problem::new(crate::model::problem::ProblemKind::Limit, what))
    }

    fn with_evidence(&self, problem: Problem) -> Problem {
        let dir = self.settings.state.keeper(&self.id.0);
        let labels = std::fs::read(dir.join("labels.json")).ok();
        let labels: Option<LogLabels> = labels.and_then(|text| serde_json::from_slice(&text).ok());
        let app = labels.map_or_else(|| "APP".to_owned(), |labels| labels.app.to_string());
        let next = format!("pilothouse logs {app} --instance {}", self.id);
        problem.at(self.id.to_string()).hint(next).evidence(keepers::last_lines(self.settings, &self.id.0))
    }
}

/// All addresses of the machine, loopback among them.
fn is_any(ip: IpAddr) -> bool {
    ip.is_unspecified()
}
