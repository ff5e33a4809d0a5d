//! What a fetched commit means for the app's watch: it is seen, whatever becomes of it; a manifest may begin or end a watch.

use super::{
    super::commands::watch::{fetched, keep},
    Deployments, Mark, SOURCE_URL, request_blob, source_blob,
};
use crate::model::{change::Change, deployment::Deployment, fleet::App, problem::Problem, source::Survey};

impl Deployments {
    /// `manifest` is the branch that the manifest wants watched, when there is a readable one.
    pub(super) async fn note_commit(
        &self,
        deployment: &Deployment,
        survey: &Survey,
        manifest: Option<Option<&str>>,
    ) -> Result<(), Problem> {
        let manifest = manifest.map(|branch| branch.map(str::to_owned));
        let of = deployment.app.clone();
        let said = self.hub.look(move |fleet| fleet.apps.get(&of)?.watch.as_ref().map(|watch| watch.by_manifest)).await;
        if matches!(&manifest, Some(Some(_))) && said != Some(false) && deployment.origin != "watch" {
            // Before the watch is journaled: its own deployments will need what this one was given.
            let env = self.hub.blobs().env(request_blob(&deployment.key)).await?;
            let secret = self.hub.blobs().env(source_blob(&deployment.key)).await?;
            keep(self.hub.blobs(), &deployment.app, &env, secret.0.get(SOURCE_URL).map_or("", String::as_str)).await?;
        }
        let (of, asked, survey) = (deployment.app.clone(), deployment.clone(), survey.clone());
        self.hub
            .commit(Mark::Change, move |fleet| {
                let Some(app) = fleet.apps.get(&of) else { return Ok((Vec::new(), ())) };
                let changes = match fetched(app, &asked, &survey, manifest.as_ref().map(Option::as_deref)) {
                    Some(watch) if watch != app.watch => vec![Change::App(App { watch, ..app.clone() })],
                    _ => Vec::new(),
                };
                Ok((changes, ()))
            })
            .await
    }
}
