//! A page that stands in the source, and a build beside it that completes it: styles, a bundle.

use super::{Package, Serves};

/// Where such pages stand: folders that are served as they are.
const FOLDERS: &[&str] = &[".", "public", "www", "static", "htdocs", "public_html"];

fn index(folder: &str) -> String {
    if folder == "." { "index.html".to_owned() } else { format!("{folder}/index.html") }
}

impl Package<'_> {
    /// The folder of the page, when there is a build script and nothing that bundles into a folder of its own.
    pub(super) fn built_page(&self) -> Option<Serves> {
        let script = self.build_script()?;
        let folder = FOLDERS.iter().copied().find(|folder| self.tree.has(&index(folder)))?;
        let words = if folder == "." { "the root" } else { folder };
        let proof = self.tree.proof(&index(folder), format!("static files in {words}, where scripts.{script} builds"));
        let folder = match &self.member {
            Some(member) if folder == "." => member.folder.clone(),
            _ => self.output(folder),
        };
        Some(Serves::Files { folder, proof })
    }

    /// Whether a page loads the file: what runs in a browser is not started.
    pub(super) fn is_of_a_page(&self, file: &str) -> bool {
        FOLDERS.iter().any(|folder| {
            let inner = if *folder == "." { Some(file) } else { file.strip_prefix(&format!("{folder}/")) };
            let text = self.tree.text(&index(folder)).filter(|_| inner.is_some()).unwrap_or_default();
            let loads =
                |quote: char, before: &str| text.contains(&format!("src={quote}{before}{}{quote}", inner.unwrap_or(file)));
            ['"', '\''].into_iter().any(|quote| ["", "./", "/"].into_iter().any(|before| loads(quote, before)))
        })
    }
}
