//! `rollback APP [RELEASE]`: returns to a kept release.

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed,
};
use crate::model::{
    command::Command,
    fleet::Fleet,
    ids::{AppId, ReleaseId},
    problem::Problem,
};

#[derive(Debug, Args)]
pub struct Rollback {
    #[arg(value_parser = context::app)]
    app: AppId,
    /// The release to return to [default: the one that served before]
    release: Option<ReleaseId>,
}

impl Rollback {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let command = Command::Rollback { app: self.app.clone(), release: self.release };
        let what = |fleet: &Fleet| {
            let previous = fleet.apps.get(&self.app).and_then(|app| app.previous);
            let to = self.release.or(previous).map_or_else(
                || "the release that served before".to_owned(),
                |release| match fleet.release(&self.app, release) {
                    Some(found) => format!("release {release} ({})", found.version),
                    None => format!("release {release}"),
                },
            );
            vec![deed::serving_line(fleet, &self.app), format!("  ~ {to} takes over once it is proved")]
        };
        deed::ask_and_send(context, &self.app, command, what, &format!("roll {} back?", self.app), false).await
    }
}
