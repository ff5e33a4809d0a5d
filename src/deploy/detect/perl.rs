//! Perl: a PSGI app, or a script; packages by cpanm into `local`.

use super::{reading::names, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

const PATHS: &str = "PERL5LIB=local/lib/perl5 PATH=\"$PWD/local/bin:$PATH\"";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let gist = tree.text("cpanfile").unwrap_or_default();
    let script = tree.first(&["app.pl", "server.pl", "main.pl", "index.pl", "script/app"]);
    let Some(file) = tree.first(&["app.psgi", "cpanfile"]).or(script) else {
        return Ok(None);
    };
    let known = [("Mojolicious", "mojolicious"), ("Dancer2", "dancer"), ("Catalyst", "catalyst"), ("Plack", "plack")];
    let framework = known.into_iter().find(|(package, _)| names(gist, package)).map(|(_, name)| name);
    let mut recipe = Recipe::process("perl").framework(framework);
    let paths = if tree.has("cpanfile") {
        let proof = tree.proof("cpanfile", "packages by cpanm into local");
        recipe = recipe.packages_by("cpanm").installed_by("cpanm --local-lib-contained local --installdeps .").because(proof);
        format!("{PATHS} ")
    } else {
        String::new()
    };
    let (start, file) = if let Some(psgi) = tree.ending(".psgi", 0).or_else(|| tree.first(&["bin/app.psgi"])) {
        (format!("{paths}plackup --host 127.0.0.1 --port $PORT {psgi}"), psgi)
    } else if let Some(script) = script {
        let lite = tree.says(script, "Mojolicious::Lite") || framework == Some("mojolicious");
        let daemon = if lite { " daemon -l http://127.0.0.1:$PORT" } else { "" };
        (format!("{paths}perl {script}{daemon}"), script)
    } else {
        return Err(Problem::not_found("this is Perl, but nothing says how it is started")
            .at(file)
            .hint("add app.psgi or app.pl, or say --start 'COMMAND'"));
    };
    Ok(Some(recipe.started_by(start).because(tree.proof(file, "starts this file"))))
}
