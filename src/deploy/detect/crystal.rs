//! Crystal: the first target of `shard.yml`.

use super::{
    reading::{field, is_plain, names},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "shard.yml";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let target = text.split_once("targets:").and_then(|(_, rest)| rest.lines().map(str::trim).find(|line| !line.is_empty()));
    let target = target.and_then(|line| line.strip_suffix(':')).filter(|name| is_plain(name));
    let framework = ["kemal", "lucky", "amber", "athena", "marten", "grip"].into_iter().find(|package| names(text, package));
    let recipe = Recipe::process("crystal")
        .framework(framework)
        .packages_by("shards")
        .because(tree.proof(FILE, "packages and build by shards"));
    let recipe = if text.contains("dependencies:") {
        recipe.installed_by(if tree.has("shard.lock") { "shards install --production" } else { "shards install" })
    } else {
        recipe
    };
    if let Some(name) = target {
        let recipe = recipe.built_by("shards build --release").started_by(format!("./bin/{name}"));
        return Ok(Some(recipe.because(tree.proof_at(FILE, &format!("{name}:"), format!("starts the target {name}")))));
    }
    let name = field(text, "name").filter(|name| is_plain(name)).unwrap_or("app");
    let source = format!("src/{name}.cr");
    if !tree.has(&source) {
        return Err(Problem::not_found("this is Crystal, but shard.yml names no target")
            .at(FILE)
            .hint("add targets to shard.yml, or say --start 'COMMAND'"));
    }
    let recipe = recipe
        .built_by(format!("mkdir -p bin && crystal build --release -o bin/{name} {source}"))
        .started_by(format!("./bin/{name}"));
    Ok(Some(recipe.because(tree.proof(&source, "starts the program of this name"))))
}
