//! Erlang: a release by rebar3.

use super::{reading::is_plain, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "rebar.config";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let word = |rest: &str| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    let release = text.split_once("{release,").map(|(_, rest)| word(rest.trim_start().trim_start_matches('{').trim_start()));
    let Some(name) = release.filter(|name| is_plain(name)) else {
        return Err(Problem::not_found("this is Erlang, but rebar.config names no release")
            .at(FILE)
            .hint("add {relx, [{release, {NAME, \"0.1.0\"}, [NAME]}]} to rebar.config, or say --start 'COMMAND'"));
    };
    let framework = ["cowboy", "elli", "mochiweb", "nova"].into_iter().find(|package| super::reading::names(text, package));
    let recipe = Recipe::process("erlang").framework(framework).packages_by("rebar3").installed_by("rebar3 get-deps");
    let recipe = recipe.built_by("rebar3 as prod release").started_by(format!("./_build/prod/rel/{name}/bin/{name} foreground"));
    Ok(Some(recipe.because(tree.proof_at(FILE, "{release,", format!("starts the release {name}")))))
}
