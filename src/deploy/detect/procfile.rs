//! `Procfile`: one process per line, `NAME: COMMAND`; it says what is started, whatever the language.

use super::{
    go, php,
    tree::{Tree, proof},
};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

/// Name of the file.
const FILE: &str = "Procfile";

/// One line.
pub(super) struct Line {
    name: String,
    command: String,
    number: usize,
}

/// The processes, in the file's order; empty without a `Procfile`.
pub(super) fn read(tree: &Tree<'_>) -> Result<Vec<Line>, Problem> {
    tree.survey().check_whole(FILE)?;
    let mut processes: Vec<Line> = Vec::new();
    for (index, text) in tree.text(FILE).unwrap_or_default().lines().enumerate() {
        let (text, number) = (text.trim().trim_start_matches('\u{feff}'), index + 1);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let wrong = |what: String, next: &str| Problem::user(what).at(format!("{FILE}:{number}")).hint(next.to_owned());
        let Some((name, command)) = text.split_once(':').map(|(name, command)| (name.trim(), command.trim())) else {
            return Err(wrong("this is no process".to_owned(), "write `NAME: COMMAND`, such as `web: node server.js`"));
        };
        let shaped = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if !shaped || name.is_empty() || name.len() > 40 {
            let what = format!("`{}` cannot be a process's name", name.escape_debug());
            return Err(wrong(what, "use lower-case letters, digits, `-` and `_`, at most 40"));
        }
        if command.is_empty() {
            return Err(wrong(format!("`{name}` has no command"), "write `NAME: COMMAND`, such as `web: node server.js`"));
        }
        if let Some(first) = processes.iter().find(|line| line.name == name) {
            return Err(wrong(format!("`{name}` stands in line {} already", first.number), "leave one of them"));
        }
        processes.push(Line { name: name.to_owned(), command: command.to_owned(), number });
    }
    Ok(processes)
}

/// The recipe of a source that is nothing but its `Procfile`.
pub(super) fn alone() -> Recipe {
    Recipe::process("shell")
}

/// `recipe`, started as `processes` say; install and build stay.
pub(super) fn over(mut recipe: Recipe, tree: &Tree<'_>, mut processes: Vec<Line>) -> Recipe {
    // What is built for `web` comes first.
    processes.sort_by_key(|line| line.name != "web");
    let detected = recipe.start.clone().filter(|_| processes.first().is_none_or(|line| line.name != "web"));
    for mut line in processes {
        let place = format!("{FILE}:{}", line.number);
        if detected.as_ref().is_some_and(|start| is_same(tree, start, &line.command)) {
            recipe.proof.push(proof(place, format!("`{}` is the start command: it is started once", line.name)));
            continue;
        }
        line.command = as_here(&mut recipe, tree, &line).unwrap_or_else(|| with_programs(&recipe, line.command));
        match line.name.as_str() {
            "web" => {
                recipe.proof.retain(|proof| !is_of_start(proof));
                recipe.proof.push(proof(place, "starts `web`"));
                recipe.start = Some(line.command);
                recipe.output = None;
                "process".clone_into(&mut recipe.runtime);
                if recipe.language == "static" {
                    "shell".clone_into(&mut recipe.language);
                }
            }
            // On the platforms that know it, it runs once before a release takes over.
            "release" => recipe.proof.push(proof(place, "`release` is not run yet; left out")),
            _ => {
                recipe.proof.push(proof(place, format!("starts `{}`", line.name)));
                recipe.processes.push((line.name, line.command));
            }
        }
    }
    recipe
}

/// Whether two commands start the same thing, however its program and its script are named.
fn is_same(tree: &Tree<'_>, one: &str, other: &str) -> bool {
    let scripts: Option<serde_json::Value> = tree.text("package.json").and_then(|text| serde_json::from_str(text).ok());
    let script = |command: &str| {
        let mut words = command.split_whitespace();
        words.next().filter(|program| ["npm", "yarn", "pnpm", "bun"].contains(program))?;
        let name = words.next().and_then(|word| if word == "run" { words.next() } else { Some(word) })?;
        scripts.as_ref()?["scripts"][name].as_str().filter(|_| words.next().is_none()).map(str::to_owned)
    };
    let bare = |command: &str| {
        let command = script(command).unwrap_or_else(|| command.to_owned());
        let mut words = command.split_whitespace().skip_while(|word| *word == "exec").map(|word| word.trim_start_matches("./"));
        let program = words.next().map(|program| program.rsplit('/').next().unwrap_or(program).trim_end_matches('3').to_owned());
        let rest: Vec<String> = words.filter(|word| *word != "-u").map(str::to_owned).collect();
        (program, rest)
    };
    bare(one) == bare(other)
}

/// What this host says for a command that only the platforms know; absent when it is said alike.
fn as_here(recipe: &mut Recipe, tree: &Tree<'_>, line: &Line) -> Option<String> {
    match recipe.language.as_str() {
        "php" => php::in_place_of(&line.command, recipe),
        "go" => go::for_procfile(recipe, tree, line.name == "web", &line.command),
        _ => None,
    }
}

/// Procfiles name programs of the app's own packages (`web: gunicorn shop:app`): they are found first.
fn with_programs(recipe: &Recipe, command: String) -> String {
    let folder = match (recipe.language.as_str(), &recipe.install) {
        ("python", Some(_)) => ".venv/bin",
        ("node", Some(_)) => "node_modules/.bin",
        _ => return command,
    };
    let first = command.split_whitespace().next().unwrap_or_default();
    if first.contains('/') || ["node", "npm", "npx", "pnpm", "yarn", "bun"].contains(&first) {
        return command;
    }
    format!("PATH=\"$PWD/{folder}:$PATH\"; {command}")
}

/// Whether a language's proof is about the start command that the `Procfile` replaces.
fn is_of_start(proof: &Proof) -> bool {
    proof.why.starts_with("starts ") || proof.why.starts_with("static files in ")
}
