//! Deno: its tasks, Fresh, or a file that only Deno runs.

use serde_json::Value;

use super::tree::Tree;
use crate::model::{Problem, recipe::Recipe};

const FILES: &[&str] = &["deno.json", "deno.jsonc"];
const ENTRIES: &[&str] = &[
    "main.ts",
    "server.ts",
    "mod.ts",
    "index.ts",
    "app.ts",
    "main.tsx",
    "main.js",
    "server.js",
    "index.js",
    "src/main.ts",
    "src/server.ts",
    "src/index.ts",
    "src/mod.ts",
];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(file) = tree.first(FILES) else {
        return Ok(alone(tree));
    };
    let json: Value = serde_json::from_str(&without_comments(tree.text(file).unwrap_or_default())).unwrap_or_default();
    let text = tree.text(file).unwrap_or_default();
    // A package.json that brings its own manager keeps the word: Deno only checks there.
    let locks = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"];
    if tree.has("package.json") && tree.first(&locks).is_some() && !tree.has("deno.lock") {
        return Ok(None);
    }
    let task = |name: &str| {
        let task = &json["tasks"][name];
        task.as_str().or_else(|| task["command"].as_str())
    };
    let develops = |command: &str| {
        command.contains("--watch") || command.contains("dev.ts") && !command.contains("build") || command.trim() == "vite"
    };
    let is_fresh = text.contains("$fresh/") || text.contains("@fresh/core") || text.contains("/fresh@");
    let known = [
        ("@hono/hono", "hono"),
        ("npm:hono", "hono"),
        ("@oak/oak", "oak"),
        ("/oak@", "oak"),
        ("npm:express", "express"),
        ("@lume", "lume"),
        ("/lume@", "lume"),
    ];
    let framework = if is_fresh {
        Some("fresh")
    } else {
        known.into_iter().find(|(package, _)| text.contains(package)).map(|(_, name)| name)
    };

    let mut recipe = Recipe::process("deno").framework(framework).packages_by("deno").because(tree.proof(file, "run by deno"));
    let imports = json["imports"].as_object().is_some_and(|imports| !imports.is_empty()) || tree.has("package.json");
    if imports {
        recipe = recipe.installed_by(if tree.has("deno.lock") { "deno install --frozen" } else { "deno install" });
    }
    if task("build").is_some() {
        recipe = recipe.built_by("deno task build").because(tree.proof_at(file, "\"build\"", "tasks.build builds it"));
    }
    if framework == Some("lume") {
        let proof = tree.proof(file, "static files in _site");
        let recipe = if recipe.build.is_none() { recipe.built_by("deno run -A npm:lume") } else { recipe };
        return Ok(Some(Recipe { runtime: "static".to_owned(), output: Some("_site".to_owned()), ..recipe }.because(proof)));
    }
    let names = ["start", "serve", "prod", "production", "preview"];
    let started = names.into_iter().find_map(|name| Some((name, task(name).filter(|command| !develops(command))?)));
    let (start, proof) = match started {
        // `deno serve` listens on 8000 unless told, whatever PORT says.
        Some((name, command)) if command.starts_with("deno serve") && !command.contains("--port") => {
            let entry = command.split_whitespace().last().unwrap_or("main.ts");
            let start = format!("deno serve --allow-all --host 127.0.0.1 --port $PORT {entry}");
            (start, tree.proof_at(file, &format!("\"{name}\""), format!("starts what tasks.{name} serves")))
        }
        Some((name, _)) if name != "preview" => {
            (format!("deno task {name}"), tree.proof_at(file, &format!("\"{name}\""), format!("starts tasks.{name}")))
        }
        _ => match tree.first(ENTRIES) {
            Some(entry) => (run(tree, entry), tree.proof(entry, "starts a file with a usual name")),
            None => {
                return Err(Problem::not_found("this is Deno, but nothing says how it is started")
                    .at(file)
                    .hint("add a `start` task to deno.json, or main.ts, or say --start 'COMMAND'"));
            }
        },
    };
    Ok(Some(recipe.started_by(start).on_port(8000).because(proof)))
}

/// A file that only Deno runs, with nothing beside it.
fn alone(tree: &Tree<'_>) -> Option<Recipe> {
    if tree.has("package.json") {
        return None;
    }
    const SIGNS: &[&str] = &[
        "Deno.",
        "from \"jsr:",
        "from 'jsr:",
        "from \"npm:",
        "from 'npm:",
        "https://deno.land/",
        "https://esm.sh/",
        "https://jsr.io/",
    ];
    let entry = ENTRIES.iter().find(|entry| SIGNS.iter().any(|sign| tree.says(entry, sign)));
    let entry = entry.or_else(|| ENTRIES.iter().find(|entry| tree.has("deno.lock") && tree.has(entry)))?;
    let sign = SIGNS.iter().find(|sign| tree.says(entry, sign)).copied().unwrap_or_default();
    let recipe = Recipe::process("deno").started_by(run(tree, entry)).on_port(8000);
    Some(recipe.because(tree.proof_at(entry, sign, "starts a file that Deno runs")))
}

fn run(tree: &Tree<'_>, entry: &str) -> String {
    let serves = tree.text(entry).is_some_and(|text| text.contains("export default") && text.contains("fetch"));
    if serves {
        format!("deno serve --allow-all --host 127.0.0.1 --port $PORT {entry}")
    } else {
        format!("deno run --allow-all {entry}")
    }
}

/// JSON with comments and commas at the end, as JSON.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(_)) if quoted => {
                kept.push(c);
                kept.extend(rest.next());
            }
            ('"', _) => {
                quoted = !quoted;
                kept.push(c);
            }
            ('/', Some('/')) if !quoted => {
                while rest.peek().is_some_and(|c| *c != '\n') {
                    rest.next();
                }
            }
            ('/', Some('*')) if !quoted => {
                let mut before = ' ';
                while let Some(c) = rest.next().filter(|c| !(before == '*' && *c == '/')) {
                    before = c;
                }
            }
            ('}' | ']', _) if !quoted => {
                let end = kept.trim_end().len();
                if kept[..end].ends_with(',') {
                    kept.truncate(end - 1);
                }
                kept.push(c);
            }
            _ => kept.push(c),
        }
    }
    kept
}
