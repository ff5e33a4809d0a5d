//! PHP: a page or a framework's front controller, served by PHP's own server; packages by composer.

use serde_json::Value;

use super::{node, tree::Tree};
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
    let framework = json.as_ref().and_then(|json| FRAMEWORKS.iter().find(|(package, _)| json["require"].get(package).is_some()));
    let is_wordpress = tree.first(&["wp-config-sample.php", "wp-config.php", "wp-includes/version.php"]).is_some();
    let framework = framework.map(|(_, name)| *name).or(is_wordpress.then_some("wordpress"));
    let Some((start, proof)) = start(tree, framework) else {
        if json.is_none() {
            return Ok(None);
        }
        return Err(Problem::not_found("this is PHP, but no index.php is in its root, public or web")
            .at(FILE)
            .hint("say how it is served: --start 'php -S 127.0.0.1:$PORT -t FOLDER'"));
    };
    let mut recipe = Recipe::process("php").framework(framework).started_by(start);
    if json.is_some() {
        recipe =
            recipe.packages_by("composer").because(tree.proof(FILE, "packages by composer, which must be installed on the host"));
        recipe = recipe.installed_by("composer install --no-dev --optimize-autoloader --no-interaction");
    }
    recipe = recipe.because(proof);
    if framework == Some("laravel") {
        recipe = recipe
            .on_port(8000)
            .because(tree.proof("artisan", "needs APP_KEY in its environment (php artisan key:generate --show)"));
    }
    Ok(Some(node::with_assets(recipe, tree)))
}

fn start(tree: &Tree<'_>, framework: Option<&str>) -> Option<(String, Proof)> {
    if tree.has("artisan") {
        let proof = tree.proof("artisan", "starts Laravel's own server");
        return Some(("php artisan serve --host=127.0.0.1 --port=$PORT".to_owned(), proof));
    }
    let page = |folder: &str| if folder.is_empty() { "index.php".to_owned() } else { format!("{folder}/index.php") };
    let folder = ROOTS.iter().find(|folder| tree.has(&page(folder)))?;
    let page = page(folder);
    let serve = "php -S 127.0.0.1:$PORT";
    let start = match framework {
        // Their guides name the front controller, so that paths with a dot reach it too.
        Some("slim" | "mezzio" | "laminas" | "lumen") if !folder.is_empty() => format!("{serve} -t {folder} {page}"),
        _ if folder.is_empty() => serve.to_owned(),
        _ => format!("{serve} -t {folder}"),
    };
    Some((start, tree.proof(&page, "starts PHP's own server on its pages")))
}
