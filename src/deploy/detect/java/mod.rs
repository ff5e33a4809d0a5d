//! Java and Kotlin: built by Maven or Gradle, by the wrapper in the project where there is one; started as a jar.

mod gradle;
mod maven;

use super::tree::Tree;
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    match maven::detect(tree) {
        Some(recipe) => Ok(Some(recipe)),
        None => Ok(gradle::detect(tree)),
    }
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
