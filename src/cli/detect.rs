//! `detect [PATH]`: what a folder is, and which file proves it; works without an engine.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    Ended,
    output::{Output, Tone},
};
use crate::{
    deploy,
    model::{problem::Problem, recipe::Recipe, source::Survey},
    sources::folder,
};

#[derive(Debug, Args)]
pub struct Detect {
    #[arg(default_value = ".")]
    path: PathBuf,
}

impl Detect {
    pub fn run(self, output: &Output) -> Result<Ended, Problem> {
        let recipe = recipe(&self.path)?;
        if output.json {
            output.document(&recipe);
        } else {
            tell(&recipe, output);
        }
        Ok(Ended::Well)
    }
}

/// The recipe of the folder at `path`. Reads only; what the manifest says is not part of it.
pub fn recipe(path: &Path) -> Result<Recipe, Problem> {
    of(&folder::look(path)?, path)
}

/// The recipe of what a look at the folder at `path` found.
pub fn of(survey: &Survey, path: &Path) -> Result<Recipe, Problem> {
    deploy::detect::detect(survey).map_err(|problem| match problem.at {
        None => problem.at(path.display().to_string()),
        Some(_) => problem,
    })
}

fn tell(recipe: &Recipe, output: &Output) {
    let framework = recipe.framework.as_deref().map(|framework| format!(", {framework}")).unwrap_or_default();
    output.line(&output.paint(Tone::Bold, &format!("{}{framework}", recipe.language)));
    let port = recipe.port.map(|port| port.to_string());
    let rows = [
        ("packages", recipe.package_manager.as_deref()),
        ("runtime", Some(recipe.runtime.as_str())),
        ("install", recipe.install.as_deref()),
        ("build", recipe.build.as_deref()),
        ("start", recipe.start.as_deref()),
        ("output", recipe.output.as_deref()),
        ("port", port.as_deref()),
    ];
    for (label, value) in rows {
        if let Some(value) = value {
            output.line(&format!("{}{value}", output.paint(Tone::Muted, &format!("  {label:<10}"))));
        }
    }
    for (name, command) in &recipe.processes {
        output.line(&format!("{}{command}", output.paint(Tone::Muted, &format!("  {name:<10}"))));
    }
    for proof in &recipe.proof {
        output.line(&output.paint(Tone::Muted, &format!("  because {}: {}", proof.file, proof.why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_keeps_its_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "<h1>hello</h1>").unwrap();
        let document = serde_json::to_value(recipe(folder.path()).unwrap()).unwrap();
        let fields =
            ["language", "framework", "package_manager", "runtime", "install", "build", "start", "output", "port", "proof"];
        for field in fields {
            assert!(document.get(field).is_some(), "{field} is not in {document}");
        }
        assert!(document["proof"][0]["file"].is_string() && document["proof"][0]["why"].is_string());
    }

    #[test]
    fn what_is_not_recognised_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        let problem = recipe(folder.path()).unwrap_err();
        assert_eq!(problem.at, Some(folder.path().display().to_string()));
        assert!(problem.evidence[0].contains("notes.txt"));
    }
}
