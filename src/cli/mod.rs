//! The command line: one file per command, a thin client of the engine.

pub mod absent;
pub mod apps;
pub mod cancel;
pub mod completions;
pub mod container;
pub mod container_logs;
pub mod containers;
pub mod context;
pub mod deed;
pub mod demo;
pub mod deploy;
pub mod deployments;
pub mod detect;
pub mod doctor;
pub mod edge;
pub mod engine;
pub mod follow;
mod global;
pub mod init;
pub mod keys;
pub mod late_settings;
pub mod logs;
pub mod output;
pub mod progress;
pub mod prune;
pub mod releases;
pub mod remove;
pub mod report;
pub mod restart;
pub mod rollback;
pub mod sample;
pub mod scale;
pub mod schema;
pub mod secret;
pub mod start;
pub mod status;
pub mod stop;
pub mod table;
pub mod tasks;
pub mod time;
pub mod tool;
pub mod values;
pub mod wait;
pub mod watch;

use std::{
    ffi::OsString,
    io::{IsTerminal, PipeReader},
    process::ExitCode,
    sync::Arc,
};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use futures_util::future::BoxFuture;

use crate::{
    config::{self, Flags, Settings},
    model::{container::ContainerId, problem::Problem},
};
use context::Context;
use global::Global;
use output::Output;

/// A role that this program can take or start.
pub type Role = Arc<dyn Fn(&Settings) -> Result<(), Problem> + Send + Sync>;

/// What the command line may start without knowing how: given by `main.rs`, which alone knows everybody.
#[derive(Clone)]
pub struct Roles {
    /// Runs an engine in this process until it is told to end.
    pub run_engine: Role,
    /// Starts an engine in the background and returns as soon as its process exists, with what it says if it ends.
    pub launch_engine: Launch,
    /// Runs the console on a running engine until it is left.
    pub run_console: Console,
    /// Whether the journal of a state folder without an engine could be used.
    pub look_at_journal: Role,
    /// Runs a command in a container with this process's terminal or pipes, and gives its exit code.
    pub exec: Exec,
    /// Gives the lines of a container.
    pub container_lines: container_logs::Lines,
}

/// An engine in the background as a role; the pipe ends with it, and holds the document `{"problem": …}` when it was refused.
pub type Launch = Arc<dyn Fn(&Settings) -> Result<PipeReader, Problem> + Send + Sync>;

/// A command in a container as a role: with the settings that name the Docker engine, the container, and the command's words.
pub type Exec = Arc<dyn Fn(Settings, ContainerId, Vec<String>) -> BoxFuture<'static, Result<i64, Problem>> + Send + Sync>;

/// The console as a role.
pub type Console = Arc<dyn Fn(&Settings, Showing) -> Result<Parting, Problem> + Send + Sync>;

/// How the console is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Showing {
    /// It is the demo's: leaving asks whether to keep or remove it.
    pub demo: bool,
    pub no_color: bool,
}

/// How the console was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    Left,
    /// The demo is to be removed.
    RemoveDemo,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Proved success: exit 0.
    Well,
    /// Refused, failed or not finished, and already told: exit 1.
    Badly,
    /// As the command that it ran somewhere: with its exit code.
    As(u8),
}

const ABOUT: &str = "From a git repository to a proved URL: a console and engine for a fleet of servers";
const AFTER: &str = "Without a command, the console opens.\nExit status: 0 proved success, 1 refused or failed, 2 usage.";

#[derive(Debug, Parser)]
#[command(name = "pilothouse", version, about = ABOUT, after_help = AFTER, disable_help_subcommand = true)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    word: Option<Word>,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one a process; clap takes no boxes here")]
enum Word {
    /// Two small apps under a real engine of their own, to look at and to take apart
    Demo(demo::Demo),
    #[command(flatten)]
    Client(Client),
    /// Start, stop or describe the engine
    Engine(engine::Engine),
    #[command(flatten)]
    Alone(Alone),
}

/// What is asked of an engine.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one a process; clap takes no boxes here")]
enum Client {
    /// Bring a folder, git repository or image to a proved URL
    Deploy(deploy::Deploy),
    /// All apps: asked, running, serving
    Apps(apps::Apps),
    /// One app: asked, running, serving, and its instances
    Status(status::Status),
    /// The releases of an app
    Releases(releases::Releases),
    /// What was asked of the apps, newest first, and how it ended
    Deployments(deployments::Deployments),
    /// Return to a kept release
    Rollback(rollback::Rollback),
    /// Show and follow the lines that an app or its build wrote
    Logs(logs::Logs),
    /// Replace an app's instances by fresh ones of the same release
    Restart(restart::Restart),
    /// End an app's instances; its releases stay
    Stop(stop::Stop),
    /// Start a stopped app again
    Start(start::Start),
    /// Change how many instances of an app run
    Scale(scale::Scale),
    /// Remove an app with its releases and logs
    Remove(remove::Remove),
    /// End a deployment; the release before it goes on serving
    Cancel(cancel::Cancel),
    /// Wait until an app is live
    Wait(wait::Wait),
    /// Every container of Docker, ours and foreign ones
    Containers(containers::Containers),
    /// Start, stop, restart or remove one container by its name, read its log, or run a command in it
    Container(container::OneContainer),
    /// Remove what of Docker's objects is ours and not needed
    Prune(prune::Prune),
    /// Show or end the watch of an app's branch
    Watch(watch::Watch),
    /// Keep values that apps are given and that nothing shows
    Secret(secret::Secret),
    /// Replace the public proxy without closing its ports
    Edge(edge::Edge),
    /// Work under way and the engine's own tasks
    Tasks(tasks::Tasks),
    /// What this machine offers, and how to mend what is missing
    Doctor(doctor::Doctor),
}

/// What needs neither engine nor settings, so that it works with a broken configuration too.
#[derive(Debug, Subcommand)]
enum Alone {
    /// What a folder is, and which file proves it
    Detect(detect::Detect),
    /// Write pilothouse.toml for what was detected
    Init(init::Init),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// The keys of the console
    Keys(keys::Keys),
    /// The JSON Schema of pilothouse.toml
    Schema(schema::Schema),
}

/// Runs the command line; the first argument is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>, roles: Roles) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) => return not_a_command(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    let output = Output::new(line.global.json, line.global.quiet, line.global.no_color);
    let ended = run(line, roles, &output);
    if let Some(problem) = output.lost() {
        output.explain(&problem);
        return ExitCode::FAILURE;
    }
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Badly) => ExitCode::FAILURE,
        Ok(Ended::As(code)) => ExitCode::from(code),
        Err(Failed::Usage(problem)) => {
            output.problem(&problem);
            ExitCode::from(2)
        }
        Err(Failed::Problem(problem)) => {
            output.problem(&problem);
            ExitCode::FAILURE
        }
    }
}

/// Tells help and version, which are answers, or a usage error.
fn not_a_command(error: &clap::Error, json: bool) -> ExitCode {
    // A closed output is nobody's loss.
    let _ = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return ExitCode::SUCCESS;
    }
    if json {
        let said = error.render().to_string();
        let what = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // A value's own reader says how it is written.
        let (what, next) = what.split_once("; try: ").unwrap_or((what, "pilothouse --help"));
        Output::new(true, true, true).document(&serde_json::json!({ "problem": Problem::user(what).hint(next) }));
    }
    ExitCode::from(2)
}

/// Why a command did not run to its end.
enum Failed {
    Usage(Problem),
    Problem(Problem),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn run(line: Line, roles: Roles, output: &Output) -> Result<Ended, Failed> {
    let Global { state, config, set, yes, .. } = line.global;
    let word = match line.word {
        Some(Word::Alone(word)) => return Ok(word.run(yes, output)?),
        word => word,
    };
    let flags = Flags { state, config, set };
    let flags = if matches!(word, Some(Word::Demo(_))) { demo::with_own_state(flags)? } else { flags };
    let context = Context { settings: config::load(&flags)?, output, roles, yes };
    if follows_engine(word.as_ref()) {
        runtime()?.block_on(late_settings::refuse(&context, &flags)).map_err(Failed::Usage)?;
    }
    match word {
        None => open_console(&context),
        Some(Word::Demo(word)) => word.run(&context),
        Some(Word::Engine(word)) => word.run(&context),
        Some(Word::Client(word)) => Ok(runtime()?.block_on(word.run(&context))?),
        Some(Word::Alone(word)) => Ok(word.run(yes, output)?),
    }
}

/// Whether the command has to do with what the engine does by its settings.
fn follows_engine(word: Option<&Word>) -> bool {
    match word {
        None => true,
        Some(Word::Demo(word)) => word.starts_engine(),
        Some(Word::Engine(word)) => word.starts_engine(),
        // It looks at the machine with the settings that are said.
        Some(Word::Client(Client::Doctor(_)) | Word::Alone(_)) => false,
        Some(Word::Client(_)) => true,
    }
}

impl Client {
    async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        match self {
            Self::Deploy(word) => word.run(context).await,
            Self::Apps(word) => word.run(context).await,
            Self::Status(word) => word.run(context).await,
            Self::Releases(word) => word.run(context).await,
            Self::Deployments(word) => word.run(context).await,
            Self::Rollback(word) => word.run(context).await,
            Self::Logs(word) => word.run(context).await,
            Self::Restart(word) => word.run(context).await,
            Self::Stop(word) => word.run(context).await,
            Self::Start(word) => word.run(context).await,
            Self::Scale(word) => word.run(context).await,
            Self::Remove(word) => word.run(context).await,
            Self::Cancel(word) => word.run(context).await,
            Self::Wait(word) => word.run(context).await,
            Self::Containers(word) => word.run(context).await,
            Self::Container(word) => word.run(context).await,
            Self::Prune(word) => word.run(context).await,
            Self::Watch(word) => word.run(context).await,
            Self::Secret(word) => word.run(context).await,
            Self::Edge(word) => word.run(context).await,
            Self::Tasks(word) => word.run(context).await,
            Self::Doctor(word) => word.run(context).await,
        }
    }
}

impl Alone {
    fn run(self, yes: bool, output: &Output) -> Result<Ended, Problem> {
        match self {
            Self::Detect(word) => word.run(output),
            Self::Init(word) => word.run(yes, output),
            Self::Completions(word) => Ok(word.run(output)),
            Self::Keys(word) => Ok(word.run(output)),
            Self::Schema(word) => Ok(word.run(output)),
        }
    }
}

fn open_console(context: &Context<'_>) -> Result<Ended, Failed> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let problem = Problem::user("the console needs a terminal").hint("`pilothouse --help` lists the commands that need none");
        return Err(Failed::Usage(problem));
    }
    runtime()?.block_on(context.engine())?;
    (context.roles.run_console)(&context.settings, Showing { demo: false, no_color: !context.output.has_colour() })?;
    Ok(Ended::Well)
}

fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::internal(format!("cannot start: {error}")))
}

/// The definition of the whole line, for completions and tests.
pub fn definition() -> clap::Command {
    Line::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in definition().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
