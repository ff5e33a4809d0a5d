//! A start script, when nothing else says what this is.

use super::tree::Tree;
use crate::model::{Problem, recipe::Recipe};

const SCRIPTS: &[&str] = &["start.sh", "run.sh", "server.sh", "entrypoint.sh", "main.sh"];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    Ok(tree.first(SCRIPTS).map(|script| recipe(tree, script)))
}

/// A script that serves, beside pages in a folder of their own: it knows more of them. A page in the root wins over it.
pub(super) fn beside_pages(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    const SERVES: &[&str] =
        &["PORT", "exec ", "http.server", "httpd", "nc -l", "ncat ", "socat ", "php -S", "nginx", "caddy ", "lighttpd"];
    let is_code = |line: &&str| !line.trim_start().starts_with('#') && !line.trim_start().starts_with("echo ");
    let serves = |script: &&&str| {
        let text = tree.text(script).unwrap_or_default();
        text.lines().filter(is_code).any(|line| SERVES.iter().any(|sign| line.contains(sign)))
    };
    let is_free = tree.first(&["index.html", "Staticfile", "Dockerfile", "package.json"]).is_none();
    Ok(SCRIPTS[..3].iter().filter(|script| is_free && tree.has(script)).find(serves).map(|script| recipe(tree, script)))
}

fn recipe(tree: &Tree<'_>, script: &str) -> Recipe {
    // The executable bit is not known here: the interpreter is named.
    let first = tree.text(script).and_then(|text| text.lines().next()).unwrap_or_default();
    let known = ["bash", "zsh", "fish", "ksh", "dash"];
    let shell = known.into_iter().find(|shell| first.starts_with("#!") && first.split(['/', ' ']).any(|word| word == *shell));
    let recipe = Recipe::process("shell").started_by(format!("{} {script}", shell.unwrap_or("sh")));
    recipe.because(tree.proof(script, "starts this script"))
}
