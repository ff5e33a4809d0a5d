//! What a fetched commit means for the app's watch: it is seen, whatever becomes of it; a manifest may begin or end a watch.

use super::{
    super::commands::watch::{Noted, Wanted, fetched, keep},
    Deployments, Mark,
    sealed::{SOURCE_URL, request_blob, source_blob},
};
use crate::model::{change::Change, deployment::Deployment, fleet::App, problem::Problem, source::Survey};

impl Deployments {
    pub(super) async fn note_commit(&self, deployment: &Deployment, survey: &Survey, manifest: Wanted) -> Result<(), Problem> {
        let of = deployment.app.clone();
        let said = self.hub.look(move |fleet| fleet.apps.get(&of)?.watch.as_ref().map(|watch| watch.by_manifest)).await;
        if matches!(manifest, Wanted::Branch(_)) && said != Some(false) && deployment.origin != "watch" {
            // Before the watch is journaled: its own deployments will need what this one was given.
            let env = self.hub.blobs().env(request_blob(&deployment.key)).await?;
            let secret = self.hub.blobs().env(source_blob(&deployment.key)).await?;
            keep(self.hub.blobs(), &deployment.app, &env, secret.0.get(SOURCE_URL).map_or("", String::as_str)).await?;
        }
        let (of, asked, survey) = (deployment.app.clone(), deployment.clone(), survey.clone());
        self.hub
            .commit(Mark::Change, move |fleet| {
                let Some(app) = fleet.apps.get(&of) else { return Ok((Vec::new(), ())) };
                let watch = match fetched(app, &asked, &survey, &manifest) {
                    Noted::Unchanged => return Ok((Vec::new(), ())),
                    Noted::Watch(watch) => Some(watch),
                    Noted::Ended => None,
                };
                let changes = if watch == app.watch { Vec::new() } else { vec![Change::App(App { watch, ..app.clone() })] };
                Ok((changes, ()))
            })
            .await
    }
}
