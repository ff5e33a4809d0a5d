//! Watching keepers: their states and their figures, as reports.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::fd::OwnedFd,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify,
    io::Errno,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::keepers;
use crate::{
    config::{Settings, clock},
    keep::{
        KeeperState,
        process::{self, Process, Stat},
    },
    model::{
        ids::InstanceId,
        instance::InstanceState,
        log::LogLabels,
        order::{InstanceReport, Report},
        sample::InstanceSample,
    },
};

/// How often is looked: two system calls, and one more per keeper only when something has changed.
const EVERY: Duration = Duration::from_millis(150);
/// Everything is looked at so often in any case.
const FULLY_EVERY: Duration = Duration::from_secs(5);

/// Every instance that has left a trace in the keepers' folder.
pub(super) fn list(settings: &Settings) -> Vec<InstanceReport> {
    let names = instances(settings);
    let states = names.into_iter().filter_map(|name| Some((KeeperState::read(&settings.state.keeper(&name))?, name)));
    states.map(|(state, name)| report(&name, &state, &settings.boot_id)).collect()
}

/// Names of the keepers that keep instances: not those of builds and of the edge.
fn instances(settings: &Settings) -> Vec<String> {
    let entries = fs::read_dir(settings.state.keepers()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_instance(name, &settings.state.keeper(name))).collect()
}

fn is_instance(name: &str, dir: &Path) -> bool {
    let labels = fs::read(dir.join("labels.json")).ok();
    let labels: Option<LogLabels> = labels.and_then(|text| serde_json::from_slice(&text).ok());
    labels.is_some_and(|labels| labels.instance == name && name.starts_with(&format!("{}-{}-", labels.app, labels.release)))
}

fn report(name: &str, state: &KeeperState, boot_id: &str) -> InstanceReport {
    let seen = state.seen(boot_id);
    InstanceReport {
        id: InstanceId(name.to_owned()),
        state: seen,
        pid: state.child.filter(|_| seen.is_alive()).map(|child| child.pid),
        address: state.address,
        restarts: state.restarts,
        started_at: state.started_at,
        last_exit: state.last_exit.clone(),
    }
}

/// Number and time of a file's last replacement: another one means another content.
type Version = (u64, i64, i64);

#[derive(Debug, Default)]
struct Watched {
    version: Option<Version>,
    keeper: Option<Process>,
    /// Readable once the keeper has ended.
    life: Option<OwnedFd>,
    told: Option<InstanceReport>,
    /// Processor time of each process of the tree at the sample before.
    ticks: HashMap<Process, u64>,
}

/// The reports of one engine's instances.
#[derive(Debug)]
pub(super) struct Watch {
    settings: Arc<Settings>,
    reports: mpsc::Sender<Report>,
    watched: BTreeMap<String, Watched>,
    folder: Option<Version>,
    changes: Changes,
    looked: Option<Instant>,
    sampled: Option<Instant>,
}

impl Watch {
    pub(super) fn new(settings: Arc<Settings>, reports: mpsc::Sender<Report>) -> Self {
        Self { settings, reports, watched: BTreeMap::new(), folder: None, changes: Changes::new(), looked: None, sampled: None }
    }

    /// Reports until nobody listens.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let every = self.settings.config.engine.sample_every.duration();
        while !self.reports.is_closed() {
            ticks.tick().await;
            for report in self.look() {
                // The receiver may be gone: then the loop ends.
                let _ = self.reports.send(report).await;
            }
            if self.sampled.is_none_or(|at| at.elapsed() >= every) {
                self.sample().await;
            }
        }
    }

    /// What changed since the last look.
    fn look(&mut self) -> Vec<Report> {
        // Taken before anything is read: what changes afterwards is for the next look.
        let has_changed = self.changes.take();
        let has_died = self.look_for_deaths();
        let is_due = self.folder.is_none() || self.looked.is_none_or(|at| at.elapsed() >= FULLY_EVERY);
        if !has_changed && !has_died && !is_due {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        self.look_for_instances();
        let settings = &self.settings;
        let mut changed = Vec::new();
        for (name, watched) in &mut self.watched {
            let dir = settings.state.keeper(name);
            let version = version(&dir.join("state.json"));
            if version.is_none() || version == watched.version {
                continue;
            }
            let Some(state) = KeeperState::read(&dir) else {
                continue;
            };
            watched.version = version;
            if watched.keeper != Some(state.keeper) || watched.life.is_none() {
                watched.keeper = Some(state.keeper);
                watched.life = state.keeper.open();
            }
            let report = report(name, &state, &settings.boot_id);
            if watched.told.as_ref() != Some(&report) {
                watched.told = Some(report.clone());
                changed.push(Report::Instance(report));
            }
        }
        changed
    }

    fn look_for_instances(&mut self) {
        let folder = version(&self.settings.state.keepers());
        if folder.is_some() && folder == self.folder {
            return;
        }
        if self.folder.is_none() {
            self.changes.watch(&self.settings.state.keepers());
        }
        let mut left = std::mem::take(&mut self.watched);
        let entries: Vec<String> = fs::read_dir(self.settings.state.keepers())
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        // A folder is there before its labels are: then it is looked at again.
        let is_complete = entries.iter().all(|name| self.settings.state.keeper(name).join("labels.json").exists());
        // Clocks of file systems are coarse: what is young may change again without a new time.
        let is_young = folder.is_some_and(|(_, seconds, _)| clock::now().0 - seconds * 1000 < 2000);
        self.folder = folder.filter(|_| is_complete && !is_young);
        for name in entries {
            if let Some(known) = left.remove(&name) {
                self.watched.insert(name, known);
            } else if is_instance(&name, &self.settings.state.keeper(&name)) {
                self.changes.watch(&self.settings.state.keeper(&name));
                self.watched.insert(name, Watched::default());
            }
        }
    }

    /// A keeper that was killed changes no file: its state is to be read again.
    fn look_for_deaths(&mut self) -> bool {
        let mut alive: Vec<&mut Watched> = self.watched.values_mut().filter(|watched| watched.life.is_some()).collect();
        let mut lives: Vec<PollFd<'_>> =
            alive.iter().filter_map(|watched| Some(PollFd::new(watched.life.as_ref()?, PollFlags::IN))).collect();
        let at_once = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut lives, Some(&at_once)).unwrap_or(0) == 0 {
            return false;
        }
        let ended: Vec<bool> = lives.iter().map(|life| !life.revents().is_empty()).collect();
        for (watched, _) in alive.iter_mut().zip(ended).filter(|(_, ended)| *ended) {
            watched.life = None;
            watched.version = None;
        }
        true
    }

    /// Figures of every running tree.
    async fn sample(&mut self) {
        let before = self.sampled.replace(Instant::now());
        let running = |watched: &Watched| watched.told.as_ref().is_some_and(|told| told.state == InstanceState::Running);
        if !self.watched.values().any(running) {
            return;
        }
        let Ok(all) = keepers::blocking(process::all).await else {
            return;
        };
        let span = before.map(|before| before.elapsed().as_secs_f64());
        let mut samples = Vec::new();
        for (name, watched) in self.watched.iter_mut().filter(|(_, watched)| running(watched)) {
            let Some(keeper) = watched.keeper else {
                continue;
            };
            let tree = process::descendants_in(keeper.pid, &all);
            let sample = InstanceSample {
                at: clock::now(),
                cpu_percent: span.and_then(|span| cpu_percent(&watched.ticks, &tree, span)),
                memory: tree.iter().map(|stat| stat.pages).sum::<u64>() * rustix::param::page_size() as u64,
            };
            watched.ticks = tree.iter().map(|stat| (stat.process, stat.cpu_ticks)).collect();
            samples.push(Report::InstanceSample { id: InstanceId(name.clone()), sample });
        }
        for sample in samples {
            let _ = self.reports.send(sample).await;
        }
    }
}

/// Whether files were put into watched folders; without inotify(7) always.
#[derive(Debug)]
struct Changes {
    queue: Option<OwnedFd>,
}

impl Changes {
    fn new() -> Self {
        Self { queue: inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok() }
    }

    /// Watching twice is watching once.
    fn watch(&mut self, folder: &Path) {
        let changes = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE;
        let Some(queue) = &self.queue else {
            return;
        };
        // A folder that is gone needs none; at the system's limit every look is a full one from now on.
        if inotify::add_watch(queue, folder, changes).is_err_and(|error| error != Errno::NOENT) {
            self.queue = None;
        }
    }

    fn take(&mut self) -> bool {
        let Some(queue) = &self.queue else {
            return true;
        };
        let mut bytes = [0; 4096];
        let mut has_changed = false;
        while rustix::io::read(queue, &mut bytes).is_ok_and(|read| read > 0) {
            has_changed = true;
        }
        has_changed
    }
}

fn version(path: &Path) -> Option<Version> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

/// Of one core, over `span` seconds; absent when nothing was known before.
fn cpu_percent(before: &HashMap<Process, u64>, tree: &[&Stat], span: f64) -> Option<f32> {
    if before.is_empty() || span <= 0.0 {
        return None;
    }
    let used = |stat: &&Stat| stat.cpu_ticks.saturating_sub(before.get(&stat.process).copied().unwrap_or(0));
    let ticks: u64 = tree.iter().map(used).sum();
    Some((ticks as f64 / rustix::param::clock_ticks_per_second() as f64 / span * 100.0) as f32)
}
