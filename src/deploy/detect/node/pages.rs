//! Pages that another language serves: installed and built by the node package beside it, or in a folder of their own.

use super::Package;
use crate::{
    deploy::detect::{reading::is_plain, tree::Tree},
    model::recipe::{Proof, Recipe},
};

/// Folders that pages are kept in beside a server.
const FOLDERS: &[&str] = &["web", "frontend", "client", "ui", "webapp", "front", "app", "www", "site", "dashboard"];
/// Folders that builds leave.
const BUILT: &[&str] = &["dist", "build", "out", "public"];

/// What another language's pages need.
pub(in crate::deploy::detect) struct Assets {
    pub(in crate::deploy::detect) install: String,
    pub(in crate::deploy::detect) build: String,
    pub(in crate::deploy::detect) proof: Proof,
}

/// The node package beside another language that has something to build; absent when there is none.
pub(in crate::deploy::detect) fn assets(tree: &Tree<'_>) -> Option<Assets> {
    let package = Package::of(tree).ok()??;
    let script = package.build_script()?;
    package.has_dependencies().then(|| Assets {
        install: package.manager.install.to_owned(),
        build: package.run(script),
        proof: package.says(script, format!("scripts.{script} builds its pages, {} installs", package.manager.name)),
    })
}

/// What installs the packages that a generator of another language calls: PostCSS and the like, or packages that its scripts import.
pub(in crate::deploy::detect) fn tools(tree: &Tree<'_>) -> Option<(String, Proof)> {
    const TOOLS: &[&str] =
        &["postcss", "postcss-cli", "autoprefixer", "tailwindcss", "@tailwindcss/cli", "@babel/cli", "sass", "sass-embedded"];
    let package = Package::of(tree).ok()??;
    let imports = package.json["dependencies"].as_object().is_some_and(|all| !all.is_empty());
    let tool = TOOLS.iter().find(|tool| package.needs(tool));
    let key = tool.copied().or(imports.then_some("dependencies"))?;
    let why = format!("its pages need packages, {} installs", package.manager.name);
    Some((package.manager.install.to_owned(), package.says(key, why)))
}

/// `recipe`, with its pages installed after it and built before it.
pub(in crate::deploy::detect) fn with_assets(recipe: Recipe, tree: &Tree<'_>) -> Recipe {
    match assets(tree) {
        Some(assets) => with(recipe, assets),
        None => recipe,
    }
}

/// As `with_assets`; else the pages in a folder whose build a source that ends in `extension` embeds or serves (`web/dist`).
pub(in crate::deploy::detect) fn with_served_pages(recipe: Recipe, tree: &Tree<'_>, extension: &str) -> Recipe {
    let beside = assets(tree);
    let below = || {
        let folder = FOLDERS.iter().copied().find(|folder| is_served(tree, folder, extension))?;
        let assets = assets(&tree.below(folder))?;
        let within = |command: &str| format!("(cd {folder} && {command})");
        Some(Assets { install: within(&assets.install), build: within(&assets.build), ..assets })
    };
    match beside.or_else(below) {
        Some(assets) => with(recipe, assets),
        None => recipe,
    }
}

fn is_served(tree: &Tree<'_>, folder: &str, extension: &str) -> bool {
    if !is_plain(folder) || !tree.has(&format!("{folder}/package.json")) {
        return false;
    }
    let below = format!("{folder}/");
    tree.files_to(3).into_iter().filter(|path| path.ends_with(extension)).any(|path| {
        let says = |text: String| tree.says(path, &text);
        let embeds = |built: &str| says(format!("go:embed {built}")) || says(format!("go:embed all:{built}"));
        BUILT.iter().any(|built| says(format!("{folder}/{built}")) || (path.starts_with(&below) && embeds(built)))
    })
}

fn with(mut recipe: Recipe, assets: Assets) -> Recipe {
    recipe.install = Some(recipe.install.map_or_else(|| assets.install.clone(), |own| format!("{own} && {}", assets.install)));
    recipe.build = Some(recipe.build.map_or_else(|| assets.build.clone(), |own| format!("{} && {own}", assets.build)));
    recipe.proof.push(assets.proof);
    recipe
}
