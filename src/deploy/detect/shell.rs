//! A start script, when nothing else says what this is.

use super::tree::Tree;
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    const SCRIPTS: &[&str] = &["start.sh", "run.sh", "server.sh", "entrypoint.sh", "main.sh"];
    let Some(script) = tree.first(SCRIPTS) else {
        return Ok(None);
    };
    // The executable bit is not known here: the interpreter is named.
    let first = tree.text(script).and_then(|text| text.lines().next()).unwrap_or_default();
    let known = ["bash", "zsh", "fish", "ksh", "dash"];
    let shell = known.into_iter().find(|shell| first.starts_with("#!") && first.split(['/', ' ']).any(|word| word == *shell));
    let recipe = Recipe::process("shell").started_by(format!("{} {script}", shell.unwrap_or("sh")));
    Ok(Some(recipe.because(tree.proof(script, "starts this script"))))
}
