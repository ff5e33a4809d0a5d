//! `demo`: a real engine in a folder of its own with two small apps, to look at and to take apart; leaves nothing behind.

mod folder;
mod removal;
mod sources;

use std::io::IsTerminal;

use clap::Args;
use serde::Serialize;

use super::{
    Ended, Failed, Parting, Showing,
    context::Context,
    deploy::odd,
    output::{Output, Tone},
    report::Report,
    runtime, wait,
};
use crate::{
    config::{Flags, load},
    model::{
        command::{Answer, Command, DeployRequest, Overrides},
        fleet::Fleet,
        ids::{AppId, DeploymentId, ReleaseId},
        problem::Problem,
        units::many,
    },
};

#[derive(Debug, Args)]
pub struct Demo {
    /// Start it without a console, and print its URLs once they are live
    #[arg(long)]
    headless: bool,
    /// End it and remove all of it, also when its engine was killed
    #[arg(long, conflicts_with = "headless")]
    remove: bool,
}

/// The document of `demo --headless`. Fields may be added, never renamed.
#[derive(Serialize)]
struct Document {
    urls: Vec<String>,
    apps: Vec<Shown>,
    state_dir: String,
    socket: String,
    /// Requests per second that the load generator sends at most, to which app.
    load: Load,
    next: String,
}

#[derive(Serialize)]
struct Shown {
    app: AppId,
    url: Option<String>,
    release: Option<ReleaseId>,
    instances: u32,
}

#[derive(Serialize)]
struct Load {
    app: &'static str,
    per_second: u32,
}

/// The state folder of the demo when none is named: never that of the machine's own engine.
pub fn with_own_state(flags: Flags) -> Result<Flags, Problem> {
    let environment = load::environment();
    let named = flags.state.is_some() || environment.get("PILOTHOUSE_STATE").is_some_and(|state| !state.is_empty());
    if named {
        return Ok(flags);
    }
    Ok(Flags { state: Some(load::state_home(&environment)?.join("pilothouse-demo")), ..flags })
}

impl Demo {
    pub(super) fn starts_engine(&self) -> bool {
        !self.remove
    }

    pub(super) fn run(self, context: &Context<'_>) -> Result<Ended, Failed> {
        if self.remove {
            return Ok(runtime()?.block_on(removal::remove(context))?);
        }
        let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if !self.headless && (!has_terminal || context.output.json) {
            let problem = Problem::user("the demo's console needs a terminal").hint("pilothouse demo --headless");
            return Err(Failed::Usage(problem));
        }
        let deployments = runtime()?.block_on(begin(context))?;
        if self.headless {
            return Ok(runtime()?.block_on(until_live(context, &deployments))?);
        }
        let showing = Showing { demo: true, no_color: !context.output.has_colour() };
        if (context.roles.run_console)(&context.settings, showing)? == Parting::RemoveDemo {
            return Ok(runtime()?.block_on(removal::remove(context))?);
        }
        if folder::owner(&context.settings.state) == folder::Owner::Nobody {
            context.output.progress(&format!("it was removed meanwhile; `{}` begins another one", command(context, "demo")));
            return Ok(Ended::Well);
        }
        context.output.progress(&format!("it goes on; `{}` ends it", command(context, "demo --remove")));
        Ok(Ended::Well)
    }
}

/// Starts what does not run yet; gives the deployments that are under way, by app.
async fn begin(context: &Context<'_>) -> Result<Vec<(AppId, Option<DeploymentId>)>, Problem> {
    folder::claim(&context.settings.state)?;
    let client = context.engine().await?;
    let fleet = client.snapshot().await?;
    let mut deployments = Vec::new();
    for app in sources::APPS {
        let id = AppId::parse(app)?;
        let under_way = fleet.active_deployment(&id).map(|deployment| deployment.id);
        let serves = fleet.apps.get(&id).is_some_and(|app| app.serving.is_some());
        let deployment = match (under_way, serves) {
            (Some(deployment), _) => Some(deployment),
            (None, true) => None,
            (None, false) => Some(deploy(context, &id).await?),
        };
        deployments.push((id, deployment));
    }
    Ok(deployments)
}

async fn deploy(context: &Context<'_>, app: &AppId) -> Result<DeploymentId, Problem> {
    let source = sources::write(&context.settings, app.as_str()).await?;
    let request = DeployRequest { source, overrides: Overrides::default() };
    match context.send(Command::Deploy(request)).await? {
        Answer::Accepted { deployment, .. } => Ok(deployment),
        other => Err(odd(&other)),
    }
}

/// Waits until all are live, then prints where.
async fn until_live(context: &Context<'_>, deployments: &[(AppId, Option<DeploymentId>)]) -> Result<Ended, Problem> {
    for (_, deployment) in deployments {
        let Some(deployment) = deployment else { continue };
        let (deployment, fleet) = wait::with_progress(context, *deployment).await?;
        let report = Report::new(&deployment, &fleet);
        if !report.is_success() {
            report.show(context.output);
            context.output.progress(&format!("`{}` removes what there is of it", command(context, "demo --remove")));
            return Ok(Ended::Badly);
        }
    }
    let fleet = context.engine().await?.snapshot().await?;
    let document = document(context, &fleet, deployments.iter().map(|(app, _)| app));
    if context.output.json {
        context.output.document(&document);
    } else {
        tell(context.output, &document);
    }
    Ok(Ended::Well)
}

fn document<'a>(context: &Context<'_>, fleet: &Fleet, apps: impl Iterator<Item = &'a AppId>) -> Document {
    let apps: Vec<Shown> = apps
        .map(|id| {
            let app = fleet.apps.get(id);
            let release = app.and_then(|app| app.serving).map(|serving| serving.release);
            let running = fleet.running(id).into_iter().filter(|(found, _)| Some(*found) == release).map(|(_, count)| count);
            Shown { app: id.clone(), url: app.and_then(|app| app.url.clone()), release, instances: running.sum() }
        })
        .collect();
    Document {
        urls: apps.iter().filter_map(|app| app.url.clone()).collect(),
        apps,
        state_dir: context.settings.state.root().display().to_string(),
        socket: context.settings.state.engine_socket().display().to_string(),
        load: Load { app: sources::LOADED, per_second: sources::LOAD_PER_SECOND },
        next: command(context, "demo --remove"),
    }
}

fn tell(output: &Output, document: &Document) {
    for app in &document.apps {
        let release = app.release.map(|release| release.to_string()).unwrap_or_default();
        output.line(&format!(
            "{} {} release {release}, {}  {}",
            output.paint(Tone::Good, "● serving"),
            app.app,
            many(app.instances as usize, "instance"),
            output.paint(Tone::Accent, app.url.as_deref().unwrap_or_default())
        ));
    }
    output.line(&format!("  load: at most {} requests per second to {}", document.load.per_second, document.load.app));
    output.line(&format!("  `{}` ends and removes it", document.next));
}

/// `words` as a command on the demo, with the folder when it is not the usual one.
fn command(context: &Context<'_>, words: &str) -> String {
    let root = context.settings.state.root();
    let usual = load::state_home(&load::environment()).is_ok_and(|home| home.join("pilothouse-demo") == root);
    if usual { format!("pilothouse {words}") } else { format!("pilothouse --state {} {words}", root.display()) }
}
