//! Dart: a server compiled to a program, or Flutter for the web.

use super::{
    reading::{ends, field, is_plain, names},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "pubspec.yaml";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    if text.contains("sdk: flutter") {
        let recipe =
            Recipe::files("dart", "build/web").framework(Some("flutter")).packages_by("pub").installed_by("flutter pub get");
        let recipe = recipe.built_by("flutter build web --release");
        return Ok(Some(recipe.because(tree.proof_at(FILE, "sdk: flutter", "static files in build/web"))));
    }
    let framework =
        ["dart_frog", "serverpod", "shelf", "jaspr", "angel3_framework"].into_iter().find(|package| names(text, package));
    let recipe = Recipe::process("dart").framework(framework).packages_by("pub").installed_by("dart pub get");
    let recipe = recipe.because(tree.proof(FILE, "packages by pub"));
    if framework == Some("dart_frog") {
        let recipe =
            recipe.built_by("dart pub global activate dart_frog_cli && dart pub global run dart_frog_cli:dart_frog build");
        return Ok(Some(
            recipe
                .started_by("dart build/bin/server.dart")
                .on_port(8080)
                .because(tree.proof(FILE, "starts what dart_frog builds")),
        ));
    }
    let name = field(text, "name").filter(|name| is_plain(name)).unwrap_or("app");
    let own = format!("bin/{name}.dart");
    let entry = tree.first(&["bin/server.dart", "bin/main.dart", &own]).map(str::to_owned);
    let Some(entry) =
        entry.or_else(|| tree.files().find(|path| path.starts_with("bin/") && ends(path, ".dart")).map(str::to_owned))
    else {
        return Err(Problem::not_found("this is Dart, but bin holds no program")
            .at(FILE)
            .hint("add bin/server.dart, or say --start 'COMMAND'"));
    };
    let program = entry.trim_end_matches(".dart").to_owned();
    let recipe =
        recipe.built_by(format!("dart compile exe {entry} -o {program}")).started_by(format!("./{program}")).on_port(8080);
    Ok(Some(recipe.because(tree.proof(&entry, "starts this program"))))
}
