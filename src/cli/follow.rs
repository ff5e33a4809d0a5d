//! Follows the fleet until something holds: a snapshot, then changes, again from a snapshot when the engine breaks off.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{context::Context, report};
use crate::{
    model::{
        change::Change,
        deployment::{Deployment, Phase},
        fleet::Fleet,
        ids::DeploymentId,
        problem::Problem,
    },
    wire::engine::{Client, Feed},
};

/// The engine says something every 2 s; after this silence it is asked anew.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a release that is live may take to be seen serving.
const BORNE_OUT: Duration = Duration::from_secs(5);

/// Follows until `holds` says so of the fleet; it sees every state the fleet goes through, the first one at once.
///
/// Goes on over restarts of the engine. Has no deadline of its own.
pub async fn until(context: &Context<'_>, mut holds: impl FnMut(&Fleet) -> bool) -> Result<Fleet, Problem> {
    let mut client = context.engine().await?;
    loop {
        match follow(&client, &mut holds).await {
            Ok(Some(fleet)) => return Ok(fleet),
            Ok(None) => client = context.engine_again().await?,
            Err(problem) if problem.is_transient() => client = context.engine_again().await?,
            Err(problem) => return Err(problem),
        }
    }
}

/// Follows one connection; nothing when it broke off.
async fn follow(client: &Client, holds: &mut impl FnMut(&Fleet) -> bool) -> Result<Option<Fleet>, Problem> {
    let mut fleet = client.snapshot().await?;
    if holds(&fleet) {
        return Ok(Some(fleet));
    }
    let mut feed = client.changes(fleet.epoch, fleet.seq).await?;
    while let Some(numbered) = next(&mut feed).await {
        match numbered.change {
            Change::Gap { .. } => {
                fleet = client.snapshot().await?;
                feed = client.changes(fleet.epoch, fleet.seq).await?;
            }
            Change::Alive => {}
            _ => fleet.take(numbered),
        }
        if holds(&fleet) {
            return Ok(Some(fleet));
        }
    }
    Ok(None)
}

async fn next(feed: &mut Feed) -> Option<crate::model::change::Numbered> {
    timeout(SILENCE, feed.next()).await.ok()?.ok()?
}

/// Follows a deployment to its end; `seen` is told of each state. When it is live, also until the fleet bears that out,
/// for at most 5 s.
pub async fn until_over(
    context: &Context<'_>,
    id: DeploymentId,
    mut seen: impl FnMut(&Deployment, &Fleet),
) -> Result<(Deployment, Fleet), Problem> {
    let mut live_since: Option<Instant> = None;
    let mut gone = false;
    let fleet = until(context, |fleet| {
        let Some(deployment) = fleet.deployments.get(&id) else {
            gone = true;
            return true;
        };
        seen(deployment, fleet);
        if deployment.phase == Phase::Live && !report::is_proved(deployment, fleet) {
            return live_since.get_or_insert_with(Instant::now).elapsed() >= BORNE_OUT;
        }
        deployment.is_over()
    })
    .await?;
    match fleet.deployments.get(&id).cloned() {
        Some(deployment) if !gone => Ok((deployment, fleet)),
        _ => Err(Problem::not_found(format!("there is no deployment {id}")).hint("pilothouse apps")),
    }
}
