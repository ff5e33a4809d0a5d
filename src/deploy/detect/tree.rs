//! What detection sees of a source: which files there are, and what the few that matter say.

use crate::model::{recipe::Proof, source::Survey};

/// A survey, or one folder of it, with questions. Paths are relative to the folder; proofs name them from the root.
#[derive(Clone, Debug)]
pub(super) struct Tree<'a> {
    survey: &'a Survey,
    /// Empty for the root, else ends in `/`.
    folder: String,
    /// What lies in the folder, with whole paths.
    listing: &'a [String],
    /// Its files in at most `NEAR` folders, the nearest first; asked by every language.
    near: Vec<&'a str>,
}

/// As deep as files are looked for.
const NEAR: usize = 3;

impl<'a> Tree<'a> {
    pub(super) fn new(survey: &'a Survey) -> Self {
        Self::with(survey, String::new(), &survey.listing)
    }

    fn with(survey: &'a Survey, folder: String, listing: &'a [String]) -> Self {
        let inner = listing.iter().map(|path| &path[folder.len()..]).filter(|path| !path.is_empty() && !path.ends_with('/'));
        let mut near: Vec<(usize, &str)> =
            inner.map(|path| (path.matches('/').count(), path)).filter(|(depth, _)| *depth <= NEAR).collect();
        near.sort_by_key(|(depth, _)| *depth);
        Self { survey, folder, listing, near: near.into_iter().map(|(_, path)| path).collect() }
    }

    /// The tree below `folder`, as if it were the root.
    pub(super) fn below(&self, folder: &str) -> Self {
        let folder = if folder == "." { self.folder.clone() } else { format!("{}{folder}/", self.folder) };
        let from = self.listing.partition_point(|path| path.as_str() < folder.as_str());
        let count = self.listing[from..].partition_point(|path| path.starts_with(&folder));
        Self::with(self.survey, folder, &self.listing[from..from + count])
    }

    /// Where it lies below the root; empty for the root, else ends in `/`.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn survey(&self) -> &'a Survey {
        self.survey
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listing.is_empty()
    }

    /// Whether the file is there; a folder when `path` ends in `/`.
    pub(super) fn has(&self, path: &str) -> bool {
        let order = |there: &String| match there.strip_prefix(&self.folder) {
            Some(inner) => inner.cmp(path),
            None => there.as_str().cmp(self.folder.as_str()),
        };
        self.listing.binary_search_by(order).is_ok()
    }

    /// The first of `paths` that is there.
    pub(super) fn first<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        match self.folder.as_str() {
            "" => self.survey.texts.get(path),
            folder => self.survey.texts.get(&format!("{folder}{path}")),
        }
        .map(String::as_str)
    }

    /// The first of `paths` that has a text, with it.
    pub(super) fn first_text<'p>(&self, paths: &[&'p str]) -> Option<(&'p str, &'a str)> {
        paths.iter().find_map(|path| Some((*path, self.text(path)?)))
    }

    /// Whether the file has a text that holds `needle`.
    pub(super) fn says(&self, path: &str, needle: &str) -> bool {
        self.text(path).is_some_and(|text| text.contains(needle))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let skip = self.folder.len();
        self.listing.iter().map(move |path| &path[skip..]).filter(|path| !path.is_empty() && !path.ends_with('/'))
    }

    /// Files in at most `depth` folders (at most three), the nearest first.
    pub(super) fn files_to(&self, depth: usize) -> Vec<&'a str> {
        let count = self.near.partition_point(|path| path.matches('/').count() <= depth);
        self.near[..count].to_vec()
    }

    /// The first file named `*EXTENSION` in at most `depth` folders, the nearest first.
    pub(super) fn ending(&self, extension: &str, depth: usize) -> Option<&'a str> {
        self.files_to(depth).into_iter().find(|path| path.ends_with(extension))
    }

    /// `path:line` of the first line that holds `needle`, else `path`.
    pub(super) fn place(&self, path: &str, needle: &str) -> String {
        let is_comment = |line: &str| line.trim_start().starts_with("//") || line.trim_start().starts_with('#');
        let line = self.text(path).and_then(|text| text.lines().position(|line| line.contains(needle) && !is_comment(line)));
        let path = format!("{}{path}", self.folder);
        line.map_or_else(|| path.clone(), |line| format!("{path}:{}", line + 1))
    }

    /// That the file is there proves it.
    pub(super) fn proof(&self, path: &str, why: impl Into<String>) -> Proof {
        proof(format!("{}{path}", self.folder), why)
    }

    /// The line with `needle` proves it.
    pub(super) fn proof_at(&self, path: &str, needle: &str, why: impl Into<String>) -> Proof {
        proof(self.place(path, needle), why)
    }

    /// The first few names in the root, for a message.
    pub(super) fn root_words(&self) -> String {
        let mut names: Vec<String> = self
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

    /// The nearest folder that looks like an app.
    pub(super) fn nested(&self) -> Option<&'a str> {
        const SIGNS: &[&str] = &[
            "package.json",
            "requirements.txt",
            "pyproject.toml",
            "Pipfile",
            "manage.py",
            "Procfile",
            "index.html",
            "go.mod",
            "Cargo.toml",
            "Gemfile",
            "composer.json",
            "pom.xml",
            "build.gradle",
            "build.gradle.kts",
            "mix.exs",
            "deno.json",
            "hugo.toml",
            "hugo.yaml",
            "book.toml",
            "mkdocs.yml",
            "gleam.toml",
            "CMakeLists.txt",
            "index.php",
            "Dockerfile",
        ];
        // Pages of these folders are patterns, not pages.
        let is_pattern = |path: &str| {
            let folder = path.strip_suffix("/index.html").and_then(|folder| folder.rsplit('/').next());
            folder.is_some_and(|folder| ["layouts", "templates", "_layouts", "_default"].contains(&folder))
        };
        let app = |path: &&str| {
            !is_pattern(path) && path.rsplit_once('/').is_some_and(|(_, file)| SIGNS.contains(&file) || file.ends_with(".csproj"))
        };
        self.files_to(3).into_iter().find(app).and_then(|path| path.rsplit_once('/')).map(|(folder, _)| folder)
    }
}

/// A proof by a path from the root.
pub(super) fn proof(file: impl Into<String>, why: impl Into<String>) -> Proof {
    Proof { file: file.into(), why: why.into() }
}
