//! Java and Kotlin: built by Maven or Gradle, by the wrapper in the project where there is one; started as a jar.

mod gradle;
mod maven;

use super::{
    reading::{ends, is_plain},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    Ok(maven::detect(tree).or_else(|| gradle::detect(tree)))
}

/// Sources in the root and nothing that builds them: told late, since they may lie beside anything. One file is run as it is (JEP 330);
/// of several the one with `main` is, once they are compiled.
#[expect(clippy::unnecessary_wraps, reason = "the shape of all languages")]
pub(super) fn alone(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let sources: Vec<&str> = tree.files_to(0).into_iter().filter(|path| ends(path, ".java")).collect();
    let starts = |path: &&&str| tree.says(path, "void main(");
    let Some(main) = sources.iter().find(starts).filter(|path| is_plain(path)) else {
        return Ok(None);
    };
    let recipe = Recipe::process("java").because(tree.proof_at(main, "void main(", "starts its main"));
    if sources.len() == 1 {
        return Ok(Some(recipe.started_by(format!("java {main}"))));
    }
    let package = tree.text(main).and_then(|text| field_of(text, "package")).map(|package| format!("{package}."));
    let class = format!("{}{}", package.unwrap_or_default(), main.trim_end_matches(".java"));
    Ok(Some(recipe.built_by("javac -d out *.java").started_by(format!("java -cp out {class}"))))
}

/// `shop.web` of `package shop.web;`.
fn field_of<'t>(text: &'t str, keyword: &str) -> Option<&'t str> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(keyword)?.strip_prefix(' '))?;
    line.split_once(';').map(|(value, _)| value.trim()).filter(|value| is_plain(value))
}

/// `kotlin` when nothing is written in Java.
fn language(tree: &Tree<'_>) -> &'static str {
    let has = |end: &str| tree.files().any(|path| path.contains("src/") && path.ends_with(end));
    if has(".kt") && !has(".java") {
        "kotlin"
    } else if has(".groovy") && !has(".java") {
        "groovy"
    } else {
        "java"
    }
}
