//! A fetched source becomes a plan and a release.

use super::{
    super::commands::{self, watch::Wanted},
    Deployments,
    outcome::Resolved,
    sealed::{env_blob, request_blob},
};
use crate::{
    config::clock,
    model::{
        deployment::Deployment,
        fleet::Release,
        ids::DeploymentId,
        order::{Done, Outcome},
        plan::Plan,
        problem::Problem,
        source::Survey,
    },
};

impl Deployments {
    /// What an outcome means for the release: a fetch becomes a plan.
    pub(super) async fn resolve(&self, id: DeploymentId, outcome: Outcome) -> Resolved {
        match outcome {
            Outcome::Done(Done::Fetched(survey)) => {
                let Ok((deployment, _)) = self.seen(id).await else {
                    return Resolved::Failed(Problem::internal("gone"));
                };
                match self.planned(&deployment, &survey).await {
                    Ok((plan, release)) => Resolved::Planned(Box::new(plan), Box::new(release)),
                    Err(problem) => Resolved::Failed(problem),
                }
            }
            Outcome::Done(done) => Resolved::Done(done),
            Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Resolved::Failed(problem),
        }
    }

    async fn planned(&self, deployment: &Deployment, survey: &Survey) -> Result<(Plan, Release), Problem> {
        let mut request = deployment.request.clone().ok_or_else(|| Problem::internal("a deployment without a source"))?;
        request.overrides.env = self.hub.blobs().env(request_blob(&deployment.key)).await?;
        let (app, release) = (deployment.app.clone(), deployment.release);
        let made = commands::make_plan(&self.hub, self.placer.as_ref(), &self.bases, &app, release, &request, survey).await;
        let wanted = match &made {
            Ok(made) => made.watch.clone().map_or(Wanted::Nothing, Wanted::Branch),
            Err(_) => Wanted::Unknown,
        };
        self.note_commit(deployment, survey, wanted).await?;
        let made = made?;
        self.hub.blobs().put_env(env_blob(&app, release), &made.env).await?;
        self.hub.secrets().keep(&app, release, &made.plan.blueprint.secrets, &made.secrets).await?;
        let release = Release {
            app,
            id: release,
            version: survey.version(),
            commit: survey.commit.clone(),
            subject: survey.subject.clone(),
            source: request.source,
            created_at: clock::now(),
            actor: deployment.actor.clone(),
            deployment: deployment.id,
            artefact: None,
            blueprint: made.plan.blueprint.clone(),
            proved_at: None,
            started: 0,
        };
        Ok((made.plan, release))
    }
}
