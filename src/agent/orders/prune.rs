//! Prune: removes what releases, instances and builds left on disk; never what still runs, nor anything outside the state.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::edges::LABEL,
    disk::{self, blocking},
    fetch::ended,
};
use crate::{
    config::Settings,
    model::{
        Problem,
        ids::InstanceId,
        log::LogLabels,
        order::{Done, Outcome, PruneWork},
        units::Bytes,
    },
    runtimes::keepers,
};

/// Removes what `work` names. Idempotent: what is not there is removed already.
///
/// A keeper that runs is a conflict, and nothing is removed.
pub async fn prune(settings: &Settings, work: &PruneWork) -> Outcome {
    let (settings, work) = (settings.clone(), work.clone());
    match blocking(move || remove(&settings, &work)).await.and_then(|freed| freed) {
        Ok(freed) => Outcome::Done(Done::Pruned { freed }),
        Err(problem) => ended(problem),
    }
}

fn remove(settings: &Settings, work: &PruneWork) -> Result<Bytes, Problem> {
    let kept = keepers_of(settings, work)?;
    for name in &kept {
        if keepers::is_alive(settings, name) {
            return Err(Problem::conflict(format!("{name} still runs")).hint("stop it first"));
        }
    }
    let mut paths: Vec<PathBuf> = kept.iter().map(|name| settings.state.keeper(name)).collect();
    if let Some(app) = &work.app {
        paths.extend(work.releases.iter().map(|release| settings.state.release(app, *release)));
        if work.whole_app {
            paths.extend([settings.state.app(app), settings.state.cache(app)]);
        }
    }
    let mut freed = Bytes(0);
    for path in &paths {
        check_inside(settings, path)?;
        freed = Bytes(freed.0 + disk::remove(path)?.0);
    }
    if let Some(app) = &work.app {
        // Fails while other releases are there, as it should.
        let _ = fs::remove_dir(settings.state.app(app));
    }
    Ok(freed)
}

/// Names of the keepers whose folders go: those named, and by their labels those of the releases' builds or of the app.
fn keepers_of(settings: &Settings, work: &PruneWork) -> Result<Vec<String>, Problem> {
    let mut names: Vec<String> = work.instances.iter().map(name_of).collect::<Result<_, _>>()?;
    let Some(app) = &work.app else { return Ok(names) };
    for entry in fs::read_dir(settings.state.keepers()).into_iter().flatten().flatten() {
        // What the edge writes has a label of the same kind, and is nobody's.
        let is_of_app = |labels: &LogLabels| labels.app == *app && labels.instance != LABEL;
        let Some(labels) = labels(&entry.path()).filter(is_of_app) else { continue };
        let is_build = labels.instance == "build" && work.releases.contains(&labels.release);
        let name = entry.file_name().to_string_lossy().into_owned();
        if (work.whole_app || is_build) && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The folder's name of an instance; an id that is a path is refused.
fn name_of(instance: &InstanceId) -> Result<String, Problem> {
    let name = &instance.0;
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_plain { Ok(name.clone()) } else { Err(Problem::user(format!("`{}` is no instance", name.escape_debug()))) }
}

fn labels(keeper: &Path) -> Option<LogLabels> {
    serde_json::from_slice(&fs::read(keeper.join("labels.json")).ok()?).ok()
}

/// Refuses a path whose folder a link leads out of the state.
fn check_inside(settings: &Settings, path: &Path) -> Result<(), Problem> {
    let Some(folder) = path.parent().and_then(|folder| folder.canonicalize().ok()) else {
        return Ok(());
    };
    let root = settings.state.root().canonicalize().unwrap_or_else(|_| settings.state.root().to_path_buf());
    if folder.starts_with(root) {
        return Ok(());
    }
    Err(Problem::conflict("a link leads out of the state folder; nothing there is removed").at(path.display().to_string()))
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
