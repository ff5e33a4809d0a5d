//! Nx with `project.json` files: one application is built by `nx build`.

use serde_json::Value;

use super::{FILE, Package};
use crate::{
    deploy::detect::reading::{inside, is_plain, setting},
    model::recipe::Recipe,
};

/// The recipe of an Nx repository's application; absent when there is none, or the root's scripts say how.
pub(super) fn detect(root: &Package<'_>) -> Option<Recipe> {
    if !root.tree.has("nx.json") || root.start_script().is_some() {
        return None;
    }
    let projects = root.tree.files_to(3).into_iter().filter(|path| *path == "project.json" || path.ends_with("/project.json"));
    let mut apps: Vec<(bool, &str, Value)> = projects
        .filter_map(|path| Some((path, serde_json::from_str::<Value>(root.tree.text(path)?).ok()?)))
        .filter(|(path, project)| project["projectType"] == "application" && !path.contains("e2e"))
        .map(|(path, project)| (!path.contains("web") && !path.contains("app/"), path, project))
        .collect();
    apps.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let (_, path, project) = apps.into_iter().next()?;
    let folder = path.strip_suffix("project.json")?.trim_end_matches('/');
    let last = folder.rsplit('/').next().filter(|last| !last.is_empty());
    let name = project["name"].as_str().or(last).filter(|name| is_plain(name))?;
    let build = &project["targets"]["build"];
    let executor = build["executor"].as_str().unwrap_or_default();
    let options = &build["options"];
    let told = options["outputPath"].as_str().or_else(|| options["outputPath"]["base"].as_str()).and_then(inside);
    let habit = if folder.is_empty() { format!("dist/{name}") } else { format!("dist/{folder}") };
    let output = told.unwrap_or(habit);

    let tree = if folder.is_empty() { root.tree.clone() } else { root.tree.below(folder) };
    let vite = ["vite.config.ts", "vite.config.mts", "vite.config.js", "vite.config.mjs"];
    let below = |file: &[&str]| tree.first(file).is_some();
    let run = |recipe: Recipe| {
        recipe
            .packages_by(root.manager.name)
            .installed_by(root.manager.install)
            .built_by(root.manager.exec(&format!("nx build {name}"), None))
            .because(root.manager.proof.clone())
            .because(root.tree.proof("nx.json", "nx builds it"))
            .because(root.tree.proof(path, format!("the application is {name}")))
    };
    let server = |framework, start: String, port| {
        let recipe = Recipe::process("node").framework(Some(framework)).started_by(start).on_port(port);
        run(recipe.with_env("NODE_ENV", "production"))
    };
    if executor.contains("next") || below(&["next.config.js", "next.config.mjs", "next.config.ts"]) {
        let start = if build.is_null() { format!("nx start {name}") } else { format!("next start {output}") };
        return Some(server("next", root.manager.exec(&start, None), 3000));
    }
    if executor.contains("angular") {
        let output = if executor.ends_with(":application") { format!("{output}/browser") } else { output };
        return Some(run(Recipe::files("node", output).framework(Some("angular"))));
    }
    if executor.contains("vite") || below(&vite) {
        let config = tree.first_text(&vite).and_then(|(_, text)| setting(text, "outDir"));
        let climbed = config
            .and_then(|config| inside(config.trim_start_matches("../").trim_start_matches("../").trim_start_matches("../")));
        let output = if options["outputPath"].is_null() { climbed.unwrap_or(output) } else { output };
        return Some(run(Recipe::files("node", output).framework(Some("vite"))));
    }
    let frameworks = [("@nestjs/core", "nest"), ("express", "express"), ("fastify", "fastify"), ("koa", "koa")];
    let framework = frameworks.into_iter().find(|(package, _)| root.needs(package));
    let serves = ["@nx/node", "@nx/webpack", "@nx/esbuild", "@nx/js", "@nx/nest", "@nx/rspack"]
        .iter()
        .any(|one| executor.starts_with(one));
    if let Some((_, name)) = framework.filter(|_| serves || tree.has("src/main.ts")) {
        return Some(server(name, format!("node {output}/main.js"), 3000));
    }
    // React and the like by webpack or rspack.
    (!executor.is_empty() && root.tree.says(FILE, "\"react")).then(|| run(Recipe::files("node", output)))
}
