//! `releases APP`: what was built of it, newest first.

use clap::Args;
use serde::Serialize;

use super::{
    Ended, absent,
    context::{self, Context},
    output::Tone,
    table::{Cell, Table},
    time,
};
use crate::model::{
    fleet::{App, Release},
    ids::{AppId, DeploymentId, ReleaseId},
    log,
    problem::Problem,
    units::Bytes,
};

#[derive(Debug, Args)]
pub struct Releases {
    #[arg(value_parser = context::app)]
    app: AppId,
}

/// A release as a document. Fields may be added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    release: ReleaseId,
    version: &'a str,
    commit: Option<&'a str>,
    subject: Option<&'a str>,
    source: String,
    created_at: String,
    actor: &'a str,
    deployment: DeploymentId,
    digest: Option<&'a str>,
    bytes: Option<u64>,
    /// When it was first proved through the edge.
    proved_at: Option<String>,
    asked: bool,
    serving: bool,
}

impl<'a> Document<'a> {
    fn of(release: &'a Release, app: &App) -> Self {
        Self {
            release: release.id,
            version: &release.version,
            commit: release.commit.as_deref(),
            subject: release.subject.as_deref(),
            source: release.source.to_string(),
            created_at: time::rfc3339(release.created_at),
            actor: &release.actor,
            deployment: release.deployment,
            digest: release.artefact.as_ref().map(|artefact| artefact.digest.as_str()),
            bytes: release.artefact.as_ref().map(|artefact| artefact.bytes),
            proved_at: release.proved_at.map(time::rfc3339),
            asked: app.asked == Some(release.id),
            serving: app.serving.is_some_and(|serving| serving.release == release.id),
        }
    }
}

impl Releases {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        let Some(app) = fleet.apps.get(&self.app) else {
            return Err(absent::app(&self.app, &fleet));
        };
        let releases = || fleet.releases.get(&self.app).into_iter().flat_map(|releases| releases.values().rev());
        if context.output.json {
            context.output.document(&releases().map(|release| Document::of(release, app)).collect::<Vec<_>>());
            return Ok(Ended::Well);
        }
        let mut table = Table::new(&["release", "version", "state", "built", "by", "size", "subject"]);
        for release in releases() {
            let serves = app.serving.is_some_and(|serving| serving.release == release.id);
            let (tone, state) = match (serves, release.proved_at, &release.artefact) {
                (true, ..) => (Tone::Good, "● serving"),
                (_, Some(_), _) => (Tone::Plain, "✓ proved before"),
                (_, None, Some(_)) => (Tone::Muted, "○ built, never proved"),
                (_, None, None) => (Tone::Muted, "○ not built"),
            };
            table.row([
                Cell::number(release.id),
                release.version.clone().into(),
                Cell::toned(tone, state),
                time::ago(release.created_at).into(),
                release.actor.clone().into(),
                release.artefact.as_ref().map(|artefact| Bytes(artefact.bytes).to_string()).unwrap_or_default().into(),
                Cell::toned(Tone::Muted, log::safe(release.subject.as_deref().unwrap_or_default())),
            ]);
        }
        table.show(context.output);
        Ok(Ended::Well)
    }
}
