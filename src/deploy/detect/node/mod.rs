//! Node and Bun: `package.json`, its package manager, and whether it serves itself or leaves a folder of files.

mod bundler;
mod framework;
mod hosted;
mod manager;
mod nx;
mod output;
mod page;
pub(super) mod pages;
mod scripts;
mod storybook;
pub(super) mod unservable;
mod workspace;

use manager::Manager;
use scripts::is_for_development;
use serde_json::Value;

use super::tree::Tree;
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

const FILE: &str = "package.json";

/// A parsed `package.json`.
struct Package<'a> {
    tree: Tree<'a>,
    json: Value,
    manager: Manager,
    /// Set for a member of a workspace, whose commands are run from the root.
    member: Option<Member>,
}

/// A member of a workspace.
#[derive(Clone, Debug)]
struct Member {
    folder: String,
    name: Option<String>,
}

/// What a package is built with, and what becomes of it.
struct Framework {
    name: Option<&'static str>,
    /// Without `PORT`.
    port: Option<u16>,
    /// What builds when no script does.
    build: Option<&'static str>,
    serves: Option<Serves>,
}

/// How it ends: a folder of files, or a command.
enum Serves {
    Files { folder: String, proof: Proof },
    Command { start: String, proof: Proof },
}

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(package) = Package::of(tree)? else {
        return Ok(None);
    };
    if let Some(recipe) = nx::detect(&package) {
        return Ok(Some(recipe));
    }
    if let Some(recipe) = workspace::detect(&package)? {
        return Ok(Some(recipe));
    }
    let found = package.framework().and_then(|found| package.check_servable(&found).map(|()| found));
    match found {
        Ok(found) if found.serves.is_some() => Ok(Some(package.recipe(found))),
        // It says what is started; the packages are needed all the same.
        _ if tree.has("Procfile") => Ok(Some(package.recipe(Framework { name: None, port: None, build: None, serves: None }))),
        found => found.map(|_| None),
    }
}

/// A server in one file, without `package.json`: told last, since such a file may be a page's.
pub(super) fn alone(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    if tree.has(FILE) {
        return Ok(None);
    }
    const BUN: [&str; 5] = ["index.ts", "server.ts", "main.ts", "src/index.ts", "index.js"];
    const NODE: [&str; 6] = ["server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs"];
    let marked = ["bunfig.toml", "bun.lock", "bun.lockb"];
    let is_bun = |file: &str| tree.says(file, "Bun.serve") || tree.first(&marked).is_some();
    if let Some(file) = BUN.into_iter().find(|file| tree.has(file) && is_bun(file)) {
        let recipe = Recipe::process("node").framework(Some("bun")).packages_by("bun").on_port(3000);
        let proof = tree.proof_at(file, "Bun.serve", "starts a file that Bun runs");
        return Ok(Some(recipe.started_by(format!("bun run {file}")).with_env("NODE_ENV", "production").because(proof)));
    }
    Ok(tree.first(&NODE).map(|file| {
        let proof = tree.proof(file, "starts a file with a usual name");
        Recipe::process("node").started_by(format!("node {file}")).with_env("NODE_ENV", "production").because(proof)
    }))
}

fn parse(text: &str, tree: &Tree<'_>) -> Result<Value, Problem> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let place = format!("{}{FILE}:{}", tree.folder(), error.line());
        Problem::user(format!("package.json is not JSON: {error}")).at(place).hint("mend the line")
    })
}

impl<'a> Package<'a> {
    fn of(tree: &Tree<'a>) -> Result<Option<Self>, Problem> {
        let Some(text) = tree.text(FILE) else {
            return Ok(None);
        };
        let json = parse(text, tree)?;
        let manager = Manager::of(tree, &json);
        Ok(Some(Self { tree: tree.clone(), json, manager, member: None }))
    }

    fn recipe(&self, found: Framework) -> Recipe {
        let mut recipe = Recipe::process(if self.manager.name == "deno" { "deno" } else { "node" });
        recipe = recipe.framework(found.name).packages_by(self.manager.name);
        recipe.proof.push(self.manager.proof.clone());
        if self.has_dependencies() {
            recipe.install = Some(self.manager.install.to_owned());
        }
        let script = self.build_script_of(found.name);
        recipe.build = match (script, found.build) {
            (Some(script), _) => Some(self.run(script)),
            (None, Some(command)) => Some(self.manager.exec(command, self.member.as_ref())),
            (None, None) => None,
        };
        if let Some(script) = script {
            recipe.proof.push(self.says(script, format!("scripts.{script} builds it")));
        }
        match found.serves {
            Some(Serves::Files { folder, proof }) => {
                "static".clone_into(&mut recipe.runtime);
                recipe.output = Some(folder);
                recipe.proof.push(proof);
            }
            Some(Serves::Command { start, proof }) => {
                recipe.start = Some(start);
                recipe.port = found.port;
                recipe.env = vec![("NODE_ENV".to_owned(), "production".to_owned())];
                recipe.proof.push(proof);
            }
            None => recipe = recipe.with_env("NODE_ENV", "production"),
        }
        if self.is_medusa() {
            // The build leaves an app of its own, with its own package.json.
            let server = |command: String| format!("cd .medusa/server && {command}");
            recipe.build = recipe.build.map(|build| format!("{build} && {}", server(format!("{} install", self.manager.name))));
            recipe.start = Some(server(self.run("start")));
        }
        if let Some(browser) = ["puppeteer", "playwright"].into_iter().find(|package| self.needs(package)) {
            recipe.proof.push(self.says(browser, format!("{browser} needs a browser and its libraries on the host")));
        }
        recipe
    }

    /// Medusa 2, whose server is made by its build.
    fn is_medusa(&self) -> bool {
        let is = |name: &str, command: &str| self.script(name).is_some_and(|script| script.contains(command));
        self.member.is_none() && self.needs("@medusajs/framework") && is("build", "medusa build") && is("start", "medusa start")
    }

    /// The script that builds: the usual names, what platforms run after an install, pages beside a library.
    fn build_script(&self) -> Option<&'static str> {
        const NAMES: &[&str] =
            &["build", "build:prod", "build:production", "heroku-postbuild", "gcp-build", "docs:build", "build:web", "generate"];
        NAMES.iter().copied().find(|name| self.script(name).is_some_and(|script| !is_for_development(script)))
    }

    /// The script that builds what `framework` makes: a library's own build makes none of its pages.
    fn build_script_of(&self, framework: Option<&str>) -> Option<&'static str> {
        let pages = |name: &str| {
            let scripts = ["build", "docs:build", "build:docs", "docs-build", "build-docs"];
            let command = format!("{name} build");
            scripts.into_iter().find(|script| self.script(script).is_some_and(|text| text.contains(&command)))
        };
        match framework {
            Some("storybook") => self.storybook_script(),
            Some("nuxt") if self.is_generated_nuxt_2() => Some("generate"),
            Some(name @ ("vitepress" | "vuepress")) => pages(name).or_else(|| self.build_script()),
            _ => self.build_script(),
        }
    }

    fn needs(&self, package: &str) -> bool {
        ["dependencies", "devDependencies"].iter().any(|kind| self.json[kind].get(package).is_some())
    }

    fn has_dependencies(&self) -> bool {
        let kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
        let any = kinds.iter().any(|kind| self.json[kind].as_object().is_some_and(|all| !all.is_empty()));
        // What the hooks of an install do is needed too: `cd server && npm install`.
        let has_hook = ["preinstall", "install", "postinstall"].iter().any(|hook| self.script(hook).is_some());
        any || has_hook || self.manager.is_locked || self.json.get("workspaces").is_some()
    }
}
