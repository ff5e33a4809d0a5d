//! `remove APP`: the app is gone, with its releases and logs.

use std::collections::BTreeMap;

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    deed,
};
use crate::model::{command::Command, fleet::Fleet, ids::AppId, problem::Problem, units::many};

#[derive(Debug, Args)]
pub struct Remove {
    #[arg(value_parser = context::app)]
    app: AppId,
}

impl Remove {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let command = Command::Remove { app: self.app.clone() };
        let what = |fleet: &Fleet| {
            let releases = fleet.releases.get(&self.app).map_or(0, BTreeMap::len);
            let instances = fleet.instances_of(&self.app).filter(|instance| instance.state.is_alive()).count();
            let volumes = fleet.volumes_of(&self.app).count();
            let mut lines = vec![
                deed::serving_line(fleet, &self.app),
                format!(
                    "  − {}, {} and all logs go; there is no way back",
                    many(instances, "instance"),
                    many(releases, "release")
                ),
            ];
            if volumes > 0 {
                lines.push(format!(
                    "  · {} stays with its data; pilothouse prune --volumes removes what no app uses",
                    many(volumes, "volume")
                ));
            }
            lines
        };
        deed::ask_and_send(context, &self.app, command, what, &format!("remove {}?", self.app), true).await
    }
}
