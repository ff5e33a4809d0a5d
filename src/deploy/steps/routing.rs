//! The routing table as the journaled state of the fleet asks for it.

use std::collections::BTreeMap;

use super::site_root;
use crate::{
    deploy::strategies::SHIFT,
    model::{
        deployment::{Aim, StepState},
        fleet::{App, Desired, Fleet, Release},
        ids::{Generation, InstanceId, ReleaseId},
        instance::Instance,
        route::{Backend, Match, Route, RouteTable, Split, Target, internal_host},
        units::{Millis, Weight},
    },
};

/// The table of all apps. Equal fleets give equal tables; the same function before and after a crash.
pub fn table(fleet: &Fleet, generation: u64) -> RouteTable {
    let mut table = RouteTable {
        generation: Generation(generation),
        routes: fleet.apps.values().flat_map(|app| routes(fleet, app)).collect(),
    };
    // A plan refuses what another app has; a way back to an older release may still claim it. The edge serves each
    // claim once, so the first one has it, and the other's proof says who answered.
    let mut claimed: Vec<Match> = Vec::new();
    for route in &mut table.routes {
        route.matches.retain(|at| !claimed.iter().any(|other| at.is_same_claim(other)));
        claimed.extend(route.matches.iter().cloned());
    }
    table
}

/// Which release requests go to, and through which instances: the shift counts from its intent on.
fn serving(fleet: &Fleet, app: &App) -> (Option<ReleaseId>, Vec<InstanceId>) {
    let shifted = fleet.active_deployment(&app.id).filter(|deployment| {
        deployment.step(SHIFT).is_some_and(|step| matches!(step.state, StepState::Started | StepState::Succeeded))
    });
    match shifted {
        Some(deployment) if matches!(deployment.aim, Aim::Stop | Aim::Remove) => (None, Vec::new()),
        Some(deployment) => (Some(deployment.release), deployment.pool.clone()),
        None if app.desired == Desired::Stopped => (None, Vec::new()),
        None => (app.routed, app.pool.clone()),
    }
}

fn routes(fleet: &Fleet, app: &App) -> Vec<Route> {
    let (routed, pool) = serving(fleet, app);
    let deploying = fleet.active_deployment(&app.id).map(|deployment| deployment.release);
    // Host names come from the release that serves; while none does, from the one that is on its way, or the last one.
    let naming = routed.or(deploying.filter(|release| fleet.release(&app.id, *release).is_some())).or(app.asked).or(app.previous);
    let Some(named) = naming.and_then(|release| fleet.release(&app.id, release)) else { return Vec::new() };
    let mut claims: BTreeMap<&str, Vec<Match>> = BTreeMap::new();
    // New host names are known from staging on, so that the new pool can be proved under them.
    let coming = deploying.and_then(|release| fleet.release(&app.id, release));
    for route in named.blueprint.routes.iter().chain(coming.iter().flat_map(|release| &release.blueprint.routes)) {
        // What the serving release has goes to it until the switch, even where the coming one gives it to another process.
        let is_taken = claims.values().flatten().any(|at| at.is_same_claim(&route.at));
        let claim = Some(route.at.clone()).filter(|_| !is_taken);
        claims.entry(&route.process).or_default().extend(claim);
    }
    // What its first host leads to, containers of this machine reach by a name of its own.
    if let Some(first) = named.blueprint.routes.first() {
        for matches in claims.values_mut() {
            let public = matches.iter().filter(|at| at.host == first.at.host);
            let internal: Vec<Match> = public.map(|at| Match { host: internal_host(&app.id), ..at.clone() }).collect();
            matches.extend(internal);
        }
    }
    let releases: Vec<&Release> = fleet.releases.get(&app.id).into_iter().flat_map(BTreeMap::values).collect();
    claims
        .into_iter()
        .map(|(process, matches)| {
            let plan = named.blueprint.processes.iter().find(|plan| plan.name == process);
            let ready = plan.map_or("/", |plan| plan.ready.http.as_str());
            let mut splits = Vec::new();
            for release in &releases {
                let is_routed = routed == Some(release.id);
                splits.extend(instances(fleet, app, release, process, is_routed, &pool));
                let is_kept = is_routed || deploying == Some(release.id) || app.warm.is_some_and(|(warm, _)| warm == release.id);
                splits.extend(site(release, is_routed).filter(|_| is_kept));
            }
            Route {
                app: app.id.clone(),
                process: process.to_owned(),
                ready_path: matches.first().map_or_else(|| ready.to_owned(), |at| at.seen(ready)),
                matches,
                splits,
                check_every: plan.map_or(Millis::seconds(5), |plan| plan.ready.every),
            }
        })
        .collect()
}

/// The instances of a release: those that serve with all the weight, those beside them with none.
fn instances(fleet: &Fleet, app: &App, release: &Release, process: &str, is_routed: bool, pool: &[InstanceId]) -> Vec<Split> {
    let wanted = fleet.instances_of(&app.id).filter(|instance| {
        instance.release == release.id && instance.process == process && instance.wanted && release.blueprint.output.is_none()
    });
    let (serving, beside): (Vec<&Instance>, Vec<&Instance>) =
        wanted.partition(|instance| is_routed && pool.contains(&instance.id));
    [(Weight::ALL, serving), (Weight::NONE, beside)]
        .into_iter()
        .map(|(weight, instances)| (weight, instances.into_iter().filter_map(backend).collect::<Vec<Backend>>()))
        .filter(|(weight, backends)| {
            !backends.is_empty() || (*weight == Weight::ALL && is_routed && release.blueprint.output.is_none())
        })
        .map(|(weight, backends)| Split { release: release.id, weight, target: Target::Pool { backends } })
        .collect()
}

fn backend(instance: &Instance) -> Option<Backend> {
    Some(Backend { instance: instance.id.clone(), address: instance.address? })
}

fn site(release: &Release, is_routed: bool) -> Option<Split> {
    let root = site_root(release)?;
    // A build tool's output is one page with its own routing; a plain folder is what it is.
    let single_page = release.blueprint.recipe.framework.is_some();
    let weight = if is_routed { Weight::ALL } else { Weight::NONE };
    Some(Split { release: release.id, weight, target: Target::Site { root, single_page } })
}
