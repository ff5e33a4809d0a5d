//! Gleam: exported as an Erlang shipment, or built for JavaScript.

use toml::Table;

use super::{reading::is_plain, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "gleam.toml";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let config: Table = toml::from_str(text).unwrap_or_default();
    let needs = |package: &str| config.get("dependencies").and_then(|all| all.get(package)).is_some();
    let framework =
        ["lustre", "wisp", "mist"].into_iter().find(|package| needs(package) && (*package != "lustre" || !needs("wisp")));
    let recipe = Recipe::process("gleam").framework(framework).packages_by("gleam").installed_by("gleam deps download");
    let recipe = recipe.because(tree.proof(FILE, "packages and build by gleam"));
    let name = config.get("name").and_then(|name| name.as_str()).filter(|name| is_plain(name)).unwrap_or("main");
    if config.get("target").and_then(|target| target.as_str()) == Some("javascript") {
        if tree.has("index.html") || needs("lustre") {
            let recipe = Recipe { runtime: "static".to_owned(), output: Some("dist".to_owned()), ..recipe };
            let proof = tree.proof_at(FILE, "target", "static files in dist");
            return Ok(Some(recipe.built_by("gleam run -m lustre/dev build --outdir=dist").because(proof)));
        }
        let start = format!("node -e 'import(\"./build/dev/javascript/{name}/{name}.mjs\").then((app) => app.main())'");
        return Ok(Some(recipe.built_by("gleam build").started_by(start).because(tree.proof_at(
            FILE,
            "target",
            "starts its main",
        ))));
    }
    let recipe = recipe.built_by("gleam export erlang-shipment").started_by("./build/erlang-shipment/entrypoint.sh run");
    let recipe = if framework.is_some() { recipe.on_port(8000) } else { recipe };
    Ok(Some(recipe.because(tree.proof_at(FILE, "name", format!("starts {name} as a shipment")))))
}
