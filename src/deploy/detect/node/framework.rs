//! Which framework, and how what it builds is served: the ones that can be either a server or files.

use serde_json::Value;

use super::{FILE, Framework, Package, Serves, bundler, is_for_development};
use crate::{
    deploy::detect::reading::{inside, is_set_to, setting},
    model::Problem,
};

const NEXT: &[&str] = &["next.config.js", "next.config.mjs", "next.config.ts"];
const NUXT: &[&str] = &["nuxt.config.ts", "nuxt.config.js", "nuxt.config.mjs"];
const ASTRO: &[&str] = &["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts"];
const VITE: &[&str] = &["vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts"];
const NITRO: &str = "node .output/server/index.mjs";

/// A framework or library that serves by its start script or file: (package, name, port without `PORT`).
pub(super) const SERVERS: &[(&str, &str, u16)] = &[
    ("@nestjs/core", "nest", 3000),
    ("@adonisjs/core", "adonis", 3333),
    ("@strapi/strapi", "strapi", 1337),
    ("@keystone-6/core", "keystone", 3000),
    ("@medusajs/medusa", "medusa", 9000),
    ("@feathersjs/feathers", "feathers", 3030),
    ("@loopback/core", "loopback", 3000),
    ("sails", "sails", 1337),
    ("waku", "waku", 8080),
    ("elysia", "elysia", 3000),
    ("express", "express", 3000),
    ("fastify", "fastify", 3000),
    ("koa", "koa", 3000),
    ("@hapi/hapi", "hapi", 3000),
    ("hono", "hono", 3000),
    ("@apollo/server", "apollo", 4000),
    ("h3", "h3", 3000),
    ("restify", "restify", 8080),
    ("polka", "polka", 3000),
    ("micro", "micro", 3000),
];

impl Package<'_> {
    /// The framework, its port, and how what it builds is served.
    pub(super) fn framework(&self) -> Result<Framework, Problem> {
        let is = |name, port, build, serves| Ok(Framework { name: Some(name), port, build, serves: Some(serves) });
        if self.needs("next") {
            return is("next", Some(3000), Some("next build"), self.next());
        }
        if self.needs("nuxt") || self.needs("nuxt3") {
            return is("nuxt", Some(3000), Some("nuxt build"), self.nuxt());
        }
        if self.needs("astro") {
            return is("astro", Some(4321), Some("astro build"), self.astro());
        }
        if self.needs("@sveltejs/kit") {
            return is("sveltekit", Some(3000), Some("vite build"), self.sveltekit());
        }
        if self.needs("@react-router/dev") {
            let serve = "react-router-serve ./build/server/index.js";
            let serves = self.rendered(&["react-router.config.ts", "react-router.config.js"], serve, "@react-router/dev");
            return is("react-router", Some(3000), Some("react-router build"), serves);
        }
        if self.needs("@remix-run/dev") {
            let serves = self.rendered(VITE, "remix-serve ./build/server/index.js", "@remix-run/dev");
            return is("remix", Some(3000), Some("remix vite:build"), serves);
        }
        if let Some(package) =
            ["@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"].iter().find(|p| self.needs(p))
        {
            return is("tanstack-start", Some(3000), Some("vite build"), self.nitro(package));
        }
        if self.needs("@solidjs/start") {
            return is("solid-start", Some(3000), Some("vinxi build"), self.nitro("@solidjs/start"));
        }
        if self.needs("@analogjs/platform") {
            let start = self.command("node dist/analog/server/index.mjs");
            let proof = self.says("@analogjs/platform", "starts the server that analog builds");
            return is("analog", Some(3000), Some("vite build"), Serves::Command { start, proof });
        }
        if self.needs("@builder.io/qwik-city") || self.needs("@qwik.dev/router") {
            return is("qwik", Some(3000), Some("qwik build"), self.qwik());
        }
        if self.needs("@angular/core") && self.tree.has("angular.json") {
            return is("angular", None, Some("ng build"), self.angular());
        }
        if (self.needs("nitropack") || self.needs("nitro")) && !self.needs("vite") {
            return is(
                "nitro",
                Some(3000),
                Some("nitro build"),
                self.nitro(if self.needs("nitro") { "nitro" } else { "nitropack" }),
            );
        }
        self.server_or_files()
    }

    /// A library that serves, a bundler that leaves files, or neither.
    fn server_or_files(&self) -> Result<Framework, Problem> {
        let server = SERVERS.iter().find(|(package, ..)| self.needs(package));
        let runs_tasks = |known: &bundler::Bundler| ["gulp", "grunt"].contains(&known.name);
        let files = bundler::KNOWN.iter().find(|known| {
            self.needs(known.package)
                && !(known.is_common && server.is_some())
                && (!runs_tasks(known) || self.tasks_build_pages())
        });
        if let Some(serves) = self.storybook().filter(|_| server.is_none() && (files.is_none() || !self.has_page())) {
            return Ok(Framework { name: Some("storybook"), port: None, build: Some("storybook build"), serves: Some(serves) });
        }
        // Beside a bundler, what lies in src is the page's, unless a script says otherwise.
        let start = if files.is_some() { self.start_beside_a_bundler() } else { self.start() };
        let named = |(_, name, port): &(&str, &'static str, u16), serves| {
            Ok(Framework { name: Some(name), port: Some(*port), build: None, serves: Some(serves) })
        };
        match (server, files, start) {
            (Some(server), _, Some(start)) => named(server, start),
            (_, Some(known), Some(start)) if self.starts_a_file() => {
                Ok(Framework { name: Some(known.name), port: Some(3000), build: Some(known.command), serves: Some(start) })
            }
            (_, Some(known), _) => {
                Ok(Framework { name: Some(known.name), port: None, build: Some(known.command), serves: Some(self.files(known)) })
            }
            (Some(server), None, None) => match self.by_development() {
                Some(start) => named(server, start),
                None => Err(Problem::not_found(format!("this uses {}, but nothing says how it is started", server.1))
                    .at(self.tree.place(FILE, &format!("\"{}\":", server.0)))
                    .hint("add a `start` script to package.json, or say --start 'COMMAND'")),
            },
            (None, None, _) if self.is_only_a_page() && self.hosted_files().or_else(|| self.built_page()).is_some() => {
                let serves = self.hosted_files().or_else(|| self.built_page());
                Ok(Framework { name: None, port: None, build: None, serves })
            }
            (None, None, _) if self.json_server().is_some() => {
                Ok(Framework { name: Some("json-server"), port: Some(3000), build: None, serves: self.json_server() })
            }
            (None, None, _) if self.served_folder().is_some() => {
                Ok(Framework { name: None, port: None, build: None, serves: self.served_folder() })
            }
            (None, None, start) => {
                let is_bun = self.manager.name == "bun"
                    && ["index.ts", "index.tsx", "server.ts", "src/index.ts"]
                        .iter()
                        .any(|file| self.tree.says(file, "Bun.serve"));
                Ok(Framework { name: is_bun.then_some("bun"), port: is_bun.then_some(3000), build: None, serves: start })
            }
        }
    }

    fn is_only_a_page(&self) -> bool {
        self.served_folder().is_none() && self.start_beside_a_bundler().or_else(|| self.by_main()).is_none()
    }

    fn start_beside_a_bundler(&self) -> Option<Serves> {
        // `index.js` beside a page is the page's; `server.js` is not.
        let server = self.tree.first(&["server.js", "server.mjs", "server.ts"]).is_some();
        let by_entry = || self.by_entry(false).filter(|_| server || !self.tree.has("index.html"));
        self.by_script().or_else(|| self.by_parts()).or_else(|| self.built_entry()).or_else(by_entry)
    }

    fn next(&self) -> Serves {
        let export = |text: &str| setting(text, "output").as_deref() == Some("export");
        if let Some((file, text)) = self.tree.first_text(NEXT).filter(|(_, text)| export(text)) {
            let folder = setting(text, "distDir").and_then(|folder| inside(&folder)).unwrap_or_else(|| "out".to_owned());
            let proof = self.tree.proof_at(file, "output", format!("static files in {folder}"));
            return Serves::Files { folder: self.output(&folder), proof };
        }
        if self.script("build").is_some_and(|script| script.contains("next export")) {
            return Serves::Files { folder: self.output("out"), proof: self.says("build", "static files in out") };
        }
        // A port of its own would not be the one it is asked on.
        let fixed = |script: &str| {
            ["-p ", "--port ", "--port=", "-p="]
                .iter()
                .any(|flag| script.split_once(flag).is_some_and(|(_, port)| port.starts_with(|c: char| c.is_ascii_digit())))
        };
        match self.start_script() {
            Some((_, script)) if script.contains("next start") && fixed(script) => self.program("next start", "next"),
            Some(_) => self.by_script().unwrap_or_else(|| self.program("next start", "next")),
            None => match self.tree.first(&["server.js", "server.mjs"]) {
                Some(file) => {
                    let start = self.command(&format!("node {file}"));
                    Serves::Command { start, proof: self.tree.proof(file, "starts the app's own server") }
                }
                None => self.program("next start", "next"),
            },
        }
    }

    fn nuxt(&self) -> Serves {
        if self.is_generated_nuxt_2() {
            return Serves::Files { folder: self.output("dist"), proof: self.says("generate", "static files in dist") };
        }
        if let Some(start) = self.by_script().filter(|_| self.is_nuxt_2()) {
            return start;
        }
        let generates = |script: &str| script.contains("nuxt generate") || script.contains("nuxi generate");
        let key = if self.script("build").is_some() { "build" } else { "generate" };
        let only = self.script(key).is_some_and(generates);
        let is_static = |text: &str| setting(text, "preset").is_some_and(|preset| preset.contains("static"));
        if only {
            return Serves::Files {
                folder: self.output(".output/public"),
                proof: self.says(key, "static files in .output/public"),
            };
        }
        if let Some((file, _)) = self.tree.first_text(NUXT).filter(|(_, text)| is_static(text)) {
            let proof = self.tree.proof_at(file, "preset", "static files in .output/public");
            return Serves::Files { folder: self.output(".output/public"), proof };
        }
        Serves::Command { start: self.command(NITRO), proof: self.says("nuxt", "starts the server that nuxt builds") }
    }

    /// Nuxt 2 starts what it builds itself.
    fn is_nuxt_2(&self) -> bool {
        let version = self.json["dependencies"]["nuxt"].as_str().or_else(|| self.json["devDependencies"]["nuxt"].as_str());
        version.is_some_and(|version| version.trim_start_matches(['^', '~', '=', 'v']).starts_with("2."))
    }

    /// Nuxt 2 whose configuration says `target: 'static'`.
    pub(super) fn is_generated_nuxt_2(&self) -> bool {
        let is_static = |text: &str| setting(text, "target").as_deref() == Some("static");
        let told = self.tree.first_text(NUXT).is_some_and(|(_, text)| is_static(text));
        told && self.is_nuxt_2() && self.script("generate").is_some()
    }

    fn astro(&self) -> Serves {
        let config = self.tree.first_text(ASTRO);
        let output = config.and_then(|(_, text)| setting(text, "output"));
        if let Some((file, text)) = config {
            let adapter = text.contains("adapter:") || matches!(output.as_deref(), Some("server" | "hybrid"));
            if self.needs("@astrojs/node") && adapter {
                if let Some(start) = self.by_script() {
                    return start;
                }
                let start = self.command("HOST=127.0.0.1 node dist/server/entry.mjs");
                let line = if output.is_some() { "output" } else { "adapter" };
                return Serves::Command { start, proof: self.tree.proof_at(file, line, "starts the server that astro builds") };
            }
            if let Some(folder) = setting(text, "outDir").and_then(|folder| inside(&folder)) {
                let proof = self.tree.proof_at(file, "outDir", format!("static files in {folder}"));
                return Serves::Files { proof, folder: self.output(&folder) };
            }
        }
        Serves::Files { folder: self.output("dist"), proof: self.says("astro", "static files in dist") }
    }

    fn sveltekit(&self) -> Serves {
        let config = self.tree.text("svelte.config.js").unwrap_or_default();
        // Both may be installed; the configuration names the one in use.
        let uses = |adapter: &str| {
            self.needs(adapter) && (config.is_empty() || !config.contains("@sveltejs/adapter-") || config.contains(adapter))
        };
        if uses("@sveltejs/adapter-static") {
            let folder = setting(config, "pages").and_then(|folder| inside(&folder)).unwrap_or_else(|| "build".to_owned());
            let proof = self.says("@sveltejs/adapter-static", format!("static files in {folder}"));
            return Serves::Files { folder: self.output(&folder), proof };
        }
        if uses("@sveltejs/adapter-node") {
            if let Some(start) = self.by_script() {
                return start;
            }
            let folder = setting(config, "out").and_then(|folder| inside(&folder)).unwrap_or_else(|| "build".to_owned());
            let proof = self.says("@sveltejs/adapter-node", format!("starts the server in {folder}"));
            return Serves::Command { start: self.command(&format!("node {folder}")), proof };
        }
        if let Some(start) = self.by_script() {
            return start;
        }
        // No other adapter leaves something to start here; the preview serves what was built.
        let key = ["@sveltejs/adapter-auto", "@sveltejs/kit"].into_iter().find(|key| self.needs(key)).unwrap_or("@sveltejs/kit");
        let start = self.manager.exec("vite preview --host 127.0.0.1 --port $PORT", self.member.as_ref());
        let why = "starts Vite's preview of the build: name @sveltejs/adapter-node in svelte.config.js for a server of its own";
        Serves::Command { start, proof: self.says(key, why) }
    }

    /// React Router and Remix: a server, unless the configuration says `ssr: false`.
    fn rendered(&self, config: &[&str], serve: &str, package: &str) -> Serves {
        let without = self.tree.first_text(config).filter(|(_, text)| is_set_to(text, "ssr", "false"));
        if let Some((file, _)) = without {
            let proof = self.tree.proof_at(file, "ssr", "static files in build/client");
            return Serves::Files { folder: self.output("build/client"), proof };
        }
        self.by_script().or_else(|| self.by_entry(false)).unwrap_or_else(|| self.program(serve, package))
    }

    /// A server made by Nitro, unless its preset leaves files.
    fn nitro(&self, package: &str) -> Serves {
        let config = ["app.config.ts", "app.config.js", "nitro.config.ts"];
        let is_static = |text: &str| setting(text, "preset").is_some_and(|preset| preset.contains("static"));
        if let Some((file, _)) = self.tree.first_text(&config).filter(|(_, text)| is_static(text)) {
            let proof = self.tree.proof_at(file, "preset", "static files in .output/public");
            return Serves::Files { folder: self.output(".output/public"), proof };
        }
        let built =
            || Serves::Command { start: self.command(NITRO), proof: self.says(package, "starts the server that it builds") };
        self.by_script().unwrap_or_else(built)
    }

    fn qwik(&self) -> Serves {
        if let Some(script) = self.script("serve").filter(|script| !is_for_development(script)) {
            let proof = self.says("serve", format!("starts scripts.serve: {script}"));
            return Serves::Command { start: self.run("serve"), proof };
        }
        if let Some(start) = self.by_script() {
            return start;
        }
        Serves::Files { folder: self.output("dist"), proof: self.says("@builder.io/qwik-city", "static files in dist") }
    }

    /// Angular names its project in the folder; since version 17 the pages are in `browser` below it.
    fn angular(&self) -> Serves {
        let config: Value = self.tree.text("angular.json").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let projects = config["projects"].as_object();
        let app = |project: &Value| project["projectType"].as_str().is_none_or(|kind| kind == "application");
        let first = || projects?.iter().find(|(_, project)| app(project)).map(|(name, _)| name.as_str());
        let name = config["defaultProject"].as_str().or_else(first).unwrap_or("app");
        let project = &config["projects"][name];
        let build = if project["architect"].is_object() { &project["architect"]["build"] } else { &project["targets"]["build"] };
        let options = &build["options"];
        let path = options["outputPath"].as_str().or_else(|| options["outputPath"]["base"].as_str()).and_then(inside);
        let folder = path.unwrap_or_else(|| format!("dist/{name}"));
        let renders =
            options["outputMode"].as_str() == Some("server") || (options["outputMode"].is_null() && options["ssr"].is_object());
        if renders {
            let script = format!("serve:ssr:{name}");
            if self.script(&script).is_some() {
                let proof = self.says(&script, format!("starts scripts.{script}"));
                return Serves::Command { start: self.run(&script), proof };
            }
            let proof = self.tree.proof_at("angular.json", "\"ssr\"", "starts the server that angular builds");
            return Serves::Command { start: self.command(&format!("node {folder}/server/server.mjs")), proof };
        }
        let below = options["outputPath"]["browser"].as_str();
        let folder = match (below, build["builder"].as_str()) {
            (Some(""), _) => folder,
            (Some(below), _) => inside(below).map_or_else(|| folder.clone(), |below| format!("{folder}/{below}")),
            (None, Some(builder)) if builder.ends_with(":application") => format!("{folder}/browser"),
            (None, _) => folder,
        };
        let line = if options["outputPath"].is_null() { "projects" } else { "outputPath" };
        let proof = self.tree.proof_at("angular.json", line, format!("static files in {folder}"));
        Serves::Files { proof, folder: self.output(&folder) }
    }

    fn program(&self, command: &str, package: &str) -> Serves {
        let start = self.manager.exec(command, self.member.as_ref());
        Serves::Command { start, proof: self.says(package, format!("starts {package}")) }
    }
}
