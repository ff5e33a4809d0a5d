//! Fetch: brings a source into the release's folder, pristine; and looks at a source without keeping it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::disk::{self, blocking};
use crate::{
    config::Settings,
    model::{
        Problem,
        ids::{AppId, ReleaseId},
        order::{Done, Outcome},
        source::{Source, Survey},
    },
    sources::{self, Limits, Progress, Visit},
};

/// Longest visit of a source: a little less than the phase *fetching* may last, so that its cause is told.
const WITHIN: Duration = Duration::from_secs(285);

/// Longest look at a branch.
const TIP_WITHIN: Duration = Duration::from_secs(60);

/// Looks at `source`; keeps nothing.
pub async fn survey(
    settings: &Settings,
    source: &Source,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let visit = match visit(settings, Arc::new(progress), cancel) {
        Ok(visit) => visit,
        Err(problem) => return ended(problem),
    };
    match sources::open(source).survey(&visit).await {
        Ok(survey) => Outcome::Done(Done::Surveyed(survey)),
        Err(problem) => ended(problem),
    }
}

/// Asks where a branch is; keeps nothing.
pub async fn tip(settings: &Settings, source: &Source, known: Option<&str>, cancel: &CancellationToken) -> Outcome {
    let look = async {
        let visit = Visit { within: TIP_WITHIN, ..visit(settings, Arc::new(|_| {}), cancel)? };
        sources::tip(source, known, &visit).await
    };
    match look.await {
        Ok(tip) => Outcome::Done(Done::Tip(tip)),
        Err(problem) => ended(problem),
    }
}

/// Brings `source` into `releases/APP/N/source` and its survey beside it.
///
/// Idempotent by `survey.json`, which is written last: what lies there without it is wiped and fetched anew.
pub async fn fetch(
    settings: &Settings,
    app: &AppId,
    release: ReleaseId,
    source: &Source,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let release = settings.state.release(app, release);
    match bring(settings, &release, source, Arc::new(progress), cancel).await {
        Ok(survey) => Outcome::Done(Done::Fetched(survey)),
        Err(problem) => ended(problem),
    }
}

async fn bring(
    settings: &Settings,
    release: &Path,
    source: &Source,
    progress: Progress,
    cancel: &CancellationToken,
) -> Result<Survey, Problem> {
    let (folder, file) = (release.join("source"), release.join("survey.json"));
    if let Some(survey) = fetched(release) {
        return Ok(survey);
    }
    wipe(&[file.clone(), folder.clone()]).await?;
    fs::create_dir_all(release).map_err(|error| Problem::unwritable(release, &error))?;
    let visit = visit(settings, progress, cancel)?;
    match sources::open(source).fetch(&folder, &visit).await {
        Ok(survey) => {
            let content =
                serde_json::to_vec(&survey).map_err(|error| Problem::internal(format!("cannot write the survey: {error}")))?;
            disk::write_whole(&file, &content).map_err(|error| Problem::unwritable(&file, &error))?;
            Ok(survey)
        }
        Err(problem) => {
            // What cannot be wiped now is wiped by the next fetch, or with the release.
            let _ = wipe(&[folder]).await;
            let _ = fs::remove_dir(release);
            Err(problem)
        }
    }
}

/// The survey of a release whose source was fetched: the source is there, or what was built from it.
fn fetched(release: &Path) -> Option<Survey> {
    let there = release.join("source").is_dir() || release.join("artefact.json").is_file();
    serde_json::from_slice(&fs::read(release.join("survey.json")).ok()?).ok().filter(|_| there)
}

fn visit(settings: &Settings, progress: Progress, cancel: &CancellationToken) -> Result<Visit, Problem> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Problem::internal(format!("the system gives no random bytes: {error}")))?;
    Ok(Visit {
        scratch: settings.state.scratch_root().join(format!("survey-{:016x}", u64::from_be_bytes(random))),
        without: vec![settings.state.root().to_path_buf()],
        limits: Limits::default(),
        within: WITHIN,
        progress,
        cancel: cancel.clone(),
    })
}

async fn wipe(paths: &[PathBuf]) -> Result<(), Problem> {
    let paths = paths.to_vec();
    blocking(move || paths.iter().try_for_each(|path| disk::remove(path).map(drop))).await?
}

/// How an order ends by a problem.
pub(super) fn ended(problem: Problem) -> Outcome {
    if problem.is_transient() { Outcome::Transient(problem) } else { Outcome::Failed(problem) }
}
