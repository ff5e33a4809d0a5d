//! The binary: picks the role, joins engine and local agent, and maps a problem to an exit code.

use std::{io::PipeReader, path::Path, process::ExitCode, sync::Arc};

use pilothouse::{
    agent,
    cli::{self, Parting, Roles, Showing},
    config::{Settings, load, state_dir},
    console::{self, action::Left, runtime::Start, state::Mode},
    engine, hosts,
    model::{Problem, container::ContainerId},
    runtimes::docker,
    secrets::known::{Known, Masked},
    store::sqlite::Sqlite,
    wire,
};

/// Size at which the engine's log is put aside at the next start.
const LARGEST_LOG: u64 = 8 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let word = |at: usize| arguments.get(at).map(String::as_str);
    match (word(1), word(2)) {
        // Roles that Pilothouse starts itself, each with its folder; hidden from the help.
        (Some("keep"), _) => pilothouse::keep::run(&arguments[2..]),
        (Some("edge"), Some("run")) => pilothouse::edge::role(&arguments[3..]),
        (Some("sample"), _) => cli::sample::main(&arguments[2..]),
        _ => cli::main(std::env::args_os(), roles()),
    }
}

fn roles() -> Roles {
    Roles {
        run_engine: Arc::new(run_engine),
        launch_engine: Arc::new(launch_engine),
        run_console: Arc::new(run_console),
        look_at_journal: Arc::new(|settings| Sqlite::look(&settings.state.journal())),
        exec: Arc::new(|settings, id, argv| Box::pin(exec(settings, id, argv))),
        container_lines: Arc::new(|settings, id, query, lines| {
            Box::pin(async move { docker::logs::show(&docker::client::Client::new(&settings), &id, query, &lines).await })
        }),
    }
}

/// Runs an engine with this machine's agent until it ends.
fn run_engine(settings: &Settings) -> Result<(), Problem> {
    let known = Known::default();
    let _log = log_to(&settings.state.engine_log(), &known);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Problem::internal(format!("cannot start threads: {error}")))?;
    let (client, reports, door) = wire::agent::in_process();
    let ended = runtime.block_on(engine::run(settings.clone(), client, reports, agent::run(settings.clone(), door), known));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if let Err(problem) = &ended {
        tracing::error!(%problem, "the engine does not run");
    }
    ended
}

/// Shows the console on the engine that runs.
fn run_console(settings: &Settings, showing: Showing) -> Result<Parting, Problem> {
    let _log = log_to(&settings.state.root().join("console.log"), &Known::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::internal(format!("cannot start: {error}")))?;
    // Only what leads to the engine: its settings count for what is done by it, and they may be others than this console's.
    let (binary, state) = (settings.binary.display().to_string(), settings.state.root().display().to_string());
    let program = [binary.as_str(), "--state", &state, "--config", "/dev/null"];
    let start = Start {
        program: program.map(str::to_owned).to_vec(),
        mode: if showing.demo { Mode::Demo } else { Mode::Own },
        no_color: showing.no_color,
        wake: Some(Arc::new({
            let settings = settings.clone();
            move || launch_engine(&settings).map(drop)
        })),
        ..Start::own(cli::context::actor(), std::env::current_dir().unwrap_or_default(), hosts::local::hand_over)
    };
    let client = wire::engine::Client::new(settings.state.engine_socket());
    let left = runtime.block_on(console::runtime::run(client, settings.config.console.clone(), start));
    runtime.shutdown_background();
    Ok(if left? == Left::RemoveDemo { Parting::RemoveDemo } else { Parting::Left })
}

/// Runs a command in a container of this machine, with the terminal or the pipes that this process has.
async fn exec(settings: Settings, id: ContainerId, argv: Vec<String>) -> Result<i64, Problem> {
    docker::shell::run(&docker::client::Client::new(&settings), &id, &argv).await
}

/// Starts an engine in the background, in a session of its own, that says in a document why it does not run.
fn launch_engine(settings: &Settings) -> Result<PipeReader, Problem> {
    let mut arguments = vec!["engine".to_owned(), "run".to_owned(), "--json".to_owned()];
    arguments.extend(load::as_arguments(settings, &load::environment()));
    hosts::local::spawn_detached(&settings.binary, &arguments).map_err(|error| {
        Problem::unavailable(format!("cannot start the engine: {error}")).at(settings.binary.display().to_string())
    })
}

/// What the engine has to say goes to a file, never to the terminal.
fn log_to(path: &Path, known: &Known) -> Option<tracing_appender::non_blocking::WorkerGuard> {
    use tracing_subscriber::EnvFilter;
    let (folder, name) = (path.parent()?, path.file_name()?);
    state_dir::make_own(folder).ok()?;
    if std::fs::metadata(path).is_ok_and(|log| log.len() > LARGEST_LOG) {
        let _ = std::fs::rename(path, path.with_extension("log.1"));
    }
    state_dir::open_own(path).ok()?;
    let file = Masked { known: known.clone(), to: tracing_appender::rolling::never(folder, name) };
    let (writer, guard) = tracing_appender::non_blocking(file);
    let filter = EnvFilter::try_from_env("PILOTHOUSE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_env_filter(filter).finish();
    tracing::subscriber::set_global_default(subscriber).ok()?;
    Some(guard)
}
