//! Where a release comes from, and what was found there.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{container::ImageFacts, problem::Problem, units::Bytes};

/// Where the files of a release are taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// The working tree of a folder on the engine's machine, as it is.
    Folder { path: PathBuf },
    /// Any URL that git understands; `reference` is a branch, tag or commit, the remote's default when absent.
    Git { url: String, reference: Option<String> },
    /// An image of a registry, or one that the Docker engine has: `nginx:1.27`.
    Image { reference: String },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path } => write!(f, "{}", path.display()),
            Self::Git { url, reference: Some(reference) } => write!(f, "{} at {reference}", without_password(url)),
            Self::Git { url, reference: None } => f.write_str(&without_password(url)),
            Self::Image { reference } => write!(f, "image {reference}"),
        }
    }
}

/// `url` with whatever stands between `//` and `@` left out: it may hold a token.
pub fn without_password(url: &str) -> String {
    let Some(start) = url.find("://").map(|i| i + 3) else {
        return url.to_owned();
    };
    let host_end = url[start..].find('/').map_or(url.len(), |i| start + i);
    match url[start..host_end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Whether a URL carries a password or a token, which must not stand in a record or on a screen.
pub fn has_password(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':') || scheme.starts_with("http"))
}

/// Files by name whose texts detection wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name, with at most one folder before it and at most two `*`s.
    pub name: &'static str,
    /// In how many folders, one in the other, it may lie: 0 is the root alone.
    pub depth: usize,
    /// Most such files: the nearest to the root, then by path.
    pub most: usize,
}

const fn wanted(name: &'static str, depth: usize, most: usize) -> Wanted {
    Wanted { name, depth, most }
}

/// What of a path is compared with each name that is wanted: taken apart once.
struct Ending<'p> {
    /// Folders above it.
    depth: usize,
    name: &'p str,
    /// The name with the folder that it lies in.
    two: &'p str,
}

impl<'p> Ending<'p> {
    fn of(path: &'p str) -> Self {
        let after = |at: Option<usize>| at.map_or(path, |at| &path[at + 1..]);
        let last = path.rfind('/');
        let two = last.and_then(|at| path[..at].rfind('/'));
        Self { depth: path.bytes().filter(|byte| *byte == b'/').count(), name: after(last), two: after(two) }
    }
}

impl Wanted {
    /// Whether `path`, relative to the root, is such a file.
    pub fn is(&self, path: &str) -> bool {
        self.fits(&Ending::of(path))
    }

    fn fits(&self, path: &Ending<'_>) -> bool {
        if path.depth > self.depth {
            return false;
        }
        let tail = if self.name.contains('/') { path.two } else { path.name };
        if !self.name.contains('*') {
            return tail == self.name;
        }
        let mut parts = self.name.split('*');
        let Some(mut rest) = parts.next().and_then(|first| tail.strip_prefix(first)) else { return false };
        let mut is_open = false;
        for part in parts {
            is_open = part.is_empty();
            match rest.find(part) {
                _ if rest.ends_with(part) && self.name.ends_with(part) && !is_open => return !rest.contains('/'),
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        is_open || rest.is_empty()
    }
}

/// Where a branch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Absent when there is no such branch.
    pub commit: Option<String>,
    /// Whether the branch was rewritten: what was known does not lie before its commit. Absent when it cannot be told.
    pub rewritten: Option<bool>,
}

/// What a fetch found: enough to name the release, and to detect what it is without further I/O.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Commit (40 or 64 hex digits), when the source is a repository.
    pub commit: Option<String>,
    /// First line of the commit's message.
    pub subject: Option<String>,
    /// Branch or tag that was asked for or is checked out.
    pub reference: Option<String>,
    /// The working tree differs from `commit`.
    pub dirty: bool,
    /// Paths relative to the root, `/` between parts, folders ending in `/`; sorted; at most `LIMIT`.
    pub listing: Vec<String>,
    /// True when files were left out of the listing.
    pub truncated: bool,
    /// Contents of the files that detection reads, by path; each at most 256 KiB.
    pub texts: BTreeMap<String, String>,
    /// Those of `texts` that are not UTF-8.
    #[serde(default, skip_serializing_if = "NotUtf8::is_empty")]
    pub not_utf8: Box<NotUtf8>,
    /// What it says of itself, when the source is an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
}

/// Files that are not UTF-8, by path, each with its first line that is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotUtf8(pub BTreeMap<String, usize>);

impl NotUtf8 {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Survey {
    /// Most paths that a listing holds.
    pub const LIMIT: usize = 20_000;
    /// Most bytes of a text; the rest is left out.
    pub const LONGEST_TEXT: usize = 256 << 10;
    /// Most bytes of all texts together; what comes later in `READ` is left out first.
    pub const ALL_TEXTS: usize = 4 << 20;
    /// Files whose texts are taken along, most telling first: those that detection reads.
    pub const READ: &[Wanted] = &[
        wanted("pilothouse.toml", 0, 1),
        wanted("compose.yaml", 0, 1),
        wanted("compose.yml", 0, 1),
        wanted("docker-compose.yaml", 0, 1),
        wanted("docker-compose.yml", 0, 1),
        wanted("Dockerfile", 0, 1),
        wanted("Procfile", 0, 1),
        wanted("package.json", 4, 60),
        wanted("pyproject.toml", 3, 20),
        wanted("Cargo.toml", 3, 40),
        wanted("go.mod", 3, 20),
        wanted("composer.json", 0, 1),
        wanted("Gemfile", 0, 1),
        wanted("pom.xml", 2, 20),
        wanted("build.gradle", 2, 20),
        wanted("build.gradle.kts", 2, 20),
        wanted("mix.exs", 2, 10),
        wanted("*.csproj", 3, 30),
        wanted("*.fsproj", 3, 10),
        wanted("*.vbproj", 3, 5),
        wanted("deno.json", 2, 10),
        wanted("deno.jsonc", 2, 10),
        wanted("CMakeLists.txt", 2, 20),
        wanted("meson.build", 2, 10),
        wanted("Makefile", 0, 1),
        wanted("*.toml", 0, 20),
        wanted("*.yaml", 0, 20),
        wanted("*.yml", 0, 20),
        wanted("*.xml", 0, 5),
        wanted("Staticfile", 0, 1),
        wanted("Dockerfile", 1, 5),
        wanted(".env", 0, 1),
        wanted("*.env", 1, 8),
        wanted("Pipfile", 1, 2),
        wanted("*requirements*.txt", 1, 8),
        wanted("requirements/*.txt", 1, 8),
        wanted("setup.py", 0, 1),
        wanted("setup.cfg", 0, 1),
        wanted("yarn.lock", 0, 1),
        wanted(".yarnrc.yml", 0, 1),
        wanted("angular.json", 2, 3),
        wanted("project.json", 3, 20),
        wanted("*.json", 0, 12),
        wanted("*.config.js", 3, 30),
        wanted("*.config.mjs", 3, 30),
        wanted("*.config.cjs", 3, 10),
        wanted("*.config.ts", 3, 30),
        wanted("*.config.mts", 3, 10),
        wanted(".eleventy.js", 1, 2),
        wanted("webpack.*.js", 2, 10),
        wanted("rspack.*.js", 2, 10),
        wanted("gulpfile.*", 0, 2),
        wanted("wrangler.jsonc", 1, 2),
        wanted("go.work", 0, 1),
        wanted("main.go", 3, 20),
        wanted("*.go", 1, 30),
        wanted("*.py", 0, 40),
        wanted("*.py", 2, 80),
        wanted("main.py", 4, 20),
        wanted("app.py", 4, 20),
        wanted(".flaskenv", 0, 1),
        wanted("main.rs", 3, 20),
        wanted("config.ru", 0, 1),
        wanted("*.java", 0, 5),
        wanted("*.pl", 0, 5),
        wanted("script/*", 1, 5),
        wanted("*.rb", 0, 10),
        wanted("application.rb", 1, 1),
        wanted("settings.gradle", 0, 1),
        wanted("settings.gradle.kts", 0, 1),
        wanted("gradle.properties", 0, 1),
        wanted("build.sbt", 0, 1),
        wanted("plugins.sbt", 1, 1),
        wanted("project.clj", 0, 1),
        wanted("deps.edn", 0, 1),
        wanted("build.clj", 0, 1),
        wanted("rebar.config", 0, 1),
        wanted("*.cabal", 1, 4),
        wanted("*.nimble", 0, 1),
        wanted("*.psgi", 0, 2),
        wanted("*.pl", 0, 4),
        wanted("cpanfile", 0, 1),
        wanted("Package.swift", 0, 1),
        wanted("build.zig", 0, 1),
        wanted("build.zig.zon", 0, 1),
        wanted("dune", 2, 10),
        wanted("*.dart", 1, 10),
        wanted("*.php", 0, 5),
        wanted("*.ts", 1, 20),
        wanted("*.js", 1, 20),
        wanted("*.sh", 0, 5),
        wanted("index.html", 1, 3),
        wanted(".nvmrc", 0, 1),
        wanted(".node-version", 0, 1),
        wanted(".python-version", 0, 1),
        wanted(".ruby-version", 0, 1),
        wanted(".java-version", 0, 1),
        wanted(".go-version", 0, 1),
        wanted(".php-version", 0, 1),
        wanted(".tool-versions", 0, 1),
        wanted("runtime.txt", 0, 1),
        wanted("rust-toolchain", 0, 1),
        wanted("config.toml", 1, 2),
        wanted("build.properties", 1, 1),
    ];

    /// Those of `files` (paths in order) whose texts are wanted, most telling first.
    pub fn wanted<'p>(files: impl Iterator<Item = &'p str>) -> Vec<&'p str> {
        let mut found: Vec<Vec<&str>> = vec![Vec::new(); Self::READ.len()];
        let deepest = Self::READ.iter().map(|wanted| wanted.depth).max().unwrap_or_default();
        for (path, ending) in files.map(|path| (path, Ending::of(path))).filter(|(_, ending)| ending.depth <= deepest) {
            // Not all that it could be: one place in the order is enough.
            if let Some(n) = Self::READ.iter().position(|wanted| wanted.fits(&ending)) {
                found[n].push(path);
            }
        }
        for (wanted, paths) in Self::READ.iter().zip(&mut found) {
            paths.sort_by_key(|path| path.matches('/').count());
            paths.truncate(wanted.most);
        }
        found.concat()
    }

    /// Refuses a file that is to be read to the letter, and is not UTF-8 or longer than what is read of a file.
    pub fn check_whole(&self, file: &str) -> Result<(), Problem> {
        if self.texts.get(file).is_some_and(|text| text.len() >= Self::LONGEST_TEXT) {
            let longest = Bytes(Self::LONGEST_TEXT as u64);
            return Err(Problem::limit(format!("it is too long: at most {longest} are read"))
                .at(file)
                .hint("keep values that long in files of their own"));
        }
        match self.not_utf8.0.get(file) {
            Some(line) => Err(Problem::user("this is not UTF-8 text: it holds a character of another encoding")
                .at(format!("{file}:{line}"))
                .hint(format!("save it as UTF-8: iconv -f LATIN1 -t UTF-8 {file} > {file}.new"))),
            None => Ok(()),
        }
    }

    /// How people name what was fetched: `9c1f02e`, `9c1f02e+dirty`, `1.27@3f1c09d` for an image, or `folder`.
    pub fn version(&self) -> String {
        if let Some(image) = &self.image {
            return image.version();
        }
        match (&self.commit, self.dirty) {
            (Some(commit), false) => commit.chars().take(7).collect(),
            (Some(commit), true) => format!("{}+dirty", commit.chars().take(7).collect::<String>()),
            (None, _) => "folder".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_from_a_login_name() {
        assert!(has_password("https://token@git.example/a.git") && has_password("ssh://me:word@git.example/a.git"));
        assert!(!has_password("ssh://git@git.example/a.git") && !has_password("git@git.example:a.git"));
        assert!(!has_password("https://git.example/@scope/a.git"));
    }

    #[test]
    fn wanted_files_are_told_by_name_and_depth() {
        let is = |name, depth, path| wanted(name, depth, 1).is(path);
        assert!(is("package.json", 2, "apps/web/package.json") && !is("package.json", 1, "apps/web/package.json"));
        assert!(!is("package.json", 2, "old-package.json") && !is("dune", 2, "dune-project"));
        assert!(is("*.py", 0, "a.py.py") && !is("*.py", 0, "a.pyc") && !is("*.py", 0, "lib/a.py"));
        assert!(is("*requirements*.txt", 0, "dev-requirements-1.txt") && !is("*requirements*.txt", 0, "robots.txt"));
        assert!(is("requirements/*.txt", 1, "requirements/base.txt") && !is("requirements/*.txt", 1, "a/base.txt"));
        assert!(is("vite*", 0, "vite.x") && !is("vite*", 0, "a-vite"));
    }

    #[test]
    fn what_was_read_in_part_is_not_taken_for_the_whole() {
        let with = |length: usize| Survey { texts: [("Procfile".to_owned(), "x".repeat(length))].into(), ..Survey::default() };
        assert!(with(Survey::LONGEST_TEXT - 1).check_whole("Procfile").is_ok());
        let problem = with(Survey::LONGEST_TEXT).check_whole("Procfile").unwrap_err();
        assert!(problem.to_string().contains("too long"), "{problem}");
    }

    #[test]
    fn the_nearest_texts_are_taken_first() {
        let files = ["a/b/package.json", "a/package.json", "package.json", "notes.txt", "Procfile"];
        assert_eq!(Survey::wanted(files.into_iter()), ["Procfile", "package.json", "a/package.json", "a/b/package.json"]);
    }

    #[test]
    fn a_token_in_a_url_is_not_shown() {
        assert_eq!(without_password("https://me:tok@en@git.example/a@b.git"), "https://git.example/a@b.git");
        assert_eq!(without_password("git@git.example:a/b.git"), "git@git.example:a/b.git");
    }
}
