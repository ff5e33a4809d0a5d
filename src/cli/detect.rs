//! `detect`: what a folder is and how it would be built and started, with proof; without an engine.

use std::path::Path;

use crate::{deploy::detect, model::Problem, model::recipe::Recipe, sources::folder};

/// The recipe of the folder at `path`. Reads only; what the manifest says is not part of it.
pub fn run(path: &Path) -> Result<Recipe, Problem> {
    detect::detect(&folder::look(path)?).map_err(|problem| match problem.at {
        None => problem.at(path.display().to_string()),
        Some(_) => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_recognised_in_under_20_ms() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), r#"{"scripts":{"start":"node server.js"}}"#).unwrap();
        for n in 0..200 {
            std::fs::write(folder.path().join(format!("file-{n}.js")), "").unwrap();
        }
        let fastest = (0..5).map(|_| {
            let begun = tokio::time::Instant::now();
            assert_eq!(run(folder.path()).unwrap().start.as_deref(), Some("node server.js"));
            begun.elapsed()
        });
        assert!(fastest.min().unwrap().as_millis() < 20);
    }

    #[test]
    fn what_is_not_recognised_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        let problem = run(folder.path()).unwrap_err();
        assert_eq!(problem.at, Some(folder.path().display().to_string()));
        assert!(problem.evidence[0].contains("notes.txt"));
    }
}
