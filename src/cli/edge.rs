//! `edge replace`: a new edge in the place of the one that serves.

use clap::{Args, Subcommand};

use super::{Ended, context::Context, deploy::odd};
use crate::model::{
    command::{Answer, Command},
    problem::Problem,
};

#[derive(Debug, Args)]
pub struct Edge {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Start a new edge, of the engine's version and settings, in place of the one that serves; no request is lost
    Replace,
}

impl Edge {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        match self.word {
            Word::Replace => replace(context).await,
        }
    }
}

async fn replace(context: &Context<'_>) -> Result<Ended, Problem> {
    match context.send(Command::ReplaceEdge).await? {
        Answer::Done { what, next } => {
            if context.output.json {
                context.output.document(&serde_json::json!({ "outcome": what, "next": next }));
            }
            context.output.line(&format!("✓ {what}"));
            Ok(Ended::Well)
        }
        other => Err(odd(&other)),
    }
}
