//! Detection: a listing and a few texts to a recipe, each answer with the file that proves it.

pub mod compose;
pub mod dockerfile;
mod node;
mod procfile;
mod python;
mod static_site;
mod tree;
mod yaml;

use tree::Tree;

use crate::model::{Problem, recipe::Recipe, source::Survey};

/// A language: gives a recipe when the tree is one of its kind and says how it serves; a problem when it is and cannot.
type Language = fn(&Tree<'_>) -> Result<Option<Recipe>, Problem>;

/// The languages in order: the first that recognises the tree decides. A `Procfile` then says what is started.
const LANGUAGES: &[Language] = &[node::detect, python::detect, static_site::detect, dockerfile::detect, compose::detect];

/// How to install, build and start what was surveyed.
///
/// Pure and quick: under 20 ms for the largest survey. `NotFound` when nothing is recognised.
pub fn detect(survey: &Survey) -> Result<Recipe, Problem> {
    let tree = Tree::new(survey);
    let processes = procfile::read(&tree)?;
    let mut first_problem = None;
    for language in LANGUAGES {
        match language(&tree) {
            Ok(Some(recipe)) => return Ok(procfile::over(recipe, processes)),
            Ok(None) => {}
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    if !processes.is_empty() {
        return Ok(procfile::over(procfile::alone(), processes));
    }
    Err(first_problem.unwrap_or_else(|| unrecognised(&tree)))
}

/// Files that tell a language that has no detection, with the commands its people use.
const OTHERS: &[(&str, &str, &str)] = &[
    ("go.mod", "Go", "--build 'go build -o server .' --start ./server"),
    ("Cargo.toml", "Rust", "--build 'cargo build --release' --start target/release/NAME"),
    ("Gemfile", "Ruby", "--install 'bundle install' --start 'bundle exec puma -p $PORT'"),
    ("composer.json", "PHP", "--install 'composer install' --start 'php -S 127.0.0.1:$PORT -t public'"),
    ("pom.xml", "Java", "--build 'mvn package' --start 'java -jar target/NAME.jar --server.port=$PORT'"),
    ("mix.exs", "Elixir", "--install 'mix deps.get' --start 'mix phx.server'"),
    ("deno.json", "Deno", "--start 'deno run --allow-net --allow-env main.ts'"),
];

fn unrecognised(tree: &Tree<'_>) -> Problem {
    if tree.is_empty() {
        return Problem::not_found("there are no files").hint("deploy a folder or repository that holds an app");
    }
    if let Some((file, name, flags)) = OTHERS.iter().find(|(file, ..)| tree.has(file)) {
        return Problem::not_found(format!("{name} is not detected by itself yet"))
            .at(*file)
            .hint(format!("say how it is built and started: pilothouse deploy {flags}"));
    }
    let looked =
        "package.json, requirements.txt, pyproject.toml, manage.py, app.py, main.py, index.html, public/index.html, Procfile";
    let problem = Problem::not_found(format!("cannot tell how to run this: none of {looked} is in its root"));
    let problem = problem.evidence([format!("the root holds {}", tree.root_words())]);
    match tree.nested() {
        Some(folder) => problem.hint(format!("deploy the folder `{folder}`, or say --start 'COMMAND'")),
        None => problem
            .hint("say --start 'COMMAND' (it must listen on $PORT), --output FOLDER for static files, or write pilothouse.toml"),
    }
}

#[cfg(test)]
mod tests;
