//! What agents report, merged into the fleet.

mod docker;
pub mod looks;

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use self::looks::Looks;
use super::{figures::Figures, fleet::Hub};
use crate::{
    config::clock,
    model::{
        change::Change,
        deployment::{Phase, StepState},
        edge::{EdgeCounters, EdgeStatus},
        fleet::{App, Desired, Event, Fleet, Host, Level, Serving},
        ids::{AppId, HostId, InstanceId},
        instance::{Health, Instance, InstanceState},
        order::{HostFacts, InstanceReport, OrderKey, Report},
        problem::Problem,
        sample::Sample,
    },
};

/// Takes reports until the agent ends. `looks` hears when the agent has told of everything it found; `strays` gets what runs
/// of it without being known.
pub async fn observe(
    hub: Hub,
    reports: &mut mpsc::Receiver<Report>,
    looks: &Looks,
    strays: &mpsc::Sender<InstanceId>,
) -> Result<(), Problem> {
    let mut figures = Figures::default();
    while let Some(report) = reports.recv().await {
        match report {
            Report::Host(facts) => {
                hub.observe(vec![Change::Host(host(facts))]).await;
                if !looks.is_surveyed() {
                    hub.revise(looks::lost).await;
                }
                looks.survey();
            }
            Report::HostSample(sample) => {
                hub.observe(vec![Change::Sample(Sample::Host { id: HostId::local(), sample })]).await;
            }
            Report::Instance(report) => {
                if !looks.is_surveyed() && report.state.is_alive() {
                    note_stray(&hub, report.id.clone(), strays).await;
                }
                hub.revise(move |fleet| instance(fleet, &report)).await;
            }
            Report::InstanceSample { id, sample } => {
                hub.revise(move |fleet| {
                    let is_known = fleet.instances.contains_key(&id);
                    is_known.then_some(Change::Sample(Sample::Instance { id, sample })).into_iter().collect()
                })
                .await;
            }
            Report::Docker(report) => hub.revise(move |fleet| docker::digest(fleet, report)).await,
            Report::Edge(status) => {
                let is_down = !status.up;
                hub.revise(move |fleet| edge(fleet, status)).await;
                if is_down {
                    // What it does not answer for does not serve.
                    hub.remember(|fleet| serving(fleet, &BTreeMap::new())).await;
                    looks.edge();
                }
            }
            Report::Counters(counters) => {
                let samples = figures.digest(counters.clone());
                let served = looks.served(&counters);
                hub.revise(move |fleet| healths(fleet, &counters)).await;
                hub.remember(move |fleet| serving(fleet, &served)).await;
                looks.edge();
                let changes = samples.into_iter().map(|(id, sample)| Change::Sample(Sample::App { id, sample }));
                hub.observe(changes.collect()).await;
            }
            Report::Progress { key, note } => hub.revise(move |fleet| progress(fleet, &key, note)).await,
        }
    }
    Err(Problem::unavailable("the agent ended"))
}

async fn note_stray(hub: &Hub, id: InstanceId, strays: &mpsc::Sender<InstanceId>) {
    let wanted = id.clone();
    if !hub.look(move |fleet| fleet.instances.contains_key(&wanted)).await {
        // More than fit are left for the next start.
        let _ = strays.try_send(id);
    }
}

fn host(facts: HostFacts) -> Host {
    Host { id: facts.id.clone(), facts: Some(facts), reachable: true, last_seen: clock::now() }
}

fn instance(fleet: &Fleet, report: &InstanceReport) -> Vec<Change> {
    let Some(known) = fleet.instances.get(&report.id) else { return Vec::new() };
    // What its start gave is newer than a look from before it.
    let is_fresh = known.pid.is_some() && known.state != InstanceState::Unknown;
    if report.state == InstanceState::Starting && is_fresh && report.restarts == known.restarts {
        return Vec::new();
    }
    let seen = Instance {
        state: report.state,
        pid: report.pid,
        restarts: report.restarts,
        started_at: report.started_at,
        last_exit: report.last_exit.clone(),
        health: if report.state == InstanceState::Running { known.health } else { Health::Unknown },
        ..known.clone()
    };
    let mut changes = Vec::new();
    if seen.restarts > known.restarts && known.wanted {
        let why = seen.last_exit.as_ref().map_or_else(|| "ended".to_owned(), crate::model::instance::Exit::words);
        let what = format!("{} {why}; restart {}", known.id, seen.restarts);
        changes.push(Change::Event(Event { at: clock::now(), subject: known.app.to_string(), what, level: Level::Danger }));
    }
    changes.insert(0, Change::Instance(seen));
    changes
}

fn edge(fleet: &Fleet, status: EdgeStatus) -> Vec<Change> {
    let mut changes = vec![Change::Edge(status.clone())];
    if fleet.edge.up && !status.up {
        let what = "does not answer; its keeper starts it again".to_owned();
        changes.push(Change::Event(Event { at: clock::now(), subject: "edge".to_owned(), what, level: Level::Danger }));
    }
    let known: Vec<&str> = fleet.edge.troubles.iter().map(|trouble| trouble.what.as_str()).collect();
    for trouble in status.troubles.iter().filter(|trouble| !known.contains(&trouble.what.as_str())) {
        // After a start of the engine it is no news.
        if fleet.events.iter().rev().find(|event| event.subject == "edge").is_none_or(|event| event.what != trouble.what) {
            let level = if status.up { Level::Warn } else { Level::Danger };
            changes.push(Change::Event(Event {
                at: clock::now(),
                subject: "edge".to_owned(),
                what: trouble.what.clone(),
                level,
            }));
        }
    }
    // Listeners may have moved: addresses follow.
    for app in fleet.apps.values() {
        let first =
            app.routed.and_then(|routed| fleet.release(&app.id, routed)).and_then(|release| release.blueprint.routes.first());
        if let Some(route) = first
            && status.up
            && app.url != status.url(&route.at)
        {
            changes.push(Change::App(App { url: status.url(&route.at), ..app.clone() }));
        }
    }
    changes
}

fn healths(fleet: &Fleet, counters: &EdgeCounters) -> Vec<Change> {
    let of = |instance: &Instance| counters.backends.get(&instance.id).map_or(Health::Unknown, |backend| backend.health);
    // What the edge is answered by may run, whether or not its runtime can be asked.
    let may_run = |instance: &&Instance| matches!(instance.state, InstanceState::Running | InstanceState::Unknown);
    let changed = fleet.instances.values().filter(may_run).filter(|instance| instance.health != of(instance));
    changed.map(|instance| Change::Instance(Instance { health: of(instance), ..instance.clone() })).collect()
}

/// An app serves while something that the edge has asked and found sound answers for the release that it is routed to; since
/// when is kept of what `served` before the engine's start.
fn serving(fleet: &Fleet, served: &BTreeMap<AppId, Serving>) -> Vec<Change> {
    let mut changes = Vec::new();
    for app in fleet.apps.values().filter(|app| app.desired == Desired::Running && app.url.is_some()) {
        let active = fleet.active_deployment(&app.id);
        let active = active.filter(|active| active.steps.iter().any(|step| step.state == StepState::Started));
        let phase = active.map(|active| active.phase);
        // A shift under way settles it by its proof; before it what served goes on.
        let builds =
            matches!(phase, None | Some(Phase::Queued | Phase::Fetching | Phase::Admitting | Phase::Building | Phase::Attesting));
        let answers = answers(fleet, &app.id);
        // What is staged may need the old release's place.
        let is_settled = builds || (phase == Some(Phase::Staging) && answers);
        if !is_settled {
            continue;
        }
        let event =
            |what: &str, level| Change::Event(Event { at: clock::now(), subject: app.id.to_string(), what: what.into(), level });
        match (app.serving, answers, app.routed) {
            (Some(_), false, _) => {
                changes.push(Change::App(App { serving: None, ..app.clone() }));
                changes.push(event("down: nothing of it answers", Level::Danger));
            }
            (None, true, Some(release)) => {
                let before = served.get(&app.id).filter(|before| before.release == release);
                let serving = before.copied().unwrap_or_else(|| Serving { release, since: clock::now() });
                changes.push(Change::App(App { serving: Some(serving), ..app.clone() }));
                // After a start of the engine it is no news.
                let before = fleet.events.iter().rev().find(|event| event.subject == app.id.as_str());
                if before.is_some_and(|event| event.what.starts_with("down")) {
                    changes.push(event("answers again", Level::Good));
                }
            }
            _ => {}
        }
    }
    changes
}

fn answers(fleet: &Fleet, id: &AppId) -> bool {
    let Some(app) = fleet.apps.get(id) else { return false };
    let Some(release) = app.routed.and_then(|routed| fleet.release(id, routed)) else { return false };
    if !fleet.edge.up {
        return false;
    }
    if release.blueprint.output.is_some() {
        return true;
    }
    let is_sound = |instance: &Instance| {
        match (instance.state, instance.health) {
            (InstanceState::Running | InstanceState::Unknown, Health::Passing) => true,
            // Not asked yet is what it was before: it must not flicker while the edge begins anew.
            (InstanceState::Running, Health::Unknown) => app.serving.is_some(),
            _ => false,
        }
    };
    app.pool.iter().filter_map(|id| fleet.instances.get(id)).any(is_sound)
}

fn progress(fleet: &Fleet, key: &OrderKey, note: String) -> Vec<Change> {
    let Some(deployment) = fleet.deployments.get(&key.deployment) else { return Vec::new() };
    let mut deployment = deployment.clone();
    let Some(step) = deployment.steps.iter_mut().find(|step| step.name == key.step && step.state == StepState::Started) else {
        return Vec::new();
    };
    if step.note == note {
        return Vec::new();
    }
    step.note = note;
    vec![Change::Deployment(Box::new(deployment))]
}

#[cfg(test)]
mod tests;
