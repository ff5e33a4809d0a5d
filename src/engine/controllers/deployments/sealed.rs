//! What is sealed of a deployment: the names of its blobs, and what is opened of them.

use crate::{
    engine::fleet::Hub,
    model::{
        fleet::Release,
        ids::{AppId, ReleaseId},
        plan::{Env, ProcessPlan},
        problem::Problem,
    },
};

/// Name of the blob that holds a release's environment.
pub fn env_blob(app: &AppId, release: ReleaseId) -> String {
    format!("env/{app}/{release}/")
}

/// The environment of a kept release. One that has none is not concerned when nothing can be opened.
pub async fn release_env(hub: &Hub, release: &Release) -> Result<Env, Problem> {
    let names_any = !release.blueprint.env.is_empty() || release.blueprint.processes.iter().any(names_any);
    match hub.blobs().env(env_blob(&release.app, release.id)).await {
        Err(_) if !names_any => Ok(Env::default()),
        Err(problem) => {
            let what = format!("the environment of release {} of {} cannot be opened: {}", release.id, release.app, problem.what);
            let next = "put the key that belongs to this journal back; without it, set the secrets anew and deploy again";
            Err(Problem { what, ..problem }.hint(next))
        }
        opened => opened,
    }
}

fn names_any(process: &ProcessPlan) -> bool {
    !process.env.is_empty() || process.build.as_ref().is_some_and(|build| !build.args.is_empty())
}

/// What an instance of a kept release is given: its environment, and its secrets.
pub async fn given(hub: &Hub, release: &Release) -> Result<(Env, Env), Problem> {
    let env = release_env(hub, release).await?;
    Ok((env, hub.secrets().of_release(&release.app, release.id, &release.blueprint.secrets).await?))
}

/// Name of the blob that holds the environment given with a request.
pub fn request_blob(key: &str) -> String {
    format!("request/{key}/")
}

/// Name of the blob that holds a source's URL with its password, until the deployment is over.
pub fn source_blob(key: &str) -> String {
    format!("source/{key}/")
}

/// Its one entry.
pub const SOURCE_URL: &str = "url";
