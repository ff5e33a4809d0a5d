//! `restart APP`: fresh instances of the same release, proved before the old ones end.

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed,
};
use crate::model::{command::Command, ids::AppId, problem::Problem};

#[derive(Debug, Args)]
pub struct Restart {
    #[arg(value_parser = context::app)]
    app: AppId,
}

impl Restart {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let command = Command::Restart { app: self.app.clone() };
        let what = |fleet: &_| {
            vec![deed::serving_line(fleet, &self.app), "  ~ fresh instances start and are proved before these end".to_owned()]
        };
        deed::ask_and_send(context, &self.app, command, what, &format!("restart {}?", self.app), false).await
    }
}
