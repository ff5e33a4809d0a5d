//! Clojure: Leiningen's uberjar, or tools.deps with a build or a main.

use super::{
    reading::{is_plain, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    if let Some(text) = tree.text("project.clj") {
        let jar = quoted_after(text, ":uberjar-name").filter(|jar| is_plain(jar)).map(|jar| format!("target/{jar}"));
        let jar = jar.unwrap_or_else(|| "target/*-standalone.jar".to_owned());
        let jar = if jar.contains('*') && text.contains(":profiles") {
            "$(find target -name '*-standalone.jar' | head -n 1)".to_owned()
        } else {
            jar
        };
        let recipe = Recipe::process("clojure").framework(framework(text)).packages_by("lein").built_by("lein uberjar");
        let proof = tree.proof_at("project.clj", ":main", "starts the uberjar that Leiningen makes");
        return Ok(Some(recipe.started_by(format!("java -jar {jar}")).because(proof)));
    }
    let Some(text) = tree.text("deps.edn") else {
        return Ok(None);
    };
    let recipe = Recipe::process("clojure")
        .framework(framework(text))
        .packages_by("clojure")
        .because(tree.proof("deps.edn", "packages by the clojure command"));
    if let Some(build) = tree.text("build.clj") {
        let task = ["uber", "uberjar", "ci"].into_iter().find(|task| build.contains(&format!("(defn {task}"))).unwrap_or("uber");
        let recipe = recipe.built_by(format!("clojure -T:build {task}")).started_by("java -jar target/*.jar");
        return Ok(Some(recipe.because(tree.proof("build.clj", "starts the jar that it builds"))));
    }
    let alias = ["run", "start", "main", "server", "prod"]
        .into_iter()
        .find(|alias| text.contains(&format!(":{alias}")) && text.contains(":main-opts"));
    let Some(alias) = alias else {
        return Err(Problem::not_found("this is Clojure, but deps.edn has no alias that starts it")
            .at("deps.edn")
            .hint("add an alias `:run {:main-opts [\"-m\" \"NAMESPACE\"]}`, or say --start 'clojure -M -m NAMESPACE'"));
    };
    let recipe = recipe.installed_by("clojure -P").started_by(format!("clojure -M:{alias}"));
    Ok(Some(recipe.because(tree.proof_at("deps.edn", &format!(":{alias}"), format!("starts the alias {alias}")))))
}

fn framework(text: &str) -> Option<&'static str> {
    let known = [
        ("luminus", "luminus"),
        ("pedestal", "pedestal"),
        ("kit-clj", "kit"),
        ("compojure", "compojure"),
        ("reitit", "reitit"),
        ("ring", "ring"),
        ("http-kit", "http-kit"),
    ];
    known.into_iter().find(|(package, _)| text.contains(package)).map(|(_, name)| name)
}
