//! Orders: each is one file that makes one effect true and says how it went.

mod artefact;
pub mod await_ready;
pub mod build;
mod build_failure;
mod build_output;
mod disk;
pub mod edge;
pub mod environment;
pub mod fetch;
pub mod prune;
pub mod start;
pub mod stop;

use tokio_util::sync::CancellationToken;

use super::Tools;
use crate::model::order::{OrderKey, Outcome, Report, Work};

/// Executes one order.
pub(super) async fn execute(tools: &Tools, key: &OrderKey, work: Work, cancel: &CancellationToken) -> Outcome {
    let runtime = tools.runtime.as_ref();
    match work {
        Work::Survey { source } => fetch::survey(&tools.settings, &source, progress(tools, key), cancel).await,
        Work::Fetch { app, release, source } => {
            fetch::fetch(&tools.settings, &app, release, &source, progress(tools, key), cancel).await
        }
        Work::Build(build) => build::build(&tools.settings, &build, progress(tools, key), cancel).await,
        Work::Start(spec) => start::start(runtime, &spec, cancel).await,
        Work::Await { instance, listens, within } => await_ready::await_ready(runtime, &instance, listens, within, cancel).await,
        Work::Route(table) => edge::route(tools, &table).await,
        Work::Prove(request) => edge::prove(tools, &request, cancel).await,
        Work::Drain { instances, within } => edge::drain(tools, &instances, within).await,
        Work::Stop { instance } => stop::stop(runtime, &instance).await,
        Work::StopEdge => edge::stop(tools).await,
        Work::Prune(prune) => prune::prune(&tools.settings, &prune).await,
        Work::Container { .. } | Work::PruneDocker { .. } => Outcome::Failed(no_docker()),
    }
}

fn no_docker() -> crate::model::Problem {
    crate::model::Problem::conflict("this version does not steer containers yet").hint("use the runtime `process`")
}

/// Tells how far the order is; a note that finds the queue full is dropped, the next one comes.
fn progress(tools: &Tools, key: &OrderKey) -> impl Fn(String) + Send + Sync + 'static {
    let (reports, key) = (tools.reports.clone(), key.clone());
    move |note| {
        let _ = reports.try_send(Report::Progress { key: key.clone(), note });
    }
}
