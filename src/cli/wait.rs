//! `wait APP --live`: returns once the app's last deployment is live and answers; also how every command waits.

use std::time::Duration;

use clap::Args;

use super::{
    Ended, absent,
    context::{self, Context},
    follow,
    progress::Progress,
    report::Report,
};
use crate::{
    model::{
        deployment::{Aim, Deployment, Phase},
        fleet::{AppStatus, Fleet},
        ids::{AppId, DeploymentId, ReleaseId},
        log::LogQuery,
        problem::Problem,
        units::Millis,
    },
    wire::engine::Client,
};

/// How often a terminal is redrawn.
const FRAME: Duration = Duration::from_millis(120);

#[derive(Debug, Args)]
pub struct Wait {
    #[arg(value_parser = context::app)]
    app: AppId,
    /// Until its last deployment is live; this is what is waited for anyway
    #[arg(long)]
    live: bool,
    /// Give up after this time
    #[arg(long, value_name = "SPAN", default_value = "15m")]
    timeout: Millis,
}

impl Wait {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let app = self.app;
        let limit = self.timeout;
        match tokio::time::timeout(limit.duration(), until_settled(context, &app)).await {
            Ok(ended) => ended,
            Err(_) => {
                Err(Problem::unavailable(format!("{app} is not live after {limit}")).hint(format!("pilothouse status {app}")))
            }
        }
    }
}

/// Waits for the last deployment of the app, and for the app to answer after it.
async fn until_settled(context: &Context<'_>, app: &AppId) -> Result<Ended, Problem> {
    let fleet = context.engine().await?.snapshot().await?;
    let Some(last) = fleet.last_deployment(app) else {
        return Err(absent::app(app, &fleet));
    };
    let (deployment, fleet) = with_progress(context, last.id).await?;
    let over = match (deployment.phase, deployment.aim) {
        (Phase::Done, Aim::Stop) => Some(("stopped", format!("pilothouse start {app}"))),
        (Phase::Done, Aim::Remove) => Some(("removed", "deploy it again: pilothouse deploy SOURCE".to_owned())),
        _ => None,
    };
    if let Some((deed, next)) = over {
        return Err(Problem::conflict(format!("{app} is not live: it was {deed}")).hint(next));
    }
    let report = Report::new(&deployment, &fleet);
    // Live once, and answering now are two things: an app whose instance just died may come back.
    let settled = matches!(fleet.app_status(app), AppStatus::Serving | AppStatus::Running | AppStatus::Degraded);
    if !deployment.is_over() || report.is_success() && settled || deployment.phase != Phase::Live {
        report.show(context.output);
        return Ok(if report.is_success() { Ended::Well } else { Ended::Badly });
    }
    context.output.progress(&format!("{app} was live and does not answer now: waiting for it"));
    let fleet = follow::until(context, |fleet| Report::new(&deployment, fleet).is_success()).await?;
    Report::new(&deployment, &fleet).show(context.output);
    Ok(Ended::Well)
}

/// Follows a deployment to its end and shows its report; ctrl-c leaves it to the engine.
pub async fn to_its_end(context: &Context<'_>, app: &AppId, id: DeploymentId) -> Result<Ended, Problem> {
    let over = tokio::select! {
        over = with_progress(context, id) => over?,
        _ = tokio::signal::ctrl_c() => {
            let command = format!("pilothouse wait {app} --live");
            let problem = Problem::unavailable(format!("left deployment {id} of {app} running: its end was not seen"));
            return Err(problem.hint(command));
        }
    };
    let report = Report::new(&over.0, &over.1);
    report.show(context.output);
    Ok(if report.is_success() { Ended::Well } else { Ended::Badly })
}

/// Follows a deployment to its end while telling its progress and the lines of its build.
pub async fn with_progress(context: &Context<'_>, id: DeploymentId) -> Result<(Deployment, Fleet), Problem> {
    let progress = Progress::new(context.output);
    let (built, mut builds) = tokio::sync::watch::channel(None);
    let over = follow::until_over(context, id, |deployment, _| {
        progress.take(deployment);
        if deployment.has_build_log() && deployment.phase == Phase::Building {
            built.send_replace(Some((deployment.app.clone(), deployment.release)));
        }
    });
    let lines = async {
        // Ends with an error only when the sender is gone, which lives as long as this does.
        if let Ok(build) = builds.wait_for(Option::is_some).await.map(|build| build.clone())
            && let Some((app, release)) = build
        {
            build_lines(&context.client(), &app, release, &progress).await;
        }
        std::future::pending::<()>().await;
    };
    let frames = async {
        loop {
            progress.draw();
            tokio::time::sleep(FRAME).await;
        }
    };
    let over = tokio::select! {
        over = over => over,
        () = lines => unreachable!("never ends"),
        () = frames => unreachable!("never ends"),
    };
    progress.clear();
    over
}

/// Shows the lines of a build as they come, until the stream ends; the build is not the poorer without.
async fn build_lines(client: &Client, app: &AppId, release: ReleaseId, progress: &Progress<'_>) {
    let query = LogQuery { app: Some(app.clone()), build: Some(release), follow: true, ..LogQuery::default() };
    let Ok(mut lines) = client.logs(&query).await else {
        return;
    };
    while let Ok(Some(batch)) = lines.next().await {
        for record in batch {
            progress.build_line(&record.line);
        }
    }
}
