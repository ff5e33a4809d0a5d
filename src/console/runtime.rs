//! The loop: wait, update, draw; and the only interpreter of effects. Nothing in it waits for the engine.

use std::{
    io::{self, Stdout},
    panic::AssertUnwindSafe,
    path::PathBuf,
    time::Duration,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::{Hide, Show},
    event::{
        DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event, EventStream, KeyCode,
        KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
    },
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use futures_util::{FutureExt, StreamExt};
use ratatui::{Terminal, backend::CrosstermBackend};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{
    action::{Action, Effect, Left, Mouse},
    feed::Feed,
    keymap::Key,
    state::{Beginning, Mode, State, Tab},
    theme::{Depth, Theme},
    update::{take, update},
    view::view,
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

/// How a console begins.
#[derive(Clone, Debug)]
pub struct Start {
    pub mode: Mode,
    pub tab: Tab,
    /// Who sends commands: the login name.
    pub actor: String,
    /// Where relative paths begin: the working folder.
    pub folder: PathBuf,
    /// `--no-color`.
    pub no_color: bool,
}

impl Start {
    /// On the machine's own engine, at the overview.
    pub fn own(actor: String, folder: PathBuf) -> Self {
        Self { mode: Mode::Own, tab: Tab::Overview, actor, folder, no_color: false }
    }
}

/// Shows the console until it is left; the terminal is as before afterwards, however it ends.
///
/// Also left by SIGTERM, SIGHUP and SIGINT. While the engine does not answer, the last state is shown with its age, and
/// it is asked again until it answers.
pub async fn run(client: Client, settings: ConsoleSettings, start: Start) -> Result<Left, Problem> {
    let theme = theme(&settings, start.no_color)?;
    let beginning = Beginning {
        mode: start.mode,
        tab: start.tab,
        theme,
        actor: start.actor,
        session: format!("{}-{}", std::process::id(), clock::micros()),
        folder: start.folder,
        reduced_motion: settings.reduced_motion,
    };
    let mut state = State::new(beginning);
    state.world.now = clock::now();
    state.world.offset_s = chrono::Local::now().offset().local_minus_utc();
    let quiet = Quiet::begin();
    let mut screen = Screen::enter(state.mouse).map_err(|error| no_terminal(&error))?;
    let ended = AssertUnwindSafe(turn(&mut state, &mut screen, client)).catch_unwind().await;
    drop(screen);
    match ended {
        Ok(ended) => ended,
        Err(_) => Err(Problem::internal(format!("the console broke: {}", quiet.last()))
            .hint("open it again: engine and apps run on; please report it with what you did")),
    }
}

/// By name, or by the path of a theme file.
fn theme(settings: &ConsoleSettings, no_color: bool) -> Result<Theme, Problem> {
    let variable = |name: &str| std::env::var(name).ok();
    let no_color = if no_color { Some("1".to_owned()) } else { variable("NO_COLOR") };
    let depth = Depth::of(no_color.as_deref(), variable("COLORTERM").as_deref(), variable("TERM").as_deref());
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

async fn turn(state: &mut State, screen: &mut Screen, client: Client) -> Result<Left, Problem> {
    let (sender, mut actions) = mpsc::channel(QUEUE);
    let mut feed = Feed::begin(client, sender);
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
                effects = take(state, action);
                for _ in 1..GULP {
                    let Ok(action) = actions.try_recv() else { break };
                    effects.extend(take(state, action));
                }
                effects.extend(state.settle());
                dirty = true;
            },
            _ = tick.tick() => {
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
        Effect::Suspend => screen.suspend(state.mouse).map_err(|error| no_terminal(&error))?,
        Effect::Quit(left) => return Ok(Some(left)),
    }
    Ok(None)
}

/// What a terminal's event means here.
fn heard(event: &Event) -> Vec<Action> {
    match event {
        Event::Key(pressed) if pressed.kind != KeyEventKind::Release => {
            key(pressed.code, pressed.modifiers).map(Action::Key).into_iter().collect()
        }
        Event::Paste(text) => vec![Action::Paste(text.clone())],
        Event::Resize(wide, high) => vec![Action::Resize(*wide, *high)],
        Event::Mouse(mouse) => {
            let (x, y) = (mouse.column, mouse.row);
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => vec![Action::Mouse(Mouse::Press(x, y))],
                MouseEventKind::ScrollUp => vec![Action::Mouse(Mouse::WheelUp(x, y))],
                MouseEventKind::ScrollDown => vec![Action::Mouse(Mouse::WheelDown(x, y))],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char(c) if control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::F(n) => Key::F(n),
        _ => return None,
    })
}

struct Signals {
    all: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { all: [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?] })
    }

    /// A demo that is left by a signal goes on: nobody was asked.
    async fn next(&mut self) -> Left {
        let [terminate, hangup, interrupt] = &mut self.all;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
        Left::Quit
    }
}

/// The terminal, taken over; given back when dropped.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Screen {
    fn enter(mouse: bool) -> io::Result<Self> {
        take_over(mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, mouse })
    }

    fn draw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            view(state, area, frame.buffer_mut());
        })?;
        Ok(())
    }

    fn clear(&mut self) {
        // The next frame tells when the terminal is gone.
        let _ = self.terminal.clear();
    }

    fn mouse(&mut self, wanted: bool) {
        if wanted != self.mouse {
            self.mouse = wanted;
            let mut out = io::stdout();
            let _ = if wanted { execute!(out, EnableMouseCapture) } else { execute!(out, DisableMouseCapture) };
        }
    }

    /// Gives the terminal back and stops this job, as a shell expects; takes it again when it goes on.
    fn suspend(&mut self, mouse: bool) -> io::Result<()> {
        give_back();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP).map_err(io::Error::from)?;
        take_over(mouse)?;
        self.mouse = mouse;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    let mut out = io::stdout();
    let taken = execute!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)
        .and_then(|()| if mouse { execute!(out, EnableMouseCapture) } else { Ok(()) });
    taken.inspect_err(|_| give_back())
}

/// Into the clipboard; terminals that do not know OSC 52 ignore it.
fn copy(text: &str) {
    let _ = execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text));
}

/// Each part by itself: what fails must not keep the rest from being restored.
fn give_back() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, DisableBracketedPaste);
    let _ = execute!(out, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// While the console shows, a panic of any task goes to the log, not onto the screen.
struct Quiet {
    last: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Quiet {
    fn begin() -> Self {
        let last = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let heard = last.clone();
        std::panic::set_hook(Box::new(move |panic| {
            tracing::error!("{panic}");
            if let Ok(mut last) = heard.lock() {
                *last = panic.to_string();
            }
        }));
        Self { last }
    }

    fn last(&self) -> String {
        self.last.lock().map(|last| last.clone()).unwrap_or_default()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A hook cannot be changed while a panic unwinds.
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}
