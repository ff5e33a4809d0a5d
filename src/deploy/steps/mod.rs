//! From a step to the order that does it.

pub mod peers;
pub mod routing;

use std::path::Path;

use crate::model::{
    container_plan::Upkeep,
    deployment::Deployment,
    edge::{Door, ProofRequest},
    fleet::{Fleet, Release},
    ids::{AppId, InstanceId},
    instance::InstanceSpec,
    manifest::Runtime,
    order::{BuildWork, PruneWork, Work},
    plan::{Env, ProcessPlan},
    problem::Problem,
    source::Source,
    units::{Millis, Timestamp},
};

use super::{containers, strategies::What};

/// What a step does, with everything that its host needs to know. `env` is the release's environment, with its values.
pub fn work(what: &What, deployment: &Deployment, fleet: &Fleet, env: &Env, generation: u64) -> Result<Work, Problem> {
    let app = &deployment.app;
    match what {
        What::Fetch => {
            let request = deployment.request.as_ref().ok_or_else(|| Problem::internal("a deployment without a source"))?;
            Ok(Work::Fetch { app: app.clone(), release: deployment.release, source: request.source.clone() })
        }
        What::Build => Ok(Work::Build(build(deployment, release(deployment, fleet)?, env))),
        What::Start { process, instance } => {
            let release = release(deployment, fleet)?;
            let spec = spec(release, plan_of(release, process)?, instance.clone(), env)?;
            let (replaces, peers) = (replaced(fleet, deployment, process), peers::of(fleet, app));
            Ok(Work::Start(InstanceSpec { replaces, peers, ..spec }))
        }
        What::Ready { process, instance } => {
            let process = plan_of(release(deployment, fleet)?, process)?;
            Ok(Work::Await { instance: instance.clone(), listens: process.routed, within: process.ready.within })
        }
        What::Table => Ok(Work::Route(routing::table(fleet, generation))),
        What::ProvePool { process } => proof(deployment, fleet, process, Door::Pool),
        What::ProvePublic { process } => proof(deployment, fleet, process, Door::Public),
        What::Drain { instances } => Ok(Work::Drain { instances: instances.clone(), within: drain_limit(fleet, instances) }),
        What::Stop { instance } | What::Halt { instance } => Ok(Work::Stop { instance: instance.clone() }),
        What::PruneApp => Ok(Work::Prune(prune_app(app, fleet))),
    }
}

fn release<'a>(deployment: &Deployment, fleet: &'a Fleet) -> Result<&'a Release, Problem> {
    fleet.release(&deployment.app, deployment.release).ok_or_else(|| {
        Problem::not_found(format!("release {} of {} is not kept any more", deployment.release, deployment.app))
            .hint(format!("pilothouse releases {}", deployment.app))
    })
}

/// The running instances that end before a new one of `process` starts: those that are not to stay beside it.
pub fn replaced(fleet: &Fleet, deployment: &Deployment, process: &str) -> Vec<InstanceId> {
    let plan = fleet.release(&deployment.app, deployment.release);
    let plan = plan.and_then(|release| release.blueprint.processes.iter().find(|plan| plan.name == process));
    if plan.is_none_or(|plan| plan.upkeep == Upkeep::Beside) || !deployment.starts.iter().any(|(started, _)| started == process) {
        return Vec::new();
    }
    let others = fleet.instances_of(&deployment.app).filter(|instance| instance.process == process);
    others.map(|instance| instance.id.clone()).filter(|id| !deployment.pool.contains(id)).collect()
}

fn plan_of<'a>(release: &'a Release, process: &str) -> Result<&'a ProcessPlan, Problem> {
    let found = release.blueprint.processes.iter().find(|plan| plan.name == process);
    found.ok_or_else(|| Problem::internal(format!("release {} has no process `{process}`", release.id)))
}

fn build(deployment: &Deployment, release: &Release, env: &Env) -> BuildWork {
    let blueprint = &release.blueprint;
    BuildWork {
        app: deployment.app.clone(),
        release: release.id,
        deployment: deployment.id,
        commands: blueprint.build.clone(),
        // A release that also has processes needs its whole tree.
        output: blueprint.output.clone().filter(|_| blueprint.processes.is_empty()),
        source_image: match &release.source {
            Source::Image { reference } => Some(reference.clone()),
            _ => None,
        },
        pulls: blueprint.processes.iter().filter_map(|process| Some((process.name.clone(), process.image.clone()?))).collect(),
        image: blueprint.image.clone(),
        image_builds: blueprint
            .processes
            .iter()
            .filter_map(|process| {
                let arguments = env.of_process(&containers::arguments_of(&process.name));
                let of_build = |name: &String| process.build.as_ref().is_some_and(|build| build.args.contains(name));
                let arguments = Env(arguments.0.into_iter().filter(|(name, _)| of_build(name)).collect());
                Some((process.name.clone(), (process.build.clone()?, arguments)))
            })
            .collect(),
        keeps_source: blueprint.processes.iter().any(containers::sees_source),
        env: env.shared(),
        secrets: Env::default(),
        limits: blueprint.limits.clone(),
    }
}

/// What an instance of `release` is started with.
pub fn spec(release: &Release, process: &ProcessPlan, id: InstanceId, env: &Env) -> Result<InstanceSpec, Problem> {
    let artefact =
        release.artefact.as_ref().ok_or_else(|| Problem::internal(format!("release {} was never built", release.id)))?;
    let mut env = env.of_process(&process.name);
    let mut default = |name: &str, value: String| {
        env.0.entry(name.to_owned()).or_insert(value);
    };
    for (name, value) in &release.blueprint.recipe.env {
        default(name, value.clone());
    }
    default("PILOTHOUSE_APP", release.app.to_string());
    default("PILOTHOUSE_RELEASE", release.id.to_string());
    default("PILOTHOUSE_VERSION", release.version.clone());
    default("PILOTHOUSE_INSTANCE", id.to_string());
    Ok(InstanceSpec {
        id,
        app: release.app.clone(),
        release: release.id,
        process: process.name.clone(),
        runtime: process.runtime,
        command: process.command.clone(),
        folder: artefact.root.clone(),
        image: artefact
            .images
            .get(&process.name)
            .or(artefact.image.as_ref())
            .filter(|_| process.runtime == Runtime::Docker)
            .cloned(),
        image_name: process.image.clone().or_else(|| whole_image(release, process)),
        volumes: process.volumes.clone(),
        container: process.container.clone(),
        replaces: Vec::new(),
        peers: Vec::new(),
        env,
        secrets: Env::default(),
        port: process.port,
        memory: process.resources.memory,
        kill_after: process.stop.kill,
    })
}

/// The image that a release is, where its process names none and builds none.
fn whole_image(release: &Release, process: &ProcessPlan) -> Option<String> {
    match &release.source {
        Source::Image { reference } if process.build.is_none() => Some(reference.clone()),
        _ => None,
    }
}

fn proof(deployment: &Deployment, fleet: &Fleet, process: &str, door: Door) -> Result<Work, Problem> {
    let release = release(deployment, fleet)?;
    let route = release.blueprint.routes.iter().find(|route| route.process == process);
    let at = &route.ok_or_else(|| Problem::internal(format!("process `{process}` has no route")))?.at;
    let plan = release.blueprint.processes.iter().find(|plan| plan.name == process);
    let of_process = |id: &&InstanceId| fleet.instances.get(id).is_some_and(|instance| instance.process == process);
    Ok(Work::Prove(ProofRequest {
        app: deployment.app.clone(),
        host: at.host.clone(),
        release: release.id,
        path: {
            let ready = plan.map_or("/", |plan| plan.ready.http.as_str());
            if door == Door::Public { at.asked(ready) } else { at.seen(ready) }
        },
        door,
        instances: match door {
            Door::Pool => deployment.pool.iter().filter(of_process).cloned().collect(),
            Door::Public => Vec::new(),
        },
        // After the switch everything is warm: what does not answer now is wrong.
        within: if door == Door::Pool { plan.map_or(Millis::seconds(10), |plan| plan.ready.within) } else { Millis::seconds(10) },
    }))
}

/// The longest drain time among the instances.
pub fn drain_limit(fleet: &Fleet, instances: &[InstanceId]) -> Millis {
    let limit = |id: &InstanceId| {
        let instance = fleet.instances.get(id)?;
        let release = fleet.release(&instance.app, instance.release)?;
        Some(release.blueprint.processes.iter().find(|plan| plan.name == instance.process)?.stop.drain)
    };
    instances.iter().filter_map(limit).max().unwrap_or(Millis::seconds(30))
}

/// Everything of an app.
fn prune_app(app: &AppId, fleet: &Fleet) -> PruneWork {
    PruneWork {
        app: Some(app.clone()),
        releases: fleet.releases.get(app).into_iter().flat_map(|releases| releases.keys().copied()).collect(),
        instances: fleet.instances_of(app).map(|instance| instance.id.clone()).collect(),
        whole_app: true,
    }
}

/// Releases whose files may go: beyond the number to keep, never one that serves, is asked for, warm, deploying,
/// or the newest of all.
///
/// What stays is what `releases` lists and `rollback` accepts.
pub fn prunable<'a>(app: &AppId, fleet: &'a Fleet, now: Timestamp) -> Vec<&'a Release> {
    let (Some(entry), Some(releases)) = (fleet.apps.get(app), fleet.releases.get(app)) else { return Vec::new() };
    let keep = releases.values().next_back().map_or(5, |release| release.blueprint.keep.releases).max(1) as usize;
    let warm = entry.warm.filter(|(_, until)| *until > now).map(|(release, _)| release);
    let deploying = |release: &Release| {
        fleet.deployments.values().any(|deployment| {
            !deployment.is_over()
                && deployment.app == *app
                && (deployment.release == release.id || deployment.from == Some(release.id))
        })
    };
    let in_use = |release: &Release| fleet.instances_of(app).any(|instance| instance.release == release.id);
    let named = |release: &Release| [entry.routed, entry.previous, warm].contains(&Some(release.id));
    let proved = releases.values().rev().filter(|release| release.proved_at.is_some());
    // The newest ones stay whatever came of them: their logs tell why, and `next` points to them.
    let newest = releases.keys().rev().take(keep).copied();
    let kept: Vec<_> = proved.take(keep).map(|release| release.id).chain(newest).collect();
    releases
        .values()
        .filter(|release| !named(release) && !kept.contains(&release.id) && !deploying(release) && !in_use(release))
        .collect()
}

/// Folder of static files of a release that the edge serves itself.
pub fn site_root(release: &Release) -> Option<std::path::PathBuf> {
    let artefact = release.artefact.as_ref()?;
    let output = release.blueprint.output.as_ref()?;
    Some(if release.blueprint.processes.is_empty() { artefact.root.clone() } else { artefact.root.join(Path::new(output)) })
}
