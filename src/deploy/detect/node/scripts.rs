//! What a package is started with: a script, `main`, or a file with a usual name.

use super::{FILE, Package, Serves, manager::within};
use crate::deploy::detect::reading::{inside, is_plain, setting, word_after};

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
    "--servedir",
    "concurrently",
    "browser-sync",
    "live-server",
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
        named.into_iter().find(|(_, script)| !is_for_development(script) && !ends_in_tasks(script))
    }

    /// Whether a script starts a file of the app, not a program that serves a folder.
    pub(super) fn starts_a_file(&self) -> bool {
        self.start_script().is_some_and(|(_, script)| runs_a_file(script) || runs_typescript(script))
    }

    pub(super) fn by_script(&self) -> Option<Serves> {
        let (name, script) = self.start_script()?;
        if let Some((start, why)) = self.built(script).or_else(|| self.in_foreground(script)) {
            return Some(Serves::Command { start, proof: self.says(name, format!("starts scripts.{name}, {why}")) });
        }
        // Without npm between the keeper and the server, signals and memory are the server's own.
        let hooks = [format!("pre{name}"), format!("post{name}")];
        let alone = self.member.is_none() && runs_a_file(script) && hooks.iter().all(|hook| self.script(hook).is_none());
        let start = if alone { script.to_owned() } else { self.run(name) };
        Some(Serves::Command { start, proof: self.says(name, format!("starts scripts.{name}")) })
    }

    /// The start command: a script, `main`, or a file with a usual name.
    pub(super) fn start(&self) -> Option<Serves> {
        self.by_script()
            .or_else(|| self.by_parts())
            .or_else(|| self.by_main())
            .or_else(|| self.built_entry())
            .or_else(|| self.by_entry(true))
    }

    /// `node bin/server.js` where only `bin/server.ts` is there: the build leaves it in a folder of its own.
    fn built(&self, script: &str) -> Option<(String, &'static str)> {
        let file = script.split_whitespace().skip(1).find(|word| !word.starts_with('-')).filter(|_| runs_a_file(script))?;
        let stem = file.trim_start_matches("./").strip_suffix(".js")?;
        if self.tree.has(&format!("{stem}.js")) || !self.tree.has(&format!("{stem}.ts")) {
            return None;
        }
        let told = self.tree.text("tsconfig.json").and_then(|text| setting(text, "outDir")).and_then(|folder| inside(&folder));
        let folder = told.or_else(|| self.needs("@adonisjs/core").then(|| "build".to_owned()))?;
        Some((self.command(&script.replacen(file, &format!("{folder}/{stem}.js"), 1)), "in the folder that the build makes"))
    }

    /// What `pm2 start` would send to the background, kept in the foreground.
    fn in_foreground(&self, script: &str) -> Option<(String, &'static str)> {
        let target = word_after(script, "pm2 start ").filter(|target| is_plain(target) && !script.contains("--no-daemon"))?;
        let is_alone = script.trim_start_matches("npx ").starts_with("pm2 start ");
        let config =
            self.tree.text(target.trim_start_matches("./")).filter(|_| target.contains("ecosystem") || target.contains("pm2"));
        let file = match config {
            Some(text) => setting(text, "script").filter(|_| text.matches("script:").count() == 1),
            None => Some(target.to_owned()),
        };
        let file = file.map(|file| file.trim_start_matches("./").to_owned());
        let runs = |file: &String| [".js", ".mjs", ".cjs"].iter().any(|end| file.ends_with(end)) && is_plain(file);
        let start = match file.filter(runs).filter(|_| is_alone) {
            Some(file) => self.command(&format!("node {file}")),
            None if is_alone => self.manager.exec(&format!("pm2-runtime start {target}"), self.member.as_ref()),
            None => return None,
        };
        Some((start, "which pm2 would send to the background"))
    }

    /// The server among the scripts that a script runs side by side: `concurrently "npm run server" "npm run client"`.
    pub(super) fn by_parts(&self) -> Option<Serves> {
        let several = |script: &str| ["concurrently", "npm-run-all", "run-p "].iter().any(|tool| script.contains(tool));
        let named = ["start", "dev", "develop"].into_iter().filter_map(|name| Some((name, self.script(name)?)));
        let (name, script) = named.into_iter().find(|(_, script)| several(script))?;
        let words = script.split([' ', '"', '\'']).map(|word| word.trim_start_matches("npm:"));
        let part = |part: &str| {
            let script = self.script(part)?;
            let why = format!("starts scripts.{part}, the server of scripts.{name}");
            if !is_for_development(script) && (runs_a_file(script) || runs_typescript(script)) {
                return Some(Serves::Command { start: self.run(part), proof: self.says(part, why) });
            }
            let file = word_after(script, "nodemon").map(|file| file.trim_start_matches("./"))?;
            (self.tree.has(file) && is_plain(file))
                .then(|| Serves::Command { start: self.file(file), proof: self.says(part, why) })
        };
        let own = || {
            let start = script.split(['"', '\'']).map(str::trim).find(|part| runs_a_file(part))?;
            let proof = self.says(name, format!("starts the server of scripts.{name}"));
            Some(Serves::Command { start: self.command(start), proof })
        };
        words.filter(|word| *word != name).find_map(part).or_else(own)
    }

    /// A server of JSON files, which takes its port by a flag alone.
    pub(super) fn json_server(&self) -> Option<Serves> {
        let script = self.script("start").or_else(|| self.script("serve")).filter(|_| self.needs("json-server"))?;
        let mut words = script.strip_prefix("npx ").unwrap_or(script).strip_prefix("json-server")?.split_whitespace();
        let mut command = "json-server".to_owned();
        while let Some(word) = words.next() {
            match word {
                "--watch" | "-w" => {}
                "--port" | "-p" | "--host" | "-h" | "-H" => drop(words.next()),
                word if word.starts_with("--port=") || word.starts_with("--host=") => {}
                word if is_plain(word) => command += &format!(" {word}"),
                _ => return None,
            }
        }
        let start = self.manager.exec(&format!("{command} --host 127.0.0.1 --port $PORT"), self.member.as_ref());
        Some(Serves::Command { start, proof: self.says("json-server", "starts json-server, told its port") })
    }

    pub(super) fn by_main(&self) -> Option<Serves> {
        let key = ["main", "module"].into_iter().find(|key| self.json[key].is_string())?;
        let main = self.json[key].as_str()?.trim_start_matches("./");
        // Bun's own template names `src/index.js` for `src/index.ts`.
        let typed = main.strip_suffix(".js").map(|stem| format!("{stem}.ts"));
        let file = [Some(main.to_owned()), typed].into_iter().flatten().find(|file| self.tree.has(file) && is_plain(file))?;
        if self.is_of_a_page(&file) {
            return None;
        }
        Some(Serves::Command { start: self.file(&file), proof: self.says(key, format!("starts `{key}`")) })
    }

    /// A file with a usual name; `in_src` when nothing there is a page's own.
    pub(super) fn by_entry(&self, in_src: bool) -> Option<Serves> {
        let entry = self.tree.first(ENTRIES).or_else(|| self.tree.first(ENTRIES_IN_SRC).filter(|_| in_src))?;
        if self.is_of_a_page(entry) {
            return None;
        }
        Some(Serves::Command { start: self.file(entry), proof: self.tree.proof(entry, "starts a file with a usual name") })
    }

    /// A `main` that only the build will make.
    pub(super) fn built_entry(&self) -> Option<Serves> {
        self.script("build")?;
        let main = self.json["main"].as_str()?.trim_start_matches("./");
        let made = ["dist/", "build/", "lib/", "out/"].iter().any(|folder| main.starts_with(folder));
        (made && is_plain(main) && !self.is_of_a_page(main)).then(|| Serves::Command {
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
                word if word != "." => folder = inside(word)?,
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
        match self.manager.name {
            "bun" => return self.command(&format!("bun run {file}")),
            "deno" => return self.command(&format!("deno run --allow-all {file}")),
            _ => {}
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
        || (script.starts_with("slidev") && !script.starts_with("slidev build") && !script.starts_with("slidev export"))
        || (!builds && (script.starts_with("parcel ") || script.starts_with("vite ")))
}

/// Whether the last command is one of gulp or Grunt: they build and watch, and serve no release.
fn ends_in_tasks(script: &str) -> bool {
    let last = script.rsplit(['&', ';', '|']).next().unwrap_or(script).trim();
    let program = last.trim_start_matches("npx ").split_whitespace().next();
    matches!(program, Some("gulp" | "grunt" | "brunch"))
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
