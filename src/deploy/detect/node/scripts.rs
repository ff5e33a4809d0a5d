//! What a package is started with: a script, `main`, or a file with a usual name.

use super::{FILE, Package, Serves, manager::within};
use crate::deploy::detect::reading::is_plain;

/// Files that people start, in order.
const ENTRIES: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "bot.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "main.mjs",
    "server.cjs",
    "index.cjs",
    "server.ts",
    "index.ts",
    "app.ts",
    "main.ts",
    "index.mts",
    "server.mts",
    "bin/www",
];
/// The same, where a page's own code may lie too.
const ENTRIES_IN_SRC: &[&str] = &[
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "src/server.mjs",
    "src/index.mjs",
    "src/server.ts",
    "src/index.ts",
    "src/app.ts",
    "src/main.ts",
    "server/index.js",
    "server/server.js",
    "server/index.ts",
];
/// Scripts that start a release, in order.
const SCRIPTS: &[&str] = &["start:prod", "start:production", "start", "serve:prod", "prod", "production"];
/// Commands that serve while one develops: never what a release is started with.
const FOR_DEVELOPMENT: &[&str] = &[
    "react-scripts start",
    "vue-cli-service serve",
    "ng serve",
    "webpack serve",
    "webpack-dev-server",
    "webpack dev",
    "astro dev",
    "astro preview",
    "next dev",
    "nuxt dev",
    "nuxi dev",
    "gatsby develop",
    "gatsby serve",
    "eleventy --serve",
    "eleventy --watch",
    "docusaurus start",
    "docusaurus serve",
    "vitepress dev",
    "vuepress dev",
    "remix dev",
    "remix vite:dev",
    "react-router dev",
    "vinxi dev",
    "vite dev",
    "vite preview",
    "vite --",
    "rsbuild dev",
    "rsbuild preview",
    "rspack serve",
    "rspack dev",
    "farm start",
    "ember serve",
    "ember s",
    "ember server",
    "expo start",
    "storybook dev",
    "start-storybook",
    "umi dev",
    "snowpack dev",
    "stencil build --dev",
    "hexo server",
    "hexo s",
    "strapi develop",
    "medusa develop",
    "wrangler dev",
    "nest start --watch",
    "nodemon",
    "node-dev",
    "ts-node-dev",
    "tsnd",
    "tsx watch",
    "--watch",
    "bun --hot",
    "concurrently",
    "browser-sync",
    "live-server",
    "slidev",
    "waku dev",
    "elm-live",
    "elm reactor",
    "lite-server",
];

impl Package<'_> {
    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.json["scripts"][name].as_str().filter(|script| !script.trim().is_empty())
    }

    /// The script that starts a release: its name and command.
    pub(super) fn start_script(&self) -> Option<(&'static str, &str)> {
        let named = SCRIPTS.iter().filter_map(|name| Some((*name, self.script(name)?)));
        named.into_iter().find(|(_, script)| !is_for_development(script))
    }

    /// Whether a script starts a file of the app, not a program that serves a folder.
    pub(super) fn starts_a_file(&self) -> bool {
        self.start_script().is_some_and(|(_, script)| runs_a_file(script) || runs_typescript(script))
    }

    pub(super) fn by_script(&self) -> Option<Serves> {
        let (name, script) = self.start_script()?;
        // Without npm between the keeper and the server, signals and memory are the server's own.
        let hooks = [format!("pre{name}"), format!("post{name}")];
        let alone = self.member.is_none() && runs_a_file(script) && hooks.iter().all(|hook| self.script(hook).is_none());
        let start = if alone { script.to_owned() } else { self.run(name) };
        Some(Serves::Command { start, proof: self.says(name, format!("starts scripts.{name}")) })
    }

    /// The start command: a script, `main`, or a file with a usual name.
    pub(super) fn start(&self) -> Option<Serves> {
        self.by_script().or_else(|| self.by_main()).or_else(|| self.built_entry()).or_else(|| self.by_entry(true))
    }

    fn by_main(&self) -> Option<Serves> {
        let key = ["main", "module"].into_iter().find(|key| self.json[key].is_string())?;
        let main = self.json[key].as_str()?.trim_start_matches("./");
        // Bun's own template names `src/index.js` for `src/index.ts`.
        let typed = main.strip_suffix(".js").map(|stem| format!("{stem}.ts"));
        let file = [Some(main.to_owned()), typed].into_iter().flatten().find(|file| self.tree.has(file) && is_plain(file))?;
        Some(Serves::Command { start: self.file(&file), proof: self.says(key, format!("starts `{key}`")) })
    }

    /// A file with a usual name; `in_src` when nothing there is a page's own.
    pub(super) fn by_entry(&self, in_src: bool) -> Option<Serves> {
        let entry = self.tree.first(ENTRIES).or_else(|| self.tree.first(ENTRIES_IN_SRC).filter(|_| in_src))?;
        Some(Serves::Command { start: self.file(entry), proof: self.tree.proof(entry, "starts a file with a usual name") })
    }

    /// A `main` that only the build will make.
    pub(super) fn built_entry(&self) -> Option<Serves> {
        self.script("build")?;
        let main = self.json["main"].as_str()?.trim_start_matches("./");
        let made = ["dist/", "build/", "lib/", "out/"].iter().any(|folder| main.starts_with(folder));
        (made && is_plain(main)).then(|| Serves::Command {
            start: self.command(&format!("node {main}")),
            proof: self.says("main", "starts `main`, which the build makes"),
        })
    }

    /// The folder that a `start` script hands to a file server: the edge serves it itself.
    pub(super) fn served_folder(&self) -> Option<Serves> {
        const SERVERS: &[&str] = &["serve", "npx serve", "http-server", "npx http-server", "sirv", "live-server", "lite-server"];
        let script = self.script("start")?.trim();
        let rest = SERVERS
            .iter()
            .find_map(|server| script.strip_prefix(server).filter(|rest| rest.is_empty() || rest.starts_with(' ')))?;
        let mut words = rest.split_whitespace();
        let mut folder = ".".to_owned();
        while let Some(word) = words.next() {
            match word {
                "-l" | "-p" | "-a" | "--listen" | "--port" | "--host" => drop(words.next()),
                flag if flag.starts_with('-') => {}
                word if word != "." => folder = crate::deploy::detect::reading::inside(word)?,
                _ => {}
            }
        }
        let there = folder != "." || self.tree.has("index.html");
        let proof = self.says("start", format!("static files in {}", if folder == "." { "the root" } else { &folder }));
        there.then(|| Serves::Files { folder: self.output(&folder), proof })
    }

    /// When nothing else is written: what its people start while they develop.
    pub(super) fn by_development(&self) -> Option<Serves> {
        let name = ["start", "dev", "serve", "develop"].into_iter().find(|name| self.script(name).is_some())?;
        let why = format!("starts scripts.{name}, which is for development: add a `start` script");
        Some(Serves::Command { start: self.run(name), proof: self.says(name, why) })
    }

    /// The command for a source file: by what runs its language here.
    fn file(&self, file: &str) -> String {
        let typed = [".ts", ".mts", ".cts", ".tsx"].iter().any(|end| file.ends_with(end));
        if self.manager.name == "bun" {
            return self.command(&format!("bun run {file}"));
        }
        match ["tsx", "ts-node"].into_iter().find(|runner| typed && self.needs(runner)) {
            Some(runner) => self.manager.exec(&format!("{runner} {file}"), self.member.as_ref()),
            // Node 22.18 and later leave types out by themselves.
            None => self.command(&format!("node {file}")),
        }
    }

    pub(super) fn command(&self, command: &str) -> String {
        within(self.member.as_ref(), command)
    }

    pub(super) fn run(&self, script: &str) -> String {
        self.manager.run(script, self.member.as_ref())
    }

    /// The line of a key, as a proof.
    pub(super) fn says(&self, key: &str, why: impl Into<String>) -> crate::model::recipe::Proof {
        self.tree.proof_at(FILE, &format!("\"{key}\":"), why)
    }
}

pub(super) fn is_for_development(script: &str) -> bool {
    let builds = script.contains("vite build") || script.contains("parcel build");
    let mut words = script.split_whitespace();
    let bare = matches!((words.next(), words.next()), (Some("vite" | "parcel" | "next" | "ember"), None));
    FOR_DEVELOPMENT.iter().any(|command| script.contains(command))
        || bare
        || (!builds && (script.starts_with("parcel ") || script.starts_with("vite ")))
}

/// `node FILE` with plain words only: what needs neither npm nor a shell's help.
fn runs_a_file(script: &str) -> bool {
    let mut words = script.split_whitespace();
    words.next() == Some("node") && words.all(is_plain) && script.split_whitespace().nth(1).is_some()
}

fn runs_typescript(script: &str) -> bool {
    ["tsx ", "ts-node ", "bun ", "bun run "].iter().any(|runner| script.starts_with(runner))
        || (script.contains("node ") && !script.contains("node_modules"))
}
