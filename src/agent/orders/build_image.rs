//! Container builds: a release's images by one of Docker's builders, within the limits of a build and into its log.

mod answer;
mod bases;
mod builder;
mod context;
mod failure;
mod ignore_file;
pub mod leftovers;
mod output;
mod plain;
mod remembered;
mod room;
mod trace;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bollard::Docker;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    answer::Made,
    builder::{Asked, Builder},
    context::Context,
    output::Output,
    remembered::Remembered,
};
use super::{
    super::Tools,
    artefact, build_failure,
    disk::{self, blocking},
    fetch::ended,
};
use crate::{
    model::{
        Problem,
        container_plan::{ImageBuild, ImagePlan},
        dockerfile::{self, Dockerfile},
        log::LogLabels,
        order::{BuildWork, Done, Outcome},
        plan::{Artefact, Env},
        units::{Bytes, Millis},
    },
    runtimes::docker::labels,
};

/// How often disk space is looked at while an image is built, and how far it is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pieces of a context on their way.
const PIECES: usize = 8;
/// Ways to registries, which Docker keeps out of the image's history.
const PROXIES: &[&str] =
    &["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"];

/// Whether a build is of images.
pub fn is_of_images(work: &BuildWork) -> bool {
    work.image.is_some() || !work.image_builds.is_empty()
}

/// Builds the images of a fetched release, and names them by release.
///
/// Idempotent by `artefact.json`, which is written last; layers that are there already are not built again. After `cancel`
/// nothing of it runs within 2 s. When this future is dropped the builder stops, too. Steps' containers and the context are
/// gone when this answers; the last layers of a build that failed stay under the tag `cache-…`, for the next one.
pub async fn build(
    tools: &Tools,
    work: &BuildWork,
    progress: impl Fn(String) + Send + Sync + 'static,
    cancel: &CancellationToken,
) -> Outcome {
    let release = tools.settings.state.release(&work.app, work.release);
    let build =
        Build { tools, work, progress: &progress, cancel, source: release.join("source"), tree: release.join("tree"), release };
    match build.run().await {
        Ok(artefact) => Outcome::Done(Done::Built(artefact)),
        Err(problem) => ended(problem),
    }
}

struct Build<'a> {
    tools: &'a Tools,
    work: &'a BuildWork,
    progress: &'a (dyn Fn(String) + Send + Sync),
    cancel: &'a CancellationToken,
    release: PathBuf,
    source: PathBuf,
    tree: PathBuf,
}

/// When a build ends at the latest, and the disk that it must not fill.
struct Bounds<'a> {
    deadline: Instant,
    store: Option<&'a Path>,
}

/// One image of the release.
struct Wanted {
    /// Process whose image it is; absent: the app's.
    process: Option<String>,
    build: ImageBuild,
    /// Text of a written Dockerfile.
    written: Option<String>,
    arguments: Env,
}

impl Wanted {
    /// Path of its Dockerfile in what is sent, if it is a file of the source that lies there.
    fn file_in_context(&self) -> Option<String> {
        let path = Path::new(&self.build.file).strip_prefix(&self.build.context).ok()?;
        self.written.is_none().then(|| path.to_string_lossy().into_owned())
    }
}

impl Build<'_> {
    async fn run(&self) -> Result<Artefact, Problem> {
        let file = self.release.join("artefact.json");
        let made = match artefact::read(&file) {
            Some(artefact) => Ok(artefact),
            None => self.make(&file).await,
        };
        // The source stays only for another try of a build that may succeed without a change.
        let keeps = made.as_ref().is_err_and(Problem::is_transient);
        let gone = if keeps { Vec::new() } else { vec![self.source.clone()] };
        let removed = blocking(move || gone.iter().map(|path| disk::remove(path)).find_map(Result::err)).await?;
        match (made, removed) {
            (Ok(_), Some(problem)) => Err(problem),
            (made, _) => made,
        }
    }

    async fn make(&self, file: &Path) -> Result<Artefact, Problem> {
        self.check_cancelled()?;
        // A run that was cut off between its last two steps has moved it already.
        let source = if self.source.is_dir() { self.source.clone() } else { self.tree.clone() };
        if !source.is_dir() {
            return Err(Problem::not_found("the source of this release is gone").hint("deploy again"));
        }
        let docker = self.tools.docker.client().docker().await?;
        let store = room::check(self.tools, self.work.limits.memory, &docker).await?;
        let output = Output::open(&self.tools.settings, &self.folder()?)?;
        let deadline = Instant::now() + self.work.limits.time.duration();
        let mut images = BTreeMap::new();
        for wanted in self.wanted() {
            let image = self.image(&docker, &wanted, &source, &output, deadline, store.as_deref()).await?;
            images.insert(wanted.process.clone(), image);
        }
        self.finish(&docker, file, images).await
    }

    fn wanted(&self) -> Vec<Wanted> {
        let of_app = self.work.image.iter().map(|plan| {
            let (build, written) = match plan {
                ImagePlan::Dockerfile(build) => (build.clone(), None),
                ImagePlan::Generated { text, .. } => {
                    (ImageBuild { file: "Dockerfile".to_owned(), ..ImageBuild::default() }, Some(text.clone()))
                }
            };
            Wanted { process: None, build, written, arguments: Env::default() }
        });
        let of_processes = self.work.image_builds.iter().map(|(process, (build, arguments))| Wanted {
            process: Some(process.clone()),
            build: build.clone(),
            written: None,
            arguments: arguments.clone(),
        });
        of_app.chain(of_processes).collect()
    }

    fn check_cancelled(&self) -> Result<(), Problem> {
        if self.cancel.is_cancelled() { Err(Problem::conflict("cancelled")) } else { Ok(()) }
    }

    /// Folder of the build's log, made for whoever reads it.
    fn folder(&self) -> Result<PathBuf, Problem> {
        let folder = self.tools.settings.state.keeper(&super::build::keeper_name(self.work.deployment, 0));
        let labels = LogLabels { app: self.work.app.clone(), release: self.work.release, instance: "build".to_owned() };
        let labels = serde_json::to_vec(&labels).map_err(|error| Problem::internal(error.to_string()))?;
        fs::create_dir_all(folder.join("log")).map_err(|error| Problem::unwritable(&folder, &error))?;
        disk::write_whole(&folder.join("labels.json"), &labels).map_err(|error| Problem::unwritable(&folder, &error))?;
        Ok(folder)
    }

    /// Builds one image and gives its id. Whatever happens, nothing of it runs on.
    async fn image(
        &self,
        docker: &Docker,
        wanted: &Wanted,
        source: &Path,
        output: &Output,
        deadline: Instant,
        store: Option<&Path>,
    ) -> Result<String, Problem> {
        self.check_cancelled()?;
        let name = wanted.process.as_deref().map_or_else(|| "image".to_owned(), |process| format!("image of {process}"));
        (self.progress)(format!("{name}: sending files"));
        let mut text = match &wanted.written {
            Some(text) => text.clone(),
            None => context::text(source, &wanted.build.file)?,
        };
        let mut given = self.work.env.0.clone();
        given.extend(wanted.arguments.0.clone());
        let dockerfile = dockerfile::read_with(&text, &wanted.build.file, &given)?;
        output.begin(&name);
        self.bring_bases(wanted, &dockerfile, output, deadline, &name).await?;
        let by =
            if dockerfile.needs_buildkit() { Builder::BuildKit } else { Builder::Classic { memory: self.work.limits.memory } };
        if by != Builder::BuildKit || !self.has_frontend(&dockerfile, output, deadline).await? {
            text = plain::text(&text, dockerfile.syntax.as_ref().map(|(_, line)| *line));
        }
        let file = wanted.file_in_context();
        let (folder, cancel) = (source.join(&wanted.build.context), self.cancel.clone());
        let context = blocking(move || Context::of(&folder, file.as_deref(), text, by, &cancel)).await??;
        if context.bytes() > self.work.limits.disk {
            return Err(build_failure::out_of_disk(self.work.limits.disk));
        }
        let asked = self.asked(wanted, &dockerfile, context.dockerfile().to_owned(), by);
        let repository = labels::repository(self.tools.docker.mark(), &self.work.app);
        let key = wanted.process.as_deref().unwrap_or("app");
        let mut left = Remembered::begin(&self.tools.settings.state, self.work.deployment, &self.work.app, &repository, key)?;
        let built = self.run_builder(&asked, Arc::new(context), output, &mut left, Bounds { deadline, store }, &name).await;
        let made = output.made();
        let said = output.failure();
        let outcome = match (built, said) {
            (Err(problem), _) => Err(problem.evidence(output.last_lines())),
            (Ok(()), Some((code, message))) => {
                let file = &wanted.build.file;
                Err(failure::of_message(code, &message, &made.step, file, asked.by, output.last_lines()))
            }
            (Ok(()), None) => output.image().ok_or_else(|| {
                Problem::app("the builder ended without an image").hint("pilothouse logs APP --build shows all of it")
            }),
        };
        let outcome = outcome.map_err(|problem| named(problem, &self.work.app));
        // On a full disk it is cleared away all the same, unless Docker goes away just now.
        let _ = left.note(&made);
        // With what a run before this one left, that was cut off.
        let made = Made { containers: [&left.entry().containers[..], &made.containers].concat(), ..made };
        if leftovers::clear(docker, &made, &repository, key, outcome.as_ref().ok().map(String::as_str)).await {
            left.done();
        }
        outcome
    }

    fn asked(&self, wanted: &Wanted, dockerfile: &Dockerfile, path: String, by: Builder) -> Asked {
        let mark = self.tools.docker.mark();
        let mut arguments: BTreeMap<String, String> =
            PROXIES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
        for name in &dockerfile.arguments {
            if let Some(value) = self.work.env.0.get(name) {
                arguments.insert(name.clone(), value.clone());
            }
        }
        arguments.extend(wanted.arguments.0.clone());
        let tag = labels::tag(self.work.release, wanted.process.as_deref());
        Asked {
            dockerfile: path,
            tag: format!("{}:{tag}", labels::repository(mark, &self.work.app)),
            target: wanted.build.target.clone(),
            arguments,
            labels: [(labels::STATE, mark.to_owned()), (labels::APP, self.work.app.to_string())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            by,
        }
    }

    /// Talks to the builder until it is done, cancelled, or at a limit.
    async fn run_builder(
        &self,
        asked: &Asked,
        context: Arc<Context>,
        output: &Output,
        left: &mut Remembered,
        Bounds { deadline, store }: Bounds<'_>,
        name: &str,
    ) -> Result<(), Problem> {
        let (pieces, taken) = mpsc::channel(PIECES);
        let sending = tokio::task::spawn_blocking(move || context.send(pieces));
        let free_before = store.and_then(disk::free);
        let begun = Instant::now();
        let address = self.tools.docker.client().address().to_owned();
        let building = builder::build(&address, asked, taken, |said| output.take(said));
        tokio::pin!(building);
        let outcome = loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Err(Problem::conflict("cancelled")),
                done = &mut building => {
                    // A file that cannot be read ends the context early: that is the cause, not what Docker makes of it.
                    break match tokio::time::timeout(LOOK_EVERY, sending).await {
                        Ok(Ok(Err(error))) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                            Err(Problem::unavailable(format!("the files for the builder cannot be read: {error}")))
                        }
                        _ => done,
                    };
                }
                () = tokio::time::sleep_until(deadline) => break Err(build_failure::out_of_time(&self.work.limits)),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            output.flush();
            let made = output.made();
            // Best effort here; the disk is looked at below, and once more when the build is over.
            let _ = left.note(&made);
            let step = made.step;
            let step = if step.is_empty() { step } else { format!(" · {step}") };
            (self.progress)(format!("{name}: {}{step}", Millis::from(begun.elapsed())));
            if let (Some(store), Some(before)) = (store, free_before)
                && let Some(free) = disk::free(store)
            {
                if before.0.saturating_sub(free.0) > self.work.limits.disk.0 {
                    break Err(build_failure::out_of_disk(self.work.limits.disk));
                }
                if free.0 < room::LEFT_FREE.0 / 2 {
                    break room::check_free(store, Bytes(room::LEFT_FREE.0 / 2));
                }
            }
        };
        output.flush();
        outcome
    }

    /// Writes down what was made.
    async fn finish(
        &self,
        docker: &Docker,
        file: &Path,
        mut images: BTreeMap<Option<String>, String>,
    ) -> Result<Artefact, Problem> {
        let image = images.remove(&None);
        let images: BTreeMap<String, String> = images.into_iter().filter_map(|(process, id)| Some((process?, id))).collect();
        let digest = image.clone().or_else(|| images.values().next().cloned()).unwrap_or_default();
        let mut bytes = 0;
        for id in image.iter().chain(images.values()) {
            bytes += docker.inspect_image(id).await.ok().and_then(|seen| seen.size).unwrap_or(0).max(0) as u64;
        }
        let (keeps, source, tree, release) =
            (self.work.keeps_source, self.source.clone(), self.tree.clone(), self.release.clone());
        let file = file.to_path_buf();
        blocking(move || {
            if keeps && source.is_dir() {
                disk::remove(&tree)?;
                fs::rename(&source, &tree).map_err(|error| Problem::unwritable(&tree, &error))?;
            }
            let root = if keeps { tree } else { release };
            let artefact = Artefact { digest, root, bytes, files: 0, image, images };
            artefact::write(&file, &artefact)?;
            Ok(artefact)
        })
        .await?
    }
}

/// The app's name where a next step speaks of one.
fn named(mut problem: Problem, app: &crate::model::ids::AppId) -> Problem {
    problem.next = problem.next.map(|next| next.replace("logs APP ", &format!("logs {app} ")));
    problem
}
