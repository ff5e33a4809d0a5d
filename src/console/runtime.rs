//! The loop: wait, update, draw; and the only interpreter of effects. Nothing in it waits for the engine.

use std::{io, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};

use crossterm::event::EventStream;
use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{
    action::{Action, Effect, Left},
    feed::Feed,
    flash,
    heard::heard,
    keymap::Keymap,
    state::{Beginning, Mode, State, Tab},
    terminal::{Lent, Quiet, Screen, Signals, copy, lend},
    theme::{Depth, Role, Theme},
    update::{take, update},
};
use crate::{
    config::{clock, settings::ConsoleSettings},
    model::Problem,
    wire::engine::Client,
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// Actions taken in between two looks at the keyboard.
const GULP: usize = 64;
/// Actions on their way from the engine; a full queue holds the engine's streams back, so that nothing is lost here.
const QUEUE: usize = 256;

/// Starts a program on the terminal that this one has; it is killed when dropped.
pub type HandOver = fn(&[String]) -> io::Result<tokio::process::Child>;

/// Starts this machine's engine in the background; returns before it answers.
pub type Wake = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// How a console begins.
#[derive(Clone)]
pub struct Start {
    pub mode: Mode,
    pub tab: Tab,
    /// Who sends commands: the login name.
    pub actor: String,
    /// Where relative paths begin: the working folder.
    pub folder: PathBuf,
    /// This program with the flags that lead to this engine.
    pub program: Vec<String>,
    /// `--no-color`.
    pub no_color: bool,
    pub hand_over: HandOver,
    /// What starts an engine that was killed; without it the console only waits.
    pub wake: Option<Wake>,
}

impl Start {
    /// On the machine's own engine, at the overview.
    pub fn own(actor: String, folder: PathBuf, hand_over: HandOver) -> Self {
        let program = vec!["pilothouse".to_owned()];
        Self { mode: Mode::Own, tab: Tab::Overview, actor, folder, program, no_color: false, hand_over, wake: None }
    }
}

/// Shows the console until it is left; the terminal is as before afterwards, however it ends.
///
/// Also left by SIGTERM, SIGHUP and SIGINT. While the engine does not answer, the last state is shown with its age, and
/// it is asked again until it answers; one that was killed is started again.
pub async fn run(client: Client, settings: ConsoleSettings, start: Start) -> Result<Left, Problem> {
    let depth = depth(start.no_color);
    let theme = theme(&settings, depth)?;
    let watched = ThemeFile::of(&settings.theme, depth);
    let beginning = Beginning {
        mode: start.mode,
        tab: start.tab,
        theme,
        actor: start.actor,
        session: format!("{}-{}", std::process::id(), clock::micros()),
        folder: start.folder,
        program: start.program,
        reduced_motion: settings.reduced_motion,
        keys: Keymap::with(&settings.keys)?,
    };
    let mut state = State::new(beginning);
    state.world.now = clock::now();
    state.world.offset_s = chrono::Local::now().offset().local_minus_utc();
    let quiet = Quiet::begin();
    let mut screen = Screen::enter(state.mouse).map_err(|error| no_terminal(&error))?;
    let ended =
        AssertUnwindSafe(turn(&mut state, &mut screen, (client, start.wake), start.hand_over, watched)).catch_unwind().await;
    drop(screen);
    match ended {
        Ok(ended) => ended,
        Err(_) => Err(Problem::internal(format!("the console broke: {}", quiet.last()))
            .hint("open it again: engine and apps run on; please report it with what you did")),
    }
}

fn depth(no_color: bool) -> Depth {
    let variable = |name: &str| std::env::var(name).ok();
    let no_color = if no_color { Some("1".to_owned()) } else { variable("NO_COLOR") };
    Depth::of(no_color.as_deref(), variable("COLORTERM").as_deref(), variable("TERM").as_deref())
}

/// A theme file, looked at again each second: what is saved is seen.
struct ThemeFile {
    path: PathBuf,
    depth: Depth,
    written: Option<std::time::SystemTime>,
}

impl ThemeFile {
    fn of(path: &str, depth: Depth) -> Self {
        let path = PathBuf::from(path);
        let written = written(&path);
        Self { path, depth, written }
    }

    /// The theme as it was saved since the last look, or what is wrong with it.
    fn saved(&mut self) -> Option<Result<Theme, Problem>> {
        let now = written(&self.path)?;
        if self.written == Some(now) {
            return None;
        }
        self.written = Some(now);
        // A file that is being written is looked at again when it is whole.
        let text = std::fs::read_to_string(&self.path).ok()?;
        Some(Theme::read(&text, &self.path.display().to_string(), self.depth))
    }
}

/// Absent for the built-in themes, which are no files.
fn written(path: &std::path::Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// By name, or by the path of a theme file.
fn theme(settings: &ConsoleSettings, depth: Depth) -> Result<Theme, Problem> {
    if let Some(theme) = Theme::built_in(&settings.theme, depth) {
        return Ok(theme);
    }
    let text = std::fs::read_to_string(&settings.theme).map_err(|error| {
        Problem::user(format!("no theme `{}`: {error}", settings.theme))
            .at("console.theme")
            .hint("use pilot-dark, pilot-light, or the path of a theme file")
    })?;
    Theme::read(&text, &settings.theme, depth)
}

fn no_terminal(error: &io::Error) -> Problem {
    Problem::unavailable(format!("the console needs a terminal: {error}"))
        .hint("use `pilothouse apps`, `pilothouse status` or `pilothouse logs` without one")
}

async fn turn(
    state: &mut State,
    screen: &mut Screen,
    (client, wake): (Client, Option<Wake>),
    hand_over: HandOver,
    mut watched: ThemeFile,
) -> Result<Left, Problem> {
    let (sender, mut actions) = mpsc::channel(QUEUE);
    let mut feed = Feed::begin(client, sender, wake);
    let mut events = EventStream::new();
    let mut signals = Signals::new().map_err(|error| no_terminal(&error))?;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (wide, high) = crossterm::terminal::size().map_err(|error| no_terminal(&error))?;
    let mut effects = update(state, Action::Resize(wide, high));
    let mut dirty = true;
    let mut due = Instant::now();
    loop {
        for effect in std::mem::take(&mut effects) {
            if let Effect::HandOver { argv, what } = &effect {
                // What is typed belongs to the program.
                drop(events);
                let lent = lend(screen, &mut signals, hand_over, argv, what).await.map_err(|error| no_terminal(&error))?;
                events = EventStream::new();
                match lent {
                    Lent::Left(left) => return Ok(left),
                    Lent::Back(said, role) => effects.extend(update(state, Action::HandedBack(said, role))),
                }
                dirty = true;
                continue;
            }
            if let Some(left) = carry_out(effect, state, screen, &mut feed)? {
                return Ok(left);
            }
        }
        screen.mouse(state.mouse);
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(event)) => {
                    // The clock is read where something happened, so that ages are right at once.
                    take(state, Action::Tick(clock::now()));
                    for action in heard(&event) {
                        effects.extend(update(state, action));
                    }
                    dirty = true;
                }
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Left::Quit),
            },
            left = signals.next() => return Ok(left),
            () = tokio::time::sleep_until(due), if dirty => {
                screen.draw(state).map_err(|error| no_terminal(&error))?;
                dirty = false;
                due = Instant::now() + FRAME;
            }
            action = actions.recv() => if let Some(action) = action {
                take(state, Action::Tick(clock::now()));
                effects = take(state, action);
                for _ in 1..GULP {
                    let Ok(action) = actions.try_recv() else { break };
                    effects.extend(take(state, action));
                }
                effects.extend(state.settle());
                dirty = true;
            },
            () = tokio::time::sleep(flash::LENGTH), if !state.world.flashes.is_empty() => {
                effects = update(state, Action::Tick(clock::now()));
                dirty = true;
            }
            _ = tick.tick() => {
                match watched.saved() {
                    Some(Ok(theme)) => state.theme = theme,
                    Some(Err(problem)) => state.say(problem.to_string(), Role::Danger),
                    None => {}
                }
                effects = update(state, Action::Tick(clock::now()));
                dirty = true;
            }
        }
    }
}

fn carry_out(effect: Effect, state: &State, screen: &mut Screen, feed: &mut Feed) -> Result<Option<Left>, Problem> {
    match effect {
        Effect::Send { ticket, request } => feed.send(ticket, *request),
        Effect::Follow { slot, generation, query } => feed.follow(slot, generation, query),
        Effect::Copy(text) => copy(&text),
        Effect::Redraw => screen.clear(),
        // The loop itself lends the terminal.
        Effect::HandOver { .. } => {}
        Effect::Suspend => screen.suspend(state.mouse).map_err(|error| no_terminal(&error))?,
        Effect::Quit(left) => return Ok(Some(left)),
    }
    Ok(None)
}
