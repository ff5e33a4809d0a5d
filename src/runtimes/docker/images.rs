//! Images: pulled, looked at, kept under a tag of ours for as long as their release is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error,
    models::{CreateImageInfo, ImageInspect},
    query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions},
};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::{DockerRuntime, body, client::is_not_found, credentials, labels};
use crate::model::{
    container::ImageFacts,
    ids::{AppId, ReleaseId},
    problem::{Problem, ProblemKind},
    units::Bytes,
};

/// Longest silence of a registry that is asked what an image is.
const LOOK_SILENCE: Duration = Duration::from_secs(30);
/// Longest silence of a registry that an image is pulled from.
const SILENCE: Duration = Duration::from_secs(60);
/// The same when the image is here already.
const SHORT_SILENCE: Duration = Duration::from_secs(15);
/// How often is told how far a pull is.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl DockerRuntime {
    /// What an image says of itself, without bringing it here: what is here, else what its registry tells.
    pub async fn look_up(&self, reference: &str) -> Result<ImageFacts, Problem> {
        let docker = self.client.docker().await?;
        if let Some(found) = self.local(&docker, reference).await? {
            return Ok(facts(reference, &found));
        }
        let credentials = credentials::of(reference).await;
        let answer = timeout(LOOK_SILENCE, docker.inspect_registry_image(reference, credentials)).await;
        let found = answer.map_err(|_| silent(reference))?.map_err(|error| self.refused(reference, error))?;
        Ok(ImageFacts {
            reference: reference.to_owned(),
            digest: found.descriptor.digest,
            note: Some("is not here yet: what it listens on is known once it is pulled".to_owned()),
            ..ImageFacts::default()
        })
    }

    /// Brings an image here and keeps it under the tag of a release. `tell` hears how far the pull is.
    ///
    /// Not pulled, and said so: one that was made here, and one that is here while its registry does not answer.
    pub async fn bring(
        &self,
        reference: &str,
        app: &AppId,
        release: ReleaseId,
        process: Option<&str>,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageFacts, Problem> {
        let docker = self.client.docker().await?;
        let here = self.local(&docker, reference).await?;
        let mut note = None;
        match &here {
            Some(found) if is_exact(reference) || is_made_here(found) => {
                note = Some("is here already: not pulled".to_owned());
            }
            Some(_) => {
                if let Err(problem) = self.pull(&docker, reference, SHORT_SILENCE, tell).await {
                    note = Some(format!("is here already, and was not pulled: {}", problem.what));
                }
            }
            None => self.pull(&docker, reference, SILENCE, tell).await?,
        }
        let found = self
            .local(&docker, reference)
            .await?
            .ok_or_else(|| Problem::unavailable(format!("image {reference} was pulled and is not here")).hint("try again"))?;
        if let Some(note) = &note {
            tell(format!("{reference} {note}"));
        }
        let facts = ImageFacts { note, ..facts(reference, &found) };
        let kept = TagImageOptions { repo: Some(labels::repository(&self.mark, app)), tag: Some(labels::tag(release, process)) };
        docker.tag_image(&facts.id, Some(kept)).await.map_err(|error| self.problem("keep an image under its release", error))?;
        Ok(facts)
    }

    /// Has an image here that others are built on; one that is here is taken as it is. Whether it was pulled.
    pub async fn have(&self, reference: &str, tell: &(dyn Fn(String) + Send + Sync)) -> Result<bool, Problem> {
        let docker = self.client.docker().await?;
        if self.local(&docker, reference).await?.is_some() {
            return Ok(false);
        }
        self.pull(&docker, reference, SILENCE, tell).await?;
        Ok(true)
    }

    /// Lets go of the images of releases: their layers go when nothing else has them. Idempotent.
    pub async fn let_go(&self, app: &AppId, is_gone: impl Fn(ReleaseId) -> bool) -> Result<(), Problem> {
        let docker = self.client.docker().await?;
        let repository = labels::repository(&self.mark, app);
        let filters = HashMap::from([("reference".to_owned(), vec![repository])]);
        let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
        let images = docker.list_images(Some(options)).await.map_err(|error| self.problem("list images", error))?;
        for tag in images.into_iter().flat_map(|image| image.repo_tags) {
            let Some((of, release)) = labels::of_tag(&self.mark, &tag) else { continue };
            if of == *app && is_gone(release) {
                self.untag(&docker, &tag).await?;
            }
        }
        Ok(())
    }

    /// Removes a name of an image; the image too when it was its last one and no container has it.
    pub(super) async fn untag(&self, docker: &Docker, tag: &str) -> Result<bool, Problem> {
        match docker.remove_image(tag, None::<RemoveImageOptions>, None).await {
            Ok(gone) => Ok(gone.iter().any(|item| item.deleted.is_some())),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(self.problem("let go of an image", error)),
        }
    }

    async fn local(&self, docker: &Docker, reference: &str) -> Result<Option<ImageInspect>, Problem> {
        self.if_found("look at an image", docker.inspect_image(reference).await)
    }

    async fn pull(
        &self,
        docker: &Docker,
        reference: &str,
        silence: Duration,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Problem> {
        let options = CreateImageOptions { from_image: Some(with_tag(reference)), ..CreateImageOptions::default() };
        let login = credentials::of(reference).await;
        let mut said = std::pin::pin!(docker.create_image(Some(options), None, login));
        let mut layers = Layers::default();
        let mut told: Option<Instant> = None;
        loop {
            let next = timeout(silence, said.next()).await.map_err(|_| silent(reference))?;
            match next {
                None => return Ok(()),
                Some(Err(error)) => return Err(self.refused(reference, error)),
                Some(Ok(info)) => layers.hear(&info),
            }
            if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                told = Some(Instant::now());
                tell(format!("pulling {reference}{}", layers.words()));
            }
        }
    }

    /// Why a registry did not give an image.
    fn refused(&self, reference: &str, error: Error) -> Problem {
        let problem = self.problem(&format!("pull {reference}"), error);
        let (what, place) = (problem.what.to_ascii_lowercase(), format!("image {reference}"));
        let has = |words: &[&str]| words.iter().any(|word| what.contains(word));
        if problem.is_transient() {
            return problem;
        }
        if has(&["manifest unknown", "manifest for", "not found: manifest"]) {
            return Problem::not_found(format!("there is no image {reference}"))
                .at(place)
                .hint("check its name and tag")
                .evidence([problem.what]);
        }
        if has(&["access denied", "unauthorized", "authentication required", "denied:", "forbidden"]) {
            let registry = credentials::registry(reference);
            return Problem::user(format!("the pull of {reference} was refused: it is not there, or needs a login"))
                .at(place)
                .hint(format!("check its name; for a private one: docker login {registry}"))
                .evidence([problem.what]);
        }
        if has(&["timeout", "deadline exceeded"]) {
            return silent(reference).evidence([problem.what]);
        }
        let network = ["dial tcp", "no such host", "connection refused", "tls", "eof", "i/o", "lookup"];
        if has(&network) {
            return Problem::unavailable(format!("the registry of {reference} does not answer"))
                .at(place)
                .hint("check the network; an image that is here is used without it")
                .evidence([problem.what]);
        }
        Problem::new(ProblemKind::App, problem.what).at(place).hint("try: docker pull, which may say more")
    }
}

/// It was waited for long enough: not a passing failure, after which it would be waited for as long again.
fn silent(reference: &str) -> Problem {
    Problem::limit(format!("the registry of {reference} does not answer"))
        .at(format!("image {reference}"))
        .hint("check the network; an image that is here is used without it")
}

/// Without a tag Docker would pull every one.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

/// It can only mean one image, now and later.
fn is_exact(reference: &str) -> bool {
    reference.contains('@') || reference.starts_with("sha256:")
}

/// No registry has it: it was built or imported.
fn is_made_here(image: &ImageInspect) -> bool {
    image.repo_digests.iter().flatten().next().is_none()
}

fn facts(reference: &str, found: &ImageInspect) -> ImageFacts {
    let config = found.config.as_ref();
    let words = |list: Option<&Vec<String>>| list.into_iter().flatten().cloned().collect::<Vec<_>>();
    let mut command = words(config.and_then(|config| config.entrypoint.as_ref()));
    command.extend(words(config.and_then(|config| config.cmd.as_ref())));
    let digests = found.repo_digests.iter().flatten();
    ImageFacts {
        reference: reference.to_owned(),
        id: found.id.clone().unwrap_or_default(),
        digest: digests.filter_map(|digest| digest.split_once('@')).map(|(_, digest)| digest.to_owned()).next(),
        ports: config.map(body::exposed).unwrap_or_default(),
        command: command.join(" "),
        size: Bytes(found.size.unwrap_or(0).max(0) as u64),
        note: None,
    }
}

/// How far the layers of a pull are: (here, whole) of each.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64, bool)>);

impl Layers {
    fn hear(&mut self, info: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&info.id, &info.status) else { return };
        let known = self.0.entry(id.clone()).or_default();
        match status.as_str() {
            "Downloading" => {
                let detail = info.progress_detail.as_ref();
                known.0 = detail.and_then(|detail| detail.current).unwrap_or(0).max(0) as u64;
                known.1 = detail.and_then(|detail| detail.total).unwrap_or(0).max(0) as u64;
            }
            "Download complete" | "Extracting" => known.0 = known.1,
            "Pull complete" | "Already exists" => *known = (known.1, known.1, true),
            "Pulling fs layer" | "Waiting" | "Verifying Checksum" => {}
            // The first line is of the tag, not of a layer.
            _ => {
                self.0.remove(id);
            }
        }
    }

    fn words(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let (here, whole) = self.0.values().fold((0, 0), |(here, whole), layer| (here + layer.0, whole + layer.1));
        let done = self.0.values().filter(|layer| layer.2).count();
        let bytes = if whole > 0 { format!(", {} of {}", Bytes(here), Bytes(whole)) } else { String::new() };
        format!(": {done} of {} layers{bytes}", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tag_only_the_latest_is_pulled() {
        assert_eq!(with_tag("localhost:5000/shop"), "localhost:5000/shop:latest");
        assert_eq!(with_tag("nginx:1.27"), "nginx:1.27");
        assert_eq!(with_tag("nginx@sha256:aa"), "nginx@sha256:aa");
    }

    #[test]
    fn a_pull_tells_layers_and_bytes() {
        let mut layers = Layers::default();
        let said = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(bollard::models::ProgressDetail { current, total }),
            ..CreateImageInfo::default()
        };
        layers.hear(&said("1.27", "Pulling from library/nginx", None, None));
        layers.hear(&said("a", "Downloading", Some(1 << 20), Some(4 << 20)));
        layers.hear(&said("b", "Already exists", None, None));
        assert_eq!(layers.words(), format!(": 1 of 2 layers, {} of {}", Bytes(1 << 20), Bytes(4 << 20)));
    }
}
