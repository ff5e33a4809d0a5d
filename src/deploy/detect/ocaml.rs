//! OCaml: the executable that dune builds.

use super::{reading::is_plain, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    if !tree.has("dune-project") {
        return Ok(None);
    }
    let found = tree.files_to(2).into_iter().filter(|path| *path == "dune" || path.ends_with("/dune")).find_map(|path| {
        let rest = tree.text(path)?.split_once("(executable")?.1;
        let name = rest.split_once("(name")?.1.trim_start().split([')', ' ', '\n']).next().filter(|name| is_plain(name))?;
        Some((path, path.trim_end_matches("dune"), name))
    });
    let Some((path, folder, name)) = found else {
        return Err(Problem::not_found("this is OCaml, but no dune file has an executable")
            .at("dune-project")
            .hint("say --start 'COMMAND'"));
    };
    let recipe = Recipe::process("ocaml").packages_by("opam").because(tree.proof("dune-project", "built by dune"));
    let recipe = match tree.ending(".opam", 0) {
        Some(_) => recipe.installed_by("opam install . --deps-only --yes"),
        None => recipe,
    };
    let recipe = recipe.built_by("dune build --profile release").started_by(format!("./_build/default/{folder}{name}.exe"));
    Ok(Some(recipe.because(tree.proof_at(path, "(name", format!("starts {name}")))))
}
