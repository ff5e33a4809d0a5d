//! Swift: the executable of `Package.swift`.

use super::{
    reading::{is_plain, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "Package.swift";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let by_target = || text.split_once("executableTarget(").and_then(|(_, rest)| quoted_after(rest, "name:"));
    let by_product = || text.split_once(".executable(").and_then(|(_, rest)| quoted_after(rest, "name:"));
    let by_main = || tree.files().find_map(|path| path.strip_prefix("Sources/")?.strip_suffix("/main.swift"));
    let Some(name) = by_product().or_else(by_target).or_else(by_main).filter(|name| is_plain(name)) else {
        return Err(Problem::not_found("this is Swift, but Package.swift names no executable")
            .at(FILE)
            .hint("add an executableTarget, or say --start 'COMMAND'"));
    };
    let framework =
        ["vapor", "hummingbird", "kitura"].into_iter().find(|package| text.to_lowercase().contains(&format!("/{package}")));
    let flags = match framework {
        Some("vapor") => " serve --env production --hostname 127.0.0.1 --port $PORT",
        Some("hummingbird") => " --hostname 127.0.0.1 --port $PORT",
        _ => "",
    };
    let recipe = Recipe::process("swift").framework(framework).packages_by("swiftpm").built_by("swift build -c release");
    let recipe = recipe.started_by(format!("./.build/release/{name}{flags}")).because(tree.proof(FILE, "built by swift"));
    let recipe = if framework.is_some() { recipe.on_port(8080) } else { recipe };
    Ok(Some(recipe.because(tree.proof_at(FILE, &format!("\"{name}\""), format!("starts {name}")))))
}
