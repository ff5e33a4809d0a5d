//! Orders: each is one file that makes one effect true and says how it went.

mod artefact;
pub mod await_ready;
pub mod build;
mod build_failure;
pub mod build_image;
mod build_output;
mod disk;
pub mod edge;
pub mod environment;
pub mod fetch;
mod images;
mod patience;
pub mod prune;
pub mod start;
pub mod stop;

use tokio_util::sync::CancellationToken;

use super::Tools;
use crate::model::{
    manifest::Runtime,
    order::{Done, OrderKey, Outcome, Report, Work},
    source::Source,
};

/// Executes one order.
pub(super) async fn execute(tools: &Tools, key: &OrderKey, work: Work, cancel: &CancellationToken) -> Outcome {
    let runtime = tools.runtime.as_ref();
    match work {
        Work::Survey { source: Source::Image { reference } } => images::survey(tools, &reference, cancel).await,
        Work::Survey { source } => fetch::survey(&tools.settings, &source, progress(tools, key), cancel).await,
        Work::Fetch { app, release, source: Source::Image { reference } } => {
            images::fetch(tools, &app, release, &reference, progress(tools, key), cancel).await
        }
        Work::Tip { source, known } => fetch::tip(&tools.settings, &source, known.as_deref(), cancel).await,
        Work::Fetch { app, release, source } => {
            fetch::fetch(&tools.settings, &app, release, &source, progress(tools, key), cancel).await
        }
        Work::Build(build) if build.source_image.is_some() => images::artefact(tools, &build, progress(tools, key), cancel).await,
        Work::Build(build) => {
            let outcome = if build_image::is_of_images(&build) {
                build_image::build(tools, &build, progress(tools, key), cancel).await
            } else {
                build::build(&tools.settings, &build, progress(tools, key), cancel).await
            };
            match outcome {
                Outcome::Done(Done::Built(built)) if !build.pulls.is_empty() => {
                    images::beside(tools, &build, built, progress(tools, key), cancel).await
                }
                outcome => outcome,
            }
        }
        Work::Start(spec) => {
            // For a container its image may have to be pulled: nobody waits for that.
            let is_prompt = spec.runtime == Runtime::Process;
            let _starting = if is_prompt { Some(tools.starting.read().await) } else { None };
            start::start(tools, &spec, progress(tools, key), cancel).await
        }
        Work::Await { instance, listens, within } => await_ready::await_ready(runtime, &instance, listens, within, cancel).await,
        Work::Route(table) => edge::route(tools, &table, progress(tools, key)).await,
        Work::Prove(request) => edge::prove(tools, &request, progress(tools, key), cancel).await,
        Work::Drain { instances, within } => edge::drain(tools, &instances, within).await,
        Work::Stop { instance } => {
            drop(tools.starting.write().await);
            stop::stop(runtime, &instance).await
        }
        Work::ReplaceEdge => edge::replace(tools).await,
        Work::StopEdge => edge::stop(tools).await,
        Work::Prune(prune) => {
            let pruned = prune::prune(&tools.settings, &prune).await;
            images::let_go(tools, &prune).await;
            pruned
        }
        Work::Container { id, act } => match tools.docker.act(&id, act).await {
            Ok(()) => Outcome::Done(Done::Acted),
            Err(problem) => fetch::ended(problem),
        },
        Work::PruneDocker { objects } => match tools.docker.prune(&objects).await {
            Ok(freed) => Outcome::Done(Done::Pruned { freed }),
            Err(problem) => fetch::ended(problem),
        },
    }
}

/// Tells how far the order is; a note that finds the queue full is dropped, the next one comes.
fn progress(tools: &Tools, key: &OrderKey) -> impl Fn(String) + Send + Sync + 'static {
    let (reports, key) = (tools.reports.clone(), key.clone());
    move |note| {
        let _ = reports.try_send(Report::Progress { key: key.clone(), note });
    }
}
