//! Images: pulled as the source of a release, and for processes that name their own.

use std::{collections::BTreeMap, fs};

use tokio_util::sync::CancellationToken;

use super::{artefact, disk, fetch::ended, patience::patiently};
use crate::{
    agent::Tools,
    model::{
        Problem,
        container::ImageFacts,
        ids::{AppId, ReleaseId},
        order::{BuildWork, Done, Outcome, PruneWork},
        plan::Artefact,
        source::Survey,
    },
};

/// Looks at an image without bringing it here.
pub(super) async fn survey(tools: &Tools, reference: &str, cancel: &CancellationToken) -> Outcome {
    tokio::select! {
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict("cancelled")),
        facts = tools.docker.look_up(reference) => match facts {
            Ok(facts) => Outcome::Done(Done::Surveyed(survey_of(facts))),
            Err(problem) => ended(problem),
        },
    }
}

/// Brings an image here and its survey into the release's folder. Idempotent by `survey.json`, which is written last.
pub(super) async fn fetch(
    tools: &Tools,
    app: &AppId,
    release: ReleaseId,
    reference: &str,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let bring = async {
        let folder = tools.settings.state.release(app, release);
        fs::create_dir_all(&folder).map_err(|error| Problem::unwritable(&folder, &error))?;
        let survey = survey_of(bring(tools, reference, app, release, None, &progress).await?);
        let content =
            serde_json::to_vec(&survey).map_err(|error| Problem::internal(format!("cannot write the survey: {error}")))?;
        let file = folder.join("survey.json");
        disk::write_whole(&file, &content).map_err(|error| Problem::unwritable(&file, &error))?;
        Ok(survey)
    };
    tokio::select! {
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict("the pull was cancelled")),
        brought = bring => match brought {
            Ok(survey) => Outcome::Done(Done::Fetched(survey)),
            Err(problem) => ended(problem),
        },
    }
}

/// As the runtime brings it, once a Docker that went away is back.
async fn bring(
    tools: &Tools,
    reference: &str,
    app: &AppId,
    release: ReleaseId,
    process: Option<&str>,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<ImageFacts, Problem> {
    let attempt = || tools.docker.bring(reference, app, release, process, progress);
    let awaits = |problem: &Problem| {
        let is_away = tools.docker.client().is_away(problem);
        if is_away {
            progress(format!("waits: {}", problem.what));
        }
        is_away
    };
    patiently(attempt, awaits, &CancellationToken::new()).await
}

fn survey_of(facts: ImageFacts) -> Survey {
    Survey { commit: facts.digest.clone().or_else(|| Some(facts.id.clone())), image: Some(facts), ..Survey::default() }
}

/// The artefact of a release whose source is an image: that image. Idempotent.
pub(super) async fn artefact(
    tools: &Tools,
    work: &BuildWork,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let folder = tools.settings.state.release(&work.app, work.release);
    let made = async {
        let known = fs::read(folder.join("survey.json")).ok();
        let survey: Option<Survey> = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let facts = survey.and_then(|survey| survey.image).ok_or_else(|| Problem::internal("the image was never fetched"))?;
        let artefact = Artefact {
            digest: facts.id.clone(),
            root: folder.clone(),
            bytes: facts.size.0,
            files: 0,
            image: Some(facts.id),
            images: pulls(tools, work, &progress).await?,
        };
        artefact::write(&folder.join("artefact.json"), &artefact)?;
        Ok(artefact)
    };
    until_cancelled(made, cancel).await
}

/// An artefact that was built, with the images that processes of it name.
pub(super) async fn beside(
    tools: &Tools,
    work: &BuildWork,
    built: Artefact,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let made = async {
        let mut images = built.images.clone();
        images.extend(pulls(tools, work, &progress).await?);
        Ok(Artefact { images, ..built })
    };
    until_cancelled(made, cancel).await
}

async fn until_cancelled(made: impl Future<Output = Result<Artefact, Problem>>, cancel: &CancellationToken) -> Outcome {
    tokio::select! {
        () = cancel.cancelled() => Outcome::Failed(Problem::conflict("cancelled")),
        made = made => match made {
            Ok(artefact) => Outcome::Done(Done::Built(artefact)),
            Err(problem) => ended(problem),
        },
    }
}

async fn pulls(
    tools: &Tools,
    work: &BuildWork,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<BTreeMap<String, String>, Problem> {
    let mut images = BTreeMap::new();
    for (process, reference) in &work.pulls {
        let facts = bring(tools, reference, &work.app, work.release, Some(process), progress).await?;
        images.insert(process.clone(), facts.id);
    }
    Ok(images)
}

/// Lets go of the images of releases that are pruned. Without Docker they stay, for a prune of its objects to find.
pub(super) async fn let_go(tools: &Tools, work: &PruneWork) {
    let Some(app) = &work.app else { return };
    let is_gone = |release: ReleaseId| work.whole_app || work.releases.contains(&release);
    if let Err(problem) = tools.docker.let_go(app, is_gone).await {
        tracing::debug!(%app, %problem, "images are not let go of");
    }
    if work.whole_app {
        super::build_image::leftovers::forget(tools, app).await;
    }
}
