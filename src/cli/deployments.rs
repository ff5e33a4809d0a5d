//! `deployments [APP]`: what was asked of each app, newest first, and how it ended.

use clap::Args;
use serde::Serialize;

use super::{
    Ended, absent,
    context::{self, Context},
    output::Tone,
    report::Report,
    table::{Cell, Table},
    time, values,
};
use crate::{
    config::clock,
    model::{
        deployment::{Deployment, Phase, Step, StepState},
        fleet::Fleet,
        ids::AppId,
        problem::Problem,
    },
};

#[derive(Debug, Args)]
pub struct Deployments {
    /// Of this app alone
    #[arg(value_parser = context::app)]
    app: Option<AppId>,
    /// The newest so many; 0 for all that are kept
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = values::how_many)]
    last: usize,
}

/// A deployment. Fields may be added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: Report,
    actor: &'a str,
    /// `cli`, `console`, `watch`, `api`.
    origin: &'a str,
    asked_at: String,
    ended_at: Option<String>,
    steps: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    name: &'a str,
    state: StepState,
    started_at: String,
    took_ms: Option<u64>,
    note: &'a str,
}

impl<'a> Document<'a> {
    fn of(deployment: &'a Deployment, fleet: &Fleet) -> Self {
        Self {
            report: Report::new(deployment, fleet),
            actor: &deployment.actor,
            origin: &deployment.origin,
            asked_at: time::rfc3339(deployment.asked_at),
            ended_at: deployment.ended_at.map(time::rfc3339),
            steps: deployment.steps.iter().map(One::of).collect(),
        }
    }
}

impl<'a> One<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            name: &step.name,
            state: step.state,
            started_at: time::rfc3339(step.started_at),
            took_ms: step.ended_at.map(|ended| step.started_at.age(ended).as_millis() as u64),
            note: &step.note,
        }
    }
}

impl Deployments {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        if let Some(app) = self.app.as_ref().filter(|app| !fleet.apps.contains_key(*app) && fleet.last_deployment(app).is_none())
        {
            return Err(absent::app(app, &fleet));
        }
        let of_app = |deployment: &&Deployment| self.app.as_ref().is_none_or(|app| *app == deployment.app);
        let limit = if self.last == 0 { usize::MAX } else { self.last };
        let wanted: Vec<&Deployment> = fleet.deployments.values().rev().filter(of_app).take(limit).collect();
        if context.output.json {
            context.output.document(&wanted.iter().map(|one| Document::of(one, &fleet)).collect::<Vec<_>>());
            return Ok(Ended::Well);
        }
        if wanted.is_empty() {
            context.output.line("no deployments yet: `pilothouse deploy` in a folder makes one");
            return Ok(Ended::Well);
        }
        let mut table = Table::new(&["deployment", "app", "what", "release", "state", "by", "asked", "took", "cause"]);
        for deployment in wanted {
            let report = Report::new(deployment, &fleet);
            let (tone, symbol) = mark(deployment.phase);
            table.row([
                Cell::number(deployment.id),
                deployment.app.to_string().into(),
                deployment.aim.word().into(),
                Cell::number(deployment.release),
                Cell::toned(tone, format!("{symbol} {}", deployment.phase.word())),
                deployment.actor.clone().into(),
                time::ago(deployment.asked_at).into(),
                deployment.took(clock::now()).to_string().into(),
                report.cause.unwrap_or_default().into(),
            ]);
        }
        table.show(context.output);
        Ok(Ended::Well)
    }
}

/// The tone and symbol of how far a deployment is. Green is for what is proved now, which a deployment of the past is not.
pub fn mark(phase: Phase) -> (Tone, &'static str) {
    match phase {
        Phase::Live | Phase::Done => (Tone::Plain, "✓"),
        Phase::Failed | Phase::Reverted | Phase::Stuck => (Tone::Danger, "✖"),
        Phase::Cancelled | Phase::Superseded => (Tone::Muted, "○"),
        _ => (Tone::Accent, "◐"),
    }
}
