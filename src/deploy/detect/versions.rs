//! Which version of its language a project asks for: told as a proof; the host's own is used.

use super::{reading::quoted_after, tree::Tree};
use crate::model::recipe::{Proof, Recipe};

/// Files that hold nothing but a version: (language, name, file).
const FILES: &[(&str, &str, &str)] = &[
    ("node", "Node", ".nvmrc"),
    ("node", "Node", ".node-version"),
    ("python", "Python", ".python-version"),
    ("python", "Python", "runtime.txt"),
    ("ruby", "Ruby", ".ruby-version"),
    ("java", "Java", ".java-version"),
    ("kotlin", "Java", ".java-version"),
    ("go", "Go", ".go-version"),
    ("php", "PHP", ".php-version"),
    ("rust", "Rust", "rust-toolchain"),
];
/// Lines that name one, in files with more: (language, name, file, key).
const LINES: &[(&str, &str, &str, &str)] = &[
    ("python", "Python", "pyproject.toml", "requires-python"),
    ("python", "Python", "Pipfile", "python_version"),
    ("ruby", "Ruby", "Gemfile", "ruby "),
    ("rust", "Rust", "rust-toolchain.toml", "channel"),
    ("rust", "Rust", "Cargo.toml", "rust-version"),
    ("php", "PHP", "composer.json", "\"php\":"),
    ("dotnet", ".NET SDK", "global.json", "\"version\":"),
    ("elixir", "Elixir", "mix.exs", "elixir:"),
    ("scala", "sbt", "project/build.properties", "sbt.version"),
];
/// Names of languages in the files of version managers.
const TOOLS: &[(&str, &[&str])] = &[
    ("node", &["nodejs", "node", "bun"]),
    ("python", &["python"]),
    ("ruby", &["ruby"]),
    ("java", &["java"]),
    ("kotlin", &["java", "kotlin"]),
    ("go", &["golang", "go"]),
    ("rust", &["rust"]),
    ("php", &["php"]),
    ("elixir", &["elixir"]),
    ("erlang", &["erlang"]),
    ("deno", &["deno"]),
    ("dotnet", &["dotnet", "dotnet-core"]),
    ("gleam", &["gleam"]),
    ("zig", &["zig"]),
];

/// The proofs of the versions asked for, the most telling first; at most two.
pub(super) fn proofs(tree: &Tree<'_>, recipe: &Recipe) -> Vec<Proof> {
    let language = recipe.language.as_str();
    let asks = |name: &str, version: &str| format!("asks for {name} {}", version.escape_debug());
    let mut found = Vec::new();
    for (_, name, file) in FILES.iter().filter(|(of, ..)| *of == language) {
        let first =
            tree.text(file).and_then(|text| text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')));
        // The old rust-toolchain may be written in TOML.
        if let Some(version) = first.filter(|version| version.len() < 40 && !version.starts_with('[')) {
            found.push(tree.proof(file, asks(name, version.trim_start_matches("python-"))));
        }
    }
    for (_, name, file, key) in LINES.iter().filter(|(of, ..)| *of == language) {
        if let Some(version) = tree.text(file).and_then(|text| quoted_after(text, key)).filter(|version| version.len() < 40) {
            found.push(tree.proof_at(file, key, asks(name, version)));
        }
    }
    if language == "node" {
        found.extend(engines(tree, &asks));
    }
    for tool in TOOLS.iter().filter(|(of, _)| *of == language).flat_map(|(_, tools)| *tools) {
        for file in [".tool-versions", "mise.toml", ".mise.toml"] {
            let line = tree.text(file).and_then(|text| text.lines().find(|line| line.split([' ', '=']).next() == Some(tool)));
            if let Some(line) = line {
                let version = line[tool.len()..].trim_matches([' ', '=', '"', '\'']);
                found.push(tree.proof_at(file, line, asks(tool, version)));
            }
        }
    }
    found.truncate(2);
    found
}

fn engines(tree: &Tree<'_>, asks: &dyn Fn(&str, &str) -> String) -> Option<Proof> {
    let text = tree.text("package.json")?;
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let version = json["engines"]["node"].as_str().or_else(|| json["volta"]["node"].as_str())?;
    let key = if json["engines"]["node"].is_string() { "\"engines\"" } else { "\"volta\"" };
    (version.len() < 40).then(|| tree.proof_at("package.json", key, asks("Node", version)))
}
