//! Build: a pristine source becomes an artefact; every command under a keeper, so that a killed engine finds it again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    artefact,
    build_failure::{self, Command},
    build_output,
    disk::{self, blocking},
    environment::{Folders, environment},
    fetch::ended,
};
use crate::{
    config::Settings,
    keep::{KeeperState, Program, Restart, Spec},
    model::{
        Problem,
        instance::InstanceState,
        log::LogLabels,
        order::{BuildWork, Done, Outcome},
        plan::Artefact,
        units::{Bytes, Millis},
    },
    runtimes::keepers,
    sources::{Limits, copy, listing},
};

/// How often disk space is looked at while a command runs, and how far it is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From SIGTERM to SIGKILL: a cancelled build is gone within two seconds.
const KILL_AFTER: Millis = Millis(1000);
/// Space that a build leaves to everybody else.
const LEFT_FREE: Bytes = Bytes::mib(256);

/// Makes the artefact of a fetched release in `releases/APP/N/tree`, or of one folder of it in `…/site`.
///
/// Idempotent by `artefact.json`, which is written last. A command that runs or has ended is not run a second time: the
/// same order goes on where the last one stopped. When this future is dropped the command runs on under its keeper; after
/// `cancel` nothing of it runs within 2 s. Scratch is gone when this answers.
pub async fn build(
    settings: &Settings,
    work: &BuildWork,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let release = settings.state.release(&work.app, work.release);
    let build = Build {
        settings,
        work,
        progress: &progress,
        cancel,
        source: release.join("source"),
        tree: release.join("tree"),
        site: release.join("site"),
        file: release.join("artefact.json"),
        scratch: settings.state.scratch(work.deployment),
    };
    match build.run().await {
        Ok(artefact) => Outcome::Done(Done::Built(artefact)),
        Err(problem) => ended(problem),
    }
}

/// Name of the keeper of a build's command; its log is the build's log.
pub fn keeper_name(deployment: crate::model::ids::DeploymentId, index: usize) -> String {
    format!("build-{deployment}-{index}")
}

/// One build order at work.
struct Build<'a> {
    settings: &'a Settings,
    work: &'a BuildWork,
    progress: &'a (dyn Fn(String) + Send + Sync),
    cancel: &'a CancellationToken,
    source: PathBuf,
    tree: PathBuf,
    site: PathBuf,
    file: PathBuf,
    scratch: PathBuf,
}

impl Build<'_> {
    async fn run(&self) -> Result<Artefact, Problem> {
        let made = match artefact::read(&self.file) {
            Some(artefact) => Ok(artefact),
            None => self.make().await,
        };
        // The source stays only for another try of a build that may succeed without a change.
        let gone: Vec<PathBuf> = match &made {
            Ok(artefact) if artefact.root == self.tree => vec![self.scratch.clone(), self.source.clone()],
            Ok(_) => vec![self.scratch.clone(), self.source.clone(), self.tree.clone()],
            Err(problem) if problem.is_transient() => vec![self.scratch.clone(), self.tree.clone(), self.site.clone()],
            Err(_) => vec![self.scratch.clone(), self.tree.clone(), self.site.clone(), self.source.clone()],
        };
        let removed = blocking(move || gone.iter().map(|path| disk::remove(path)).find_map(Result::err)).await?;
        match (made, removed) {
            (Ok(_), Some(problem)) => Err(problem),
            (made, _) => made,
        }
    }

    async fn make(&self) -> Result<Artefact, Problem> {
        self.check_cancelled()?;
        if !self.goes_on().await {
            self.prepare().await?;
        }
        for (index, (name, line)) in self.work.commands.iter().enumerate() {
            self.command(index, name, line).await?;
        }
        (self.progress)("hashing".to_owned());
        self.finish().await
    }

    fn check_cancelled(&self) -> Result<(), Problem> {
        if self.cancel.is_cancelled() { Err(Problem::conflict("cancelled")) } else { Ok(()) }
    }

    fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.work.commands.len()).map(|index| keeper_name(self.work.deployment, index))
    }

    /// Whether an earlier run of this order got as far as its commands, and none of them was torn.
    async fn goes_on(&self) -> bool {
        let mut any = false;
        for name in self.names() {
            let Some(state) = self.known(&name).await else { continue };
            if state.seen(&self.settings.boot_id) == InstanceState::Lost {
                return false;
            }
            any = true;
        }
        let failed = self.names().filter_map(|name| keepers::state(self.settings, &name)).any(|state| failure(&state));
        any && (failed || self.tree.is_dir() || self.site.is_dir())
    }

    /// What is known of a keeper; one that was launched a moment ago has yet to say its first word.
    async fn known(&self, name: &str) -> Option<KeeperState> {
        for _ in 0..20 {
            let state = keepers::state(self.settings, name);
            if state.is_some() || !self.settings.state.keeper(name).join("spec.json").exists() {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        None
    }

    /// Begins anew: nothing of an earlier run is left, and the tree is a copy of the source.
    async fn prepare(&self) -> Result<(), Problem> {
        if !self.source.is_dir() {
            return Err(Problem::not_found("the source of this release is gone").hint("deploy again"));
        }
        for name in self.names() {
            keepers::stop(self.settings, &name).await?;
            // Its log stays; its exit is of a run that does not count.
            let _ = fs::remove_file(self.settings.state.keeper(&name).join("state.json"));
            let _ = fs::remove_file(self.settings.state.keeper(&name).join("spec.json"));
        }
        (self.progress)("copying".to_owned());
        let (source, tree, site, scratch) = (self.source.clone(), self.tree.clone(), self.site.clone(), self.scratch.clone());
        let (cache, cancel) = (self.settings.state.cache(&self.work.app), self.cancel.clone());
        blocking(move || {
            for path in [&tree, &site, &scratch] {
                disk::remove(path)?;
            }
            for path in [&cache, &scratch.join("home"), &scratch.join("tmp")] {
                fs::create_dir_all(path).map_err(|error| Problem::unwritable(path, &error))?;
            }
            let unlimited = Limits { bytes: Bytes(u64::MAX), files: usize::MAX };
            let entries = listing::walk(&source, listing::Which::All, &[], unlimited, &cancel)?;
            check_free(&source, Bytes(listing::size(&entries).0.saturating_add(LEFT_FREE.0)))?;
            copy::copy(&source, &entries, &tree, &cancel)
        })
        .await?
    }

    /// Runs one command, or finds it running or ended.
    async fn command(&self, index: usize, name: &str, line: &str) -> Result<(), Problem> {
        let keeper = keeper_name(self.work.deployment, index);
        let known = self.known(&keeper).await;
        let started = known.is_some_and(|state| state.state == InstanceState::Stopped || state.is_alive(&self.settings.boot_id));
        if !started {
            self.check_cancelled()?;
            let spec = self.spec(index, line)?;
            let labels = LogLabels { app: self.work.app.clone(), release: self.work.release, instance: "build".to_owned() };
            keepers::launch(self.settings, &keeper, &spec, &labels).await?;
        }
        (self.progress)(format!("{name}: {line}"));
        let stopped = self.watch(&keeper, name).await;
        if let Err(problem) = stopped {
            keepers::stop(self.settings, &keeper).await?;
            return Err(problem);
        }
        let command = Command { app: &self.work.app, name, line, log: self.settings.state.keeper(&keeper).join("log") };
        let Some(state) = keepers::state(self.settings, &keeper) else {
            return Err(build_failure::lost(&command));
        };
        match &state.last_exit {
            Some(exit) if exit.is_success() && !exit.out_of_memory && !exit.timed_out => self.check_disk().await,
            Some(exit) => Err(build_failure::of_exit(&command, exit, state.ran.unwrap_or_default(), &self.work.limits)),
            None => Err(build_failure::lost(&command)),
        }
    }

    fn spec(&self, index: usize, line: &str) -> Result<Spec, Problem> {
        let limits = &self.work.limits;
        let before = self.names().take(index).filter_map(|name| keepers::state(self.settings, &name)?.ran);
        let used = before.fold(Duration::ZERO, |sum, ran| sum + ran.duration());
        let left = limits.time.duration().checked_sub(used).filter(|left| !left.is_zero());
        let Some(left) = left else {
            return Err(build_failure::out_of_time(limits));
        };
        let host: BTreeMap<String, String> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let cache = self.settings.state.cache(&self.work.app);
        let folders = Folders { tree: &self.tree, scratch: &self.scratch, cache: &cache };
        let own = self.work.env.with(&self.work.secrets);
        let is_install = self.work.commands.get(index).is_some_and(|(name, _)| name == "install");
        Ok(Spec {
            env: environment(&host, &folders, &own, is_install),
            secrets: self.work.secrets.0.keys().cloned().collect(),
            memory: Some(limits.memory),
            kill_after: KILL_AFTER,
            restart: Restart::Never,
            time_limit: Some(left.into()),
            ..keepers::spec(self.settings, Program::Shell(line.to_owned()), &self.tree)
        })
    }

    /// Waits for the keeper's end; fails, with the keeper still running, on cancellation and when the disk runs full.
    async fn watch(&self, keeper: &str, name: &str) -> Result<(), Problem> {
        let begun = tokio::time::Instant::now();
        let end = keepers::await_exit(self.settings, keeper);
        tokio::pin!(end);
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Problem::conflict("cancelled")),
                _ = &mut end => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            let looked = tokio::time::Instant::now();
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Problem::conflict("cancelled")),
                checked = self.check_disk() => checked?,
            }
            // A large tree takes long to measure: it must not cost the build more than a tenth of a core.
            pause = LOOK_EVERY.max(looked.elapsed() * 10);
            (self.progress)(format!("{name}: {}", Millis::from(begun.elapsed())));
        }
    }

    async fn check_disk(&self) -> Result<(), Problem> {
        let limit = self.work.limits.disk;
        let (tree, scratch) = (self.tree.clone(), self.scratch.clone());
        blocking(move || {
            check_free(&tree, Bytes(LEFT_FREE.0 / 2))?;
            let taken = disk::taken(&tree).0 + disk::taken(&scratch).0;
            if taken > limit.0 { Err(build_failure::out_of_disk(limit)) } else { Ok(()) }
        })
        .await?
    }

    /// Puts the artefact in its place and writes down that it is complete.
    async fn finish(&self) -> Result<Artefact, Problem> {
        let (tree, site, file) = (self.tree.clone(), self.site.clone(), self.file.clone());
        let (output, cancel) = (self.work.output.clone(), self.cancel.clone());
        blocking(move || {
            let root = match output {
                Some(output) => build_output::take(&tree, &output, &site, &cancel)?,
                None => tree,
            };
            let artefact = artefact::measure(&root, &cancel)?;
            artefact::write(&file, &artefact)?;
            Ok(artefact)
        })
        .await?
    }
}

/// Whether a command of an earlier run ended badly.
fn failure(state: &KeeperState) -> bool {
    state.state == InstanceState::Stopped && state.last_exit.as_ref().is_some_and(|exit| !exit.is_success())
}

fn check_free(path: &Path, needed: Bytes) -> Result<(), Problem> {
    match disk::free(path) {
        Some(free) if free < needed => Err(Problem::limit(format!("only {free} are free on the disk, and {needed} are needed"))
            .at(path.display().to_string())
            .hint("free some space, then deploy again")),
        _ => Ok(()),
    }
}

/// Removes temporary files that no running build or visit needs; for the start of an agent, before its first order.
///
/// What cannot be removed is left for the next time. Blocks.
pub fn sweep(settings: &Settings) {
    for entry in fs::read_dir(settings.state.scratch_root()).into_iter().flatten().flatten() {
        let prefix = format!("build-{}-", entry.file_name().to_string_lossy());
        let keepers = fs::read_dir(settings.state.keepers()).into_iter().flatten().flatten();
        let names = keepers.map(|keeper| keeper.file_name().to_string_lossy().into_owned());
        let runs = names.filter(|name| name.starts_with(&prefix)).any(|name| keepers::is_alive(settings, &name));
        if !runs {
            let _ = disk::remove(&entry.path());
        }
    }
}
