//! `scale APP N`: changes how many instances run.

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed, values,
};
use crate::model::{command::Command, ids::AppId, problem::Problem};

#[derive(Debug, Args)]
pub struct Scale {
    #[arg(value_parser = context::app)]
    app: AppId,
    /// Instances that are wanted
    #[arg(value_name = "N", value_parser = values::replicas)]
    replicas: u32,
}

impl Scale {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let command = Command::Scale { app: self.app.clone(), replicas: self.replicas };
        deed::send(context, &self.app, command).await
    }
}
