//! The terminal: taken over, drawn on, lent to a program, and given back however the console ends.

use std::{
    io::{self, Stdout, Write},
    time::Duration,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute,
    terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};
use tokio::signal::unix::{SignalKind, signal};

use super::{action::Left, runtime::HandOver, state::State, theme::Role, view::view};

/// Signals that end the console.
pub(super) struct Signals {
    all: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { all: [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?] })
    }

    /// A demo that is left by a signal goes on: nobody was asked.
    pub(super) async fn next(&mut self) -> Left {
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
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Screen {
    pub(super) fn enter(mouse: bool) -> io::Result<Self> {
        take_over(mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, mouse })
    }

    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            view(state, area, frame.buffer_mut());
        })?;
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        // The next frame tells when the terminal is gone.
        let _ = self.terminal.clear();
    }

    /// Begins on a blank screen, without asking the terminal anything: nobody reads its answers just now.
    fn renew(&mut self) -> io::Result<()> {
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }

    pub(super) fn mouse(&mut self, wanted: bool) {
        if wanted != self.mouse {
            self.mouse = wanted;
            let mut out = io::stdout();
            let _ = if wanted { execute!(out, EnableMouseCapture) } else { execute!(out, DisableMouseCapture) };
        }
    }

    /// Gives the terminal back and stops this job, as a shell expects; takes it again when it goes on.
    pub(super) fn suspend(&mut self, mouse: bool) -> io::Result<()> {
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
pub(super) fn copy(text: &str) {
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
pub(super) struct Quiet {
    last: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Quiet {
    pub(super) fn begin() -> Self {
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

    pub(super) fn last(&self) -> String {
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

/// What came of lending the terminal.
pub(super) enum Lent {
    /// It is back, with a word for the operator.
    Back(String, Role),
    /// A signal ended console and program.
    Left(Left),
}

/// Lends the terminal to a program until it ends. ctrl-c is the program's.
pub(super) async fn lend(
    screen: &mut Screen,
    signals: &mut Signals,
    hand_over: HandOver,
    argv: &[String],
    what: &str,
) -> io::Result<Lent> {
    give_back();
    let _ = writeln!(io::stdout(), "{what}\n");
    let program = argv.first().map(String::as_str).unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or(program);
    let ended = match hand_over(argv) {
        Ok(mut child) => loop {
            let [terminate, hangup, interrupt] = &mut signals.all;
            tokio::select! {
                ended = child.wait() => break ended,
                _ = interrupt.recv() => {}
                _ = terminate.recv() => return Ok(Lent::Left(Left::Quit)),
                _ = hangup.recv() => return Ok(Lent::Left(Left::Quit)),
            }
        },
        Err(error) => Err(error),
    };
    // The ctrl-c that ended it may reach the console only now.
    let _ = tokio::time::timeout(Duration::from_millis(50), signals.all[2].recv()).await;
    take_over(screen.mouse)?;
    screen.renew()?;
    Ok(match ended {
        Ok(status) => match status.code() {
            Some(code @ (126 | 127)) => Lent::Back(format!("{program} could not run it there: it ended with {code}"), Role::Warn),
            Some(code) if code != 0 => {
                Lent::Back(format!("it ended with {code}; the terminal is the console's again"), Role::Info)
            }
            _ => Lent::Back("it ended; the terminal is the console's again".to_owned(), Role::Info),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Lent::Back(format!("there is no program `{program}` here any more"), Role::Danger)
        }
        Err(error) => Lent::Back(format!("cannot run {program}: {error}"), Role::Danger),
    })
}
