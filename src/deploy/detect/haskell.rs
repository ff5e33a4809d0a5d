//! Haskell: the first executable, by Stack or Cabal, copied into `bin`.

use super::{
    reading::{is_plain, names},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let cabal = tree.ending(".cabal", 0);
    let stack = tree.has("stack.yaml");
    let Some(file) = cabal.or(tree.first(&["package.yaml"]).filter(|_| stack)).or(stack.then_some("stack.yaml")) else {
        return Ok(None);
    };
    let text = tree.text(file).unwrap_or_default();
    let by_cabal = || text.lines().find_map(|line| line.trim().strip_prefix("executable ")).map(str::trim);
    let by_hpack = || {
        let rest = text.split_once("executables:")?.1;
        rest.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?.strip_suffix(':')
    };
    let Some(name) = by_cabal().or_else(by_hpack).filter(|name| is_plain(name)) else {
        return Err(Problem::not_found("this is Haskell, but no executable is named")
            .at(file)
            .hint("add an executable, or say --start 'COMMAND'"));
    };
    let known = ["scotty", "servant-server", "yesod", "ihp", "warp", "snap"];
    let framework = known.into_iter().find(|package| names(text, package)).map(|name| name.trim_end_matches("-server"));
    let recipe = Recipe::process("haskell").framework(framework).started_by(format!("./bin/{name}"));
    let recipe = if stack {
        recipe
            .packages_by("stack")
            .built_by("stack build --copy-bins --local-bin-path bin")
            .because(tree.proof("stack.yaml", "built by Stack"))
    } else {
        let build = format!("cabal install exe:{name} --installdir=bin --install-method=copy --overwrite-policy=always");
        recipe.packages_by("cabal").installed_by("cabal update").built_by(build).because(tree.proof(file, "built by Cabal"))
    };
    Ok(Some(recipe.because(tree.proof_at(file, name, format!("starts the executable {name}")))))
}
