//! Rust: the program that `Cargo.toml` names, of a package or of a workspace; pages made by Trunk.

use toml::{Table, Value};

use super::{node, reading::is_plain, tree::Tree};
use crate::model::{Problem, recipe::Recipe};

const FILE: &str = "Cargo.toml";
const FRAMEWORKS: &[(&str, &str, u16)] = &[
    ("rocket", "rocket", 8000),
    ("leptos_axum", "leptos", 3000),
    ("leptos_actix", "leptos", 3000),
    ("loco-rs", "loco", 5150),
    ("axum", "axum", 3000),
    ("actix-web", "actix-web", 8080),
    ("warp", "warp", 3030),
    ("poem", "poem", 3000),
    ("salvo", "salvo", 5800),
    ("tide", "tide", 8080),
    ("gotham", "gotham", 7878),
    ("hyper", "hyper", 3000),
];
const PAGES: &[&str] = &["yew", "leptos", "dioxus", "sycamore", "seed"];
/// Names of programs that serve, the likeliest first.
const LIKELY: &[&str] = &["server", "web", "api", "app", "service", "main", "backend"];

/// A package with programs.
struct Package<'t> {
    tree: Tree<'t>,
    manifest: Table,
}

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let manifest: Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        Problem::user(format!("Cargo.toml is not TOML: {}", error.message())).at(format!("{FILE}:{line}")).hint("mend the line")
    })?;
    let root = Package { tree: tree.clone(), manifest };
    if let Some(recipe) = pages(&root) {
        return Ok(Some(recipe));
    }
    let members = members(&root);
    let programs = root.programs().into_iter().map(|name| (&root, name));
    let of_members = members.iter().flat_map(|member| member.programs().into_iter().map(move |name| (member, name)));
    let mut all: Vec<(&Package<'_>, String)> = programs.chain(of_members).filter(|(_, name)| is_plain(name)).collect();
    let default = root.default_members();
    all.sort_by_key(|(package, name)| {
        let folder = package.tree.folder().trim_end_matches('/');
        let chosen = package.default_run() == Some(name) || default.iter().any(|member| member == folder);
        let place =
            LIKELY.iter().position(|likely| name == likely || name.ends_with(&format!("-{likely}"))).unwrap_or(LIKELY.len());
        (!chosen, !folder.is_empty(), package.framework().is_none(), !package.is_main(name), place)
    });
    let Some((package, name)) = all.into_iter().next() else {
        return Err(Problem::not_found("this is Rust, but a library: no program is in src/main.rs, src/bin or [[bin]]")
            .at(FILE)
            .hint("say what is started: --build 'cargo build --release --example NAME' --start target/release/examples/NAME"));
    };
    let framework = package.framework();
    let mut recipe = Recipe::process("rust").framework(framework.map(|known| known.1)).packages_by("cargo");
    let place = if package.tree.text(FILE).is_some_and(|text| text.contains(&format!("\"{name}\""))) {
        format!("\"{name}\"")
    } else {
        "[package]".to_owned()
    };
    recipe = recipe.because(tree.proof(FILE, "built by cargo")).because(package.tree.proof_at(
        FILE,
        &place,
        format!("starts the program {name}"),
    ));
    let folder = match tree.text(".cargo/config.toml").and_then(|text| toml::from_str::<Table>(text).ok()) {
        Some(config) => {
            match config.get("build").and_then(|build| build.get("target")?.as_str()).filter(|target| is_plain(target)) {
                Some(target) => format!("target/{target}/release"),
                None => "target/release".to_owned(),
            }
        }
        None => "target/release".to_owned(),
    };
    let of = match package.name().filter(|_| !package.tree.folder().is_empty()) {
        Some(name) => format!(" --package {name}"),
        None => String::new(),
    };
    let (build, start) = match framework.map(|known| known.1) {
        Some("rocket") => {
            (format!("cargo build --release{of}"), format!("ROCKET_ADDRESS=127.0.0.1 ROCKET_PORT=$PORT ./{folder}/{name}"))
        }
        Some("leptos") if package.has_metadata("leptos") || root.has_metadata("leptos") => {
            ("cargo leptos build --release".to_owned(), format!("LEPTOS_SITE_ADDR=127.0.0.1:$PORT ./{folder}/{name}"))
        }
        Some("loco") => (format!("cargo build --release{of}"), format!("./{folder}/{name} start --port $PORT")),
        _ => (format!("cargo build --release{of}"), format!("./{folder}/{name}")),
    };
    if let Some((_, _, port)) = framework {
        recipe = recipe.on_port(*port);
    }
    Ok(Some(node::pages::with_served_pages(recipe.built_by(build).started_by(start), tree, ".rs")))
}

/// A page that Trunk or Dioxus builds for the browser.
fn pages(root: &Package<'_>) -> Option<Recipe> {
    let tree = &root.tree;
    let trunk = tree.has("Trunk.toml") || tree.says("index.html", "data-trunk");
    let framework = PAGES.iter().copied().find(|package| root.needs(package));
    let (proof, build, output) = if trunk {
        let file = tree.first(&["Trunk.toml", "index.html"])?;
        let dist = tree.text("Trunk.toml").and_then(|text| toml::from_str::<Table>(text).ok());
        let dist = dist.and_then(|dist| super::reading::inside(dist.get("build")?.get("dist")?.as_str()?));
        let output = dist.unwrap_or_else(|| "dist".to_owned());
        (tree.proof(file, format!("built by trunk; static files in {output}")), "trunk build --release", output)
    } else if tree.has("Dioxus.toml") && framework == Some("dioxus") {
        let name = root.name()?;
        let output = format!("target/dx/{name}/release/web/public");
        (tree.proof("Dioxus.toml", format!("built by dx; static files in {output}")), "dx build --release --platform web", output)
    } else {
        return None;
    };
    let recipe = Recipe::files("rust", output).framework(framework).packages_by("cargo").built_by(build);
    Some(recipe.because(tree.proof(FILE, "built by cargo")).because(proof))
}

fn members<'t>(root: &Package<'t>) -> Vec<Package<'t>> {
    if !root.manifest.contains_key("workspace") {
        return Vec::new();
    }
    let below = root.tree.files_to(3).into_iter().filter_map(|path| path.strip_suffix("/Cargo.toml"));
    let outside = ["examples/", "target/", "vendor/", "xtask"];
    below
        .filter(|folder| !outside.iter().any(|one| folder.starts_with(one)))
        .filter_map(|folder| {
            let tree = root.tree.below(folder);
            let manifest = toml::from_str(tree.text(FILE)?).ok()?;
            Some(Package { tree, manifest })
        })
        .collect()
}

impl Package<'_> {
    fn name(&self) -> Option<&str> {
        self.manifest.get("package")?.get("name")?.as_str()
    }

    fn default_run(&self) -> Option<&String> {
        match self.manifest.get("package")?.get("default-run")? {
            Value::String(name) => Some(name),
            _ => None,
        }
    }

    fn default_members(&self) -> Vec<String> {
        let members = self.manifest.get("workspace").and_then(|workspace| workspace.get("default-members")?.as_array());
        members
            .into_iter()
            .flatten()
            .filter_map(|member| member.as_str().map(|member| member.trim_start_matches("./").to_owned()))
            .collect()
    }

    fn has_metadata(&self, tool: &str) -> bool {
        let found = |table: Option<&Value>| table.and_then(|table| table.get("metadata")?.get(tool)).is_some();
        found(self.manifest.get("package")) || found(self.manifest.get("workspace"))
    }

    /// The programs by name: of `[[bin]]`, of `src/main.rs`, of `src/bin`.
    fn programs(&self) -> Vec<String> {
        let Some(package) = self.name() else {
            return Vec::new();
        };
        let told = self.manifest.get("bin").and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<String> = told.filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)).collect();
        let takes_main = self.manifest.get("bin").and_then(Value::as_array).is_some_and(|bins| {
            bins.iter().any(|bin| {
                bin.get("path").and_then(Value::as_str).is_none_or(|path| path == "src/main.rs")
                    && bin.get("name").and_then(Value::as_str) != Some(package)
            })
        });
        if self.tree.has("src/main.rs") && (names.is_empty() || !takes_main) {
            names.push(package.to_owned());
        }
        for path in self.tree.files().filter_map(|path| path.strip_prefix("src/bin/")) {
            let name = path.strip_suffix("/main.rs").or_else(|| path.strip_suffix(".rs").filter(|name| !name.contains('/')));
            names.extend(name.map(str::to_owned));
        }
        names.dedup();
        names
    }

    fn is_main(&self, name: &str) -> bool {
        self.name() == Some(name)
    }

    fn needs(&self, package: &str) -> bool {
        self.manifest.get("dependencies").and_then(|all| all.get(package)).is_some()
    }

    fn framework(&self) -> Option<&'static (&'static str, &'static str, u16)> {
        FRAMEWORKS.iter().find(|(package, ..)| self.needs(package))
    }
}
