//! The one writer of the command line: documents and tables on standard output, progress and problems on standard error.

use std::{
    borrow::Cow,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use crate::model::{log, problem::Problem};

/// Meaning of a piece of text; colour comes second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Bold,
    Muted,
    Accent,
    Good,
    Warn,
    Danger,
}

/// Where and how a command speaks.
#[derive(Debug)]
pub struct Output {
    /// One JSON document on standard output instead of text for people.
    pub json: bool,
    /// No progress on standard error.
    pub quiet: bool,
    /// Colours on standard output.
    colour: bool,
    /// Colours on standard error.
    colour_err: bool,
    /// Standard output was closed by its reader: nothing is written to it any more.
    closed: AtomicBool,
    /// Why something could not be written to standard output.
    lost: OnceLock<String>,
}

impl Output {
    pub fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        let wanted = !no_color
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = wanted && !json && io::stdout().is_terminal();
        let colour_err = wanted && io::stderr().is_terminal();
        Self { json, quiet, colour, colour_err, closed: AtomicBool::new(false), lost: OnceLock::new() }
    }

    /// Whether standard output may have colours.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// Whether somebody can be asked: both ends are a terminal.
    pub fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether progress can be redrawn in place.
    pub fn can_redraw(&self) -> bool {
        !self.quiet && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether standard output has no reader any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The one document of `--json`.
    pub fn document(&self, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        self.text(&format!("{}\n", log::safe_json(&text)));
    }

    /// One of the documents of a stream, on a line of its own.
    pub fn record(&self, record: &impl Serialize) {
        let text = serde_json::to_string(record).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        self.text(&format!("{}\n", log::safe_json(&text)));
    }

    /// A line for people; left out with `--json`.
    pub fn line(&self, line: &str) {
        if !self.json {
            self.text(&format!("{}\n", shown(line, self.colour)));
        }
    }

    /// Text as it is to standard output. A reader that went away is not an error; a full disk is, see `lost`.
    pub fn text(&self, text: &str) {
        if self.is_closed() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = write_whole(&mut out, text.as_bytes()) {
            self.closed.store(true, Ordering::Relaxed);
            if error.kind() != ErrorKind::BrokenPipe {
                // The first reason stays.
                let _ = self.lost.set(error.to_string());
            }
        }
    }

    /// What of the output nobody will ever read although somebody wanted to: then no command has ended well.
    pub fn lost(&self) -> Option<Problem> {
        let error = self.lost.get()?;
        Some(
            Problem::unavailable(format!("standard output cannot be written: {error}"))
                .hint("what was asked may have been done all the same: `pilothouse apps` tells"),
        )
    }

    /// A line of progress on standard error.
    pub fn progress(&self, line: &str) {
        if !self.quiet {
            self.ask_about(line);
        }
    }

    /// A line before a question, on standard error.
    pub fn ask_about(&self, line: &str) {
        self.error_text(&format!("{}\n", shown(line, self.colour_err)));
    }

    /// Text as it is to standard error; without a reader it is lost.
    pub fn error_text(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// A problem: for people on standard error, with `--json` also as the document `{"problem": …}`.
    pub fn problem(&self, problem: &Problem) {
        self.explain(problem);
        if self.json {
            self.document(&serde_json::json!({ "problem": problem }));
        }
    }

    /// A problem for people: cause, place, evidence, next step.
    pub fn explain(&self, problem: &Problem) {
        self.tell(Tone::Danger, "✖", problem);
    }

    /// As `explain`, for what was done all the same.
    pub fn warn(&self, problem: &Problem) {
        self.tell(Tone::Warn, "▲", problem);
    }

    fn tell(&self, tone: Tone, symbol: &str, problem: &Problem) {
        let mut text = format!("{} {}\n", self.paint_err(tone, symbol), problem.what);
        if let Some(at) = &problem.at {
            text.push_str(&format!("  {} {at}\n", self.paint_err(Tone::Muted, "at")));
        }
        for line in &problem.evidence {
            text.push_str(&format!("  {} {}\n", self.paint_err(Tone::Muted, "│"), log::escaped(line)));
        }
        if let Some(next) = &problem.next {
            text.push_str(&format!("  {} {next}\n", self.paint_err(Tone::Accent, "try:")));
        }
        self.error_text(&text);
    }

    /// `text` in its tone for standard output.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.colour, tone, text)
    }

    /// `text` in its tone for standard error.
    pub fn paint_err(&self, tone: Tone, text: &str) -> String {
        paint(self.colour_err, tone, text)
    }
}

/// Writes all of it. A pipe that another program made non-blocking is waited for.
fn write_whole(out: &mut (impl Write + std::os::fd::AsFd), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => await_room(&*out)?,
            Err(error) => return Err(error),
        }
    }
    loop {
        match out.flush() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => await_room(&*out)?,
            flushed => return flushed,
        }
    }
}

fn await_room(out: &impl std::os::fd::AsFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The terminal's own sixteen colours: they fit its theme.
fn paint(colour: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Bold => "1",
        Tone::Muted => "2",
        Tone::Accent => "34",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Danger => "31",
    };
    if colour { format!("{START}{code}m{}{END}", log::escaped(text)) } else { text.to_owned() }
}

const START: &str = "\u{1b}[";
const END: &str = "\u{1b}[0m";

/// `line` with our own colours, where there are any, and nothing else that a terminal obeys: what it quotes comes from repositories.
fn shown(line: &str, colour: bool) -> Cow<'_, str> {
    if !line.contains(|c: char| c.is_control() || log::turns_direction(c)) {
        return Cow::Borrowed(line);
    }
    let mut whole = String::with_capacity(line.len() + 8);
    for (n, row) in line.split('\n').enumerate() {
        if n > 0 {
            whole.push('\n');
        }
        let mut rest = row;
        while let Some((before, after)) = rest.split_once(START).filter(|_| colour) {
            whole.push_str(&log::escaped(before));
            let code = CODES.iter().find(|code| after.starts_with(**code));
            whole.push_str(&match code {
                Some(code) => format!("{START}{code}"),
                None => log::escaped(START).into_owned(),
            });
            rest = &after[code.map_or(0, |code| code.len())..];
        }
        whole.push_str(&log::escaped(rest));
    }
    Cow::Owned(whole)
}

/// Those of `paint`, and their end.
const CODES: [&str; 7] = ["0m", "1m", "2m", "34m", "32m", "33m", "31m"];

/// Columns of the terminal at standard error; 80 when it says none.
pub fn width() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns).max(20))
}
