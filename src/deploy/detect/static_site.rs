//! A folder of files with an `index.html`: served as it is.

use super::tree::{Tree, proof};
use crate::model::{Problem, recipe::Recipe};

/// Folders that people keep their pages in, in order; the root first.
const FOLDERS: &[&str] = &[".", "public", "dist", "build", "site", "_site", "www", "html", "docs"];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let page = |folder: &str| if folder == "." { "index.html".to_owned() } else { format!("{folder}/index.html") };
    let Some(folder) = FOLDERS.iter().find(|folder| tree.has(&page(folder))) else {
        return Ok(None);
    };
    Ok(Some(Recipe {
        language: "static".to_owned(),
        runtime: "static".to_owned(),
        output: Some((*folder).to_owned()),
        proof: vec![proof(page(folder), "static files in ".to_owned() + if *folder == "." { "the root" } else { folder })],
        ..Recipe::default()
    }))
}
