//! The command that replaces the edge.

use tokio_util::sync::CancellationToken;

use super::{Commands, Orders};
use crate::{
    config::clock,
    model::{
        command::Answer,
        fleet::Level,
        ids::DeploymentId,
        order::{Done, Outcome, Work},
        problem::Problem,
    },
};

/// Has the edge replaced, and answers when the new one serves.
pub(super) async fn replace(commands: &Commands) -> Result<Answer, Problem> {
    let key = Orders::key(DeploymentId(0), format!("edge/replace/{}", clock::micros()));
    // Once: what keeps a new edge from serving would do so again.
    match commands.orders.once(&key, Work::ReplaceEdge, &CancellationToken::new()).await {
        Outcome::Done(Done::EdgeReplaced { pid, version }) => {
            let what = format!("the edge was replaced: {version}, pid {pid}");
            commands.hub.event("edge", Level::Plain, what.clone()).await;
            Ok(Answer::Done { what, next: "pilothouse engine status".to_owned() })
        }
        Outcome::Done(_) => Err(Problem::internal("a replace gave something else")),
        Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
    }
}
