//! Commands: each is refused with a reason, or journaled and on its way.

mod containers;

mod begin;
mod edge;
mod secrets;
pub mod watch;

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use self::begin::{Again, Who, accepted, ended_by};
use super::{
    super::{fleet::Hub, masking},
    deployments::sealed::{SOURCE_URL, release_env, request_blob, source_blob},
    orders::{Interrupts, Orders},
};
use crate::{
    config::{clock, manifest_file},
    deploy::{self, plan::Asked, ports::Placer},
    model::{
        command::{Answer, Command, DeployRequest, Request},
        deployment::{EndedBy, Phase},
        fleet::Fleet,
        ids::{AppId, DeploymentId, HostId, ReleaseId},
        order::{Done, Outcome, Work},
        plan::{Env, Plan, PlanLine, Sign},
        problem::Problem,
        source::{Source, Survey, has_password, without_password},
        watch::Watch,
    },
};

/// Name of the manifest.
pub const MANIFEST: &str = "pilothouse.toml";

/// Takes commands.
#[derive(Clone)]
pub struct Commands {
    pub hub: Hub,
    pub orders: Orders,
    pub interrupts: Interrupts,
    pub placer: std::sync::Arc<dyn Placer>,
    /// Images that written Dockerfiles begin with, by language or package manager.
    pub bases: std::sync::Arc<BTreeMap<String, String>>,
}

/// A plan with the values that must not stand in it.
pub struct Made {
    pub plan: Plan,
    pub env: Env,
    pub secrets: Env,
    /// Branch that the manifest wants watched.
    pub watch: Option<String>,
}

/// The plan for what a fetch found.
pub async fn make_plan(
    hub: &Hub,
    placer: &dyn Placer,
    bases: &BTreeMap<String, String>,
    app: &AppId,
    release: ReleaseId,
    request: &DeployRequest,
    survey: &Survey,
) -> Result<Made, Problem> {
    survey.check_whole(MANIFEST)?;
    let manifest = match survey.texts.get(MANIFEST) {
        Some(text) => manifest_file::read(text, MANIFEST)?,
        None => crate::model::manifest::Manifest::default(),
    };
    let recipe = match &survey.image {
        Some(image) => Ok(deploy::image::recipe(image)),
        None => deploy::detect::detect(survey),
    };
    let (containers, recipe) = deploy::containers::choose(survey, &manifest, &request.overrides, recipe)?;
    let env = deploy::plan::environment(&manifest, &request.overrides, &containers);
    let secrets = hub.secrets().resolve(&deploy::plan::secrets::references(&manifest, &request.overrides)?).await?;
    let fleet = hub.look(Fleet::clone).await;
    let serving = fleet.apps.get(app).and_then(|known| fleet.release(app, known.routed?));
    let env_before = match serving {
        // It is compared only: one that cannot be opened counts as another one.
        Some(serving) => release_env(hub, serving).await.unwrap_or_default(),
        None => Env::default(),
    };
    let hosts: Vec<(HostId, String)> = placer.rank(&fleet, app).into_iter().map(|ranked| (ranked.host, ranked.reason)).collect();
    let asked = Asked {
        app,
        release,
        request,
        manifest: &manifest,
        recipe: &recipe,
        containers: &containers,
        bases,
        before: serving.map(|serving| (&serving.blueprint, &env_before)),
        survey,
        hosts: &hosts,
        checks: "not checked",
    };
    let mut plan = deploy::plan::plan(&asked, &fleet)?;
    if let (Some(_), Some(why)) = (&manifest.watch, Watch::unused(&request.source)) {
        let at = manifest_file::place(survey.texts.get(MANIFEST).map_or("", String::as_str), MANIFEST, "watch");
        plan.lines.push(PlanLine { sign: Sign::Note, what: "watch".to_owned(), why: format!("{at}: {why}") });
    }
    deploy::plan::secrets::check_commands(&plan.blueprint, &secrets)?;
    Ok(Made { plan, env, secrets, watch: manifest.watch })
}

impl Commands {
    /// Does a command, or says why not; what it says holds no value that is known to be secret.
    pub async fn take(&self, request: Request) -> Result<Answer, Problem> {
        self.answer(request).await.map_err(|problem| masking::problem(&problem, &self.hub.secrets().known().masker()))
    }

    async fn answer(&self, request: Request) -> Result<Answer, Problem> {
        let key = request.idempotency_key.clone();
        let known = self.hub.look(move |fleet| fleet.deployments.values().find(|known| known.key == key).map(accepted)).await;
        if let Some(answer) = known {
            return Ok(answer);
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
            Command::Container { id, act } => containers::act(self, id, act).await,
            Command::PlanPrune { volumes } => containers::plan_prune(self, volumes).await,
            Command::PruneDocker { objects } => containers::prune(self, objects).await,
            Command::SecretSet { name, value } => self.set_secret(&who, name, value).await,
            Command::SecretList => self.list_secrets().await,
            Command::SecretRemove { name, used_too } => self.remove_secret(&who, name, used_too).await,
            Command::WatchOff { app } => self.watch_off(app).await,
            Command::ReplaceEdge => edge::replace(self).await,
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
        survey.check_whole(MANIFEST)?;
        let manifest = survey.texts.get(MANIFEST).map(|text| manifest_file::read(text, MANIFEST)).transpose()?;
        Ok(manifest.and_then(|manifest| manifest.name).unwrap_or_else(|| deploy::name::default_name(&wanted.source)))
    }

    async fn plan(&self, mut wanted: DeployRequest) -> Result<Answer, Problem> {
        Watch::settle(&mut wanted)?;
        deploy::plan::secrets::check_request(&wanted.overrides, &self.hub.secrets().known().masker())?;
        let survey = self.survey(&wanted.source).await?;
        let app = Self::name(&wanted, &survey)?;
        deploy::name::check(&app)?;
        let of = app.clone();
        let release = self.hub.look(move |fleet| fleet.apps.get(&of).map_or(ReleaseId(1), |app| app.next_release)).await;
        let made = make_plan(&self.hub, self.placer.as_ref(), &self.bases, &app, release, &wanted, &survey).await?;
        Ok(Answer::Planned(Box::new(made.plan)))
    }

    async fn deploy(&self, who: Who, mut wanted: DeployRequest) -> Result<Answer, Problem> {
        Watch::settle(&mut wanted)?;
        // Before anything of it is recorded.
        deploy::plan::secrets::check_request(&wanted.overrides, &self.hub.secrets().known().masker())?;
        // With a name, or an image, there is nothing to look at before the fetch.
        let app = match (&wanted.overrides.name, &wanted.source) {
            (Some(name), _) => name.clone(),
            (None, Source::Image { .. }) => deploy::name::default_name(&wanted.source),
            (None, _) => Self::name(&wanted, &self.survey(&wanted.source).await?)?,
        };
        deploy::name::check(&app)?;
        wanted.overrides.name = Some(app.clone());
        self.hub.blobs().put_env(request_blob(&who.key), &wanted.overrides.env).await?;
        if let (Some(_), Source::Git { url, .. }) = (&wanted.overrides.watch, &wanted.source) {
            watch::keep(self.hub.blobs(), &app, &wanted.overrides.env, url).await?;
        }
        // A password in a URL is needed once, for the fetch.
        if let Source::Git { url, .. } = &mut wanted.source
            && has_password(url)
        {
            let secret = Env([(SOURCE_URL.to_owned(), url.clone())].into());
            self.hub.secrets().known().learn([url.clone()]);
            self.hub.blobs().put_env(source_blob(&who.key), &secret).await?;
            *url = without_password(url);
        }
        // The values stay in the blob; the journal keeps the names.
        wanted.overrides.env.0.values_mut().for_each(String::clear);
        let (deployment, superseded) = self.hub.accept(move |fleet| Ok(begin::deploy(fleet, &who, app, wanted, None))).await?;
        for id in superseded {
            self.interrupts.interrupt(id);
        }
        Ok(accepted(&deployment))
    }

    async fn again(&self, who: Who, app: AppId, what: Again) -> Result<Answer, Problem> {
        let asked = std::sync::Arc::new((who, app, what));
        let wish = std::sync::Arc::clone(&asked);
        let coming = self
            .hub
            .look(move |fleet| {
                let (_, (deployment, _)) = begin::again(fleet, &wish.0, &wish.1, &wish.2).ok()?;
                let release = fleet.release(&deployment.app, deployment.release)?;
                (!deployment.starts.is_empty()).then(|| release.clone())
            })
            .await;
        // Before anything ends for it: what cannot be opened cannot be started.
        if let Some(release) = coming {
            release_env(&self.hub, &release).await?;
        }
        let (deployment, superseded) = self.hub.accept(move |fleet| begin::again(fleet, &asked.0, &asked.1, &asked.2)).await?;
        for id in superseded {
            self.interrupts.interrupt(id);
        }
        Ok(accepted(&deployment))
    }

    async fn cancel(&self, id: DeploymentId) -> Result<Answer, Problem> {
        let app = self
            .hub
            .accept(move |fleet| {
                let deployment = fleet.deployments.get(&id).ok_or_else(|| {
                    Problem::not_found(format!("there is no deployment {id}")).hint("`pilothouse deployments` lists them")
                })?;
                if deployment.is_over() {
                    let what = format!("deployment {id} is over: {}", deployment.phase.word());
                    return Err(Problem::conflict(what).hint(deployment.next()));
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
