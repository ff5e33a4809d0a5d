//! `engine start, stop, status, run`: the engine of this state folder.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    Ended, Failed,
    context::Context,
    deploy::odd,
    late_settings::{Late, late},
    output::Tone,
    runtime,
};
use crate::{
    config::settings::ConfigFile,
    model::{
        command::{Answer, Command},
        problem::Problem,
        units::Millis,
    },
    wire::engine,
};

/// Longest wait for a new engine's edge.
const EDGE: Duration = Duration::from_secs(15);
/// Longest wait for an engine that begins to answer.
const BEGINS: Duration = Duration::from_secs(5);
/// Longest wait for an engine to end.
const END: Duration = Duration::from_secs(20);
/// The same when all instances end first, each with its own limits.
const END_EVERYTHING: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub struct Engine {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Start an engine in the background; it goes on with what was under way
    Start,
    /// End the engine; apps and the edge go on serving
    Stop {
        /// End all instances and the edge too
        #[arg(long)]
        everything: bool,
    },
    /// What runs, and where
    Status,
    /// Run the engine in this terminal until ctrl-c
    Run,
}

/// The document of `engine status`. Fields may be added, never renamed.
#[derive(Debug, Serialize)]
struct Document {
    running: bool,
    pid: Option<u32>,
    version: Option<String>,
    socket: String,
    state_dir: String,
    edge: Edge,
    uptime_s: Option<u64>,
    /// Settings that are others here than the engine took at its start.
    late_settings: Vec<Late>,
    /// The journal cannot be written, and why.
    degraded: Option<Problem>,
}

#[derive(Debug, Default, Serialize)]
struct Edge {
    http: Vec<String>,
    https: Vec<String>,
    internal: Option<String>,
    up: bool,
    pid: Option<u32>,
    version: Option<String>,
    /// The port of before, which another program had.
    moved_from: Option<u16>,
    /// What is wrong with it, such as with its certificates.
    troubles: Vec<Problem>,
    #[serde(skip)]
    moved: Option<Problem>,
}

impl Document {
    fn of(status: engine::Status, here: &ConfigFile) -> Self {
        Self {
            late_settings: late(&status.settings, here),
            running: true,
            pid: Some(status.engine.pid),
            version: Some(status.engine.version),
            socket: status.engine.socket,
            state_dir: status.engine.state_dir,
            edge: Edge {
                moved_from: status.edge.moved_from,
                moved: status.edge.moved(),
                http: status.edge.http.iter().map(ToString::to_string).collect(),
                https: status.edge.https.iter().map(ToString::to_string).collect(),
                internal: status.edge.internal.map(|address| address.to_string()),
                up: status.edge.up,
                pid: Some(status.edge.pid).filter(|pid| *pid != 0),
                version: Some(status.edge.version).filter(|version| !version.is_empty()),
                troubles: status.edge.troubles,
            },
            uptime_s: Some(status.uptime_s),
            degraded: status.engine.degraded,
        }
    }

    fn at_rest(context: &Context<'_>) -> Self {
        Self {
            running: false,
            pid: None,
            version: None,
            socket: context.settings.state.engine_socket().display().to_string(),
            state_dir: context.settings.state.root().display().to_string(),
            edge: Edge::default(),
            uptime_s: None,
            late_settings: Vec::new(),
            degraded: None,
        }
    }
}

impl Engine {
    pub(super) fn starts_engine(&self) -> bool {
        matches!(self.word, Word::Start)
    }

    pub(super) fn run(self, context: &Context<'_>) -> Result<Ended, Failed> {
        match self.word {
            Word::Start => Ok(runtime()?.block_on(start(context))?),
            Word::Stop { everything } => Ok(runtime()?.block_on(end(context, everything))?),
            Word::Status => Ok(runtime()?.block_on(status(context))?),
            // It brings a runtime of its own.
            Word::Run => {
                (context.roles.run_engine)(&context.settings)?;
                Ok(Ended::Well)
            }
        }
    }
}

async fn start(context: &Context<'_>) -> Result<Ended, Problem> {
    let client = context.engine().await?;
    let deadline = Instant::now() + EDGE;
    // An engine without its edge cannot give anybody an address.
    let status = loop {
        let status = client.status().await?;
        let is_told = status.edge.up || !status.edge.troubles.is_empty();
        if is_told || Instant::now() >= deadline {
            break status;
        }
        sleep(Duration::from_millis(20)).await;
    };
    show(context, Document::of(status, &context.settings.config));
    Ok(Ended::Well)
}

async fn end(context: &Context<'_>, everything: bool) -> Result<Ended, Problem> {
    let outcome = if stop(context, everything).await? { "stopped" } else { "was not running" };
    if context.output.json {
        context.output.document(&serde_json::json!({ "outcome": outcome, "next": "pilothouse engine start" }));
    }
    context.output.line(&format!("✓ the engine {outcome}"));
    Ok(Ended::Well)
}

async fn status(context: &Context<'_>) -> Result<Ended, Problem> {
    match context.client().status().await {
        Ok(status) => {
            show(context, Document::of(status, &context.settings.config));
            Ok(Ended::Well)
        }
        Err(problem) if problem.is_transient() && context.is_held() => Err(context.does_not_answer()),
        Err(problem) if problem.is_transient() => {
            if context.output.json {
                context.output.document(&Document::at_rest(context));
            }
            context.output.explain(&problem.hint("pilothouse engine start"));
            Ok(Ended::Badly)
        }
        Err(problem) => Err(problem),
    }
}

fn show(context: &Context<'_>, document: Document) {
    let output = context.output;
    if output.json {
        output.document(&document);
        return;
    }
    let label = |word: &str| output.paint(Tone::Muted, &format!("  {word:<8}"));
    let uptime = Millis::seconds(document.uptime_s.unwrap_or_default());
    let version = document.version.unwrap_or_default();
    output.line(&format!("● engine {version} runs for {uptime} (pid {})", document.pid.unwrap_or_default()));
    output.line(&format!("{}{}", label("state"), document.state_dir));
    output.line(&format!("{}{}", label("socket"), document.socket));
    let secure = document.edge.https.iter().map(|address| format!("{address} (https)"));
    let listeners: Vec<String> = document.edge.http.iter().cloned().chain(secure).collect();
    let edge = if document.edge.up { listeners.join(", ") } else { "not up".to_owned() };
    output.line(&format!("{}{edge}", label("edge")));
    for Late { setting, engine, here } in &document.late_settings {
        let value = |value: &str| if value.is_empty() { "unset".to_owned() } else { value.to_owned() };
        let (engine, here) = (value(engine), value(here));
        output.line(&format!("{}{setting} is {engine} until the engine's next start, then {here}", label("setting")));
    }
    if let Some(moved) = &document.edge.moved {
        output.line(&format!("{}{}", label("port"), moved.what));
        output.line(&format!("{}{}", label(""), moved.next.as_deref().unwrap_or_default()));
    }
    if document.degraded.is_some() {
        output.line(&format!("{}degraded: apps serve on, new work is refused", label("journal")));
    }
    document.edge.troubles.iter().for_each(|trouble| output.warn(trouble));
    document.degraded.iter().for_each(|problem| output.explain(problem));
}

/// Ends the engine and returns once it is gone; false when none ran.
pub async fn stop(context: &Context<'_>, everything: bool) -> Result<bool, Problem> {
    let (status, was_running) = match answer(context).await {
        Ok(status) => (status, true),
        Err(_) if context.is_held() => return Err(context.does_not_answer()),
        Err(problem) if problem.is_transient() && !everything => return Ok(false),
        // Nothing was ever started there.
        Err(problem) if problem.is_transient() && !context.settings.state.keepers().is_dir() => return Ok(false),
        // What it left behind is ended by an engine: it knows its instances.
        Err(problem) if problem.is_transient() => (context.engine().await?.status().await?, false),
        Err(problem) => return Err(problem),
    };
    match context.send(Command::StopEngine { everything }).await? {
        Answer::Done { .. } | Answer::Accepted { .. } => {}
        other => return Err(odd(&other)),
    }
    let limit = if everything { END_EVERYTHING } else { END };
    let deadline = Instant::now() + limit;
    while is_alive(status.engine.pid) {
        if Instant::now() >= deadline {
            let what = format!("the engine (pid {}) still runs after {} s", status.engine.pid, limit.as_secs());
            return Err(Problem::unavailable(what).hint(format!("see {}", context.settings.state.engine_log().display())));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(was_running)
}

/// What a running engine says of itself. One that begins holds the state folder before it answers.
async fn answer(context: &Context<'_>) -> Result<engine::Status, Problem> {
    let deadline = Instant::now() + BEGINS;
    loop {
        match context.client().status().await {
            Err(problem) if problem.is_transient() && context.is_held() && Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            answer => return answer,
        }
    }
}

/// Whether a process of this id runs; one that has ended and was not waited for does not.
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the name, which stands in parentheses and may hold any character.
    !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_keeps_its_names() {
        let document = serde_json::to_value(Document::of(engine::Status::default(), &ConfigFile::default())).unwrap();
        for field in ["pid", "version", "socket", "state_dir", "uptime_s"] {
            assert!(document.get(field).is_some(), "{field}");
        }
        assert!(document["edge"]["http"].is_array() && document["edge"]["https"].is_array());
    }

    #[test]
    fn this_process_is_alive() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
    }
}
