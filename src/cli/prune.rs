//! `prune`: removes what of Docker's objects is ours and not needed; never a foreign one.

use clap::Args;

use super::{
    Ended,
    container::await_docker,
    context::Context,
    deploy::odd,
    output::Tone,
    table::{Cell, Table},
};
use crate::model::{
    command::{Answer, Command},
    container::PrunePlan,
    problem::Problem,
    units::many,
};

#[derive(Debug, Args)]
pub struct Prune {
    /// Show what would be removed, and change nothing
    #[arg(long)]
    plan: bool,
    /// Volumes of removed apps too: their data is lost
    #[arg(long)]
    volumes: bool,
}

impl Prune {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        await_docker(context).await?;
        let plan = match context.send(Command::PlanPrune { volumes: self.volumes }).await? {
            Answer::PrunePlanned(plan) => plan,
            other => return Err(odd(&other)),
        };
        if self.plan || plan.objects.is_empty() {
            show(&plan, context);
            return Ok(Ended::Well);
        }
        if !context.output.json {
            show(&plan, context);
        }
        if !context.confirm(&[], &format!("Remove these {}?", plan.objects.len()), true)? {
            context.output.line("nothing was changed");
            return Ok(Ended::Badly);
        }
        match context.send(Command::PruneDocker { objects: plan.objects.clone() }).await? {
            Answer::Done { what, next } => {
                if context.output.json {
                    context.output.document(&serde_json::json!({ "outcome": what, "removed": plan.objects, "next": next }));
                } else {
                    context.output.line(&what);
                }
                Ok(Ended::Well)
            }
            other => Err(odd(&other)),
        }
    }
}

fn show(plan: &PrunePlan, context: &Context<'_>) {
    if context.output.json {
        context.output.document(plan);
        return;
    }
    let mut table = Table::new(&["", "kind", "name", "size", "why"]);
    for object in &plan.objects {
        table.row([
            Cell::toned(Tone::Danger, "−"),
            object.kind.word().into(),
            object.name.clone().into(),
            Cell::number(object.size.map(|size| size.to_string()).unwrap_or_default()),
            Cell::toned(Tone::Muted, object.why.clone()),
        ]);
    }
    if plan.objects.is_empty() {
        context.output.line("nothing of ours is unused");
    } else {
        table.show(context.output);
        context.output.line(&format!("{}, {} freed at most", many(plan.objects.len(), "object"), plan.bytes));
    }
    if plan.kept_volumes > 0 {
        let kept = many(plan.kept_volumes as usize, "volume");
        context
            .output
            .line(&format!("left alone, since they hold data of removed apps: {kept}; prune --volumes removes them too"));
    }
    if plan.foreign > 0 {
        let foreign = many(plan.foreign as usize, "unused object");
        context.output.line(&format!("left alone, since not ours: {foreign}; see docker system df"));
    }
}
