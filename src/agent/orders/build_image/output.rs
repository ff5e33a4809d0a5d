//! What a build of an image says: into the build's log line by line, its end kept as evidence.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    answer::{Made, Said},
    trace::Trace,
};
use crate::{
    config::Settings,
    keep::{lines::Lines, log::Log},
    model::{
        Problem,
        log::{Stream, safe},
    },
};

/// Lines shown as evidence.
const LINES: usize = 20;

/// The log of a release's image builds; several follow each other in it.
pub(super) struct Output {
    inner: Mutex<Inner>,
}

struct Inner {
    log: Log,
    lines: Lines,
    last: VecDeque<String>,
    made: Made,
    trace: Trace,
    image: Option<String>,
    failure: Option<(Option<i64>, String)>,
}

impl Output {
    /// Goes on behind what stands in `folder` already.
    pub(super) fn open(settings: &Settings, folder: &Path) -> Result<Self, Problem> {
        let logs = &settings.config.logs;
        let log = Log::open(folder.join("log"), logs.rotate_at.0, logs.keep);
        let inner = Inner {
            log,
            lines: Lines::default(),
            last: VecDeque::new(),
            made: Made::default(),
            trace: Trace::default(),
            image: None,
            failure: None,
        };
        Ok(Self { inner: Mutex::new(inner) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next image's build begins.
    pub(super) fn begin(&self, name: &str) {
        let mut inner = self.inner();
        (inner.made, inner.trace, inner.image, inner.failure) = (Made::default(), Trace::default(), None, None);
        inner.last.clear();
        inner.line(Stream::Out, format!("building the {name}").as_bytes());
        inner.log.flush();
    }

    /// A line of our own.
    pub(super) fn say(&self, line: &str) {
        let mut inner = self.inner();
        inner.line(Stream::Out, line.as_bytes());
        inner.log.flush();
    }

    pub(super) fn take(&self, said: Said) {
        let mut inner = self.inner();
        match said {
            Said::Text(text) => inner.text(&text),
            Said::Status(status) => inner.line(Stream::Out, status.as_bytes()),
            Said::Image(id) => inner.image = Some(id),
            Said::Trace(bytes) => inner.trace(&bytes),
            Said::Failed { code, message } => {
                inner.line(Stream::Err, message.as_bytes());
                inner.failure = Some((code, message));
            }
        }
    }

    pub(super) fn flush(&self) {
        self.inner().log.flush();
    }

    pub(super) fn made(&self) -> Made {
        self.inner().made.clone()
    }

    pub(super) fn image(&self) -> Option<String> {
        self.inner().image.clone()
    }

    pub(super) fn failure(&self) -> Option<(Option<i64>, String)> {
        self.inner().failure.clone()
    }

    /// The last lines, fit for a terminal.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.inner().last.iter().cloned().collect()
    }
}

impl Inner {
    fn text(&mut self, text: &str) {
        let mut whole = Vec::new();
        self.lines.push(text.as_bytes(), |line| whole.push(line.to_vec()));
        for line in whole {
            self.made.note(&String::from_utf8_lossy(&line));
            self.line(Stream::Out, &line);
        }
    }

    fn trace(&mut self, bytes: &[u8]) {
        for line in self.trace.take(bytes) {
            self.line(if line.is_error { Stream::Err } else { Stream::Out }, &line.text);
        }
        if let Some(step) = self.trace.step() {
            step.clone_into(&mut self.made.step);
        }
    }

    fn line(&mut self, stream: Stream, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        self.log.add(stream, line);
        let shown = safe(&String::from_utf8_lossy(line));
        if self.last.len() >= LINES {
            self.last.pop_front();
        }
        self.last.push_back(shown);
    }
}
