//! Commands on Docker's objects: one container by name, and the prune of what is ours and not needed.

use tokio_util::sync::CancellationToken;

use super::{Commands, Orders};
use crate::{
    config::clock,
    deploy::docker_prune,
    model::{
        command::Answer,
        container::{Container, ContainerAct, ContainerId, PruneObject},
        fleet::{Fleet, Level},
        ids::DeploymentId,
        order::{Done, Outcome, Work},
        problem::Problem,
    },
};

/// Does it to one container, ours or foreign. What runs because an app wants it is not ended behind the app's back.
pub(super) async fn act(commands: &Commands, id: ContainerId, act: ContainerAct) -> Result<Answer, Problem> {
    let wanted = id.clone();
    let found = commands.hub.look(move |fleet| checked(fleet, &wanted, act)).await?;
    let key = Orders::key(DeploymentId(0), format!("container/{id}/{}/{}", act.word(), clock::micros()));
    match commands.orders.perform(&key, Work::Container { id, act }, &CancellationToken::new()).await {
        Outcome::Done(_) => {
            let what = format!("container {} {}", found.name, act.done());
            commands.hub.event("docker", Level::Plain, what.clone()).await;
            Ok(Answer::Done { what, next: "pilothouse containers".to_owned() })
        }
        Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
    }
}

fn checked(fleet: &Fleet, id: &ContainerId, act: ContainerAct) -> Result<Container, Problem> {
    check_up(fleet)?;
    let Some(found) = fleet.containers.get(id) else {
        return Err(Problem::not_found(format!("there is no container {id}")).hint("pilothouse containers lists them"));
    };
    let wanted = found.instance.as_ref().and_then(|instance| fleet.instances.get(instance)).filter(|instance| instance.wanted);
    match (wanted, act) {
        (Some(instance), ContainerAct::Stop | ContainerAct::Remove) => Err(Problem::conflict(format!(
            "{} is an instance of {}, which would bring it back at once",
            found.name, instance.app
        ))
        .hint(format!("pilothouse stop {0}, pilothouse scale {0} N, or pilothouse remove {0}", instance.app))),
        _ => Ok(found.clone()),
    }
}

fn check_up(fleet: &Fleet) -> Result<(), Problem> {
    match &fleet.docker {
        Some(docker) if docker.up => Ok(()),
        Some(docker) => Err(docker.problem.clone().unwrap_or_else(|| Problem::unavailable("Docker does not answer"))),
        None => Err(Problem::unavailable("Docker was not looked for yet").hint("try again")),
    }
}

/// What a prune could remove; changes nothing.
pub(super) async fn plan_prune(commands: &Commands, volumes: bool) -> Result<Answer, Problem> {
    commands.hub.look(move |fleet| check_up(fleet).map(|()| Answer::PrunePlanned(docker_prune::plan(fleet, volumes)))).await
}

/// Removes exactly `objects`, when each of them still is in the plan.
pub(super) async fn prune(commands: &Commands, objects: Vec<PruneObject>) -> Result<Answer, Problem> {
    let asked = objects.clone();
    commands
        .hub
        .look(move |fleet| {
            check_up(fleet)?;
            let plan = docker_prune::plan(fleet, true);
            let is_planned =
                |object: &PruneObject| plan.objects.iter().any(|known| known.kind == object.kind && known.id == object.id);
            match asked.iter().find(|object| !is_planned(object)) {
                Some(object) => {
                    Err(Problem::conflict(format!("{} {} is needed, or gone, by now", object.kind.word(), object.name))
                        .hint("look at the plan again: pilothouse prune --plan"))
                }
                None => Ok(()),
            }
        })
        .await?;
    let count = objects.len();
    let key = Orders::key(DeploymentId(0), format!("prune/docker/{}", clock::micros()));
    match commands.orders.perform(&key, Work::PruneDocker { objects }, &CancellationToken::new()).await {
        Outcome::Done(Done::Pruned { freed }) => {
            let what = format!("{count} of Docker's objects removed, {freed} freed");
            commands.hub.event("docker", Level::Plain, what.clone()).await;
            Ok(Answer::Done { what, next: "pilothouse containers".to_owned() })
        }
        Outcome::Done(_) => Err(Problem::internal("a prune gave something else")),
        Outcome::Failed(problem) | Outcome::Transient(problem) | Outcome::Unknown(problem) => Err(problem),
    }
}
