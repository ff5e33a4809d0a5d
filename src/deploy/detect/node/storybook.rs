//! Storybook, when nothing else of a package can be hosted.

use super::{Package, Serves};
use crate::deploy::detect::reading::{inside, word_after};

impl Package<'_> {
    /// The script that builds it.
    pub(super) fn storybook_script(&self) -> Option<&'static str> {
        ["build-storybook", "storybook:build", "build:storybook"].into_iter().find(|name| self.script(name).is_some())
    }

    /// Its files; absent without it, and beside a start script.
    pub(super) fn storybook(&self) -> Option<Serves> {
        let script = self.storybook_script().filter(|_| self.tree.has(".storybook/") && self.start_script().is_none())?;
        let command = self.script(script).unwrap_or_default();
        let told = ["--output-dir", " -o "].into_iter().find_map(|flag| word_after(command, flag)).and_then(inside);
        let folder = told.unwrap_or_else(|| "storybook-static".to_owned());
        Some(Serves::Files { proof: self.says(script, format!("static files in {folder}")), folder: self.output(&folder) })
    }

    /// Whether a page is kept that a bundler takes.
    pub(super) fn has_page(&self) -> bool {
        self.tree.files_to(2).iter().any(|path| *path == "index.html" || path.ends_with("/index.html"))
    }
}
