//! Site generators that are programs of their own: told by their configuration, before any language.

use toml::Table;

use super::{
    node,
    reading::{field, inside},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    Ok(hugo(tree).or_else(|| zola(tree)).or_else(|| mdbook(tree)))
}

/// Jekyll and `MkDocs` without a file of packages: told after the languages, whose files say more.
pub(super) fn late(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let made =
        |name, file, build: &str, output: &str| {
            let recipe = Recipe::files("static", output).framework(Some(name)).built_by(build);
            Some(recipe.because(
                tree.proof(file, format!("built by {name}, which must be installed on the host; static files in {output}")),
            ))
        };
    if tree.first(&["mkdocs.yml", "mkdocs.yaml"]).is_some() {
        return Ok(made("mkdocs", tree.first(&["mkdocs.yml", "mkdocs.yaml"]).unwrap_or("mkdocs.yml"), "mkdocs build", "site"));
    }
    let pages = ["_posts/", "_layouts/", "_includes/"].iter().any(|folder| tree.has(folder))
        || tree.first(&["index.md", "index.markdown"]).is_some();
    // Jupyter Book names its configuration alike.
    if tree.has("_config.yml") && pages && !tree.has("_toc.yml") {
        return Ok(made("jekyll", "_config.yml", "jekyll build", "_site"));
    }
    Ok(None)
}

fn hugo(tree: &Tree<'_>) -> Option<Recipe> {
    const OWN: &[&str] =
        &["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default/hugo.toml", "config/_default/config.toml"];
    const OLD: &[&str] = &["config.toml", "config.yaml", "config.yml"];
    let file = tree.first(OWN).or_else(|| {
        let (file, text) = tree.first_text(OLD)?;
        let folders = ["archetypes/", "content/", "themes/", "layouts/"].iter().filter(|folder| tree.has(folder)).count();
        (folders > 0 && text.to_lowercase().contains("baseurl")).then_some(file)
    })?;
    let told = tree.text(file).and_then(|text| field(text, "publishDir").or_else(|| field(text, "publishdir"))).and_then(inside);
    let output = told.unwrap_or_else(|| "public".to_owned());
    let proof = tree.proof(file, format!("built by hugo, which must be installed on the host; static files in {output}"));
    let mut recipe = Recipe::files("static", output).framework(Some("hugo")).built_by("hugo --minify").because(proof);
    // Its own pipes call packages of npm; the build stays hugo's, unless a script calls it.
    if let Some(assets) = node::pages::assets(tree) {
        recipe.install = Some(assets.install);
        let calls_hugo = tree
            .text("package.json")
            .is_some_and(|text| text.lines().any(|line| line.contains("\"build\"") && line.contains("hugo")));
        recipe.build = if calls_hugo { Some(assets.build) } else { recipe.build };
        recipe.proof.push(assets.proof);
    } else if let Some((install, proof)) = node::pages::tools(tree) {
        recipe.install = Some(install);
        recipe.proof.push(proof);
    }
    Some(recipe)
}

fn zola(tree: &Tree<'_>) -> Option<Recipe> {
    let file = tree.first(&["config.toml", "zola.toml"])?;
    let config: Table = toml::from_str(tree.text(file)?).ok()?;
    let is_zola = config.contains_key("base_url") && (tree.has("content/") || tree.has("templates/"));
    let output = config.get("output_dir").and_then(|folder| inside(folder.as_str()?)).unwrap_or_else(|| "public".to_owned());
    is_zola.then(|| {
        let proof = tree.proof_at(
            file,
            "base_url",
            format!("built by zola, which must be installed on the host; static files in {output}"),
        );
        Recipe::files("static", output).framework(Some("zola")).built_by("zola build").because(proof)
    })
}

fn mdbook(tree: &Tree<'_>) -> Option<Recipe> {
    let text = tree.text("book.toml")?;
    // A library may keep a book beside it.
    if tree.has("Cargo.toml") && tree.has("src/main.rs") {
        return None;
    }
    let config: Table = toml::from_str(text).ok()?;
    let output =
        config.get("build").and_then(|build| inside(build.get("build-dir")?.as_str()?)).unwrap_or_else(|| "book".to_owned());
    let proof =
        tree.proof("book.toml", format!("built by mdbook, which must be installed on the host; static files in {output}"));
    Some(Recipe::files("static", output).framework(Some("mdbook")).built_by("mdbook build").because(proof))
}
