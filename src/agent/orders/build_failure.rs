//! Why a build's command did not give what it should, with its last lines and the next step.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::model::{
    Problem,
    ids::AppId,
    instance::Exit,
    log::{Stream, read_record, safe},
    manifest::BuildLimits,
    units::{Bytes, Millis},
};

/// Lines of the log that are shown as evidence.
const LINES: usize = 20;
/// Bytes of the log in which they are looked for.
const TAIL: u64 = 64 << 10;

/// A command of a build.
pub(super) struct Command<'a> {
    pub(super) app: &'a AppId,
    /// `install`, `build`.
    pub(super) name: &'a str,
    pub(super) line: &'a str,
    /// Folder of its log.
    pub(super) log: PathBuf,
}

impl Command<'_> {
    fn place(&self) -> String {
        format!("{}: {}", self.name, self.line)
    }

    /// The flag that gives another command.
    fn flag(&self) -> &'static str {
        if self.name == "install" { "--install" } else { "--build" }
    }
}

/// The problem of a command that ended badly after `ran`.
pub(super) fn of_exit(command: &Command<'_>, exit: &Exit, ran: Millis, limits: &BuildLimits) -> Problem {
    let name = command.name;
    let lines = last_lines(&command.log);
    if exit.out_of_memory {
        return Problem::limit(format!("{name} took more memory than {}", limits.memory))
            .at(command.place())
            .hint("raise build.limits.memory in pilothouse.toml, or have the build take less")
            .evidence(lines);
    }
    if exit.timed_out {
        return Problem { at: Some(command.place()), ..out_of_time(limits) }.evidence(lines);
    }
    let problem = Problem::app(format!("{name} failed: {} after {ran}", exit.words())).at(command.place());
    let app = command.app;
    let problem = match (missing_program(exit, &lines), mismatch(&lines)) {
        (Some(program), _) => problem.hint(format!(
            "`{program}` is not installed on this host: install it, or give another command by {}",
            command.flag()
        )),
        (None, Some((file, mends))) => {
            problem.hint(format!("{file} does not match what is asked for: run `{mends}`, and commit it"))
        }
        (None, None) => problem.hint(format!(
            "pilothouse logs {app} --build shows all of it; mend it, or give another command by {}",
            command.flag()
        )),
    };
    problem.evidence(lines)
}

/// `sh: 1: pnpm: not found` with exit 127 (POSIX, Shell Command Language 2.8.2).
fn missing_program(exit: &Exit, lines: &[String]) -> Option<String> {
    if exit.code != Some(127) {
        return None;
    }
    let line = lines.iter().rev().find(|line| line.ends_with("not found"))?;
    let line = line.trim_end_matches("not found").trim_end().trim_end_matches("command");
    let word = line.trim_end_matches([' ', ':']).rsplit(": ").next()?.trim();
    (!word.is_empty() && !word.contains(' ')).then(|| word.to_owned())
}

/// What package managers say of a lock file that is behind: words of theirs, the file, the command that mends it.
const MISMATCHES: &[(&str, &str, &str)] = &[
    ("your package.json and package-lock.json", "package-lock.json", "npm install"),
    ("ERR_PNPM_OUTDATED_LOCKFILE", "pnpm-lock.yaml", "pnpm install"),
    ("Your lockfile needs to be updated", "yarn.lock", "yarn install"),
    ("lockfile would have been modified by this install", "yarn.lock", "yarn install"),
    ("lockfile had changes, but lockfile is frozen", "bun.lock", "bun install"),
    ("The lockfile at `uv.lock` needs to be updated", "uv.lock", "uv lock"),
    ("changed significantly since poetry.lock", "poetry.lock", "poetry lock"),
    ("missing go.sum entry", "go.sum", "go mod tidy"),
    ("lock file is not up to date with the latest changes in composer.json", "composer.lock", "composer update --lock"),
];

fn mismatch(lines: &[String]) -> Option<(&'static str, &'static str)> {
    let said = |words: &str| lines.iter().any(|line| line.contains(words));
    MISMATCHES.iter().find(|(words, ..)| said(words)).map(|(_, file, mends)| (*file, *mends))
}

pub(super) fn out_of_time(limits: &BuildLimits) -> Problem {
    Problem::limit(format!("the build took longer than {}", limits.time))
        .hint("raise build.limits.time in pilothouse.toml, or find what it waits for in its log")
}

pub(super) fn out_of_disk(limit: Bytes) -> Problem {
    Problem::limit(format!("the build took more than {limit} of disk"))
        .hint("raise build.limits.disk in pilothouse.toml, or have it leave less behind")
}

/// The keeper was killed: nobody knows how far the command came.
pub(super) fn lost(command: &Command<'_>) -> Problem {
    Problem::unavailable(format!("{} was interrupted: its keeper was killed", command.name))
        .at(command.place())
        .hint("it begins anew by itself")
        .evidence(last_lines(&command.log))
}

/// The last lines that the command wrote, fit for a terminal.
fn last_lines(log: &Path) -> Vec<String> {
    let mut lines = lines_of(&log.join("current"));
    if lines.len() < LINES {
        let mut older = lines_of(&log.join("1"));
        older.append(&mut lines);
        lines = older;
    }
    lines.split_off(lines.len().saturating_sub(LINES))
}

fn lines_of(file: &Path) -> Vec<String> {
    let tail = || {
        let mut file = File::open(file).ok()?;
        let from = file.metadata().ok()?.len().saturating_sub(TAIL);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = tail().unwrap_or_default();
    // The first line may be torn by the cut: then it does not read as a record, or shows less.
    let records = text.lines().filter_map(read_record).filter(|(_, stream, _)| *stream != Stream::Keeper);
    records.map(|(.., line)| safe(line)).filter(|line| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Timestamp;

    #[test]
    fn a_missing_program_is_named_however_the_shell_says_it() {
        let exit = Exit { code: Some(127), signal: None, out_of_memory: false, timed_out: false, at: Timestamp(0) };
        for line in ["sh: 1: pnpm: not found", "/bin/sh: line 1: pnpm: command not found", "sh: pnpm: not found"] {
            assert_eq!(missing_program(&exit, &[line.to_owned()]).as_deref(), Some("pnpm"), "{line}");
        }
        assert_eq!(missing_program(&exit, &["npm error 404 'x' not found".to_owned()]), None);
    }
}
