//! Nim: the first program that the `.nimble` file names.

use super::{
    reading::{is_plain, names, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(file) = tree.ending(".nimble", 0) else {
        return Ok(None);
    };
    let text = tree.text(file).unwrap_or_default();
    let Some(name) = text
        .lines()
        .find(|line| line.trim_start().starts_with("bin"))
        .and_then(|line| quoted_after(line, "="))
        .filter(|name| is_plain(name))
    else {
        return Err(Problem::not_found("this is Nim, but the .nimble file names no program")
            .at(file)
            .hint("add bin = @[\"NAME\"], or say --start 'COMMAND'"));
    };
    let folder =
        quoted_after(text, "binDir").filter(|folder| is_plain(folder)).map(|folder| format!("{folder}/")).unwrap_or_default();
    let framework = ["jester", "prologue", "mummy", "happyx"].into_iter().find(|package| names(text, package));
    let recipe = Recipe::process("nim").framework(framework).packages_by("nimble").built_by("nimble build -y -d:release");
    Ok(Some(recipe.started_by(format!("./{folder}{name}")).because(tree.proof_at(
        file,
        "bin",
        format!("built by nimble; starts {name}"),
    ))))
}
