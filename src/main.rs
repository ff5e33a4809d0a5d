//! The binary: picks the role.

use std::{process::ExitCode, sync::Arc};

use pilothouse::{
    cli::{self, Roles},
    model::Problem,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    match arguments.get(1).map(String::as_str) {
        // Roles that Pilothouse starts itself, each with its folder; hidden from the help.
        Some("edge") => pilothouse::edge::role(&arguments[2..]),
        Some("keep") => pilothouse::keep::run(&arguments[2..]),
        Some("sample") => cli::sample::main(&arguments[2..]),
        _ => cli::main(std::env::args_os(), roles()),
    }
}

fn roles() -> Roles {
    let absent = || Err(Problem::internal("this build has no engine"));
    Roles {
        run_engine: Arc::new(move |_| absent()),
        launch_engine: Arc::new(move |_| absent()),
        run_console: Arc::new(move |_| absent()),
    }
}
