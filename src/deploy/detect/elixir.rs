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
    let releases = releases(root);
    let has_release = releases.is_some() || tree.has("rel/");
    // Of an umbrella nothing is released that it does not name.
    let own = if umbrella { None } else { atom_after(app, "app:") };
    let name = releases.as_ref().and_then(|names| names.first().copied()).or(own).filter(|name| is_plain(name));

    let mut recipe = Recipe::process("elixir").framework(framework).packages_by("mix");
    recipe = recipe.installed_by("mix local.hex --force && mix local.rebar --force && mix deps.get --only prod");
    recipe = recipe.because(tree.proof(FILE, "packages and build by mix"));
    let mut build = "MIX_ENV=prod mix compile".to_owned();
    let is_below = umbrella && !root.contains("assets.deploy");
    let folder = if is_below { umbrella_app(tree, "assets.deploy") } else { None };
    if root.contains("assets.deploy") || folder.is_some() {
        build += &match folder {
            Some(folder) => format!(" && (cd {folder} && MIX_ENV=prod mix assets.deploy)"),
            None => " && MIX_ENV=prod mix assets.deploy".to_owned(),
        };
        let file = folder.map_or_else(|| FILE.to_owned(), |folder| format!("{folder}/{FILE}"));
        recipe = recipe.because(tree.proof_at(&file, "assets.deploy", "the alias assets.deploy builds its pages"));
        let package = tree.first(&["assets/package.json"]);
        if package.is_some() {
            let install =
                if tree.has("assets/package-lock.json") { "npm ci --prefix assets" } else { "npm install --prefix assets" };
            recipe.install = recipe.install.map(|own| format!("{own} && {install}"));
        }
    }
    if let Some(name) = name.filter(|_| phoenix || has_release) {
        // Of several it must be told which.
        let which = if releases.as_ref().is_some_and(|names| names.len() > 1) { format!(" {name}") } else { String::new() };
        build += &format!(" && MIX_ENV=prod mix release{which} --overwrite");
        let serve = if phoenix { "PHX_SERVER=true " } else { "" };
        recipe = recipe.started_by(format!("{serve}./_build/prod/rel/{name}/bin/{name} start"));
        let why = format!("starts the release {name}");
        let named = if releases.is_some() { format!("{name}:") } else { format!(":{name}") };
        recipe = recipe.because(tree.proof_at(FILE, &named, why));
    } else {
        let command = if phoenix { "PHX_SERVER=true mix phx.server" } else { "mix run --no-halt" };
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

/// The folder of the umbrella's app whose `mix.exs` says `word`.
fn umbrella_app<'t>(tree: &Tree<'t>, word: &str) -> Option<&'t str> {
    let files = tree.files_to(2).into_iter().filter(|path| path.ends_with("/mix.exs") && tree.says(path, word));
    files.filter_map(|path| path.strip_suffix("/mix.exs")).find(|folder| is_plain(folder))
}

/// The names of `releases: [web: […], worker: […]]`, there or in a function of that name; absent when none are named.
fn releases(text: &str) -> Option<Vec<&str>> {
    let (_, rest) =
        text.split_once("def releases").or_else(|| text.split_once("defp releases")).or_else(|| text.split_once("releases:"))?;
    let list =
        rest.trim_start().trim_start_matches("do").trim_start_matches("()").trim_start().trim_start_matches("do").trim_start();
    let (mut depth, mut names, mut from) = (0_usize, Vec::new(), 0);
    for (at, c) in list.strip_prefix('[')?.char_indices() {
        let list = &list[1..];
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' if depth == 0 => break,
            ']' | '}' | ')' => depth -= 1,
            ',' if depth == 0 => from = at + 1,
            ':' if depth == 0 => names.extend(Some(list[from..at].trim()).filter(|name| is_plain(name))),
            _ => {}
        }
    }
    Some(names).filter(|names| !names.is_empty())
}

/// `shop` of `app: :shop`.
fn atom_after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let rest = text.split_once(key)?.1.trim_start_matches([' ', '\n', ':']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    Some(&rest[..end]).filter(|name| !name.is_empty())
}
