//! Commands: each is refused with a reason, or journaled and on its way.

use tokio_util::sync::CancellationToken;

use super::{
    super::{fleet::Hub, journal::Mark},
    deployments::{SOURCE_URL, request_blob, source_blob},
    orders::{Interrupts, Orders},
};
use crate::{
    config::{clock, manifest_file},
    deploy::{self, plan::Asked, ports::Placer},
    model::{
        change::Change,
        command::{Answer, Command, DeployRequest, Request},
        deployment::{Aim, Deployment, EndedBy, Phase},
        fleet::{App, Desired, Fleet, Release},
        ids::{AppId, DeploymentId, HostId, InstanceId, ReleaseId},
        instance::{Instance, InstanceState},
        order::{Done, Outcome, Work},
        plan::{Env, Plan},
        problem::Problem,
        source::{Source, Survey, has_password, without_password},
        units::Millis,
    },
};

/// Name of the manifest.
pub const MANIFEST: &str = "pilothouse.toml";
/// Most instances of one process.
const MOST_REPLICAS: u32 = 100;

/// Takes commands.
#[derive(Clone)]
pub struct Commands {
    pub hub: Hub,
    pub orders: Orders,
    pub interrupts: Interrupts,
    pub placer: std::sync::Arc<dyn Placer>,
}

/// A plan with the values that must not stand in it.
pub struct Made {
    pub plan: Plan,
    pub env: Env,
}

/// The plan for what a fetch found.
pub async fn make_plan(
    hub: &Hub,
    placer: &dyn Placer,
    app: &AppId,
    release: ReleaseId,
    request: &DeployRequest,
    survey: &Survey,
) -> Result<Made, Problem> {
    let manifest = match survey.texts.get(MANIFEST) {
        Some(text) => manifest_file::read(text, MANIFEST)?,
        None => crate::model::manifest::Manifest::default(),
    };
    let recipe = deploy::detect::detect(survey);
    let env = deploy::plan::environment(&manifest, &request.overrides);
    let fleet = hub.look(Fleet::clone).await;
    let hosts: Vec<(HostId, String)> = placer.rank(&fleet, app).into_iter().map(|ranked| (ranked.host, ranked.reason)).collect();
    let asked =
        Asked { app, release, request, manifest: &manifest, recipe: &recipe, survey, hosts: &hosts, checks: "not checked" };
    Ok(Made { plan: deploy::plan::plan(&asked, &fleet)?, env })
}

impl Commands {
    /// Does a command, or says why not.
    pub async fn take(&self, request: Request) -> Result<Answer, Problem> {
        let key = request.idempotency_key.clone();
        let known = self.hub.look(move |fleet| fleet.deployments.values().find(|known| known.key == key).map(accepted)).await;
        if let Some(answer) = known {
            return Ok(answer);
        }
        if !matches!(request.command, Command::Plan(_)) {
            self.hub.blobs().probe().await?;
        }
        let who = Who { actor: request.actor, origin: request.origin, key: request.idempotency_key };
        match request.command {
            Command::Deploy(wanted) => self.deploy(who, wanted).await,
            Command::Plan(wanted) => self.plan(wanted).await,
            Command::Rollback { app, release } => self.again(who, app, Again::Rollback(release)).await,
            Command::Restart { app } => self.again(who, app, Again::Restart).await,
            Command::Start { app } => self.again(who, app, Again::Start).await,
            Command::Scale { app, replicas } => self.again(who, app, Again::Scale(replicas)).await,
            Command::Stop { app } => self.again(who, app, Again::Stop).await,
            Command::Remove { app } => self.again(who, app, Again::Remove).await,
            Command::Cancel { deployment } => self.cancel(deployment).await,
            Command::StopEngine { .. } => Err(Problem::internal("the engine ends itself")),
        }
    }

    async fn survey(&self, source: &Source) -> Result<Survey, Problem> {
        let key = Orders::key(DeploymentId(0), format!("survey/{}", clock::micros()));
        let work = Work::Survey { source: source.clone() };
        match self.orders.perform(&key, work, &CancellationToken::new()).await {
            Outcome::Done(Done::Surveyed(survey)) => Ok(survey),
            Outcome::Done(_) => Err(Problem::internal("a survey gave something else")),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
        }
    }

    /// Name of the app, from the request, the manifest, or the source.
    fn name(wanted: &DeployRequest, survey: &Survey) -> Result<AppId, Problem> {
        if let Some(name) = &wanted.overrides.name {
            return Ok(name.clone());
        }
        let manifest = survey.texts.get(MANIFEST).map(|text| manifest_file::read(text, MANIFEST)).transpose()?;
        Ok(manifest.and_then(|manifest| manifest.name).unwrap_or_else(|| deploy::plan::default_name(&wanted.source)))
    }

    async fn plan(&self, wanted: DeployRequest) -> Result<Answer, Problem> {
        let survey = self.survey(&wanted.source).await?;
        let app = Self::name(&wanted, &survey)?;
        let of = app.clone();
        let release = self.hub.look(move |fleet| fleet.apps.get(&of).map_or(ReleaseId(1), |app| app.next_release)).await;
        let made = make_plan(&self.hub, self.placer.as_ref(), &app, release, &wanted, &survey).await?;
        Ok(Answer::Planned(Box::new(made.plan)))
    }

    async fn deploy(&self, who: Who, mut wanted: DeployRequest) -> Result<Answer, Problem> {
        // With a name there is nothing to look at before the fetch.
        let app = match &wanted.overrides.name {
            Some(name) => name.clone(),
            None => Self::name(&wanted, &self.survey(&wanted.source).await?)?,
        };
        wanted.overrides.name = Some(app.clone());
        self.hub.blobs().put_env(request_blob(&who.key), &wanted.overrides.env).await?;
        // A password in a URL is needed once, for the fetch.
        if let Source::Git { url, .. } = &mut wanted.source
            && has_password(url)
        {
            let secret = Env([(SOURCE_URL.to_owned(), url.clone())].into());
            self.hub.blobs().put_env(source_blob(&who.key), &secret).await?;
            *url = without_password(url);
        }
        // The values stay in the blob; the journal keeps the names.
        wanted.overrides.env.0.values_mut().for_each(String::clear);
        let (deployment, superseded) =
            self.hub.commit(Mark::Change, move |fleet| Ok(begin_deploy(fleet, &who, app, wanted))).await?;
        for id in superseded {
            self.interrupts.interrupt(id);
        }
        Ok(accepted(&deployment))
    }

    async fn again(&self, who: Who, app: AppId, what: Again) -> Result<Answer, Problem> {
        let (deployment, superseded) = self.hub.commit(Mark::Change, move |fleet| begin_again(fleet, &who, &app, &what)).await?;
        for id in superseded {
            self.interrupts.interrupt(id);
        }
        Ok(accepted(&deployment))
    }

    async fn cancel(&self, id: DeploymentId) -> Result<Answer, Problem> {
        let app = self
            .hub
            .commit(Mark::Change, move |fleet| {
                let deployment = fleet.deployments.get(&id).ok_or_else(|| {
                    Problem::not_found(format!("there is no deployment {id}"))
                        .hint("pilothouse status APP names the one under way")
                })?;
                if deployment.is_over() {
                    return Err(Problem::conflict(format!("deployment {id} is over: {}", deployment.phase.word())));
                }
                if deployment.phase == Phase::Aborting {
                    return Err(Problem::conflict(format!("deployment {id} is being taken back already")));
                }
                Ok((vec![ended_by(deployment, EndedBy::Cancel)], deployment.app.clone()))
            })
            .await?;
        self.interrupts.interrupt(id);
        Ok(Answer::Done {
            what: format!("deployment {id} of {app} is being cancelled"),
            next: format!("pilothouse status {app}"),
        })
    }
}

struct Who {
    actor: String,
    origin: String,
    key: String,
}

enum Again {
    Rollback(Option<ReleaseId>),
    Restart,
    Start,
    Scale(u32),
    Stop,
    Remove,
}

impl Again {
    fn aim(&self) -> Aim {
        match self {
            Self::Rollback(_) => Aim::Rollback,
            Self::Restart => Aim::Restart,
            Self::Start => Aim::Start,
            Self::Scale(_) => Aim::Scale,
            Self::Stop => Aim::Stop,
            Self::Remove => Aim::Remove,
        }
    }
}

fn accepted(deployment: &Deployment) -> Answer {
    Answer::Accepted { deployment: deployment.id, app: deployment.app.clone() }
}

fn ended_by(deployment: &Deployment, by: EndedBy) -> Change {
    Change::Deployment(Box::new(Deployment { asked_end: Some(by), ..deployment.clone() }))
}

/// A newer wish ends the older ones of the same app: the one at work goes back first.
fn supersede(fleet: &Fleet, app: &AppId) -> (Vec<Change>, Vec<DeploymentId>) {
    let older = fleet.deployments.values().filter(|older| older.app == *app && !older.is_over() && older.asked_end.is_none());
    older.map(|older| (ended_by(older, EndedBy::Supersede), older.id)).unzip()
}

fn blank(fleet: &Fleet, who: &Who, app: &AppId, aim: Aim, release: ReleaseId) -> Deployment {
    let entry = fleet.apps.get(app);
    let now = clock::now();
    Deployment {
        id: fleet.deployments.keys().next_back().map_or(DeploymentId(1), |last| last.next()),
        app: app.clone(),
        aim,
        release,
        from: entry.filter(|entry| entry.desired == Desired::Running).and_then(|entry| entry.routed),
        actor: who.actor.clone(),
        origin: who.origin.clone(),
        request: None,
        plan: None,
        phase: Phase::Queued,
        asked_at: now,
        phase_since: now,
        ended_at: None,
        remaining: Phase::Queued.deadline(),
        steps: Vec::new(),
        asked_end: None,
        starts: Vec::new(),
        pool: Vec::new(),
        key: who.key.clone(),
        cause: None,
    }
}

type Begun = (Vec<Change>, (Deployment, Vec<DeploymentId>));

fn begin_deploy(fleet: &Fleet, who: &Who, app: AppId, wanted: DeployRequest) -> Begun {
    let (mut changes, superseded) = supersede(fleet, &app);
    let entry = fleet.apps.get(&app).cloned().unwrap_or_else(|| new_app(app.clone()));
    let release = entry.next_release;
    let mut deployment = blank(fleet, who, &app, Aim::Deploy, release);
    deployment.request = Some(wanted);
    changes.push(Change::App(App { asked: Some(release), next_release: release.next(), ..entry }));
    changes.push(Change::Deployment(Box::new(deployment.clone())));
    (changes, (deployment, superseded))
}

fn new_app(id: AppId) -> App {
    App {
        id,
        desired: Desired::Running,
        asked: None,
        routed: None,
        pool: Vec::new(),
        serving: None,
        previous: None,
        replicas: None,
        url: None,
        next_release: ReleaseId(1),
        created_at: clock::now(),
        warm: None,
    }
}

fn begin_again(fleet: &Fleet, who: &Who, app: &AppId, what: &Again) -> Result<Begun, Problem> {
    let entry = known_app(fleet, app)?;
    let release = match what {
        Again::Rollback(asked) => rollback_target(fleet, entry, *asked)?.id,
        Again::Remove => entry.routed.or(entry.asked).unwrap_or(ReleaseId(0)),
        _ => entry.routed.ok_or_else(|| {
            Problem::conflict(format!("nothing of {app} was ever live")).hint(format!("pilothouse deploy PATH --name {app}"))
        })?,
    };
    check(fleet, entry, what)?;
    let (mut changes, superseded) = supersede(fleet, app);
    let mut deployment = blank(fleet, who, app, what.aim(), release);
    if !matches!(what, Again::Stop | Again::Remove) {
        let target =
            fleet.release(app, release).ok_or_else(|| Problem::not_found(format!("release {release} of {app} is not kept")))?;
        let mut target = target.clone();
        fill(fleet, entry, &mut deployment, &mut target, what);
        changes.push(Change::Release(Box::new(target)));
        changes.push(Change::App(App { asked: Some(release), ..entry.clone() }));
    }
    changes.push(Change::Deployment(Box::new(deployment.clone())));
    Ok((changes, (deployment, superseded)))
}

fn check(fleet: &Fleet, entry: &App, what: &Again) -> Result<(), Problem> {
    let app = &entry.id;
    let is_stopped = entry.desired == Desired::Stopped;
    match what {
        Again::Start if !is_stopped => {
            Err(Problem::conflict(format!("{app} is not stopped")).hint(format!("pilothouse restart {app}")))
        }
        Again::Restart | Again::Scale(_) if is_stopped => {
            Err(Problem::conflict(format!("{app} is stopped")).hint(format!("pilothouse start {app}")))
        }
        Again::Stop if is_stopped => Err(Problem::conflict(format!("{app} is stopped already"))),
        Again::Scale(0) => Err(Problem::user("an app cannot be scaled to 0").hint(format!("pilothouse stop {app}"))),
        Again::Scale(replicas) if *replicas > MOST_REPLICAS => {
            Err(Problem::user(format!("{replicas} instances are more than the limit of {MOST_REPLICAS}")))
        }
        Again::Scale(replicas) => {
            let web = entry.routed.and_then(|routed| fleet.release(app, routed)).and_then(|release| release.blueprint.web());
            match web {
                None => Err(Problem::conflict(format!(
                    "{app} has no process that could be scaled: the edge serves it, or it has no route"
                ))),
                Some(web) if web.port.is_some() && *replicas > 1 => {
                    Err(Problem::conflict(format!("{app} asks for a fixed port, which only one instance can have"))
                        .hint("leave [process.web] port out of pilothouse.toml and deploy again"))
                }
                Some(_) => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn known_app<'a>(fleet: &'a Fleet, app: &AppId) -> Result<&'a App, Problem> {
    fleet.apps.get(app).ok_or_else(|| {
        let near = fleet.apps.keys().map(|known| (strsim::jaro_winkler(known.as_str(), app.as_str()), known));
        let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        let problem = Problem::not_found(format!("there is no app `{app}`"));
        match near {
            Some((_, known)) => problem.hint(format!("did you mean `{known}`?")),
            None => problem.hint("pilothouse apps lists them"),
        }
    })
}

fn rollback_target<'a>(fleet: &'a Fleet, entry: &App, asked: Option<ReleaseId>) -> Result<&'a Release, Problem> {
    let app = &entry.id;
    let listed = || format!("pilothouse releases {app}");
    let Some(wanted) = asked.or(entry.previous) else {
        return Err(Problem::conflict(format!("{app} has no earlier release to return to")).hint(listed()));
    };
    let release = fleet
        .release(app, wanted)
        .ok_or_else(|| Problem::not_found(format!("release {wanted} of {app} is not kept")).hint(listed()))?;
    if release.artefact.is_none() {
        return Err(Problem::conflict(format!("release {wanted} of {app} was never built")).hint(listed()));
    }
    if entry.desired == Desired::Running
        && entry.serving.is_some_and(|serving| serving.release == wanted)
        && fleet.active_deployment(app).is_none()
    {
        return Err(Problem::conflict(format!("release {wanted} of {app} serves already")).hint(listed()));
    }
    Ok(release)
}

/// Chooses the instances that will serve: kept ones that run, and fresh ones for the rest.
fn fill(fleet: &Fleet, entry: &App, deployment: &mut Deployment, release: &mut Release, what: &Again) {
    let reusable = |instance: &&Instance| {
        instance.release == release.id
            && instance.wanted
            && instance.state == InstanceState::Running
            && instance.address.is_some()
    };
    let may_reuse = matches!(what, Again::Rollback(_) | Again::Scale(_));
    let mut pool: Vec<InstanceId> = Vec::new();
    let mut starts = Vec::new();
    for process in release.blueprint.processes.clone() {
        let replicas = match what {
            Again::Scale(replicas) if process.routed => *replicas,
            _ if process.routed => entry.replicas.unwrap_or(process.replicas),
            _ => process.replicas,
        };
        let workers_too = |instance: &&Instance| {
            reusable(instance)
                || (!process.routed && instance.wanted && instance.release == release.id && instance.state.is_alive())
        };
        let kept = fleet.instances_of(&entry.id).filter(|instance| instance.process == process.name).filter(workers_too);
        let kept: Vec<InstanceId> =
            kept.take(if may_reuse { replicas as usize } else { 0 }).map(|instance| instance.id.clone()).collect();
        for _ in kept.len()..replicas as usize {
            starts.push((process.name.clone(), InstanceId::of(&entry.id, release.id, release.started)));
            release.started += 1;
        }
        pool.extend(kept);
    }
    pool.extend(starts.iter().map(|(_, instance)| instance.clone()));
    deployment.pool = pool;
    deployment.starts = starts;
    deployment.remaining = Millis::minutes(60);
}
