//! Zig: the executable of `build.zig`.

use super::{
    reading::{is_plain, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "build.zig";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let name = text.split_once("addExecutable(").and_then(|(_, rest)| quoted_after(rest, ".name")).filter(|name| is_plain(name));
    let Some(name) = name else {
        return Err(Problem::not_found("this is Zig, but build.zig adds no executable")
            .at(FILE)
            .hint("say --start './zig-out/bin/NAME'"));
    };
    let recipe = Recipe::process("zig").packages_by("zig").built_by("zig build -Doptimize=ReleaseFast");
    let proof = tree.proof_at(FILE, ".name", format!("built by zig; starts {name}"));
    Ok(Some(recipe.started_by(format!("./zig-out/bin/{name}")).because(proof)))
}
