//! The keeper role: one tiny process per instance, which owns its pipes, log, exit status and restarts.
//!
//! Engine and agent may die: no line and no exit status is lost. A keeper's folder holds `spec.json` (what to run; mode
//! 0600; the environment by its names alone, for its values are handed over in memory), `labels.json` (whose log it is), `state.json` (what is observed, written by the
//! keeper alone) and `log/`.

mod boot;
mod child;
mod clock;
mod handed;
mod keeper;
pub mod launch;
pub mod lines;
pub mod log;
mod memory;
mod output;
pub mod port;
pub mod process;
pub mod spec;
pub mod state;
pub mod strays;

use std::{path::Path, process::ExitCode};

pub use child::MARK;
pub use spec::{Program, Restart, Spec};
pub use state::KeeperState;

/// The hidden role `keep`, with the arguments after that word: `DIR` keeps, `--launch DIR` starts a keeper that is
/// nobody's child and ends, `--exec DIR` turns into the program of the spec,
/// `--detach ARGUMENTS` starts this program with other arguments and ends.
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--launch", dir] => boot::launch(Path::new(dir)),
        ["--exec", dir] => child::become_program(Path::new(dir), None),
        ["--exec", dir, control_group] => child::become_program(Path::new(dir), Some(Path::new(control_group))),
        ["--detach", ref arguments @ ..] => boot::detach(arguments),
        [dir] => boot::keep(Path::new(dir)),
        _ => ExitCode::from(2),
    }
}
