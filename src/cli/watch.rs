//! `watch APP`: the branch whose new commits are deployed by themselves; `--off` ends it.

use clap::Args;
use serde::Serialize;

use super::{
    Ended, absent,
    context::{self, Context},
    deed, time,
};
use crate::model::{command::Command, ids::AppId, problem::Problem, watch};

#[derive(Debug, Args)]
pub struct Watch {
    #[arg(value_parser = context::app)]
    app: AppId,
    /// Deploy no commit by itself any more
    #[arg(long)]
    off: bool,
}

/// A watch as it is told. Fields may be added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub branch: String,
    pub url: String,
    /// Commit that was deployed last, or tried.
    pub commit: Option<String>,
    pub checked_at: Option<String>,
    pub next_at: Option<String>,
    pub by: String,
    pub error: Option<Problem>,
}

impl Document {
    pub fn of(watch: &watch::Watch) -> Self {
        Self {
            branch: watch.branch.clone(),
            url: watch.url.clone(),
            commit: watch.seen.clone(),
            checked_at: watch.checked_at.map(time::rfc3339),
            next_at: watch.next_at.map(time::rfc3339),
            by: if watch.by_manifest { "pilothouse.toml".to_owned() } else { watch.actor.clone() },
            error: watch.error.clone(),
        }
    }
}

/// `main at 9c1f02e, looked at 12 s ago`, and what is wrong.
pub fn words(watch: &watch::Watch) -> String {
    let looked = watch.checked_at.map_or_else(|| ", not looked at yet".to_owned(), |at| format!(", looked at {}", time::ago(at)));
    let error = watch.error.as_ref().map(|problem| format!("; {}", problem.what)).unwrap_or_default();
    format!("{}{looked}{error}", watch.words())
}

impl Watch {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        if self.off {
            return deed::send(context, &self.app, Command::WatchOff { app: self.app.clone() }).await;
        }
        let fleet = context.engine().await?.snapshot().await?;
        let Some(app) = fleet.apps.get(&self.app) else { return Err(absent::app(&self.app, &fleet)) };
        let Some(watch) = &app.watch else {
            return Err(Problem::not_found(format!("no branch is watched for {}", self.app))
                .hint("pilothouse deploy GIT_URL --watch BRANCH"));
        };
        if context.output.json {
            context.output.document(&Document::of(watch));
        }
        context.output.line(&format!("{} watches {}", self.app, words(watch)));
        context.output.line(&format!("  {}", watch.url));
        Ok(Ended::Well)
    }
}
