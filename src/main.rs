//! The binary: picks the role.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        // Roles that Pilothouse starts itself, each with its folder; hidden from the help.
        Some("keep") => pilothouse::keep::run(&arguments[2..]),
        // One line per role: "keep" => …, "edge" => …, "sample" => …
        _ => ExitCode::from(2),
    }
}
