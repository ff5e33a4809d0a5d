//! Watching Docker: its events lead to looks, its figures come at the engine's pace; while it is away, it is waited for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bollard::{
    Docker,
    models::{ContainerInspectResponse, EventMessage},
    query_parameters::EventsOptions,
};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    DockerRuntime, Memory, labels, logs,
    observe::{self, Observed},
    seen, usage,
};
use crate::{
    config::clock,
    model::{
        container::ContainerState,
        ids::InstanceId,
        instance::Exit,
        order::{DockerReport, InstanceReport, Report},
        problem::Problem,
        units::Timestamp,
    },
};

/// Changes that come in a row are looked at together.
const TOGETHER: Duration = Duration::from_millis(60);
/// Pauses while Docker is away.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The reports of one engine's containers, and of all others.
pub(super) struct Watch {
    runtime: DockerRuntime,
    reports: mpsc::Sender<Report>,
    told: BTreeMap<InstanceId, InstanceReport>,
    observed: observe::Observer,
    /// Our instances' containers with their states, as they were listed last.
    ours: HashMap<InstanceId, (String, ContainerState)>,
}

/// Why a watch of one connection ended.
enum Ended {
    /// Nobody reads any more.
    Unread,
    Away(Problem),
}

impl Watch {
    pub(super) fn new(runtime: DockerRuntime, reports: mpsc::Sender<Report>) -> Self {
        let observed = observe::Observer::new(runtime.mark().to_owned());
        Self { runtime, reports, told: BTreeMap::new(), observed, ours: HashMap::new() }
    }

    /// Reports until nobody reads.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.reports.is_closed() {
            let problem = match self.runtime.client.docker().await {
                Ok(docker) => {
                    pause = FIRST_PAUSE;
                    match self.connected(&docker).await {
                        Ended::Unread => return,
                        Ended::Away(problem) => problem,
                    }
                }
                Err(problem) => problem,
            };
            self.runtime.client.forget().await;
            let status = observe::away(self.runtime.client.address(), problem);
            if !self.tell(Report::Docker(DockerReport::Status(status))).await {
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.reports.closed() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn tell(&self, report: Report) -> bool {
        self.reports.send(report).await.is_ok()
    }

    /// Everything there is, then what changes, until Docker goes away.
    async fn connected(&mut self, docker: &Docker) -> Ended {
        let since = clock::micros();
        let status = match observe::status(&self.runtime.client, docker).await {
            Ok(status) => status,
            Err(problem) => return Ended::Away(problem),
        };
        if !self.tell(Report::Docker(DockerReport::Status(status))).await {
            return Ended::Unread;
        }
        let options = EventsOptions { since: Some(decimal(since)), until: None, filters: Some(kinds()) };
        let mut events = std::pin::pin!(docker.events(Some(options)));
        let mut followers = Followers::default();
        let (mut counting, mut measuring) = (JoinSet::new(), JoinSet::new());
        let every = self.runtime.settings.config.engine.sample_every.duration();
        let mut samples = interval(every);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut touched = Touched { all: true, instances: BTreeSet::new() };
        let mut due = Some(Instant::now());
        loop {
            let look = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if self.heard(&event, &mut touched) {
                            due.get_or_insert(Instant::now() + TOGETHER);
                        }
                    }
                    Some(Err(error)) => return Ended::Away(self.runtime.problem("listen to Docker", error)),
                    None => {
                        let what = "Docker does not answer: it ended the stream of its events";
                        return Ended::Away(Problem::unavailable(what)
                            .at(self.runtime.client.address().to_owned())
                            .hint("start Docker; pilothouse doctor says what is missing"));
                    }
                },
                () = look => {
                    due = None;
                    let what = std::mem::take(&mut touched);
                    match self.look(docker, &what, &mut followers).await {
                        Ok(Looked::Unread) => return Ended::Unread,
                        Ok(Looked::Done { busy }) if busy.is_empty() => {}
                        Ok(Looked::Done { busy }) => {
                            touched.instances = busy;
                            due = Some(Instant::now() + TOGETHER);
                        }
                        Err(problem) => return Ended::Away(problem),
                    }
                }
                Some(counted) = counting.join_next() => {
                    self.observed.take_sizes(counted.unwrap_or_default());
                    due.get_or_insert(Instant::now() + TOGETHER);
                }
                _ = samples.tick() => {
                    if counting.is_empty() && self.observed.wants_sizes() {
                        let (docker, address) = (docker.clone(), self.runtime.client.address().to_owned());
                        counting.spawn(async move { usage::volumes(&docker, &address).await });
                    }
                    if measuring.is_empty() {
                        measuring.spawn(observe::measure(docker.clone(), self.observed.next_measured()));
                    }
                }
                Some(measured) = measuring.join_next() => {
                    for report in self.observed.take_figures(measured.unwrap_or_default()) {
                        if !self.tell(report).await {
                            return Ended::Unread;
                        }
                    }
                }
                Some(ended) = followers.tasks.join_next() => {
                    // Docker may have started it again before its log was read to the end.
                    touched.instances.extend(followers.end(ended));
                    due.get_or_insert(Instant::now() + TOGETHER);
                }
                () = self.reports.closed() => return Ended::Unread,
            }
        }
    }

    /// Whether an event is a reason to look, and at what.
    fn heard(&mut self, event: &EventMessage, touched: &mut Touched) -> bool {
        let action = event.action.as_deref().unwrap_or_default();
        // Health checks run programs inside all the time; only what they find is of interest.
        if action.starts_with("exec_") || matches!(action, "top" | "attach" | "resize" | "archive-path" | "extract-to-dir") {
            return false;
        }
        if action == "start"
            && let Some(id) = event.actor.as_ref().and_then(|actor| actor.id.as_deref())
        {
            self.observed.forget_start(id);
        }
        let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
        let attribute = |name: &str| attributes.and_then(|all| all.get(name));
        if attribute(labels::STATE).is_some_and(|state| *state == *self.runtime.mark)
            && let Some(id) = attribute(labels::INSTANCE).cloned().map(InstanceId)
        {
            let at = event.time_nano.map_or_else(clock::now, |nanos| Timestamp(nanos / 1_000_000));
            match action {
                "oom" => {
                    self.observed.out_of_memory.insert(id.clone());
                }
                "die" => {
                    let code = attribute("exitCode").and_then(|code| code.parse().ok()).unwrap_or(0);
                    let exit = seen::exit_of(code, self.observed.out_of_memory.remove(&id), at);
                    remember_exit(&self.runtime, &id, exit);
                }
                _ => {}
            }
            touched.instances.insert(id);
        }
        touched.all = true;
        true
    }

    /// Looks at all that Docker lists, when that is asked, and closer at instances that were touched.
    ///
    /// One that is being started or stopped is left to the next look: half of such a deed looks like the loss of an instance.
    async fn look(&mut self, docker: &Docker, touched: &Touched, followers: &mut Followers) -> Result<Looked, Problem> {
        if touched.all {
            let Observed { report, ours } = self.observed.all(&self.runtime, docker).await?;
            self.ours = ours;
            if !self.tell(Report::Docker(report)).await {
                return Ok(Looked::Unread);
            }
        }
        let memories: HashMap<InstanceId, Memory> = Memory::all(&self.runtime.settings).into_iter().collect();
        let mut busy = BTreeSet::new();
        for (id, memory) in &memories {
            if !self.is_of_interest(id, memory, touched, followers) {
                continue;
            }
            let locks = self.runtime.locks(id);
            let Ok(_deed) = locks.deed.try_lock() else {
                busy.insert(id.clone());
                continue;
            };
            let Some(memory) = Memory::read(&self.runtime.settings, id) else { continue };
            let container = memory.container.clone().or_else(|| self.ours.get(id).map(|(container, _)| container.clone()));
            let found = match &container {
                Some(container) if !memory.stopped => self.runtime.inspect(docker, container).await?,
                _ => None,
            };
            if let (Some(container), Some(found)) = (container, &found) {
                followers.follow(&self.runtime, docker, id, &container, ended_at(found));
            }
            let report = seen::report(id, &memory, found.as_ref());
            if self.told.get(id) != Some(&report) {
                self.told.insert(id.clone(), report.clone());
                if !self.tell(Report::Instance(report)).await {
                    return Ok(Looked::Unread);
                }
            }
        }
        self.told.retain(|id, _| memories.contains_key(id));
        Ok(Looked::Done { busy })
    }

    /// Whether there may be something else to tell of an instance than was told.
    fn is_of_interest(&self, id: &InstanceId, memory: &Memory, touched: &Touched, followers: &Followers) -> bool {
        if touched.instances.contains(id) {
            return true;
        }
        let Some(told) = self.told.get(id) else { return true };
        if self.ours.get(id).is_some_and(|(_, state)| state.is_alive()) {
            return !followers.follows(id);
        }
        told.state.is_alive() || *told != seen::report(id, memory, None)
    }
}

/// What came of a look.
enum Looked {
    /// Nobody reads any more.
    Unread,
    Done {
        /// Instances that are being started or stopped.
        busy: BTreeSet<InstanceId>,
    },
}

/// What there is to look at.
#[derive(Debug, Default)]
struct Touched {
    all: bool,
    instances: BTreeSet<InstanceId>,
}

/// Who takes the lines of which container.
#[derive(Debug, Default)]
struct Followers {
    tasks: JoinSet<InstanceId>,
    at_work: BTreeSet<InstanceId>,
    /// Ends whose last lines are taken.
    taken: BTreeMap<InstanceId, String>,
}

impl Followers {
    fn follows(&self, id: &InstanceId) -> bool {
        self.at_work.contains(id)
    }

    /// Takes what the container writes until it ends; what it had written before comes first.
    fn follow(&mut self, runtime: &DockerRuntime, docker: &Docker, id: &InstanceId, container: &str, ended: Option<String>) {
        if self.at_work.contains(id) || (ended.is_some() && self.taken.get(id) == ended.as_ref()) {
            return;
        }
        self.at_work.insert(id.clone());
        match ended {
            Some(at) => self.taken.insert(id.clone(), at),
            None => self.taken.remove(id),
        };
        let (runtime, docker, id, container) = (runtime.clone(), docker.clone(), id.clone(), container.to_owned());
        self.tasks.spawn(async move {
            let locks = runtime.locks(&id);
            let _log = locks.log.lock().await;
            if let Err(error) = logs::take(&docker, &runtime.settings, &id, &container, true).await {
                tracing::debug!(%id, %error, "a container's log ended");
            }
            id
        });
    }

    fn end(&mut self, ended: Result<InstanceId, tokio::task::JoinError>) -> Option<InstanceId> {
        match ended {
            Ok(id) => {
                self.at_work.remove(&id);
                Some(id)
            }
            // Which one broke is not told: all that are wanted are begun again by the next look.
            Err(error) => {
                tracing::error!(%error, "following a container's log broke");
                self.at_work.clear();
                self.tasks.abort_all();
                None
            }
        }
    }
}

/// When it ended, of a container that does not run.
fn ended_at(seen: &ContainerInspectResponse) -> Option<String> {
    let state = seen.state.as_ref()?;
    if state.running == Some(true) { None } else { Some(state.finished_at.clone().unwrap_or_default()) }
}

fn remember_exit(runtime: &DockerRuntime, id: &InstanceId, exit: Exit) {
    if Memory::read(&runtime.settings, id).is_none_or(|memory| memory.stopped || memory.stopping) {
        return;
    }
    logs::say(&runtime.settings, id, exit.at.0 * 1000, &format!("{}; Docker starts it again", exit.words()));
    // On a full disk the one before stays the last.
    if let Err(problem) = Memory::write_exit(&runtime.settings, id, &exit) {
        tracing::warn!(%problem, %id, "an exit is not kept");
    }
}

fn kinds() -> HashMap<String, Vec<String>> {
    let kinds = ["container", "image", "volume"].map(str::to_owned).to_vec();
    HashMap::from([("type".to_owned(), kinds)])
}

/// Seconds with six decimals, as Docker takes times.
fn decimal(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
