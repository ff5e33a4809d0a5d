//! `container start|stop|restart|remove|logs|exec NAME`: one container of Docker, ours or foreign, by its name alone.

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::time::{Instant, sleep};

use super::{Ended, container_logs::Logs, context::Context, deploy::odd};
use crate::{
    config::Settings,
    model::{
        command::{Answer, Command},
        container::{Container, ContainerAct, ContainerState},
        fleet::Fleet,
        problem::Problem,
    },
};

/// How long a fresh engine may take to look at Docker.
const LOOK: Duration = Duration::from_secs(6);

#[derive(Debug, Args)]
pub struct OneContainer {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// Start it
    Start(Named),
    /// End it: its signal, then kill at its limit
    Stop(Named),
    /// End it and start it again
    Restart(Named),
    /// End it and remove it; named volumes stay
    Remove(Named),
    /// The lines that it wrote, oldest first
    Logs(Logs),
    /// Run a command in it, a shell when none is named; its exit code is this one's
    Exec(Exec),
}

#[derive(Debug, Args)]
struct Exec {
    #[command(flatten)]
    named: Named,
    /// The command and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct Named {
    /// Its name, or the beginning of its id
    name: String,
}

impl OneContainer {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let (act, named) = match self.deed {
            Deed::Start(named) => (ContainerAct::Start, named),
            Deed::Stop(named) => (ContainerAct::Stop, named),
            Deed::Restart(named) => (ContainerAct::Restart, named),
            Deed::Remove(named) => (ContainerAct::Remove, named),
            Deed::Logs(logs) => return logs.run(context).await,
            Deed::Exec(exec) => return exec.run(context).await,
        };
        let fleet = await_docker(context).await?;
        let found = find(&fleet, &named.name)?;
        if act == ContainerAct::Remove {
            let what = [format!("container {} of image {}", found.name, found.image)];
            if !context.confirm(&what, "Remove it?", true)? {
                context.output.line("nothing was changed");
                return Ok(Ended::Badly);
            }
        }
        match context.send(Command::Container { id: found.id.clone(), act }).await? {
            Answer::Done { what, next } => {
                if context.output.json {
                    let document =
                        serde_json::json!({ "outcome": act.done(), "container": found.name, "id": found.id, "next": next });
                    context.output.document(&document);
                } else {
                    context.output.line(&what);
                }
                Ok(Ended::Well)
            }
            other => Err(odd(&other)),
        }
    }
}

impl Exec {
    async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        if context.output.json {
            return Err(
                Problem::user("the output of `container exec` is the command's: there is no JSON").hint("leave --json out")
            );
        }
        let fleet = await_docker(context).await?;
        let found = find(&fleet, &self.named.name)?;
        if found.state != ContainerState::Running {
            return Err(Problem::conflict(format!("{} does not run: it is {}", found.name, found.state.word()))
                .hint(format!("pilothouse container start {}", found.name)));
        }
        let code = (context.roles.exec)(with_docker_of(&fleet, context), found.id.clone(), self.command).await?;
        Ok(Ended::As(u8::try_from(code).unwrap_or(u8::MAX)))
    }
}

/// Settings with the engine's Docker, whatever this command's environment says.
pub(super) fn with_docker_of(fleet: &Fleet, context: &Context<'_>) -> Settings {
    let mut settings = context.settings.clone();
    if let Some(docker) = &fleet.docker {
        settings.config.docker.host.clone_from(&docker.address);
    }
    settings
}

/// The fleet, once the engine has looked at Docker.
pub(super) async fn await_docker(context: &Context<'_>) -> Result<Fleet, Problem> {
    let client = context.engine().await?;
    let deadline = Instant::now() + LOOK;
    loop {
        let fleet = client.snapshot().await?;
        let is_known = match &fleet.docker {
            Some(docker) => !docker.up || !fleet.images.is_empty() || !fleet.containers.is_empty(),
            None => false,
        };
        if is_known || Instant::now() >= deadline {
            return Ok(fleet);
        }
        // An engine for tests may have nothing at all: then the time is waited for.
        sleep(Duration::from_millis(50)).await;
    }
}

pub(super) fn find<'a>(fleet: &'a Fleet, name: &str) -> Result<&'a Container, Problem> {
    if let Some(problem) = fleet.docker.as_ref().and_then(|docker| docker.problem.clone()) {
        return Err(problem);
    }
    let all = || fleet.containers.values();
    if let Some(found) = all().find(|container| container.name == name || container.id.0 == name) {
        return Ok(found);
    }
    let by_instance = || all().find(|container| container.instance.as_ref().is_some_and(|instance| instance.0 == name));
    let mut begins = all().filter(|container| name.len() >= 4 && container.id.0.starts_with(name));
    match (by_instance(), begins.next(), begins.next()) {
        (Some(found), ..) | (None, Some(found), None) => Ok(found),
        (None, Some(_), Some(_)) => {
            Err(Problem::user(format!("`{}` begins more than one container's id", name.escape_debug())).hint("write more of it"))
        }
        (None, None, _) => Err(Problem::not_found(format!("there is no container `{}`", name.escape_debug()))
            .hint("pilothouse containers lists them")),
    }
}
