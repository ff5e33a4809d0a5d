//! Python: where its dependencies are written, and what its framework is started with.

mod django;
mod docs;
mod module;
mod packages;
mod server;

use packages::Packages;
use toml::Value;

use super::{
    node,
    reading::{ends, field, inside, is_plain},
    tree::Tree,
};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

/// Files that are started as they are when no framework is known, in order.
const SCRIPTS: &[&str] = &[
    "app.py",
    "main.py",
    "server.py",
    "run.py",
    "bot.py",
    "index.py",
    "start.py",
    "worker.py",
    "api.py",
    "web.py",
    "src/main.py",
    "src/app.py",
    "src/server.py",
    "src/bot.py",
    "src/run.py",
    "app/main.py",
    "app/app.py",
    "bot/main.py",
];

/// Manifests of languages that keep scripts in Python as tools.
const OTHERS: &[&str] = &["package.json", "deno.json", "deno.jsonc"];

/// How it is started.
struct Start {
    framework: Option<&'static str>,
    command: String,
    /// What makes the pages ready, after install.
    build: Option<String>,
    port: Option<u16>,
    proof: Proof,
}

impl Start {
    fn new(framework: Option<&'static str>, command: String, port: Option<u16>, proof: Proof) -> Self {
        Self { framework, command, build: None, port, proof }
    }
}

/// The project as the start is looked for.
struct Project<'a> {
    tree: &'a Tree<'a>,
    packages: Option<&'a Packages>,
    /// Where programs of the dependencies are: `.venv/bin/`, or empty without dependencies.
    bin: String,
}

impl Project<'_> {
    fn needs(&self, package: &str) -> bool {
        self.packages.is_some_and(|packages| packages.needs(package))
    }

    fn python(&self) -> String {
        if self.bin.is_empty() { "python3".to_owned() } else { format!("{}python", self.bin) }
    }
}

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let packages = Packages::of(tree);
    // A script beside another language's manifest is a tool of it.
    let loose = || tree.first(OTHERS).is_none() && tree.first(SCRIPTS).is_some();
    if packages.is_none() && !tree.has("manage.py") && !loose() {
        return Ok(None);
    }
    if let Some(recipe) = packages.as_ref().and_then(|packages| site(tree, packages)) {
        return Ok(Some(recipe));
    }
    let bin = if packages.is_some() { ".venv/bin/" } else { "" }.to_owned();
    let project = Project { tree, packages: packages.as_ref(), bin };
    let Some(start) = start(&project).or_else(|| member(&project)) else {
        // A Procfile may still say what is started; without one the problem below is told.
        let Some(packages) = packages else {
            return Ok(None);
        };
        if tree.has("Procfile") {
            return Ok(Some(recipe(tree, Some(packages), None)));
        }
        return Err(Problem::not_found("this is Python, but nothing says how it is started")
            .at(packages.proof.file)
            .hint("add app.py, main.py or a Procfile (`web: COMMAND`), or say --start 'COMMAND'; it must listen on $PORT"));
    };
    Ok(Some(recipe(tree, packages, Some(start))))
}

/// Documentation by Sphinx or Jupyter Book, of whatever else is here: told last, when nothing serves.
#[expect(clippy::unnecessary_wraps, reason = "the shape of all languages")]
pub(super) fn documentation(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let packages = Packages::of(tree);
    Ok(docs::book(tree, packages.as_ref()).or_else(|| docs::sphinx(tree, packages.as_ref())))
}

/// The only file of all, of whatever name: told last, when nothing else is recognised.
pub(super) fn alone(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let mut only = tree.files_to(0).into_iter().filter(|path| ends(path, ".py") && !module::is_beside(path));
    let Some(file) = only.next().filter(|_| only.next().is_none()) else {
        return Ok(None);
    };
    let proof = tree.proof(file, "starts the only file in Python");
    Ok(Some(recipe(tree, None, Some(Start::new(None, format!("python3 {file}"), None, proof)))))
}

fn recipe(tree: &Tree<'_>, packages: Option<Packages>, start: Option<Start>) -> Recipe {
    // Without it lines stay in Python's buffer and the log seems dead.
    let mut recipe = Recipe::process("python").with_env("PYTHONUNBUFFERED", "1");
    if let Some(packages) = packages {
        recipe = recipe.packages_by(packages.manager).installed_by(packages.install).because(packages.proof);
    }
    if let Some(start) = start {
        recipe = recipe.framework(start.framework).started_by(start.command).because(start.proof);
        recipe.port = start.port;
        recipe.build = start.build;
    }
    node::pages::with_assets(recipe, tree)
}

fn start(project: &Project<'_>) -> Option<Start> {
    django::start(project)
        .or_else(|| server::start(project))
        .or_else(|| own_command(project))
        .or_else(|| by_file(project))
        .or_else(|| by_module(project))
}

/// A script of the project itself: `[project.scripts]`.
fn own_command(project: &Project<'_>) -> Option<Start> {
    let packages = project.packages.filter(|packages| packages.is_installed)?;
    let scripts = packages.scripts();
    let likely = ["start", "serve", "server", "web", "app", "main", "run"];
    let name = likely.into_iter().find(|name| scripts.iter().any(|script| script == name));
    let name = name.or_else(|| scripts.first().map(String::as_str)).filter(|name| is_plain(name))?;
    let proof = project.tree.proof_at("pyproject.toml", &format!("{name} ="), format!("starts the project's script `{name}`"));
    Some(Start::new(None, format!("{}{name}", project.bin), None, proof))
}

/// A file with a usual name, else the only one there is.
fn by_file(project: &Project<'_>) -> Option<Start> {
    let tree = project.tree;
    let mut only = tree.files().filter(|path| !path.contains('/') && ends(path, ".py") && !module::is_beside(path));
    let mut only = || only.next().filter(|_| only.next().is_none());
    let script = tree.first(SCRIPTS).or_else(|| only().filter(|_| project.packages.is_some()))?;
    let known = [("aiohttp", 8080), ("tornado", 8888), ("sanic", 8000), ("bottle", 8080), ("cherrypy", 8080), ("nicegui", 8080)];
    let known = known.into_iter().find(|(package, _)| project.needs(package));
    let start = format!("{} {script}", project.python());
    let proof =
        tree.proof(script, if SCRIPTS.contains(&script) { "starts a file with a usual name" } else { "starts the only file" });
    Some(Start::new(known.map(|(name, _)| name), start, known.map(|(_, port)| port), proof))
}

/// A package with `__main__.py`.
fn by_module(project: &Project<'_>) -> Option<Start> {
    let tree = project.tree;
    let file = tree.files_to(2).into_iter().find(|path| path.ends_with("/__main__.py") && !module::is_beside(path))?;
    let folder = file.strip_suffix("/__main__.py")?;
    let inner = folder.strip_prefix("src/");
    let path = if inner.is_some() && !project.packages?.is_installed { "PYTHONPATH=src " } else { "" };
    let module = inner.unwrap_or(folder).replace('/', ".");
    let proof = tree.proof(file, format!("starts the package {module}"));
    Some(Start::new(None, format!("{path}{} -m {module}", project.python()), None, proof))
}

/// A member of a uv workspace, when the root itself starts nothing.
fn member(project: &Project<'_>) -> Option<Start> {
    let packages = project.packages.filter(|packages| packages.manager == "uv")?;
    let members = packages.project.get("tool")?.get("uv")?.get("workspace")?.get("members")?.as_array()?;
    let patterns: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    let is_member = |folder: &str| {
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        patterns.iter().any(|pattern| *pattern == folder || pattern.strip_suffix("/*").is_some_and(|pattern| pattern == above))
    };
    let mut files = project.tree.files_to(3).into_iter().filter_map(|path| path.strip_suffix("/pyproject.toml"));
    files.find_map(|folder| {
        let folder = Some(folder).filter(|folder| is_member(folder))?;
        let tree = project.tree.below(folder);
        let own = Packages::of(&tree)?;
        let bin = format!("{}.venv/bin/", "../".repeat(folder.matches('/').count() + 1));
        let mut start = start(&Project { tree: &tree, packages: Some(&own), bin })?;
        start.command = format!("cd {folder} && {}", start.command);
        Some(start)
    })
}

/// Pages made by a generator in Python.
fn site(tree: &Tree<'_>, packages: &Packages) -> Option<Recipe> {
    if tree.has("manage.py") || tree.first(&["app.py", "main.py", "server.py"]).is_some() {
        return None;
    }
    if let Some(recipe) = docs::book(tree, Some(packages)) {
        return Some(recipe);
    }
    let (name, file, build, output) = if tree.has("mkdocs.yml") && packages.needs("mkdocs") | packages.needs("mkdocs-material") {
        let output = field(tree.text("mkdocs.yml")?, "site_dir").and_then(inside);
        ("mkdocs", "mkdocs.yml", ".venv/bin/mkdocs build", output.unwrap_or_else(|| "site".to_owned()))
    } else if tree.has("pelicanconf.py") && packages.needs("pelican") {
        // What is published has settings of its own, which take the others along.
        let (file, build) = match tree.first(&["publishconf.py"]) {
            Some(file) => (file, ".venv/bin/pelican content -s publishconf.py"),
            None => ("pelicanconf.py", ".venv/bin/pelican content"),
        };
        let texts = [file, "pelicanconf.py"].into_iter().filter_map(|file| tree.text(file));
        let told = texts.into_iter().find_map(|text| field(text, "OUTPUT_PATH").and_then(inside));
        ("pelican", file, build, told.unwrap_or_else(|| "output".to_owned()))
    } else {
        return None;
    };
    let recipe = Recipe::files("python", &output).framework(Some(name)).packages_by(packages.manager);
    let proof = tree.proof(file, format!("static files in {output}"));
    Some(recipe.installed_by(&packages.install).built_by(build).because(packages.proof.clone()).because(proof))
}
