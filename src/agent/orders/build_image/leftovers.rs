//! What a build leaves in Docker: its steps' containers go, its layers stay for the next build under a name of ours.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    query_parameters::{InspectContainerOptions, ListImagesOptions, RemoveContainerOptions, RemoveImageOptions, TagImageOptions},
};
use tokio::time::Instant;

use super::answer::Made;

/// Longest wait for the builder's own clearing away.
const CLEARED: Duration = Duration::from_millis(1500);

/// Ends what ran, and names the last layers, so that none dangles; what had those names before loses them.
///
/// `image` is what was built; a failed build keeps its layers all the same. What cannot be done now is done by the next
/// build or when the app is removed.
pub(super) async fn clear(docker: &Docker, made: &Made, repository: &str, key: &str, image: Option<&str>) {
    containers(docker, &made.containers).await;
    let is_image = |layer: &str| image.is_some_and(|image| image.trim_start_matches("sha256:").starts_with(layer));
    let mut names = Vec::new();
    for (index, layer) in made.layers().filter(|layer| !is_image(layer)).enumerate() {
        let tag = format!("cache-{key}-{index}");
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.clone()) };
        if docker.tag_image(layer, Some(options)).await.is_ok() {
            names.push(format!("{repository}:{tag}"));
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
}

/// Every name below a repository.
pub(super) async fn tags(docker: &Docker, repository: &str) -> Vec<String> {
    let filters = HashMap::from([("reference".to_owned(), vec![format!("{repository}:*")])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let images = docker.list_images(Some(options)).await.unwrap_or_default();
    let prefix = format!("{repository}:");
    images.into_iter().flat_map(|image| image.repo_tags).filter(|name| name.starts_with(&prefix)).collect()
}

/// Takes a name away; with its last one an image goes, with the layers that nobody else has.
pub(super) async fn untag(docker: &Docker, name: &str) {
    let options = RemoveImageOptions::default();
    if let Err(error) = docker.remove_image(name, Some(options), None).await {
        tracing::debug!(name, %error, "an image's name stays");
    }
}

/// The builder removes them; what it does not is removed here.
async fn containers(docker: &Docker, ids: &[String]) {
    let deadline = Instant::now() + CLEARED;
    for id in ids {
        while docker.inspect_container(id, None::<InspectContainerOptions>).await.is_ok() {
            let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
            if docker.remove_container(id, Some(options)).await.is_ok() || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
