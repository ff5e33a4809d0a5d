//! A route table made ready to serve: looked up by host, with the living instances behind it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    backend::{Backend, Lease},
    balance,
    counters::Counters,
    routes::{self, Shares},
    site::Site,
    worker::{Padded, Worker},
};
use crate::model::{
    ids::{AppId, InstanceId, ReleaseId},
    route::{Match, RouteTable, Split, Target},
    units::Millis,
};

/// The table in force.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub table: RouteTable,
    hosts: HashMap<String, Vec<Entry>>,
    pub apps: Vec<Arc<App>>,
    pub backends: BTreeMap<InstanceId, Arc<Backend>>,
}

/// What a host has below a path.
#[derive(Debug)]
struct Entry {
    at: Match,
    app: Arc<App>,
}

/// One process's route; most apps have one.
#[derive(Debug)]
pub(super) struct App {
    pub id: AppId,
    process: String,
    /// First host name, for requests of the edge itself.
    pub host: String,
    pub ready_path: String,
    pub check_every: Millis,
    shares: Shares,
    /// One per thread: a common one would be fought over.
    tickets: Box<[Padded<AtomicU64>]>,
    pub splits: Vec<Arc<Served>>,
}

/// One release's share of an app.
#[derive(Debug)]
pub(super) struct Served {
    pub release: ReleaseId,
    pub counters: Arc<Counters>,
    pub behind: Behind,
}

#[derive(Debug)]
pub(super) enum Behind {
    Pool(Vec<Arc<Backend>>),
    Site(Site),
}

/// What a new table takes over from the one before.
pub(super) struct Before<'a> {
    pub live: &'a Live,
    pub threads: usize,
    pub now: u64,
    pub counters: &'a dyn Fn(&AppId, ReleaseId) -> Arc<Counters>,
}

impl Live {
    /// Instances that stay keep their connections, their averages and what is in flight.
    pub(super) fn new(table: RouteTable, before: &Before<'_>) -> Self {
        let mut live = Self { table, ..Self::default() };
        for route in &live.table.routes {
            let splits: Vec<Arc<Served>> = route
                .splits
                .iter()
                .map(|split| {
                    let counters = (before.counters)(&route.app, split.release);
                    let behind = behind(split, before, &mut live.backends);
                    Arc::new(Served { release: split.release, counters, behind })
                })
                .collect();
            let app = Arc::new(App {
                id: route.app.clone(),
                process: route.process.clone(),
                host: route.matches.first().map_or_else(|| route.app.to_string(), |at| at.host.clone()),
                ready_path: route.ready_path.clone(),
                check_every: route.check_every,
                shares: Shares::new(route.splits.iter().map(|split| split.weight.percent())),
                tickets: (0..before.threads).map(|_| Padded::default()).collect(),
                splits,
            });
            for at in &route.matches {
                let entry = Entry { at: at.clone(), app: Arc::clone(&app) };
                live.hosts.entry(at.host.clone()).or_default().push(entry);
            }
            live.apps.push(app);
        }
        for entries in live.hosts.values_mut() {
            // The longest path that fits is then the first one.
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.at.path.len()));
        }
        live
    }

    /// The route for a host and a path (without query): the one with the longest path that covers it.
    pub(super) fn route(&self, host: &str, path: &str) -> Option<(&Arc<App>, &Match)> {
        let entries = self.hosts.get(&*routes::host_name(host))?;
        entries.iter().find(|entry| entry.at.covers(path)).map(|entry| (&entry.app, &entry.at))
    }

    pub(super) fn splits_of<'a>(&'a self, id: &'a AppId) -> impl Iterator<Item = &'a Arc<Served>> {
        self.apps.iter().filter(move |app| app.id == *id).flat_map(|app| &app.splits)
    }

    /// The same route in this table.
    pub(super) fn again(&self, app: &App) -> Option<&Arc<App>> {
        self.apps.iter().find(|other| other.id == app.id && other.process == app.process)
    }
}

fn behind(split: &Split, before: &Before<'_>, all: &mut BTreeMap<InstanceId, Arc<Backend>>) -> Behind {
    let backends = match &split.target {
        Target::Site { root, single_page } => return Behind::Site(Site::new(root.clone(), *single_page, split.release)),
        Target::Pool { backends } => backends,
    };
    let known = |instance, address| before.live.backends.get(instance).filter(|backend| backend.address == address);
    let mut latencies: Vec<f64> =
        backends.iter().filter_map(|backend| known(&backend.instance, backend.address)).map(|known| known.latency_us()).collect();
    let first_latency = median(&mut latencies);
    let living = backends.iter().map(|backend| {
        let living = known(&backend.instance, backend.address).map_or_else(
            || Arc::new(Backend::new(backend.instance.clone(), backend.address, before.threads, before.now, first_latency)),
            Arc::clone,
        );
        all.insert(backend.instance.clone(), Arc::clone(&living));
        living
    });
    Behind::Pool(living.collect())
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl App {
    /// The release that the next request of a thread goes to; absent when none has a share.
    pub(super) fn next(&self, thread: usize) -> Option<&Arc<Served>> {
        let place = self.shares.only().or_else(|| {
            let ticket = &self.tickets[thread].0;
            let number = ticket.load(Relaxed);
            // No other thread writes it.
            ticket.store(number.wrapping_add(1), Relaxed);
            self.shares.of(number)
        })?;
        self.splits.get(place)
    }
}

impl Served {
    pub(super) fn backends(&self) -> &[Arc<Backend>] {
        match &self.behind {
            Behind::Pool(backends) => backends,
            Behind::Site(_) => &[],
        }
    }

    /// Chooses an instance and counts the request in; one of `tried` only when there is no other. Absent when every
    /// instance is draining, or there is none.
    pub(super) fn enter(backends: &[Arc<Backend>], worker: &Worker, tried: &[InstanceId]) -> Option<Lease> {
        if let [only] = backends {
            return only.enter();
        }
        let now = worker.edge.clock.now();
        let open: Vec<&Arc<Backend>> = backends.iter().filter(|backend| !backend.is_draining()).collect();
        let mut candidates: Vec<&Arc<Backend>> = open.iter().copied().filter(|backend| backend.is_well(now)).collect();
        if balance::is_panic(open.len(), candidates.len()) {
            candidates.clone_from(&open);
        }
        if !tried.is_empty() {
            let fresh = |backend: &&Arc<Backend>| !tried.contains(&backend.instance);
            let others: Vec<&Arc<Backend>> = candidates.iter().copied().filter(fresh).collect();
            // Rather an instance that looks unwell than one that failed this very request.
            let others = if others.is_empty() { open.iter().copied().filter(fresh).collect() } else { others };
            if !others.is_empty() {
                candidates = others;
            }
        }
        if candidates.is_empty() {
            return None;
        }
        let place = balance::choose(candidates.len(), || worker.random(), |place| candidates[place].cost(now));
        candidates[place].enter()
    }

    /// Notes a failed request, and ejects the instance when it failed too often in a row.
    pub(super) fn failed(&self, backend: &Backend, now: u64, cause: impl FnOnce() -> String) {
        let Behind::Pool(backends) = &self.behind else { return };
        let mut latencies: Vec<f64> = backends.iter().map(|backend| backend.latency_us()).collect();
        if backend.failed(median(&mut latencies).unwrap_or(0.0), now, cause) {
            let ejected = backends.iter().filter(|other| other.is_ejected(now)).count();
            if balance::may_eject(backends.len(), ejected) {
                backend.eject(now);
                tracing::warn!(instance = %backend.instance, "out of the pool after failures in a row");
            }
        }
    }
}
