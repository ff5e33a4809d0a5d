//! What went wrong, where, and what to do next: the one error that leaves a room.

use std::{fmt, io, path::Path};

use serde::{Deserialize, Serialize};

use super::log::escaped;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// What was asked is wrong: a manifest, a name, a flag.
    User,
    /// What was asked for does not exist.
    NotFound,
    /// It cannot be done in the present state.
    Conflict,
    /// Something needed is absent or does not answer; the same request may succeed later.
    Unavailable,
    /// It was ended by a limit of time, memory or disk.
    Limit,
    /// The app, its build or its tests failed.
    App,
    /// Our own fault.
    Internal,
}

/// A failure told to a person: cause, place, next step, each of one line that a terminal may show.
///
/// What it quotes comes from manifests, repositories and other programs: what a terminal would obey stands escaped (`\t`, `\u{1b}`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: ProblemKind,
    /// Lower case, no full stop: `cannot reach core-iad-1: no answer in 5 s`.
    pub what: String,
    /// File, line and field, or the object concerned: `pilothouse.toml:12 build.install`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The next step: a command, a key, or what to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Evidence, such as the last lines of a log; already safe to print.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Problem {
    pub fn new(kind: ProblemKind, what: impl Into<String>) -> Self {
        Self { kind, what: escaped(&what.into()).into_owned(), at: None, next: None, evidence: Vec::new() }
    }

    pub fn user(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::User, what)
    }

    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, what)
    }

    pub fn conflict(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, what)
    }

    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, what)
    }

    pub fn limit(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::Limit, what)
    }

    pub fn app(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::App, what)
    }

    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::Internal, what)
    }

    /// Of a file or folder that could not be written.
    pub fn unwritable(path: &Path, error: &io::Error) -> Self {
        let place = path.display().to_string();
        if is_full(error) {
            return Self::limit("the disk is full").at(place).hint("free some space, then deploy again");
        }
        Self::unavailable(format!("cannot write it: {error}")).at(place)
    }

    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.at = Some(escaped(&place.into()).into_owned());
        self
    }

    pub fn hint(mut self, next: impl Into<String>) -> Self {
        self.next = Some(escaped(&next.into()).into_owned());
        self
    }

    pub fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    /// Whether the same request may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        self.kind == ProblemKind::Unavailable
    }
}

/// One line: `what, at place; try: next`. Evidence is left to the caller.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(at) = &self.at {
            write!(f, " (at {at})")?;
        }
        if let Some(next) = &self.next {
            write!(f, "; try: {next}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Whether nothing more can be written: the disk, or what its owner may have of it, is used up.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_told_escaped() {
        let problem = Problem::user("`2\t5\u{1b}[31m` is not a size").at("a\nb").hint("\u{202e}é `x`");
        assert_eq!(problem.to_string(), "`2\\t5\\u{1b}[31m` is not a size (at a\\nb); try: \\u{202e}é `x`");
    }

    #[test]
    fn a_problem_names_cause_place_and_next_step() {
        let problem = Problem::user("no such key `comand`").at("pilothouse.toml:12").hint("did you mean `command`?");
        assert_eq!(problem.to_string(), "no such key `comand` (at pilothouse.toml:12); try: did you mean `command`?");
    }
}
