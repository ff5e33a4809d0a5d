//! `cancel DEPLOYMENT`: ends a deployment; the release before it goes on serving.

use clap::Args;

use super::{Ended, context::Context, deploy::odd, follow, report::Report};
use crate::model::{
    command::{Answer, Command},
    deployment::Phase,
    ids::DeploymentId,
    problem::Problem,
};

#[derive(Debug, Args)]
pub struct Cancel {
    /// Its number, as `pilothouse deployments` and the console show it
    deployment: DeploymentId,
}

impl Cancel {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        match context.send(Command::Cancel { deployment: self.deployment }).await? {
            Answer::Accepted { .. } | Answer::Done { .. } => {}
            other => return Err(odd(&other)),
        }
        let (deployment, fleet) = follow::until_over(context, self.deployment, |_, _| ()).await?;
        let report = Report::new(&deployment, &fleet);
        if deployment.phase != Phase::Cancelled {
            // It was faster than the request, or ended otherwise: said as it is.
            report.show(context.output);
            return Ok(Ended::Badly);
        }
        if context.output.json {
            context.output.document(&report);
        }
        let still = report.serving.map_or_else(|| "nothing serves".to_owned(), |release| format!("release {release} serves on"));
        context.output.line(&format!("✓ cancelled deployment {} of {}; {still}", deployment.id, deployment.app));
        context.output.line(&format!("  next: {}", report.next));
        Ok(Ended::Well)
    }
}
