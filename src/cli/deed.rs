//! What the deeds on an app have in common: shown, asked about, sent, and followed to a proved end.

use serde::Serialize;

use super::{Ended, absent, context::Context, deploy::odd, wait};
use crate::model::{
    command::{Answer, Command},
    fleet::Fleet,
    ids::AppId,
    problem::Problem,
};

/// The document of a deed that is done at once.
#[derive(Serialize)]
struct Immediate {
    app: AppId,
    outcome: String,
    next: String,
}

/// Sends a command about an app and follows what it sets going.
pub async fn send(context: &Context<'_>, app: &AppId, command: Command) -> Result<Ended, Problem> {
    match context.send(command).await? {
        Answer::Accepted { deployment, app } => wait::to_its_end(context, &app, deployment).await,
        Answer::Done { what, next } => {
            let outcome = Immediate { app: app.clone(), outcome: what, next };
            if context.output.json {
                context.output.document(&outcome);
            }
            context.output.line(&format!("✓ {}", outcome.outcome));
            context.output.line(&format!("  next: {}", outcome.next));
            Ok(Ended::Well)
        }
        other => Err(odd(&other)),
    }
}

/// As `send`, after the person at the terminal agreed to what will happen.
pub async fn ask_and_send(
    context: &Context<'_>,
    app: &AppId,
    command: Command,
    what: impl FnOnce(&Fleet) -> Vec<String>,
    question: &str,
    destroys: bool,
) -> Result<Ended, Problem> {
    let fleet = context.engine().await?.snapshot().await?;
    if !fleet.apps.contains_key(app) {
        return Err(absent::app(app, &fleet));
    }
    if !context.confirm(&what(&fleet), question, destroys)? {
        return Err(Problem::conflict("not agreed to: nothing was done").hint("answer y, or say --yes"));
    }
    send(context, app, command).await
}

/// `  ● release 7 serves at http://…`, for the lines before a question.
pub fn serving_line(fleet: &Fleet, app: &AppId) -> String {
    let found = fleet.apps.get(app);
    match found.and_then(|app| app.serving) {
        Some(serving) => {
            let url = found.and_then(|app| app.url.as_deref()).unwrap_or("no address");
            format!("  ● release {} serves at {url}", serving.release)
        }
        None => format!("  ○ nothing of {app} serves now"),
    }
}
