//! The tools that sources and builds use: none is needed by Pilothouse itself.

use std::path::Path;

use futures_util::future::join_all;

use super::Finding;
use crate::{cli::tool, model::log};

/// A tool: name, question for its version, what it is for, how to get it.
const TOOLS: &[(&str, &str, &str, &str)] = &[
    ("git", "--version", "deploys from repositories", "apt install git, dnf install git"),
    ("node", "--version", "builds and runs Node apps", "https://nodejs.org, or your package manager"),
    ("npm", "--version", "installs packages of Node apps", "comes with Node"),
    ("yarn", "--version", "for Node apps with a yarn.lock", "corepack enable"),
    ("pnpm", "--version", "for Node apps with a pnpm-lock.yaml", "corepack enable"),
    ("python3", "--version", "builds and runs Python apps", "apt install python3 python3-venv"),
    ("uv", "--version", "for Python apps with a uv.lock", "https://docs.astral.sh/uv"),
    ("poetry", "--version", "for Python apps with a poetry.lock", "pipx install poetry"),
    ("pdm", "--version", "for Python apps with a pdm.lock", "pipx install pdm"),
    ("pipenv", "--version", "for Python apps with a Pipfile", "pipx install pipenv"),
    ("bun", "--version", "for apps with a bun.lock", "npm install -g bun"),
    ("deno", "--version", "for apps with a deno.json", "npm install -g deno"),
    ("cargo", "--version", "builds Rust apps", "https://rustup.rs"),
    ("go", "version", "builds Go apps", "https://go.dev/dl, or your package manager"),
    ("php", "--version", "runs PHP apps", "apt install php-cli"),
    ("composer", "--version", "for PHP apps with a composer.json", "apt install composer"),
    ("ruby", "--version", "runs Ruby apps", "apt install ruby"),
    ("bundle", "--version", "for Ruby apps with a Gemfile", "apt install bundler"),
    ("java", "--version", "runs Java, Kotlin, Scala and Clojure apps", "apt install default-jdk"),
    ("mvn", "--version", "for Java apps with a pom.xml", "apt install maven"),
    ("elixir", "--short-version", "builds and runs Elixir apps", "apt install elixir"),
    ("dotnet", "--version", "builds and runs .NET apps", "https://dotnet.microsoft.com/download"),
];

pub(super) fn has(name: &str) -> bool {
    TOOLS.iter().any(|(tool, ..)| *tool == name)
}

/// Asks all at once.
pub(super) async fn look() -> Vec<Finding> {
    join_all(TOOLS.iter().map(|(name, question, what_for, get)| async move {
        match tool::ask(name, &[question], Path::new("/"), &[]).await {
            Some(said) => Finding::good(name, *what_for).version(version(&said)),
            None => Finding::absent(name, *what_for, *get),
        }
    }))
    .await
}

/// The first word with a digit: `2.39.5` of `git version 2.39.5 (Debian)`.
fn version(said: &str) -> String {
    // Some colour what they say, whoever reads it.
    let said = said.lines().map(log::safe).collect::<Vec<_>>().join(" ");
    let mut words = said.split_whitespace().map(|word| word.trim_start_matches("go").trim_start_matches('v'));
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(&said).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(version("git version 2.39.5 (Debian)"), "2.39.5");
        assert_eq!(version("v20.11.1"), "20.11.1");
        assert_eq!(version("uv 0.4.1 (abc 2024)"), "0.4.1");
        assert_eq!(version("go version go1.22.1 linux/amd64"), "1.22.1");
        assert_eq!(version("\u{1b}[1mApache Maven 3.8.7\u{1b}[m\nMaven home: /usr"), "3.8.7");
    }
}
