//! What a build leaves in Docker: its steps' containers go, its layers stay for the next build under a name of ours.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    errors::Error,
    query_parameters::{InspectContainerOptions, ListImagesOptions, RemoveContainerOptions, RemoveImageOptions, TagImageOptions},
};
use tokio::time::Instant;

use super::{
    answer::Made,
    remembered::{Entry, Remembered},
};
use crate::{
    agent::Tools,
    model::ids::AppId,
    runtimes::docker::{client::is_not_found, labels},
};

/// Longest wait for the builder's own clearing away.
const CLEARED: Duration = Duration::from_millis(1500);

/// Ends what ran, and names the last layers, so that none dangles; what had those names before loses them.
///
/// `image` is what was built; a failed build keeps its layers all the same. Whether everything was done: else Docker went
/// away, and it is to be done again.
pub(super) async fn clear(docker: &Docker, made: &Made, repository: &str, key: &str, image: Option<&str>) -> bool {
    let mut is_done = containers(docker, &made.containers).await;
    let is_image = |layer: &str| image.is_some_and(|image| image.trim_start_matches("sha256:").starts_with(layer));
    let mut names = Vec::new();
    for (index, layer) in made.layers().filter(|layer| !is_image(layer)).enumerate() {
        let tag = format!("cache-{key}-{index}");
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.clone()) };
        match docker.tag_image(layer, Some(options)).await {
            Ok(()) => names.push(format!("{repository}:{tag}")),
            Err(error) => is_done &= is_not_found(&error),
        }
    }
    // A build that came nowhere says nothing against the layers of the one before.
    if image.is_some() || !names.is_empty() {
        let prefix = format!("{repository}:cache-{key}-");
        for name in tags(docker, repository).await {
            if name.starts_with(&prefix) && !names.contains(&name) {
                untag(docker, &name).await;
            }
        }
    }
    is_done
}

/// As `clear`, for an app that is gone: nobody builds on its layers.
async fn remove(docker: &Docker, made: &Made) -> bool {
    let mut is_done = containers(docker, &made.containers).await;
    for layer in made.layers() {
        match docker.remove_image(layer, Some(RemoveImageOptions::default()), None).await {
            Ok(_) => {}
            // Another build stands on it.
            Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(_) => is_done = false,
        }
    }
    is_done
}

/// Clears away what builds have left that were cut off, by their Docker or with their engine. What Docker is not there for
/// is left for the next time.
pub async fn clear_all(tools: &Tools) {
    let left = Remembered::all(&tools.settings.state);
    if left.is_empty() {
        return;
    }
    let Ok(docker) = tools.docker.client().docker().await else { return };
    for left in left {
        let Entry { repository, key, is_forgotten, .. } = left.entry();
        let made = left.entry().made();
        let is_done = if *is_forgotten || repository.is_empty() {
            remove(&docker, &made).await
        } else {
            self::clear(&docker, &made, repository, key, None).await
        };
        if is_done {
            left.done();
        }
    }
}

/// Takes away what an app that is gone leaves in Docker beside its releases: names of layers, and its network.
pub async fn forget(tools: &Tools, app: &AppId) {
    for mut left in Remembered::all(&tools.settings.state) {
        if left.entry().app.as_ref() == Some(app)
            && let Err(error) = left.forget_app()
        {
            tracing::warn!(%app, %error, "what its builds left in Docker keeps a name");
        }
    }
    clear_all(tools).await;
    let Ok(docker) = tools.docker.client().docker().await else { return };
    for name in tags(&docker, &labels::repository(tools.docker.mark(), app)).await {
        untag(&docker, &name).await;
    }
    tools.docker.remove_networks(&docker, app).await;
}

/// Every name below a repository.
async fn tags(docker: &Docker, repository: &str) -> Vec<String> {
    let filters = HashMap::from([("reference".to_owned(), vec![format!("{repository}:*")])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let images = docker.list_images(Some(options)).await.unwrap_or_default();
    let prefix = format!("{repository}:");
    images.into_iter().flat_map(|image| image.repo_tags).filter(|name| name.starts_with(&prefix)).collect()
}

/// Takes a name away; with its last one an image goes, with the layers that nobody else has.
async fn untag(docker: &Docker, name: &str) {
    let options = RemoveImageOptions::default();
    if let Err(error) = docker.remove_image(name, Some(options), None).await {
        tracing::debug!(name, %error, "an image's name stays");
    }
}

/// The builder removes them; what it does not is removed here. Whether all are known to be gone.
async fn containers(docker: &Docker, ids: &[String]) -> bool {
    let deadline = Instant::now() + CLEARED;
    let mut are_gone = true;
    for id in ids {
        let is_gone = loop {
            match docker.inspect_container(id, None::<InspectContainerOptions>).await {
                Err(error) if is_not_found(&error) => break true,
                Err(_) => break false,
                Ok(_) => {}
            }
            let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
            if docker.remove_container(id, Some(options)).await.is_ok() {
                break true;
            }
            if Instant::now() >= deadline {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        are_gone &= is_gone;
    }
    are_gone
}
