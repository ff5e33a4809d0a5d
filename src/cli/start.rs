//! `start APP`: starts a stopped app again.

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed,
};
use crate::model::{command::Command, ids::AppId, problem::Problem};

#[derive(Debug, Args)]
pub struct Start {
    #[arg(value_parser = context::app)]
    app: AppId,
}

impl Start {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        deed::send(context, &self.app, Command::Start { app: self.app.clone() }).await
    }
}
