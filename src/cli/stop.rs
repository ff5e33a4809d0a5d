//! `stop APP`: ends an app's instances; its releases stay.

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed,
};
use crate::model::{command::Command, ids::AppId, problem::Problem};

#[derive(Debug, Args)]
pub struct Stop {
    #[arg(value_parser = context::app)]
    app: AppId,
}

impl Stop {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let command = Command::Stop { app: self.app.clone() };
        let what =
            |fleet: &_| vec![deed::serving_line(fleet, &self.app), "  − its instances end; releases and logs stay".to_owned()];
        deed::ask_and_send(context, &self.app, command, what, &format!("stop {}?", self.app), false).await
    }
}
