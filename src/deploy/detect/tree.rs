//! What detection sees of a source: which files there are, and what the few that matter say.

use crate::model::{recipe::Proof, source::Survey};

/// A survey with questions.
pub(super) struct Tree<'a> {
    survey: &'a Survey,
}

impl<'a> Tree<'a> {
    pub(super) fn new(survey: &'a Survey) -> Self {
        Self { survey }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.survey.listing.is_empty()
    }

    /// Whether the file is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.survey.listing.binary_search_by(|there| there.as_str().cmp(path)).is_ok()
    }

    /// The first of `paths` that is there.
    pub(super) fn first<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.survey.texts.get(path).map(String::as_str)
    }

    /// The first of `paths` that has a text, with it.
    pub(super) fn first_text<'p>(&self, paths: &[&'p str]) -> Option<(&'p str, &'a str)> {
        paths.iter().find_map(|path| Some((*path, self.text(path)?)))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &'a str> {
        self.survey.listing.iter().map(String::as_str).filter(|path| !path.ends_with('/'))
    }

    /// `path:line` of the first line that holds `needle`, else `path`.
    pub(super) fn place(&self, path: &str, needle: &str) -> String {
        let is_comment = |line: &str| line.trim_start().starts_with("//") || line.trim_start().starts_with('#');
        let line = self.text(path).and_then(|text| text.lines().position(|line| line.contains(needle) && !is_comment(line)));
        line.map_or_else(|| path.to_owned(), |line| format!("{path}:{}", line + 1))
    }

    /// The first few names in the root, for a message.
    pub(super) fn root_words(&self) -> String {
        let mut names: Vec<String> = self
            .survey
            .listing
            .iter()
            .filter_map(|path| {
                let inner = path.strip_suffix('/').unwrap_or(path);
                (!inner.contains('/')).then(|| path.escape_debug().to_string())
            })
            .collect();
        let more = names.len().saturating_sub(12);
        names.truncate(12);
        let names = names.join(", ");
        if more > 0 { format!("{names} and {more} more") } else { names }
    }

    /// A folder one level down that looks like an app.
    pub(super) fn nested(&self) -> Option<&'a str> {
        const SIGNS: [&str; 6] = ["package.json", "requirements.txt", "pyproject.toml", "manage.py", "Procfile", "index.html"];
        self.files().find_map(|path| {
            let (folder, file) = path.split_once('/')?;
            SIGNS.contains(&file).then_some(folder)
        })
    }
}

/// A proof.
pub(super) fn proof(file: impl Into<String>, why: impl Into<String>) -> Proof {
    Proof { file: file.into(), why: why.into() }
}
