//! Perl: a PSGI app, or a script; packages by cpanm into `local`.

use super::{
    reading::{ends, names},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const PATHS: &str = "PERL5LIB=local/lib/perl5 PATH=\"$PWD/local/bin:$PATH\"";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let gist = tree.text("cpanfile").unwrap_or_default();
    let script = tree.first(&["app.pl", "server.pl", "main.pl", "index.pl", "script/app"]).or_else(|| mojolicious(tree));
    let Some(file) = tree.first(&["app.psgi", "cpanfile"]).or(script) else {
        return Ok(None);
    };
    let known = [("Mojolicious", "mojolicious"), ("Dancer2", "dancer"), ("Catalyst", "catalyst"), ("Plack", "plack")];
    let framework = known.into_iter().find(|(package, _)| names(gist, package)).map(|(_, name)| name);
    let framework = framework.or_else(|| mojolicious(tree).map(|_| "mojolicious"));
    let mut recipe = Recipe::process("perl").framework(framework);
    let paths = if tree.has("cpanfile") {
        let proof = tree.proof("cpanfile", "packages by cpanm into local");
        recipe = recipe.packages_by("cpanm").installed_by("cpanm --local-lib-contained local --installdeps .").because(proof);
        format!("{PATHS} ")
    } else {
        String::new()
    };
    let (start, file) = if let Some(psgi) = tree.ending(".psgi", 0).or_else(|| tree.first(&["bin/app.psgi"])) {
        // The names by which Dancer and Plack know what is not for development.
        let environment = if framework == Some("dancer") { "production" } else { "deployment" };
        (format!("{paths}plackup -E {environment} --host 127.0.0.1 --port $PORT {psgi}"), psgi)
    } else if let Some(script) = script {
        let serve = if framework == Some("mojolicious") { " prefork -m production -l http://127.0.0.1:$PORT" } else { "" };
        (format!("{paths}perl {script}{serve}"), script)
    } else {
        return Err(Problem::not_found("this is Perl, but nothing says how it is started")
            .at(file)
            .hint("add app.psgi or app.pl, or say --start 'COMMAND'"));
    };
    Ok(Some(recipe.started_by(start).because(tree.proof(file, "starts this file"))))
}

/// The script that starts a Mojolicious app, as its generator names it (`script/my_app`), or one in a single file.
fn mojolicious<'t>(tree: &Tree<'t>) -> Option<&'t str> {
    let starts = |path: &&str| {
        let is_script = path.strip_prefix("script/").map_or_else(|| ends(path, ".pl"), |name| !name.contains('/'));
        is_script && (tree.says(path, "Mojolicious::Commands") || tree.says(path, "Mojolicious::Lite"))
    };
    tree.files_to(1).into_iter().find(starts)
}
