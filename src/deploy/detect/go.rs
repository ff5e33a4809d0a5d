//! Go: a module or a workspace of modules, and the package that has `main`.

use super::{
    node,
    reading::{ends, first_named, is_plain},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("github.com/gin-gonic/gin", "gin"),
    ("github.com/labstack/echo/v4", "echo"),
    ("github.com/labstack/echo/v5", "echo"),
    ("github.com/labstack/echo", "echo"),
    ("github.com/gofiber/fiber/v3", "fiber"),
    ("github.com/gofiber/fiber/v2", "fiber"),
    ("github.com/gofiber/fiber", "fiber"),
    ("github.com/go-chi/chi/v5", "chi"),
    ("github.com/go-chi/chi", "chi"),
    ("github.com/gorilla/mux", "gorilla"),
    ("github.com/beego/beego/v2", "beego"),
    ("github.com/gobuffalo/buffalo", "buffalo"),
    ("github.com/kataras/iris/v12", "iris"),
    ("github.com/pocketbase/pocketbase", "pocketbase"),
];
/// Names of commands that serve, the likeliest first.
const LIKELY: &[&str] = &["server", "web", "api", "app", "http", "serve", "main", "service"];

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(file) = tree.first(&["go.mod", "go.work", "main.go"]) else {
        return Ok(None);
    };
    let Some((package, main)) = main_package(tree) else {
        return Err(Problem::not_found("this is Go, but no package `main` is in the root or below cmd")
            .at(file)
            .hint("say what is built and started: --build 'go build -o bin/app ./PACKAGE' --start ./bin/app"));
    };
    let module = tree.text(&format!("{}go.mod", package_folder(&package))).or_else(|| tree.text("go.mod")).unwrap_or_default();
    let framework = first_named(module, FRAMEWORKS);
    let mut recipe = Recipe::process("go").framework(framework).because(tree.proof(file, "built by go"));
    if file != "main.go" {
        recipe = recipe.packages_by("go");
    }
    let needs = file == "go.mod" && module.lines().any(|line| line.trim_start().starts_with("require"));
    if needs && !tree.has("vendor/modules.txt") {
        recipe = recipe.installed_by("go mod download");
    }
    // A folder of this name would swallow the program.
    let target = if tree.has("bin/app/") { "bin/server" } else { "bin/app" };
    recipe = recipe.built_by(format!("go build -o {target} {package}")).because(main);
    recipe = match listen_flag(tree) {
        Some((file, flag)) => {
            let proof = tree.proof_at(file, &format!("\"{}\"", flag.0), "takes where it listens as a flag");
            recipe.started_by(format!("./{target} -{}={}", flag.0, flag.1)).because(proof)
        }
        None => recipe.started_by(format!("./{target}")),
    };
    if framework.is_some() {
        recipe = recipe.on_port(if framework == Some("echo") {
            1323
        } else if framework == Some("fiber") {
            3000
        } else {
            8080
        });
    }
    if ["github.com/mattn/go-sqlite3", "github.com/confluentinc/confluent-kafka-go"]
        .iter()
        .any(|package| module.contains(package))
    {
        recipe = recipe.because(tree.proof("go.mod", "needs cgo: a C compiler on the host"));
    }
    Ok(Some(node::pages::with_served_pages(recipe, tree, ".go")))
}

fn package_folder(package: &str) -> String {
    match package.strip_prefix("./") {
        Some(folder) => format!("{folder}/"),
        None => String::new(),
    }
}

/// What is compiled in at most `depth` folders: no tests.
fn sources<'t>(tree: &Tree<'t>, depth: usize) -> impl Iterator<Item = &'t str> + use<'t> {
    tree.files_to(depth).into_iter().filter(|path| ends(path, ".go") && !path.ends_with("_test.go"))
}

/// The package to build and its proof.
fn main_package(tree: &Tree<'_>) -> Option<(String, crate::model::recipe::Proof)> {
    let starts = |path: &str| tree.says(path, "package main") && tree.says(path, "func main(");
    let root = sources(tree, 0).find(|path| starts(path));
    if let Some(file) = root.filter(|_| tree.has("go.mod")) {
        return Some((".".to_owned(), tree.proof_at(file, "func main(", "starts package main")));
    }
    // Without a module only the named files are compiled.
    if let Some(file) = root.filter(|_| !tree.has("go.work")) {
        let others = sources(tree, 0).count();
        let what = if others > 1 { "*.go" } else { file };
        return Some((what.to_owned(), tree.proof_at(file, "func main(", "starts package main")));
    }
    // Of a command below cmd any file tells; elsewhere main.go alone is read.
    let command = |path: &&str| {
        path.ends_with("/main.go") || (path.starts_with("cmd/") && ends(path, ".go") && !path.ends_with("_test.go"))
    };
    let mut found: Vec<&str> = tree.files_to(3).into_iter().filter(command).collect();
    let beside = ["examples/", "example/", "test/", "tests/", "tools/", "vendor/", "scripts/", "hack/"];
    found.retain(|path| {
        !beside.iter().any(|folder| path.starts_with(folder)) && (tree.text(path).is_none() || tree.says(path, "package main"))
    });
    let module = tree.text("go.mod").and_then(|text| text.lines().next()?.rsplit('/').next()).unwrap_or_default();
    let folder = |path: &'_ str| path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned());
    found.sort_by_key(|path| {
        let folder = folder(path);
        let last = folder.rsplit('/').next().unwrap_or_default();
        let place = LIKELY.iter().position(|name| last == *name || last.ends_with(&format!("-{name}")));
        let place = if last == module { Some(0) } else { place };
        (!path.starts_with("cmd/") && !tree.has("go.work"), place.unwrap_or(LIKELY.len()), path.matches('/').count())
    });
    let file = found.first()?;
    let folder = folder(file);
    is_plain(&folder).then(|| (format!("./{folder}"), tree.proof_at(file, "func main(", "starts package main")))
}

/// The flag that says where the program listens, and its value, when nothing reads `PORT`: `("addr", "127.0.0.1:$PORT")`.
fn listen_flag<'t>(tree: &Tree<'t>) -> Option<(&'t str, (&'static str, &'static str))> {
    const ADDRESSES: [&str; 7] = ["addr", "address", "listen", "listen-addr", "http", "http-addr", "bind"];
    const PORTS: [&str; 2] = ["port", "http-port"];
    if sources(tree, 3).any(|path| tree.says(path, "PORT")) {
        return None;
    }
    let of = |line: &str| {
        let given = line.split_once("flag.")?.1;
        let (kind, rest) = given.split_once('(')?;
        let (name, rest) = rest.split_once('"')?.1.split_once('"')?;
        let default = rest.trim_start_matches([',', ' ']);
        if kind.starts_with("String") && default.starts_with('"') && default.contains(':') {
            return Some((*ADDRESSES.iter().find(|known| **known == name)?, "127.0.0.1:$PORT"));
        }
        let is_number = kind.starts_with("Int") || kind.starts_with("Uint") || kind.starts_with("String");
        Some((*PORTS.iter().find(|known| is_number && **known == name)?, "$PORT"))
    };
    sources(tree, 3).find_map(|path| Some((path, tree.text(path)?.lines().find_map(of)?)))
}

/// `recipe`, whose programs stand where the commands of a `Procfile` look for them, and those commands: Heroku's Go puts every command of
/// the module into `bin`, by its folder's name, and finds it there without a path.
pub(super) fn for_procfile(recipe: &mut Recipe, tree: &Tree<'_>, is_web: bool, command: &str) -> Option<String> {
    let (program, rest) =
        command.split_once(' ').map_or((command, String::new()), |(program, rest)| (program, format!(" {rest}")));
    let name = program.strip_prefix("./").unwrap_or(program);
    let name = name.strip_prefix("bin/").unwrap_or(name);
    if name.contains('/') || !is_plain(name) || tree.has(program.strip_prefix("./").unwrap_or(program)) {
        return None;
    }
    let build = recipe.build.as_ref()?;
    let (before, own) = build.rsplit_once("go build -o ")?;
    let (target, package) = own.split_once(' ')?;
    let of_command = format!("./cmd/{name}");
    let is_command = tree.has(&format!("cmd/{name}/"));
    let module = tree.text("go.mod").and_then(|text| text.lines().next()?.rsplit('/').next()).unwrap_or_default();
    if !is_command && !(is_web && (program.contains('/') || name == module.trim_start_matches("module "))) {
        return None;
    }
    let package = if is_command { of_command.as_str() } else { package };
    let added = format!("go build -o bin/{name} {package}");
    recipe.build = Some(match is_web {
        true => format!("{before}{added}"),
        false if target == format!("bin/{name}") => build.clone(),
        false => format!("{build} && {added}"),
    });
    Some(format!("./bin/{name}{rest}"))
}
