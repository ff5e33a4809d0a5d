//! Elixir: Phoenix as a release, anything else by `mix run`.

use super::{reading::is_plain, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "mix.exs";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(root) = tree.text(FILE) else {
        return Ok(None);
    };
    // An umbrella keeps its apps below; the one with an endpoint serves.
    let umbrella = root.contains("apps_path");
    let below = || tree.files_to(2).into_iter().filter(|path| path.ends_with("/mix.exs")).filter_map(|path| tree.text(path));
    let app =
        if umbrella { below().find(|text| text.contains(":phoenix")).or_else(|| below().next()).unwrap_or(root) } else { root };
    let has = |dependency: &str| app.contains(&format!("{{:{dependency},")) || root.contains(&format!("{{:{dependency},"));
    let phoenix = has("phoenix");
    let known = ["phoenix", "bandit", "plug_cowboy", "plug"];
    let framework =
        known.into_iter().find(|dependency| has(dependency)).map(|name| if name == "phoenix" { name } else { "plug" });
    let name = if umbrella { atom_after(root, "releases:") } else { None };
    let name = name.or_else(|| atom_after(app, "app:")).filter(|name| is_plain(name));
    let has_release = root.contains("releases:") || tree.has("rel/");

    let mut recipe = Recipe::process("elixir").framework(framework).packages_by("mix");
    recipe = recipe.installed_by("mix local.hex --force && mix local.rebar --force && mix deps.get --only prod");
    recipe = recipe.because(tree.proof(FILE, "packages and build by mix"));
    let mut build = "MIX_ENV=prod mix compile".to_owned();
    if app.contains("assets.deploy") || root.contains("assets.deploy") {
        build += " && MIX_ENV=prod mix assets.deploy";
        recipe = recipe.because(tree.proof_at(FILE, "assets.deploy", "the alias assets.deploy builds its pages"));
        let package = tree.first(&["assets/package.json"]);
        if package.is_some() {
            let install =
                if tree.has("assets/package-lock.json") { "npm ci --prefix assets" } else { "npm install --prefix assets" };
            recipe.install = recipe.install.map(|own| format!("{own} && {install}"));
        }
    }
    if let Some(name) = name.filter(|_| phoenix || has_release) {
        build += " && MIX_ENV=prod mix release --overwrite";
        let serve = if phoenix { "PHX_SERVER=true " } else { "" };
        recipe = recipe.started_by(format!("{serve}./_build/prod/rel/{name}/bin/{name} start"));
        let why = format!("starts the release {name}");
        recipe = recipe.because(tree.proof_at(FILE, &format!(":{name}"), why));
    } else {
        let command = if phoenix { "mix phx.server" } else { "mix run --no-halt" };
        recipe = recipe.started_by(format!("MIX_ENV=prod {command}"));
        recipe = recipe.because(tree.proof(FILE, "starts its application"));
    }
    if phoenix {
        recipe = recipe.on_port(4000);
        let needs = "needs SECRET_KEY_BASE (mix phx.gen.secret) and, with Ecto, DATABASE_URL in its environment";
        if tree.has("config/runtime.exs") {
            recipe = recipe.because(tree.proof("config/runtime.exs", needs));
        }
    }
    Ok(Some(recipe.built_by(build)))
}

/// `shop` of `app: :shop`, or of `releases: [shop: [`.
fn atom_after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let rest = text.split_once(key)?.1.trim_start_matches([' ', '\n', ':', '[']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    Some(&rest[..end]).filter(|name| !name.is_empty())
}
