//! Documentation made in Python, when nothing of the project serves: Sphinx and Jupyter Book.

use toml::Value;

use super::packages::Packages;
use crate::{
    deploy::detect::{
        reading::{inside, names},
        tree::Tree,
    },
    model::recipe::Recipe,
};

/// Where Sphinx's `conf.py` is kept, in order.
const SOURCES: &[&str] = &["docs", "docs/source", "doc", "doc/source", "source", "."];
/// Requirements of the documentation alone.
const REQUIREMENTS: &[&str] = &[
    "docs/requirements.txt",
    "doc/requirements.txt",
    "docs/source/requirements.txt",
    "requirements-docs.txt",
    "requirements_docs.txt",
    "requirements/docs.txt",
    "docs-requirements.txt",
];
/// Themes and extensions that packages of their own bring: (name in `conf.py`, package).
const BROUGHT: &[(&str, &str)] = &[
    ("furo", "furo"),
    ("sphinx_rtd_theme", "sphinx-rtd-theme"),
    ("pydata_sphinx_theme", "pydata-sphinx-theme"),
    ("sphinx_book_theme", "sphinx-book-theme"),
    ("myst_parser", "myst-parser"),
    ("sphinx_copybutton", "sphinx-copybutton"),
    ("sphinx_design", "sphinx-design"),
];

/// Jupyter Book 1, by its table of contents in the root.
pub(super) fn book(tree: &Tree<'_>, packages: Option<&Packages>) -> Option<Recipe> {
    const FILE: &str = "_toc.yml";
    let is_book = tree.text(FILE).is_some_and(|text| text.contains("root:") || text.contains("file:"));
    if !is_book || !tree.has("_config.yml") {
        return None;
    }
    let own = packages.filter(|packages| packages.needs("jupyter-book"));
    let recipe =
        Recipe::files("python", "_build/html").framework(Some("jupyter-book")).built_by(".venv/bin/jupyter-book build .");
    let recipe = match own {
        Some(packages) => recipe.packages_by(packages.manager).installed_by(&packages.install).because(packages.proof.clone()),
        None => recipe.packages_by("pip").installed_by(by_pip("'jupyter-book<2'")),
    };
    Some(recipe.because(tree.proof(FILE, "static files in _build/html")))
}

/// Sphinx, by a `conf.py` beside an index.
pub(super) fn sphinx(tree: &Tree<'_>, packages: Option<&Packages>) -> Option<Recipe> {
    if tree.has("index.html") {
        return None;
    }
    let hosted = tree.first_text(&[".readthedocs.yaml", ".readthedocs.yml"]).map(|(_, text)| text).unwrap_or_default();
    let told = |key: &str| {
        let line = hosted.lines().find_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|path| inside(path.trim()))
    };
    let file = |folder: &str, name: &str| if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
    let is_source = |folder: &str| {
        let conf = tree.text(&file(folder, "conf.py")).unwrap_or_default();
        let has_index = ["index.rst", "index.md"].iter().any(|index| tree.has(&file(folder, index)));
        has_index && ["extensions", "html_theme", "project"].iter().any(|word| conf.contains(word))
    };
    let by_host = told("configuration").and_then(|path| Some(path.strip_suffix("/conf.py")?.to_owned()));
    let known = SOURCES.iter().map(|folder| (*folder).to_owned());
    let source = by_host.into_iter().chain(known).find(|folder| is_source(folder))?;
    // As `sphinx-quickstart` lays it out, with source and build apart or not.
    let output = match source.strip_suffix("source") {
        Some(above) => format!("{above}build/html"),
        None => file(&source, "_build/html"),
    };
    let conf = file(&source, "conf.py");
    let text = tree.text(&conf).unwrap_or_default();
    let requirements = told("requirements").filter(|path| tree.has(path));
    let requirements = requirements.or_else(|| tree.first(REQUIREMENTS).map(str::to_owned));
    let is_package = packages.is_some_and(|packages| packages.is_installed);

    let mut recipe = Recipe::files("python", &output).framework(Some("sphinx"));
    recipe = recipe.built_by(format!(".venv/bin/sphinx-build -b html {source} {output}"));
    recipe = match (&requirements, packages.filter(|packages| packages.needs("sphinx"))) {
        (Some(file), _) => {
            let also = tree.text(file).is_none_or(|text| names(&text.to_lowercase(), "sphinx"));
            let also = if also { "" } else { " sphinx" };
            let itself = if is_package { " ." } else { "" };
            recipe.packages_by("pip").installed_by(by_pip(&format!("-r {file}{also}{itself}")))
        }
        (None, Some(packages)) => recipe.packages_by(packages.manager).installed_by(with_documentation(packages)),
        (None, None) => {
            let brought = BROUGHT.iter().filter(|(name, _)| text.contains(name)).map(|(_, package)| format!(" {package}"));
            let itself = if is_package { " ." } else { "" };
            recipe.packages_by("pip").installed_by(by_pip(&format!("sphinx{}{itself}", brought.collect::<String>())))
        }
    };
    let told_by = requirements.unwrap_or_else(|| packages.map_or_else(|| conf.clone(), |packages| packages.proof.file.clone()));
    let recipe = recipe.because(crate::deploy::detect::tree::proof(told_by, "packages of the documentation into .venv"));
    Some(recipe.because(tree.proof(&conf, format!("static files in {output}"))))
}

fn by_pip(what: &str) -> String {
    format!("python3 -m venv .venv && .venv/bin/pip install {what}")
}

/// The install of the project with the groups and extras that hold Sphinx.
fn with_documentation(packages: &Packages) -> String {
    let extras = packages.project.get("project").and_then(|project| project.get("optional-dependencies")?.as_table());
    let has_sphinx = |list: &Value| {
        let mut names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| name.to_lowercase().starts_with("sphinx"))
    };
    let extra = extras.into_iter().flatten().find(|(_, list)| has_sphinx(list)).map(|(name, _)| name);
    match (packages.manager, extra) {
        ("uv", _) => packages.install.replace("--no-dev", "--all-groups --all-extras"),
        ("poetry", _) => packages.install.replace("--only main", "--all-extras"),
        ("pip", Some(extra)) if packages.install.ends_with("install .") => {
            packages.install.replace("install .", &format!("install '.[{extra}]'"))
        }
        _ => packages.install.clone(),
    }
}
