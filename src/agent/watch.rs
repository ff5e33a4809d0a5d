//! What the agent sees by itself: the host, its instances, the edge.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Tools, edges, orders::build_image::leftovers};
use crate::{
    config::clock,
    hosts::{local, tools as programs},
    model::{
        edge::EdgeStatus,
        order::{HostFacts, Report},
    },
};

/// How often is looked for what builds left in Docker: one system call while there is nothing.
const LEFT_EVERY: Duration = Duration::from_secs(3);

/// Tells everything that is there once, the host last: then the engine knows that it has heard all. Then what changes.
pub(super) async fn host(tools: Tools) {
    if let Ok(instances) = tools.runtime.list().await {
        for instance in instances {
            if tools.reports.send(Report::Instance(instance)).await.is_err() {
                return;
            }
        }
    }
    let facts = local::facts(&tools.settings);
    if tools.reports.send(Report::Host(facts.clone())).await.is_err() {
        return;
    }
    tokio::join!(tools.runtime.watch(tools.reports.clone()), sample(&tools), look(&tools, facts));
}

/// Looks once for the programs of this host. Nothing waits for it.
async fn look(tools: &Tools, facts: HostFacts) {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let found = programs::look(std::env::var_os("PATH").as_deref(), home.as_deref()).await;
    // The engine may have ended meanwhile.
    let _ = tools.reports.send(Report::Host(HostFacts { tools: found, ..facts })).await;
}

async fn sample(tools: &Tools) {
    let mut sampler = local::Sampler::new(&tools.settings);
    let every = tools.settings.config.engine.sample_every.duration();
    let mut ticks = interval_at(Instant::now(), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if tools.reports.send(Report::HostSample(sampler.sample())).await.is_err() {
            return;
        }
    }
}

/// Clears away what builds left in a Docker that went away, once it is back.
pub(super) async fn left(tools: Tools) {
    let mut ticks = interval_at(Instant::now(), LEFT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !tools.reports.is_closed() {
        ticks.tick().await;
        leftovers::clear_all(&tools).await;
    }
}

/// Sees to it that an edge of this program with the settings of now runs, and tells how it is.
pub(super) async fn edge(tools: Tools) {
    let every = tools.settings.config.engine.sample_every.duration();
    let mut ticks = interval_at(Instant::now(), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = EdgeStatus::default();
    let mut is_of_now = false;
    loop {
        ticks.tick().await;
        known = match edges::tended(&tools).await {
            Ok(status) => EdgeStatus { up: true, ..status },
            Err(problem) => {
                if known.troubles != [problem.clone()] {
                    tracing::error!(%problem, "the edge does not answer");
                }
                EdgeStatus { up: false, troubles: vec![problem], ..known }
            }
        };
        if tools.reports.send(Report::Edge(known.clone())).await.is_err() {
            return;
        }
        if known.up
            && let Ok(mut counters) = tools.edge.counters().await
        {
            counters.at = clock::now();
            if tools.reports.send(Report::Counters(counters)).await.is_err() {
                return;
            }
        }
        // After it has told who serves: another one takes a while.
        if known.up && !is_of_now {
            // Once: what is wrong is told by its status, until somebody has it replaced.
            is_of_now = true;
            if let Err(problem) = edges::replace_when_changed(&tools).await {
                tracing::error!(%problem, "the edge was to be replaced, since its version or its settings changed");
            }
        }
    }
}
