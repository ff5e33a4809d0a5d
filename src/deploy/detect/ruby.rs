//! Ruby: Rails, Rack, Sinatra or a script; packages by bundler into the project; sites made by Jekyll and its like.

use super::{
    node,
    reading::{ends, field, inside, names},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

/// Into the project, as the host's own gems belong to the host.
const INSTALL: &str = "bundle config set --local path vendor/bundle && bundle install";
const SCRIPTS: &[&str] =
    &["app.rb", "main.rb", "server.rb", "web.rb", "application.rb", "bot.rb", "run.rb", "index.rb", "lib/main.rb"];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let gems = tree.text("Gemfile");
    let needs =
        |gem: &str| gems.is_some_and(|gems| gems.lines().any(|line| !line.trim_start().starts_with('#') && names(line, gem)));
    let file = tree.first(&["Gemfile", "config.ru"]).or_else(|| tree.first(SCRIPTS).filter(|_| !tree.has("package.json")));
    let Some(file) = file else {
        return Ok(None);
    };
    if let Some(recipe) = site(tree, &needs) {
        return Ok(Some(recipe));
    }
    let bundle = if gems.is_some() { "bundle exec " } else { "" };
    let packaged = |recipe: Recipe| match gems {
        Some(_) => recipe
            .packages_by("bundler")
            .installed_by(INSTALL)
            .because(tree.proof("Gemfile", "packages by bundler into vendor/bundle")),
        None => recipe,
    };
    if needs("rails") && (tree.has("config/application.rb") || tree.has("bin/rails") || tree.has("config.ru"))
        || tree.has("config/application.rb") && tree.has("bin/rails")
    {
        return Ok(Some(rails(tree, packaged(Recipe::process("ruby")))));
    }
    let known =
        [("hanami", "hanami"), ("sinatra", "sinatra"), ("roda", "roda"), ("grape", "grape"), ("cuba", "cuba"), ("rack", "rack")];
    let framework = known.into_iter().find(|(gem, _)| needs(gem)).map(|(_, name)| name);
    let recipe = packaged(Recipe::process("ruby"));
    if tree.has("config.ru") {
        let start = if needs("puma") {
            format!("{bundle}puma -b tcp://127.0.0.1:$PORT")
        } else if needs("falcon") {
            format!("{bundle}falcon serve --bind http://127.0.0.1:$PORT")
        } else if needs("unicorn") {
            format!("{bundle}unicorn --listen 127.0.0.1:$PORT")
        } else if needs("thin") {
            format!("{bundle}thin start --address 127.0.0.1 --port $PORT")
        } else {
            format!("{bundle}rackup --host 127.0.0.1 --port $PORT")
        };
        let recipe = recipe.framework(framework.or(Some("rack"))).started_by(start).on_port(9292);
        let recipe = recipe.with_env("RACK_ENV", "production").because(tree.proof("config.ru", "starts the Rack app"));
        return Ok(Some(node::pages::with_assets(recipe, tree)));
    }
    let only = || {
        let mut scripts = tree.files_to(0).into_iter().filter(|path| ends(path, ".rb"));
        scripts.next().filter(|_| gems.is_some() && scripts.next().is_none())
    };
    let Some(script) = tree.first(SCRIPTS).or_else(only) else {
        return Err(Problem::not_found("this is Ruby, but nothing says how it is started")
            .at(file)
            .hint("add config.ru, app.rb or a Procfile (`web: COMMAND`), or say --start 'COMMAND'; it must listen on $PORT"));
    };
    let classic = tree.says(script, "require 'sinatra'") || tree.says(script, "require \"sinatra\"");
    let flags = if classic { " -o 127.0.0.1 -p $PORT" } else { "" };
    let mut recipe = recipe.framework(framework).started_by(format!("{bundle}ruby {script}{flags}"));
    if classic {
        recipe = recipe.with_env("APP_ENV", "production").on_port(4567);
    }
    Ok(Some(recipe.because(tree.proof(script, "starts a file with a usual name"))))
}

fn rails(tree: &Tree<'_>, recipe: Recipe) -> Recipe {
    let mut recipe = recipe
        .framework(Some("rails"))
        .started_by("bundle exec rails server -b 127.0.0.1 -p $PORT")
        .on_port(3000)
        .with_env("RAILS_ENV", "production")
        .with_env("RAILS_LOG_TO_STDOUT", "1")
        .with_env("RAILS_SERVE_STATIC_FILES", "1");
    let file = tree.first(&["config/application.rb", "bin/rails", "config.ru"]).unwrap_or("Gemfile");
    recipe = recipe.because(tree.proof(file, "starts Rails; needs SECRET_KEY_BASE or RAILS_MASTER_KEY in its environment"));
    if tree.has("app/assets/") || tree.has("app/javascript/") {
        // A stand-in key is enough to build pages.
        recipe.build = Some("SECRET_KEY_BASE_DUMMY=1 RAILS_ENV=production bundle exec rails assets:precompile".to_owned());
        let folder = if tree.has("app/assets/") { "app/assets/" } else { "app/javascript/" };
        recipe.proof.push(tree.proof(folder, "built by assets:precompile"));
        // It runs the build script itself; the packages must be there.
        if let (Some(assets), Some(install)) = (node::pages::assets(tree), recipe.install.clone()) {
            recipe.install = Some(format!("{install} && {}", assets.install));
            recipe.proof.push(assets.proof);
        }
        recipe
    } else {
        node::pages::with_assets(recipe, tree)
    }
}

/// Jekyll, Middleman and Bridgetown leave a folder.
fn site(tree: &Tree<'_>, needs: &dyn Fn(&str) -> bool) -> Option<Recipe> {
    let jekyll = needs("jekyll") || needs("github-pages");
    let (name, file, build, output) =
        if jekyll && tree.first(&["_config.yml", "_config.yaml", "index.md", "index.html", "index.markdown"]).is_some() {
            let config = tree.first(&["_config.yml", "_config.yaml"]);
            let output = config.and_then(|config| field(tree.text(config)?, "destination")).and_then(inside);
            ("jekyll", config.unwrap_or("Gemfile"), "bundle exec jekyll build", output.unwrap_or_else(|| "_site".to_owned()))
        } else if needs("middleman") {
            ("middleman", "Gemfile", "bundle exec middleman build", "build".to_owned())
        } else if needs("bridgetown") && !tree.has("config.ru") {
            ("bridgetown", "Gemfile", "BRIDGETOWN_ENV=production bundle exec bridgetown deploy", "output".to_owned())
        } else {
            return None;
        };
    let proof = tree.proof(file, format!("static files in {output}"));
    let recipe = Recipe::files("ruby", output).framework(Some(name)).packages_by("bundler").installed_by(INSTALL).built_by(build);
    Some(recipe.because(tree.proof("Gemfile", "packages by bundler into vendor/bundle")).because(proof))
}
