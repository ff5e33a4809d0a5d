//! Dockerfile: a source that says itself how its image is built.
//!
//! Format: <https://docs.docker.com/reference/dockerfile/>.

use super::tree::{Tree, proof};
use crate::model::{
    Problem,
    dockerfile::{Dockerfile, read},
    recipe::Recipe,
};

/// Name of the file.
pub const FILE: &str = "Dockerfile";

/// The recipe of a source that nothing else than its Dockerfile explains.
pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else { return Ok(None) };
    Ok(Some(over(Recipe { language: "dockerfile".to_owned(), ..Recipe::default() }, &read(text, FILE)?)))
}

/// `recipe`, built and started as the Dockerfile says; its language stays.
pub fn over(mut recipe: Recipe, dockerfile: &Dockerfile) -> Recipe {
    let file = &dockerfile.file;
    "docker".clone_into(&mut recipe.runtime);
    recipe.install = None;
    recipe.build = None;
    recipe.output = None;
    recipe.processes.clear();
    recipe.env.clear();
    recipe.proof.retain(|proof| !proof.why.starts_with("starts ") && !proof.why.starts_with("static files in "));
    if let Some((base, line)) = dockerfile.bases.last() {
        recipe.proof.push(proof(format!("{file}:{line}"), format!("image from {base}")));
    } else {
        recipe.proof.push(proof(file.clone(), "builds the image"));
    }
    recipe.start = dockerfile.start.as_ref().map(|(words, line)| {
        recipe.proof.push(proof(format!("{file}:{line}"), format!("starts `{words}`")));
        words.clone()
    });
    recipe.port = dockerfile.ports.first().copied().or(recipe.port);
    recipe
}
