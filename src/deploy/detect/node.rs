//! Node: `package.json`, its package manager, and whether it serves itself or leaves a folder of files.

use serde_json::Value;

use super::tree::{Tree, proof};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

const FILE: &str = "package.json";
/// Files that people start, in order.
const ENTRIES: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "main.mjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
];
/// Commands that serve while one develops: never what a release is started with.
const FOR_DEVELOPMENT: &[&str] = &[
    "vite",
    "react-scripts start",
    "vue-cli-service serve",
    "ng serve",
    "webpack serve",
    "webpack-dev-server",
    "parcel",
    "astro dev",
    "next dev",
    "nuxt dev",
    "gatsby develop",
    "eleventy --serve",
    "docusaurus start",
    "nodemon",
    "node --watch",
    "tsx watch",
    "ts-node-dev",
    "concurrently",
    "browser-sync",
    "live-server",
];

/// A framework that leaves static files: (package, name, folder, command without a `build` script).
const STATIC: &[(&str, &str, &str, &str)] = &[
    ("@docusaurus/core", "docusaurus", "build", "docusaurus build"),
    ("vitepress", "vitepress", ".vitepress/dist", "vitepress build"),
    ("gatsby", "gatsby", "public", "gatsby build"),
    ("@11ty/eleventy", "eleventy", "_site", "eleventy"),
    ("react-scripts", "create-react-app", "build", "react-scripts build"),
    ("@vue/cli-service", "vue-cli", "dist", "vue-cli-service build"),
    ("vite", "vite", "dist", "vite build"),
    ("parcel", "parcel", "dist", "parcel build index.html"),
];

/// A framework or library that serves: (package, name, port without `PORT`).
const SERVERS: &[(&str, &str, u16)] = &[
    ("@nestjs/core", "nest", 3000),
    ("@remix-run/serve", "remix", 3000),
    ("@react-router/serve", "react-router", 3000),
    ("express", "express", 3000),
    ("fastify", "fastify", 3000),
    ("koa", "koa", 3000),
    ("@hapi/hapi", "hapi", 3000),
    ("@hono/node-server", "hono", 3000),
    ("restify", "restify", 8080),
    ("polka", "polka", 3000),
];

/// A parsed `package.json`.
struct Package<'a> {
    tree: &'a Tree<'a>,
    json: Value,
    manager: Manager,
}

/// How dependencies come and scripts are run.
struct Manager {
    name: &'static str,
    install: &'static str,
    /// Runs a script: `npm run`.
    run: &'static str,
    /// Runs a program of a dependency: `npx`.
    exec: &'static str,
    proof: Proof,
}

/// A framework's name, its port without `PORT`, and what is served.
type Framework = (Option<&'static str>, Option<u16>, Option<Serves>);

/// How it ends: a folder of files, or a command.
enum Serves {
    Files { folder: String, proof: Proof },
    Command { start: String, proof: Proof },
}

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else {
        return Ok(None);
    };
    let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        Problem::user(format!("package.json is not JSON: {error}")).at(format!("{FILE}:{}", error.line())).hint("mend the line")
    })?;
    let manager = manager(tree, &json);
    let package = Package { tree, json, manager };
    let (framework, port, serves) = package.framework()?;
    let Some(serves) = serves else {
        return Ok(None);
    };
    Ok(Some(package.recipe(framework, port, serves)))
}

impl Package<'_> {
    fn recipe(&self, framework: Option<&str>, port: Option<u16>, serves: Serves) -> Recipe {
        let mut recipe = Recipe {
            language: "node".to_owned(),
            framework: framework.map(str::to_owned),
            package_manager: Some(self.manager.name.to_owned()),
            port,
            ..Recipe::default()
        };
        recipe.proof.push(self.manager.proof.clone());
        if self.has_dependencies() {
            recipe.install = Some(self.manager.install.to_owned());
        }
        recipe.build = self.build(framework);
        if self.script("build").is_some() {
            recipe.proof.push(proof(self.place("build"), "scripts.build builds it"));
        }
        match serves {
            Serves::Files { folder, proof } => {
                "static".clone_into(&mut recipe.runtime);
                recipe.port = None;
                recipe.output = Some(folder);
                recipe.proof.push(proof);
            }
            Serves::Command { start, proof } => {
                "process".clone_into(&mut recipe.runtime);
                recipe.start = Some(start);
                recipe.env = vec![("NODE_ENV".to_owned(), "production".to_owned())];
                recipe.proof.push(proof);
            }
        }
        recipe
    }

    fn build(&self, framework: Option<&str>) -> Option<String> {
        if self.script("build").is_some() {
            return Some(format!("{} build", self.manager.run));
        }
        let command = match framework? {
            "next" => "next build",
            "nuxt" => "nuxt build",
            "astro" => "astro build",
            "sveltekit" => "vite build",
            "angular" => "ng build",
            name => STATIC.iter().find(|(_, known, ..)| *known == name).map(|(.., command)| *command)?,
        };
        Some(format!("{} {command}", self.manager.exec))
    }

    /// The framework, its port, and how what it builds is served.
    fn framework(&self) -> Result<Framework, Problem> {
        if self.needs("next") {
            return Ok((Some("next"), Some(3000), Some(self.next())));
        }
        if self.needs("nuxt") {
            return Ok((Some("nuxt"), Some(3000), Some(self.nuxt())));
        }
        if self.needs("astro") {
            return Ok((Some("astro"), Some(4321), Some(self.astro())));
        }
        if self.needs("@sveltejs/kit") {
            return Ok((Some("sveltekit"), Some(3000), Some(self.sveltekit()?)));
        }
        if self.needs("@angular/core") && self.tree.has("angular.json") {
            return Ok((Some("angular"), None, Some(self.angular())));
        }
        let server = SERVERS.iter().find(|(package, ..)| self.needs(package));
        let files = STATIC.iter().find(|(package, ..)| self.needs(package));
        let start = self.start();
        match (server, files, start) {
            // A server beside a bundler: it serves what the bundler made.
            (Some((_, name, port)), _, Some(start)) => Ok((Some(name), Some(*port), Some(start))),
            (_, Some((package, name, folder, _)), start) => match start {
                Some(start) if self.script("start").is_some_and(runs_a_file) => Ok((Some(name), Some(3000), Some(start))),
                _ => Ok((Some(name), None, Some(self.files(package, folder)))),
            },
            (Some((package, name, port)), None, None) => match self.built_entry() {
                Some(start) => Ok((Some(name), Some(*port), Some(start))),
                None => Err(Problem::not_found(format!("this uses {name}, but nothing says how it is started"))
                    .at(self.place(package))
                    .hint("add a `start` script to package.json, or say --start 'COMMAND'")),
            },
            (None, None, Some(start)) => Ok((None, None, Some(start))),
            (None, None, None) => Ok((None, None, self.built_entry())),
        }
    }

    fn next(&self) -> Serves {
        const CONFIG: &[&str] = &["next.config.js", "next.config.mjs", "next.config.ts"];
        let export = |text: &str| setting(text, "output").as_deref() == Some("export");
        if let Some((file, _)) = self.tree.first_text(CONFIG).filter(|(_, text)| export(text)) {
            return Serves::Files {
                folder: "out".to_owned(),
                proof: proof(self.tree.place(file, "output"), "static files in out"),
            };
        }
        self.start().unwrap_or_else(|| self.program("next start", "next"))
    }

    fn nuxt(&self) -> Serves {
        if self.script("build").is_some_and(|script| script.contains("nuxt generate") || script.contains("nuxi generate")) {
            let folder = ".output/public".to_owned();
            return Serves::Files { folder, proof: proof(self.place("build"), "static files in .output/public") };
        }
        let start = "node .output/server/index.mjs".to_owned();
        Serves::Command { start, proof: proof(self.place("nuxt"), "starts the server that nuxt builds") }
    }

    fn astro(&self) -> Serves {
        const CONFIG: &[&str] = &["astro.config.mjs", "astro.config.ts", "astro.config.js"];
        if let Some((file, text)) = self.tree.first_text(CONFIG) {
            if self.needs("@astrojs/node") && matches!(setting(text, "output").as_deref(), Some("server" | "hybrid")) {
                let start = "HOST=127.0.0.1 node dist/server/entry.mjs".to_owned();
                return Serves::Command {
                    start,
                    proof: proof(self.tree.place(file, "output"), "starts the server that astro builds"),
                };
            }
            if let Some(folder) = setting(text, "outDir").and_then(|folder| inside(&folder)) {
                return Serves::Files {
                    proof: proof(self.tree.place(file, "outDir"), format!("static files in {folder}")),
                    folder,
                };
            }
        }
        Serves::Files { folder: "dist".to_owned(), proof: proof(self.place("astro"), "static files in dist") }
    }

    fn sveltekit(&self) -> Result<Serves, Problem> {
        if self.needs("@sveltejs/adapter-static") {
            let place = self.place("@sveltejs/adapter-static");
            return Ok(Serves::Files { folder: "build".to_owned(), proof: proof(place, "static files in build") });
        }
        if self.needs("@sveltejs/adapter-node") {
            let place = self.place("@sveltejs/adapter-node");
            return Ok(Serves::Command { start: "node build".to_owned(), proof: proof(place, "starts the server in build") });
        }
        self.start().ok_or_else(|| {
            Problem::not_found("this SvelteKit app has no adapter that gives a server or static files")
                .at(self.place("@sveltejs/kit"))
                .hint("add @sveltejs/adapter-node or @sveltejs/adapter-static and name it in svelte.config.js")
        })
    }

    /// Angular names its project in the folder; since version 17 the pages are in `browser` below it.
    fn angular(&self) -> Serves {
        let config: Value = self.tree.text("angular.json").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let projects = config["projects"].as_object();
        let name = config["defaultProject"].as_str().or_else(|| Some(projects?.keys().next()?.as_str()));
        let build = &config["projects"][name.unwrap_or_default()]["architect"]["build"];
        let path = build["options"]["outputPath"].as_str().and_then(inside);
        let folder = path.unwrap_or_else(|| format!("dist/{}", name.unwrap_or("app")));
        let folder = if build["builder"].as_str().is_some_and(|builder| builder.ends_with(":application")) {
            format!("{folder}/browser")
        } else {
            folder
        };
        let place =
            self.tree.place("angular.json", if build["options"]["outputPath"].is_string() { "outputPath" } else { "projects" });
        Serves::Files { proof: proof(place, format!("static files in {folder}")), folder }
    }

    /// Where a bundler leaves its files: as its configuration, its command, or its habit says.
    fn files(&self, package: &str, habit: &str) -> Serves {
        const VITE: &[&str] = &["vite.config.ts", "vite.config.js", "vite.config.mjs"];
        let script = self.script("build").unwrap_or_default();
        let told = ["--outDir", "--out-dir", "--dist-dir", "--dest", "--output"].iter().find_map(|flag| after(script, flag));
        if let Some(folder) = told.and_then(inside) {
            return Serves::Files { proof: proof(self.place("build"), format!("static files in {folder}")), folder };
        }
        if package == "vite" {
            let config = self.tree.first_text(VITE);
            let folder = config.and_then(|(file, text)| Some((file, inside(&setting(text, "outDir")?)?)));
            if let Some((file, folder)) = folder {
                return Serves::Files {
                    proof: proof(self.tree.place(file, "outDir"), format!("static files in {folder}")),
                    folder,
                };
            }
        }
        // `vitepress build docs` keeps its output below the folder that it is given.
        let below = (package == "vitepress").then(|| after(script, "vitepress build").and_then(inside)).flatten();
        let folder = below.map_or_else(|| habit.to_owned(), |below| format!("{below}/{habit}"));
        Serves::Files { proof: proof(self.place(package), format!("static files in {folder}")), folder }
    }

    /// The start command: a `start` script, `main`, or a file with a usual name.
    fn start(&self) -> Option<Serves> {
        let production = ["start:prod", "start:production", "start"];
        let named = production.iter().find_map(|name| Some((*name, self.script(name)?)));
        if let Some((name, script)) = named.filter(|(_, script)| !is_for_development(script)) {
            // Without npm between the keeper and the server, signals and memory are the server's own.
            let alone = runs_a_file(script) && self.script("prestart").is_none() && self.script("poststart").is_none();
            let start = if alone { script.to_owned() } else { format!("{} {name}", self.manager.run) };
            return Some(Serves::Command { start, proof: proof(self.place(name), format!("starts scripts.{name}")) });
        }
        let main = self.json["main"].as_str().map(|main| main.trim_start_matches("./"));
        if let Some(main) = main.filter(|main| self.tree.has(main) && is_plain(main)) {
            return Some(Serves::Command { start: format!("node {main}"), proof: proof(self.place("main"), "starts `main`") });
        }
        let entry = self.tree.first(ENTRIES)?;
        Some(Serves::Command { start: format!("node {entry}"), proof: proof(entry, "starts a file with a usual name") })
    }

    /// A `main` that only the build will make.
    fn built_entry(&self) -> Option<Serves> {
        self.script("build")?;
        let main = self.json["main"].as_str()?.trim_start_matches("./");
        let made = ["dist/", "build/", "lib/", "out/"].iter().any(|folder| main.starts_with(folder));
        (made && is_plain(main)).then(|| Serves::Command {
            start: format!("node {main}"),
            proof: proof(self.place("main"), "starts `main`, which the build makes"),
        })
    }

    fn program(&self, command: &str, package: &str) -> Serves {
        let start = format!("{} {command}", self.manager.exec);
        Serves::Command { start, proof: proof(self.place(package), format!("starts {package}")) }
    }

    fn needs(&self, package: &str) -> bool {
        ["dependencies", "devDependencies"].iter().any(|kind| self.json[kind].get(package).is_some())
    }

    fn has_dependencies(&self) -> bool {
        let kinds = ["dependencies", "devDependencies", "optionalDependencies"];
        let any = kinds.iter().any(|kind| self.json[kind].as_object().is_some_and(|all| !all.is_empty()));
        any || self.json.get("workspaces").is_some()
    }

    fn script(&self, name: &str) -> Option<&str> {
        self.json["scripts"][name].as_str().filter(|script| !script.trim().is_empty())
    }

    /// The line of a key.
    fn place(&self, key: &str) -> String {
        self.tree.place(FILE, &format!("\"{key}\":"))
    }
}

/// From the `packageManager` field, else from the lock file, else npm.
fn manager(tree: &Tree<'_>, json: &Value) -> Manager {
    const LOCKS: &[(&str, &str)] = &[
        ("pnpm-lock.yaml", "pnpm"),
        ("yarn.lock", "yarn"),
        ("bun.lock", "bun"),
        ("bun.lockb", "bun"),
        ("package-lock.json", "npm"),
        ("npm-shrinkwrap.json", "npm"),
    ];
    let field = json["packageManager"].as_str();
    let lock = LOCKS.iter().find(|(file, _)| tree.has(file));
    let named = field.map(|field| field.split_once('@').map_or(field, |(name, _)| name));
    let name =
        named.filter(|name| ["npm", "pnpm", "yarn", "bun"].contains(name)).or(lock.map(|(_, name)| *name)).unwrap_or("npm");
    let own_lock = LOCKS.iter().find(|(file, owner)| *owner == name && tree.has(file)).map(|(file, _)| *file);
    let why = match name {
        "npm" => "packages by npm".to_owned(),
        other => format!("packages by {other}, which must be installed on the host"),
    };
    let place = match (named, own_lock) {
        (Some(named), _) if named == name => tree.place(FILE, "\"packageManager\""),
        (_, Some(lock)) => lock.to_owned(),
        _ => FILE.to_owned(),
    };
    let proof = proof(place, why);
    let locked = own_lock.is_some();
    let (name, install, run, exec) = match name {
        "pnpm" => ("pnpm", if locked { "pnpm install --frozen-lockfile" } else { "pnpm install" }, "pnpm run", "pnpm exec"),
        "yarn" if is_modern_yarn(tree, field) => {
            ("yarn", if locked { "yarn install --immutable" } else { "yarn install" }, "yarn run", "yarn exec")
        }
        "yarn" => ("yarn", if locked { "yarn install --frozen-lockfile" } else { "yarn install" }, "yarn run", "yarn run"),
        "bun" => ("bun", if locked { "bun install --frozen-lockfile" } else { "bun install" }, "bun run", "bunx"),
        _ => ("npm", if locked { "npm ci" } else { "npm install" }, "npm run", "npx"),
    };
    Manager { name, install, run, exec, proof }
}

/// Yarn 2 and later has another lock file format and another word for "do not change it".
fn is_modern_yarn(tree: &Tree<'_>, field: Option<&str>) -> bool {
    let version = field.and_then(|field| field.strip_prefix("yarn@")).and_then(|version| version.split('.').next());
    match version.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) => major >= 2,
        None => tree.has(".yarnrc.yml") || tree.text("yarn.lock").is_some_and(|lock| lock.contains("__metadata:")),
    }
}

fn is_for_development(script: &str) -> bool {
    let builds = script.contains("vite build") || script.contains("parcel build");
    let mut words = script.split_whitespace();
    let bare_vite = words.next() == Some("vite");
    FOR_DEVELOPMENT.iter().filter(|command| **command != "vite" && **command != "parcel").any(|command| script.contains(command))
        || (!builds && (bare_vite || script.starts_with("parcel")))
}

/// `node FILE` with plain words only: what needs neither npm nor a shell's help.
fn runs_a_file(script: &str) -> bool {
    let mut words = script.split_whitespace();
    words.next() == Some("node") && words.all(is_plain) && script.split_whitespace().nth(1).is_some()
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "./_-=:@,".contains(c))
}

/// The value of `name: 'value'` in a configuration written in JavaScript; comments are skipped, computed values are not.
fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('*')).find_map(|line| {
        let at = line.find(name)?;
        let whole = !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?.trim_start();
        let quote = rest.chars().next().filter(|c| whole && matches!(c, '"' | '\'' | '`'))?;
        rest[1..].split_once(quote).map(|(value, _)| value.to_owned())
    })
}

/// The word after `flag` in a command line.
fn after<'a>(script: &'a str, flag: &str) -> Option<&'a str> {
    let at = script.find(flag)?;
    let rest = script[at + flag.len()..].trim_start_matches([' ', '=']);
    rest.split_whitespace()
        .next()
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.starts_with(['-', '&', '|', ';']))
}

/// `path` as a folder inside the root; absent when it leads out or is odd.
fn inside(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let odd = path.is_empty()
        || path.starts_with('/')
        || path.split('/').any(|part| part == "..")
        || !path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    (!odd).then(|| path.to_owned())
}
