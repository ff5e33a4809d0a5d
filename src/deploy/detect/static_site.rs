//! A folder of files with an `index.html`: served as it is.

use super::{
    node,
    reading::{field, inside},
    tree::Tree,
};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

/// Folders that people keep their pages in, in order; the root first.
const FOLDERS: &[&str] = &[
    ".",
    "public",
    "dist",
    "build",
    "site",
    "_site",
    "www",
    "html",
    "docs",
    "out",
    "static",
    "htdocs",
    "public_html",
    "web",
    "src",
];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    // The file that static buildpacks read: `root: FOLDER`.
    if let Some(text) = tree.text("Staticfile") {
        let told = field(text, "root").and_then(|folder| if folder == "." { Some(".".to_owned()) } else { inside(folder) });
        let found = told.unwrap_or_else(|| folder(tree).unwrap_or(".").to_owned());
        let proof = tree.proof_at("Staticfile", "root", format!("static files in {}", words(&found)));
        return Ok(Some(Recipe::files("static", found).because(proof)));
    }
    Ok(folder(tree).filter(|_| !node::unservable::owns_the_pages(tree)).map(|folder| {
        let proof = tree.proof(&page(folder), format!("static files in {}", words(folder)));
        Recipe::files("static", folder).because(proof)
    }))
}

/// That functions beside static files are not served: a host of another kind runs them.
pub(super) fn functions(tree: &Tree<'_>, recipe: &Recipe) -> Option<Proof> {
    const HOSTS: &[(&str, &str)] = &[("vercel.json", "api/"), ("netlify.toml", "netlify/functions/")];
    let is_there = |(file, folder): &&(&str, &str)| recipe.runtime == "static" && tree.has(file) && tree.has(folder);
    HOSTS
        .iter()
        .find(is_there)
        .map(|(_, folder)| tree.proof(folder, "its functions are not served: say --start 'COMMAND' for a server"))
}

fn folder(tree: &Tree<'_>) -> Option<&'static str> {
    FOLDERS.iter().copied().find(|folder| tree.has(&page(folder)))
}

fn page(folder: &str) -> String {
    if folder == "." { "index.html".to_owned() } else { format!("{folder}/index.html") }
}

fn words(folder: &str) -> &str {
    if folder == "." { "the root" } else { folder }
}
