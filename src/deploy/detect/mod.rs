//! Detection: a listing and a few texts to a recipe, each answer with the file that proves it.

mod clojure;
pub mod compose;
mod cpp;
mod crystal;
mod dart;
mod deno;
pub mod dockerfile;
mod dotnet;
mod elixir;
mod erlang;
mod gleam;
mod go;
mod haskell;
mod java;
mod nim;
mod node;
mod ocaml;
mod perl;
mod php;
mod procfile;
mod python;
mod reading;
mod ruby;
mod rust;
mod scala;
mod shell;
mod site;
mod static_site;
mod swift;
mod tree;
mod versions;
mod yaml;
mod zig;

use tree::Tree;

use crate::model::{Problem, recipe::Recipe, source::Survey};

/// A language: gives a recipe when the tree is one of its kind and says how it serves; a problem when it is and cannot.
type Language = fn(&Tree<'_>) -> Result<Option<Recipe>, Problem>;

/// The languages in order: the first that recognises the tree decides. A `Procfile` then says what is started.
///
/// Those whose files stand beside a `package.json` for their pages come before Node; what any project may hold, a
/// Makefile or a page, comes last.
const LANGUAGES: &[Language] = &[
    site::detect,
    php::detect,
    go::detect,
    java::detect,
    scala::detect,
    clojure::detect,
    rust::detect,
    ruby::detect,
    elixir::detect,
    python::detect,
    deno::detect,
    dotnet::detect,
    node::detect,
    gleam::detect,
    erlang::detect,
    swift::detect,
    dart::detect,
    crystal::detect,
    haskell::detect,
    zig::detect,
    nim::detect,
    ocaml::detect,
    cpp::detect,
    perl::detect,
    site::late,
    shell::beside_pages,
    static_site::detect,
    node::alone,
    python::alone,
    java::alone,
    dockerfile::detect,
    compose::detect,
    shell::detect,
    python::documentation,
];

/// How to install, build and start what was surveyed.
///
/// Pure; its time grows with the number of files. From the folder to the recipe a normal repository of 2,000 files is to take less
/// than 20 ms, which `benches/detection.rs` measures. `NotFound` when nothing is recognised.
pub fn detect(survey: &Survey) -> Result<Recipe, Problem> {
    let tree = Tree::new(survey);
    let processes = procfile::read(&tree)?;
    let mut first_problem = None;
    for language in LANGUAGES {
        match language(&tree) {
            Ok(Some(mut recipe)) => {
                recipe.proof.extend(versions::proofs(&tree, &recipe));
                recipe.proof.extend(static_site::functions(&tree, &recipe));
                return Ok(procfile::over(recipe, &tree, processes));
            }
            Ok(None) => {}
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    if !processes.is_empty() {
        return Ok(procfile::over(procfile::alone(), &tree, processes));
    }
    Err(first_problem.unwrap_or_else(|| unrecognised(&tree)))
}

fn unrecognised(tree: &Tree<'_>) -> Problem {
    if tree.is_empty() {
        return Problem::not_found("there are no files").hint("deploy a folder or repository that holds an app");
    }
    const LOOKED: &[&str] = &[
        "package.json",
        "requirements.txt",
        "pyproject.toml",
        "go.mod",
        "Cargo.toml",
        "Gemfile",
        "composer.json",
        "pom.xml",
        "build.gradle",
        "mix.exs",
        "deno.json",
        "*.csproj",
        "CMakeLists.txt",
        "index.html",
        "public/index.html",
        "start.sh",
        "Procfile",
    ];
    let cannot = |why: String| Problem::not_found(format!("cannot tell how to run this: {why}"));
    let problem = tree.first(LOOKED).map_or_else(
        || cannot(format!("none of {} is in its root", LOOKED.join(", "))),
        |file| cannot(format!("{file} is there, but nothing says what is started or which files are served")).at(file),
    );
    let problem = problem.evidence([format!("the root holds {}", tree.root_words())]);
    match tree.nested() {
        Some(folder) => problem.hint(format!("deploy the folder `{folder}`, or say --start 'COMMAND'")),
        None => problem
            .hint("say --start 'COMMAND' (it must listen on $PORT), --output FOLDER for static files, or write pilothouse.toml"),
    }
}

#[cfg(test)]
mod tests;
