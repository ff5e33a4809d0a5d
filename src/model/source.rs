//! Where a release comes from, and what was found there.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::container::ImageFacts;

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
    /// What it says of itself, when the source is an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageFacts>,
}

impl Survey {
    /// Most paths that a listing holds.
    pub const LIMIT: usize = 20_000;
    /// Most bytes of a text; the rest is left out.
    pub const LONGEST_TEXT: usize = 256 << 10;
    /// Files whose texts are taken along: those that detection reads.
    pub const READ: &[&str] = &[
        "pilothouse.toml",
        "Procfile",
        "package.json",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        ".yarnrc.yml",
        "angular.json",
        "astro.config.js",
        "astro.config.mjs",
        "astro.config.ts",
        "next.config.js",
        "next.config.mjs",
        "next.config.ts",
        "svelte.config.js",
        "vite.config.js",
        "vite.config.mjs",
        "vite.config.ts",
        "pyproject.toml",
        "requirements.txt",
        "uv.lock",
        "app.py",
        "api.py",
        "asgi.py",
        "main.py",
        "run.py",
        "server.py",
        "wsgi.py",
        "app/__init__.py",
        "app/app.py",
        "app/main.py",
        "src/app.py",
        "src/main.py",
    ];

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
    fn a_token_in_a_url_is_not_shown() {
        assert_eq!(without_password("https://me:tok@en@git.example/a@b.git"), "https://git.example/a@b.git");
        assert_eq!(without_password("git@git.example:a/b.git"), "git@git.example:a/b.git");
    }
}
