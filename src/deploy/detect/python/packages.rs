//! Where Python's dependencies are written, and which tool installs them; always into `.venv` of the project.

use toml::{Table, Value};

use super::{OTHERS, SCRIPTS, module::is_beside};
use crate::{
    deploy::detect::{
        reading::{ends, is_plain, names},
        tree::Tree,
    },
    model::recipe::Proof,
};

/// Where dependencies come from.
pub(super) struct Packages {
    pub(super) manager: &'static str,
    pub(super) install: String,
    pub(super) proof: Proof,
    /// All that names dependencies, in lower case.
    named: String,
    /// The project itself is installed: its package and scripts are there.
    pub(super) is_installed: bool,
    pub(super) project: Table,
}

const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements-prod.txt",
    "requirements.prod.txt",
    "prod-requirements.txt",
    "requirements/requirements.txt",
    "requirements/base.txt",
    "requirements/main.txt",
    "app/requirements.txt",
    "src/requirements.txt",
    "backend/requirements.txt",
];

impl Packages {
    pub(super) fn of(tree: &Tree<'_>) -> Option<Self> {
        let project: Table = tree.text("pyproject.toml").and_then(|text| toml::from_str(text).ok()).unwrap_or_default();
        let tool = |name: &str| project.get("tool").and_then(|tool| tool.get(name)).is_some();
        let has_project = project.contains_key("project");
        let is_package = builds_a_package(tree, &project);
        let named = |files: &[&str]| {
            let mut named = tree.text("pyproject.toml").unwrap_or_default().to_lowercase();
            for text in files.iter().filter_map(|file| tree.text(file)) {
                named = named + "\n" + &text.to_lowercase();
            }
            named
        };
        let found = |manager, install: &str, proof, files: &[&str], is_installed| {
            Some(Self {
                manager,
                install: install.to_owned(),
                proof,
                named: named(files),
                is_installed,
                project: project.clone(),
            })
        };
        let note = |manager: &str| format!("packages by {manager}, which must be installed on the host");

        let workspace = project.get("tool").and_then(|tool| tool.get("uv")).and_then(|uv| uv.get("workspace")).is_some();
        let all = if workspace { " --all-packages" } else { "" };
        if tree.has("uv.lock") {
            let install = format!("uv sync --frozen --no-dev{all}");
            return found("uv", &install, tree.proof("uv.lock", note("uv")), &["requirements.txt"], is_package);
        }
        if tree.has("poetry.lock") || (tool("poetry") && !tree.has("requirements.txt")) {
            let root = if is_poetry_package(tree, &project) { "" } else { " --no-root" };
            let install = format!("POETRY_VIRTUALENVS_IN_PROJECT=1 poetry install --no-interaction --only main{root}");
            let proof = if tree.has("poetry.lock") {
                tree.proof("poetry.lock", note("poetry"))
            } else {
                tree.proof_at("pyproject.toml", "[tool.poetry", note("poetry"))
            };
            return found("poetry", &install, proof, &["requirements.txt"], root.is_empty());
        }
        if tree.has("pdm.lock") || (tool("pdm") && !tree.has("requirements.txt")) {
            let (install, proof) = if tree.has("pdm.lock") {
                ("pdm install --prod --frozen-lockfile", tree.proof("pdm.lock", note("pdm")))
            } else {
                ("pdm install --prod", tree.proof_at("pyproject.toml", "[tool.pdm", note("pdm")))
            };
            return found("pdm", install, proof, &[], is_package);
        }
        if tree.has("Pipfile") || tree.has("Pipfile.lock") {
            let (install, file) = if tree.has("Pipfile.lock") {
                ("PIPENV_VENV_IN_PROJECT=1 pipenv install --deploy", "Pipfile.lock")
            } else {
                ("PIPENV_VENV_IN_PROJECT=1 pipenv install", "Pipfile")
            };
            return found("pipenv", install, tree.proof(file, note("pipenv")), &["Pipfile"], false);
        }
        let file = tree.first(REQUIREMENTS).or_else(|| {
            let root = |path: &&str| {
                !path.contains('/') && path.ends_with("requirements.txt") && !path.contains("dev") && !path.contains("test")
            };
            tree.files().find(root)
        });
        if let Some(file) = file.filter(|_| !tool("uv") || tree.has("requirements.txt")) {
            let install = format!("python3 -m venv .venv && .venv/bin/pip install -r {file}");
            let proof = tree.proof(file, "packages by pip into .venv");
            return found("pip", &install, proof, &[file, "requirements/base.txt"], false);
        }
        if tool("uv") || (has_project && tree.has(".python-version") && !tree.has("setup.py")) {
            let line = if tool("uv") { "[tool.uv" } else { "[project]" };
            let proof = tree.proof_at("pyproject.toml", line, note("uv"));
            return found("uv", &format!("uv sync --no-dev{all}"), proof, &[], is_package);
        }
        if has_project || tree.has("setup.py") || tree.has("setup.cfg") && tree.says("setup.cfg", "[metadata]") {
            let file = if has_project { "pyproject.toml" } else { tree.first(&["setup.py", "setup.cfg"])? };
            let proof = tree.proof(file, "packages by pip into .venv");
            return found("pip", "python3 -m venv .venv && .venv/bin/pip install .", proof, &["setup.py", "setup.cfg"], true);
        }
        if tree.has("environment.yml") && tree.says("environment.yml", "dependencies:") {
            let proof = tree.proof("environment.yml", note("conda"));
            return found("conda", "conda env create --prefix .venv --file environment.yml", proof, &["environment.yml"], false);
        }
        Self::within_a_script(tree)
    }

    /// What a script names at its beginning (PEP 723), when it is the one that is started.
    fn within_a_script(tree: &Tree<'_>) -> Option<Self> {
        const MARK: &str = "# /// script";
        let mut scripts = tree.files_to(0).into_iter().filter(|path| ends(path, ".py") && !is_beside(path));
        let only = || scripts.next().filter(|_| scripts.next().is_none());
        let file = tree.first(SCRIPTS).or_else(only).filter(|file| tree.first(OTHERS).is_none() && tree.says(file, MARK))?;
        let lines = tree.text(file)?.lines().skip_while(|line| line.trim_end() != MARK).skip(1);
        let lines = lines.take_while(|line| line.trim_end() != "# ///").map(|line| line.trim_start_matches('#'));
        let script: Table = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).ok()?;
        let named: Vec<&str> = script.get("dependencies")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let word = |name: &&str| match (is_plain(name), name.contains('\'')) {
            (true, _) => Some((*name).to_owned()),
            (false, false) => Some(format!("'{name}'")),
            (false, true) => (!name.contains(['"', '$', '`', '\\'])).then(|| format!("\"{name}\"")),
        };
        let words: Vec<String> = named.iter().map(word).collect::<Option<_>>()?;
        (!words.is_empty()).then(|| Self {
            manager: "pip",
            install: format!("python3 -m venv .venv && .venv/bin/pip install {}", words.join(" ")),
            proof: tree.proof_at(file, MARK, "names its packages, by pip into .venv"),
            named: named.join("\n").to_lowercase(),
            is_installed: false,
            project: Table::new(),
        })
    }

    /// Whether a requirement of exactly this package stands among the dependencies.
    pub(super) fn needs(&self, package: &str) -> bool {
        names(&self.named, package)
    }

    /// Names of the commands that the project itself brings, in order.
    pub(super) fn scripts(&self) -> Vec<String> {
        let poetry = self.project.get("tool").and_then(|tool| tool.get("poetry"));
        let tables =
            [self.project.get("project"), poetry].into_iter().flatten().filter_map(|table| table.get("scripts")?.as_table());
        tables.flat_map(|scripts| scripts.keys().cloned()).collect()
    }
}

fn builds_a_package(tree: &Tree<'_>, project: &Table) -> bool {
    let packaged = project.get("tool").and_then(|tool| tool.get("uv")?.get("package")?.as_bool());
    packaged.unwrap_or_else(|| project.contains_key("build-system") || tree.has("setup.py"))
}

/// Poetry installs the project itself only when it finds its package.
fn is_poetry_package(tree: &Tree<'_>, project: &Table) -> bool {
    let poetry = project.get("tool").and_then(|tool| tool.get("poetry"));
    if poetry.and_then(|poetry| poetry.get("package-mode")?.as_bool()) == Some(false) {
        return false;
    }
    if poetry.is_some_and(|poetry| poetry.get("packages").is_some()) {
        return true;
    }
    let name = [project.get("project"), poetry].into_iter().flatten().find_map(|table| table.get("name")?.as_str());
    let Some(name) = name.map(|name| name.to_lowercase().replace(['-', '.'], "_")) else { return false };
    [format!("{name}/__init__.py"), format!("src/{name}/__init__.py"), format!("{name}.py")].iter().any(|path| tree.has(path))
        || tree.has(&format!("src/{name}/"))
        || tree.has(&format!("{name}/"))
}
