//! `tasks`: work under way and the engine's own tasks.

use clap::Args;
use serde::Serialize;

use super::{
    Ended,
    context::Context,
    output::Tone,
    table::{Cell, Table},
    time,
};
use crate::model::{
    fleet::{Task, TaskState},
    problem::Problem,
};

#[derive(Debug, Args)]
pub struct Tasks {}

#[derive(Serialize)]
struct Document<'a> {
    id: u64,
    name: &'a str,
    state: &'static str,
    started_at: String,
    ended_at: Option<String>,
    took_ms: Option<u64>,
    reason: &'a str,
    note: &'a str,
    next_run: Option<String>,
    last_error: Option<&'a Problem>,
    restarts: u32,
    deployment: Option<u64>,
}

impl<'a> Document<'a> {
    fn of(task: &'a Task) -> Self {
        Self {
            id: task.id.0,
            name: &task.name,
            state: task.state.word(),
            started_at: time::rfc3339(task.started_at),
            ended_at: task.ended_at.map(time::rfc3339),
            took_ms: task.took.map(|took| took.0),
            reason: &task.reason,
            note: &task.note,
            next_run: task.next_run.map(time::rfc3339),
            last_error: task.last_error.as_ref(),
            restarts: task.restarts,
            deployment: task.deployment.map(|deployment| deployment.0),
        }
    }
}

impl Tasks {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        if context.output.json {
            context.output.document(&fleet.tasks.values().map(Document::of).collect::<Vec<_>>());
            return Ok(Ended::Well);
        }
        let mut table = Table::new(&["task", "name", "state", "started", "took", "reason", "note"]);
        for task in fleet.tasks.values() {
            let (tone, symbol) = match task.state {
                TaskState::Running => (Tone::Accent, "◐"),
                TaskState::Waiting => (Tone::Muted, "○"),
                TaskState::Succeeded => (Tone::Plain, "✓"),
                TaskState::Failed => (Tone::Danger, "✖"),
            };
            let note = task.last_error.as_ref().map_or_else(|| task.note.clone(), |error| error.what.clone());
            table.row([
                Cell::number(task.id),
                task.name.clone().into(),
                Cell::toned(tone, format!("{symbol} {}", task.state.word())),
                time::ago(task.started_at).into(),
                task.took.map(|took| took.to_string()).unwrap_or_default().into(),
                task.reason.clone().into(),
                note.into(),
            ]);
        }
        table.show(context.output);
        Ok(Ended::Well)
    }
}
