//! Scala: sbt with a packager, an assembly, or by `sbt run`.

use super::{
    reading::{is_plain, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "build.sbt";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let plugins = tree.text("project/plugins.sbt").unwrap_or_default();
    let play =
        plugins.contains("sbt-plugin") && (plugins.contains("play") || text.contains("PlayScala") || text.contains("PlayJava"));
    let known = [
        ("http4s", "http4s"),
        ("pekko-http", "pekko"),
        ("akka-http", "akka"),
        ("zio-http", "zio-http"),
        ("cask", "cask"),
        ("scalatra", "scalatra"),
        ("finatra", "finatra"),
    ];
    let framework =
        if play { Some("play") } else { known.into_iter().find(|(package, _)| text.contains(package)).map(|(_, name)| name) };
    let name = quoted_after(text, "name :=").map(|name| name.to_lowercase().replace(' ', "-")).filter(|name| is_plain(name));
    let recipe = Recipe::process("scala").framework(framework).packages_by("sbt").because(tree.proof(FILE, "built by sbt"));
    let staged = play || plugins.contains("sbt-native-packager");
    if staged {
        // A file with its process id that a killed one leaves behind would keep the next one from starting.
        let flags = if play { " -Dpidfile.path=/dev/null -Dhttp.address=127.0.0.1 -Dhttp.port=$PORT" } else { "" };
        let stage = "target/universal/stage/bin";
        let start = match name {
            Some(name) => format!("./{stage}/{name}{flags}"),
            None => format!("$(ls {stage}/* | grep -v .bat | head -n 1){flags}"),
        };
        let mut recipe = recipe.built_by("sbt stage").started_by(start);
        if play {
            recipe = recipe.because(tree.proof(FILE, "starts Play; needs play.http.secret.key in its configuration"));
        }
        return Ok(Some(recipe.because(tree.proof("project/plugins.sbt", "starts what `sbt stage` leaves"))));
    }
    if plugins.contains("sbt-assembly") {
        let jar = match quoted_after(text, "assemblyJarName").filter(|jar| is_plain(jar)) {
            Some(jar) => format!("target/scala-*/{jar}"),
            None => "target/scala-*/*-assembly-*.jar".to_owned(),
        };
        let recipe = recipe.built_by("sbt assembly").started_by(format!("java -jar {jar}"));
        return Ok(Some(recipe.because(tree.proof("project/plugins.sbt", "starts the jar that sbt-assembly makes"))));
    }
    Ok(Some(
        recipe
            .built_by("sbt compile")
            .started_by("sbt run")
            .because(tree.proof(FILE, "starts it by sbt, as no packager is among its plugins")),
    ))
}
