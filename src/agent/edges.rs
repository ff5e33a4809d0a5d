//! Edges of this host: one serves under a keeper of its own; others, which were replaced, finish what they have.

use std::{io, path::Path, time::Duration};

use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::{
    sync::MutexGuard,
    time::{Instant, sleep},
};

use super::Tools;
use crate::{
    keep::{Program, Restart, process::Process},
    model::{
        edge::{EdgeStatus, Slot},
        ids::{AppId, ReleaseId},
        log::LogLabels,
        problem::{Problem, ProblemKind, is_full},
        units::Millis,
    },
    runtimes::keepers,
    wire::{
        edge::{EdgeClient, EdgeStart},
        serving, waiting,
    },
};

/// How long a starting edge is waited for; its ports may take 10 s of it.
const STARTING: Duration = Duration::from_secs(20);
/// How long an order waits for an edge that waits for its port.
const AWAITED: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// The same of an edge that starts.
const STEP: Duration = Duration::from_millis(20);
/// Label of what edges write, in logs.
pub const LABEL: &str = "edge";

/// Name of the keeper of an edge: `edge`, `edge-2`, …
fn keeper(slot: Slot) -> String {
    if slot == Slot::FIRST { LABEL.to_owned() } else { format!("{LABEL}-{slot}") }
}

/// The edge that serves, or will first.
fn serving(tools: &Tools) -> Slot {
    serving::serving(&tools.settings.state).unwrap_or(Slot::FIRST)
}

/// The edges that do not serve, as far as they have a door.
pub fn others(tools: &Tools) -> impl Iterator<Item = EdgeClient> {
    EdgeClient::others(&tools.settings.state, serving(tools))
}

/// Whether the edge says that something keeps it from serving.
pub fn waits(tools: &Tools) -> bool {
    waiting::why(&tools.settings.state, serving(tools)).is_some()
}

/// Sees to it that an edge is kept. Cheap when it is.
async fn ensure(tools: &Tools) -> Result<(), Problem> {
    let slot = serving(tools);
    if keepers::is_alive(&tools.settings, &keeper(slot)) {
        return Ok(());
    }
    // One whose keeper was killed need not end for a kept one: that would close its port.
    if tools.edge.status().await.is_ok() {
        return put_in_place(tools, slot).await;
    }
    launch(tools, slot, None).await
}

async fn launch(tools: &Tools, slot: Slot, replaces: Option<Slot>) -> Result<(), Problem> {
    let settings = &tools.settings;
    EdgeStart { edge: settings.config.edge.clone(), replaces }
        .write(&settings.state, slot)
        .map_err(|error| unwritable(settings.state.root(), &error))?;
    let state = settings.state.root().display().to_string();
    let words = [settings.binary.display().to_string(), "edge".to_owned(), "run".to_owned(), state, slot.to_string()];
    let mut spec = keepers::spec(settings, Program::Argv(words.into()), settings.state.root());
    // It gives requests in flight up to 30 s.
    spec.kill_after = Millis::seconds(35);
    // One that was replaced ends by itself.
    spec.restart = Restart::OnFailure;
    let name = keeper(slot);
    let labels = LogLabels { app: AppId::suggest(LABEL), release: ReleaseId(0), instance: LABEL.to_owned() };
    keepers::launch(settings, &name, &spec, &labels).await.map(|_| ())
}

fn unwritable(root: &Path, error: &io::Error) -> Problem {
    let (what, next) = if is_full(error) {
        ("the disk is full: the edge's settings cannot be written".to_owned(), "free some space")
    } else {
        (format!("cannot write the edge's settings: {error}"), "see to it that the folder can be written")
    };
    Problem::unavailable(what).at(root.display().to_string()).hint(format!("{next}, then: pilothouse edge replace"))
}

/// Held while edges are looked after: one at a time starts one.
pub type Turn<'a> = MutexGuard<'a, Tending>;

/// What is known of the edge beside what it tells itself.
#[derive(Debug, Default)]
pub struct Tending {
    /// Why the edge could not be replaced, the last time that it was to be.
    not_replaced: Option<Problem>,
    /// It was ended, and is not to be started again by this engine.
    has_ended: bool,
}

pub async fn turn(tools: &Tools) -> Turn<'_> {
    tools.tending.lock().await
}

/// How the edge is, which is started if need be and waited for.
pub async fn tended(tools: &Tools) -> Result<EdgeStatus, Problem> {
    tend(tools, &turn(tools).await).await
}

/// As `tended`, for work that cannot be done without it: an edge that waits, such as for its port, is waited for, which is
/// told. The problem is not to be tried again.
pub async fn awaited(tools: &Tools, progress: impl Fn(String)) -> Result<EdgeStatus, Problem> {
    let deadline = Instant::now() + AWAITED;
    loop {
        let problem = match tended(tools).await {
            Err(problem) if waits(tools) => problem,
            answer => return answer,
        };
        if Instant::now() >= deadline {
            return Err(Problem { kind: ProblemKind::Limit, ..problem });
        }
        progress(format!("waits: {}", problem.what));
        sleep(LOOK).await;
    }
}

/// As `tended`, for who has the turn already. An edge that says that it waits is not waited for.
pub async fn tend(tools: &Tools, turn: &Turn<'_>) -> Result<EdgeStatus, Problem> {
    if turn.has_ended {
        return Err(Problem::conflict("the edge was ended with everything else").hint("pilothouse engine start"));
    }
    ensure(tools).await?;
    let mut begun = None;
    let deadline = Instant::now() + STARTING;
    loop {
        // Before it is asked: one that waits would not answer.
        if let Some(why) = waiting::why(&tools.settings.state, serving(tools)) {
            return Err(Problem {
                kind: ProblemKind::Unavailable,
                what: format!("the edge does not serve: {}", why.what),
                ..why
            });
        }
        match tools.edge.status().await {
            Ok(mut status) => {
                status.troubles.extend(turn.not_replaced.clone());
                return Ok(status);
            }
            Err(_)
                if Instant::now() >= deadline && end_hung(begun.as_ref().and_then(Option::as_ref), program(tools).as_ref()) =>
            {
                let seconds = STARTING.as_secs();
                return Err(Problem::unavailable(format!(
                    "the edge did not answer for {seconds} s and was ended; its keeper starts it again"
                )));
            }
            Err(problem) if Instant::now() >= deadline => {
                let log = tools.settings.state.keeper(&keeper(serving(tools))).join("log/current");
                return Err(problem.hint(format!("see {}", log.display())));
            }
            Err(_) => {
                begun.get_or_insert_with(|| program(tools));
                sleep(STEP).await;
            }
        }
    }
}

/// The program of the edge that serves.
fn program(tools: &Tools) -> Option<Process> {
    keepers::state(&tools.settings, &keeper(serving(tools)))?.child
}

/// Ends an edge that ran all the while and answered nobody: nothing of it serves. False when it is not so.
fn end_hung(begun: Option<&Process>, now: Option<&Process>) -> bool {
    begun.filter(|begun| now == Some(*begun)).is_some_and(|hung| hung.signal(Signal::KILL).is_some())
}

/// Puts an edge of this program with the settings of now in the place of the one that serves, without closing a port that
/// both listen on. When the new one cannot serve, the old one does, and the problem tells why.
pub async fn replace(tools: &Tools) -> Result<EdgeStatus, Problem> {
    let mut turn = turn(tools).await;
    let old = tend(tools, &turn).await?;
    let replaced = put_in_place(tools, serving(tools)).await;
    turn.not_replaced = replaced.as_ref().err().cloned();
    replaced?;
    let status = tend(tools, &turn).await?;
    tracing::info!(old = old.pid, new = status.pid, version = status.version, "the edge was replaced");
    Ok(status)
}

/// `replace`, when the edge is of another version, or was started with other settings.
pub async fn replace_when_changed(tools: &Tools) -> Result<(), Problem> {
    let status = tended(tools).await?;
    let started = EdgeStart::read(&tools.settings.state, serving(tools));
    let is_same = started.is_ok_and(|started| started.edge == tools.settings.config.edge);
    if is_same && status.version == env!("CARGO_PKG_VERSION") { Ok(()) } else { replace(tools).await.map(|_| ()) }
}

async fn put_in_place(tools: &Tools, old: Slot) -> Result<(), Problem> {
    let settings = &tools.settings;
    let is_free = |slot: &Slot| {
        !keepers::is_alive(settings, &keeper(*slot)) && !EdgeClient::new(settings.state.edge_door(*slot)).is_there()
    };
    let Some(slot) = old.others().find(is_free) else {
        return Err(Problem::limit("too many edges that were replaced still have open requests or tunnels")
            .hint("try again when some of them are done; each has 10 minutes at most"));
    };
    launch(tools, slot, Some(old)).await?;
    let deadline = Instant::now() + STARTING;
    while serving(tools) != slot {
        let state = keepers::state(settings, &keeper(slot));
        let has_ended = state.is_none_or(|state| state.last_exit.is_some() || !state.is_alive(&settings.boot_id));
        if has_ended || Instant::now() >= deadline {
            return give_up(tools, slot, has_ended).await;
        }
        sleep(STEP).await;
    }
    Ok(())
}

/// Ends an edge that has not come to serve. It may have, just now.
async fn give_up(tools: &Tools, slot: Slot, has_ended: bool) -> Result<(), Problem> {
    let (settings, name) = (&tools.settings, keeper(slot));
    if serving(tools) == slot {
        return Ok(());
    }
    keepers::stop(settings, &name).await?;
    if serving(tools) == slot {
        return launch(tools, slot, None).await;
    }
    let why =
        if has_ended { "the new one ended".to_owned() } else { format!("the new one was not ready in {} s", STARTING.as_secs()) };
    Err(Problem::app(format!("the edge was not replaced, the old one serves on: {why}"))
        .at(settings.state.keeper(&name).join("log/current").display().to_string())
        .hint("mend what it says, then: pilothouse edge replace")
        .evidence(keepers::last_lines(settings, &name)))
}

/// Ends all edges and their keepers.
pub async fn stop(tools: &Tools) -> Result<(), Problem> {
    let mut turn = turn(tools).await;
    // Nobody may start again what ends: the observer looks after it until the engine is gone.
    turn.has_ended = true;
    let names: Vec<String> = Slot::all().map(keeper).collect();
    let stops = join_all(names.iter().map(|name| keepers::stop(&tools.settings, name))).await;
    stops.into_iter().try_for_each(|stopped| stopped.map(|_| ()))
}
