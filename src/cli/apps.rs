//! `apps`: all apps, each with what was asked, runs and serves.

use clap::Args;

use super::{
    Ended,
    context::Context,
    output::Tone,
    status::{Document, running_words, state_tone},
    table::{Cell, Table},
};
use crate::model::problem::Problem;

#[derive(Debug, Args)]
pub struct Apps {}

impl Apps {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        let documents: Vec<Document> = fleet.apps.keys().filter_map(|id| Document::of(&fleet, id)).collect();
        if context.output.json {
            context.output.document(&documents);
            return Ok(Ended::Well);
        }
        if documents.is_empty() {
            context.output.line("no apps yet: `pilothouse deploy` in a folder makes one");
            return Ok(Ended::Well);
        }
        let mut table = Table::new(&["app", "state", "asked", "running", "serving", "url"]);
        for document in &documents {
            let (tone, state) = state_tone(fleet.app_status(&document.app));
            table.row([
                Cell::toned(Tone::Bold, document.app.to_string()),
                Cell::toned(tone, state),
                document.asked.as_ref().map(|asked| asked.release.to_string()).unwrap_or_default().into(),
                running_words(document).into(),
                document.serving.as_ref().map(|serving| serving.release.to_string()).unwrap_or_default().into(),
                document.url.clone().unwrap_or_default().into(),
            ]);
        }
        table.show(context.output);
        Ok(Ended::Well)
    }
}
