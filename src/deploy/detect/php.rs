//! PHP: a page or a framework's front controller, served by PHP's own server; packages by composer.

use serde_json::Value;

use super::{node, reading::is_plain, tree::Tree};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

const FILE: &str = "composer.json";
const FRAMEWORKS: &[(&str, &str)] = &[
    ("laravel/framework", "laravel"),
    ("laravel/lumen-framework", "lumen"),
    ("symfony/framework-bundle", "symfony"),
    ("symfony/symfony", "symfony"),
    ("slim/slim", "slim"),
    ("cakephp/cakephp", "cakephp"),
    ("codeigniter4/framework", "codeigniter"),
    ("yiisoft/yii2", "yii"),
    ("drupal/core-recommended", "drupal"),
    ("drupal/core", "drupal"),
    ("roots/wordpress", "wordpress"),
    ("johnpbloch/wordpress", "wordpress"),
    ("craftcms/cms", "craft"),
    ("statamic/cms", "statamic"),
    ("laminas/laminas-mvc", "laminas"),
    ("mezzio/mezzio", "mezzio"),
    ("spiral/framework", "spiral"),
    ("nette/application", "nette"),
];
/// Folders whose `index.php` answers every request, in order; the root last.
const ROOTS: &[&str] = &["public", "web", "webroot", "www", "htdocs", "html", "public_html", "app/webroot", ""];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let json: Option<Value> = match tree.text(FILE).map(serde_json::from_str) {
        Some(Ok(json)) => Some(json),
        Some(Err(error)) => {
            return Err(Problem::user(format!("composer.json is not JSON: {error}"))
                .at(format!("{FILE}:{}", error.line()))
                .hint("mend the line"));
        }
        None => None,
    };
    let requires = |package: &str| json.as_ref().is_some_and(|json| json["require"].get(package).is_some());
    let framework = FRAMEWORKS.iter().find(|(package, _)| requires(package));
    let is_wordpress = tree.first(&["wp-config-sample.php", "wp-config.php", "wp-includes/version.php"]).is_some();
    let framework = framework.map(|(_, name)| *name).or(is_wordpress.then_some("wordpress"));
    let reads_env = framework == Some("symfony") || requires("roots/wordpress");
    let Some((start, proof)) = start(tree, reads_env, requires("laravel/octane")) else {
        if json.is_none() {
            return Ok(None);
        }
        return Err(Problem::not_found("this is PHP, but no index.php is in its root, public or web")
            .at(FILE)
            .hint("say how it is served: --start 'php -S 127.0.0.1:$PORT -t FOLDER'"));
    };
    let mut recipe = Recipe::process("php").framework(framework).started_by(start);
    // Its console, which composer runs too, would take the environment that `.env` names: `dev`.
    let prod = if framework == Some("symfony") { "APP_ENV=prod " } else { "" };
    if json.is_some() {
        recipe =
            recipe.packages_by("composer").because(tree.proof(FILE, "packages by composer, which must be installed on the host"));
        recipe = recipe.installed_by(format!("{prod}composer install --no-dev --optimize-autoloader --no-interaction"));
    }
    recipe = recipe.because(proof);
    if framework == Some("symfony") {
        recipe = recipe.with_env("APP_ENV", "prod");
    }
    if requires("symfony/asset-mapper") {
        recipe = recipe.built_by("APP_ENV=prod php bin/console asset-map:compile").because(tree.proof_at(
            FILE,
            "symfony/asset-mapper",
            "compiles its assets",
        ));
    }
    if framework == Some("laravel") {
        recipe = recipe
            .on_port(8000)
            .because(tree.proof("artisan", "needs APP_KEY in its environment (php artisan key:generate --show)"));
    }
    Ok(Some(node::pages::with_assets(recipe, tree)))
}

fn start(tree: &Tree<'_>, reads_env: bool, has_octane: bool) -> Option<(String, Proof)> {
    if tree.has("artisan") && has_octane {
        // Of its three servers the one that config/octane.php names.
        let proof = tree.proof_at(FILE, "laravel/octane", "starts Laravel Octane");
        return Some(("php artisan octane:start --host=127.0.0.1 --port=$PORT".to_owned(), proof));
    }
    if tree.has("artisan") {
        let proof = tree.proof("artisan", "starts Laravel's own server");
        return Some(("php artisan serve --host=127.0.0.1 --port=$PORT".to_owned(), proof));
    }
    let page = |folder: &str| if folder.is_empty() { "index.php".to_owned() } else { format!("{folder}/index.php") };
    let folder = ROOTS.iter().find(|folder| tree.has(&page(folder)))?;
    Some((serve(reads_env, folder), tree.proof(&page(folder), "starts PHP's own server on its pages")))
}

/// PHP's own server on the pages in `folder`; what is no file there goes to their `index.php`.
///
/// php.ini leaves `$_ENV` and `$_SERVER` without the environment; `reads_env` has it there.
fn serve(reads_env: bool, folder: &str) -> String {
    let with_env = if reads_env { " -d variables_order=EGPCS" } else { "" };
    let pages = if folder.is_empty() { String::new() } else { format!(" -t {folder}") };
    format!("php{with_env} -S 127.0.0.1:$PORT{pages}")
}

/// What serves the same pages as a command of Heroku's PHP (`heroku-php-apache2 [OPTIONS] [FOLDER]`), which no other host has; absent for
/// any other command.
pub(super) fn in_place_of(command: &str, recipe: &Recipe) -> Option<String> {
    let mut words = command.split_whitespace();
    let program = words.next()?.rsplit('/').next()?;
    if !program.starts_with("heroku-php-") && !program.starts_with("heroku-hhvm-") {
        return None;
    }
    if let Some(own) = recipe.start.as_ref().filter(|start| start.starts_with("php artisan")) {
        return Some(own.clone());
    }
    let last = words.next_back().filter(|word| !word.starts_with('-') && !word.contains('.') && is_plain(word));
    Some(serve(recipe.framework.as_deref() == Some("symfony"), last.unwrap_or_default().trim_end_matches('/')))
}
