//! Which package manager: from `packageManager`, the lock file, `engines`; and how it says install, run and execute.

use serde_json::Value;

use super::{FILE, Member};
use crate::{deploy::detect::tree::Tree, model::recipe::Proof};

const LOCKS: &[(&str, &str)] = &[
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    // Deno installs and runs what a package.json names, too.
    ("deno.lock", "deno"),
];
const KNOWN: [&str; 4] = ["npm", "pnpm", "yarn", "bun"];

/// How dependencies come and scripts are run.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub(super) name: &'static str,
    pub(super) install: &'static str,
    /// Its lock file is there.
    pub(super) is_locked: bool,
    /// Yarn 2 and later.
    is_modern: bool,
    pub(super) proof: Proof,
}

impl Manager {
    pub(super) fn of(tree: &Tree<'_>, json: &Value) -> Self {
        let field = json["packageManager"].as_str().or_else(|| json["devEngines"]["packageManager"]["name"].as_str());
        let lock = LOCKS.iter().find(|(file, _)| tree.has(file));
        let named = field.map(|field| field.split_once('@').map_or(field, |(name, _)| name)).and_then(known);
        let engines = || KNOWN.into_iter().find(|name| *name != "npm" && json["engines"].get(name).is_some());
        let marks = [("pnpm-workspace.yaml", "pnpm"), (".yarnrc.yml", "yarn"), ("bunfig.toml", "bun")];
        let marked = || marks.into_iter().find(|(file, _)| tree.has(file));
        let bun = || ["@types/bun", "bun-types"].iter().any(|types| json["devDependencies"].get(types).is_some());

        let mut why = None;
        let (name, place) = if let Some(name) = named {
            (name, tree.place(FILE, if json["packageManager"].is_string() { "\"packageManager\"" } else { "\"devEngines\"" }))
        } else if let Some((file, name)) = lock {
            (*name, tree.proof(file, "").file)
        } else if let Some(name) = engines() {
            (name, tree.place(FILE, "\"engines\""))
        } else if let Some((file, name)) = marked() {
            (name, tree.proof(file, "").file)
        } else if bun() {
            ("bun", tree.place(FILE, "bun"))
        } else {
            why = Some("packages by npm, as nothing names another".to_owned());
            ("npm", tree.proof(FILE, "").file)
        };
        let why = why.unwrap_or_else(|| match name {
            "npm" => "packages by npm".to_owned(),
            "bun" | "deno" => format!("packages by {name}, which must be installed on the host"),
            other => format!("packages by {other}, which must be on the host (`corepack enable` provides it)"),
        });
        let locked = LOCKS.iter().any(|(file, owner)| *owner == name && tree.has(file));
        let is_modern = name == "yarn" && is_modern_yarn(tree, field);
        let install = match (name, locked) {
            ("pnpm", true) => "pnpm install --frozen-lockfile",
            ("pnpm", false) => "pnpm install",
            ("yarn", true) if is_modern => "yarn install --immutable",
            ("yarn", true) => "yarn install --frozen-lockfile",
            ("yarn", false) => "yarn install",
            ("bun", true) => "bun install --frozen-lockfile",
            ("bun", false) => "bun install",
            ("deno", _) => "deno install --frozen",
            (_, true) => "npm ci",
            (_, false) => "npm install",
        };
        Self { name, install, is_locked: locked, is_modern, proof: Proof { file: place, why } }
    }

    /// The command that runs a script, of the root or of a member.
    pub(super) fn run(&self, script: &str, member: Option<&Member>) -> String {
        let Some(Member { folder, name }) = member else {
            return format!("{} {} {script}", self.name, if self.name == "deno" { "task" } else { "run" });
        };
        match self.name {
            "pnpm" => format!("pnpm --filter {} run {script}", name.clone().unwrap_or_else(|| format!("./{folder}"))),
            "yarn" => match name {
                Some(name) => format!("yarn workspace {name} run {script}"),
                None => format!("yarn --cwd {folder} run {script}"),
            },
            "bun" => format!("bun run --cwd {folder} {script}"),
            "deno" => format!("deno task --cwd {folder} {script}"),
            _ => format!("npm run {script} --workspace={folder}"),
        }
    }

    /// The command that runs a dependency's program.
    pub(super) fn exec(&self, command: &str, member: Option<&Member>) -> String {
        let exec = match self.name {
            "pnpm" => "pnpm exec",
            "yarn" if self.is_modern => "yarn exec",
            "yarn" => "yarn run",
            "bun" => "bunx",
            "deno" => return within(member, &format!("deno run --allow-all npm:{command}")),
            _ => "npx",
        };
        within(member, &format!("{exec} {command}"))
    }
}

/// `command`, run in the folder of the member.
pub(super) fn within(member: Option<&Member>, command: &str) -> String {
    member.map_or_else(|| command.to_owned(), |member| format!("cd {} && {command}", member.folder))
}

fn known(name: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| *known == name)
}

/// Yarn 2 and later has another lock file format and another word for "do not change it".
fn is_modern_yarn(tree: &Tree<'_>, field: Option<&str>) -> bool {
    let version = field.and_then(|field| field.strip_prefix("yarn@")).and_then(|version| version.split('.').next());
    match version.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) => major >= 2,
        None => tree.has(".yarnrc.yml") || tree.says("yarn.lock", "__metadata:"),
    }
}
