//! Packages that no host can serve: applications for the desktop, Workers, libraries.

use super::{FILE, Framework, Package, Serves, framework::SERVERS};
use crate::{
    deploy::detect::{
        reading::{ends, field, setting},
        tree::Tree,
    },
    model::Problem,
};

/// Whether the tree's package is refused although pages lie beside it: they are a part of it.
pub(in crate::deploy::detect) fn owns_the_pages(tree: &Tree<'_>) -> bool {
    let Ok(Some(package)) = Package::of(tree) else { return false };
    package.framework().is_ok_and(|found| package.worker(&found).is_some() || package.is_desktop(&found))
}

impl Package<'_> {
    /// Refuses what would end at once, or never begin, if it were started as found.
    pub(super) fn check_servable(&self, found: &Framework) -> Result<(), Problem> {
        if let Some(file) = self.worker(found) {
            return Err(Problem::not_found("this is a Cloudflare Worker: it runs in their runtime, not in Node").at(file).hint(
                "deploy it by `wrangler deploy`, or serve it here by --start 'npx wrangler dev --ip 127.0.0.1 --port $PORT'",
            ));
        }
        if self.is_desktop(found) {
            return Err(Problem::not_found("this is an application for the desktop, made with Electron: it needs a screen")
                .at(self.tree.place(FILE, "\"electron\":"))
                .hint(
                    "for its pages alone say --build 'COMMAND' and --output FOLDER; for a server in it say --start 'COMMAND'",
                ));
        }
        if let Some(mark) = self.library(found) {
            return Err(Problem::not_found("this is a library: nothing in it serves")
                .at(self.tree.place(FILE, &format!("\"{mark}\"")))
                .hint(match self.tree.nested() {
                    Some(folder) => format!("deploy the folder `{folder}`, or say --start 'COMMAND' or --output FOLDER"),
                    None => "add a `start` script to package.json, or say --start 'COMMAND' or --output FOLDER".to_owned(),
                }));
        }
        Ok(())
    }

    /// The configuration of a Worker whose own file would be started.
    fn worker(&self, found: &Framework) -> Option<&'static str> {
        let (file, text) = self.tree.first_text(&["wrangler.jsonc", "wrangler.json", "wrangler.toml"])?;
        let main = if ends(file, ".toml") { field(text, "main").map(str::to_owned) } else { setting(text, "main") };
        let start = match &found.serves {
            Some(Serves::Command { start, .. }) => start,
            // Their plugin for Vite builds the Worker; its pages are a part of it.
            Some(Serves::Files { .. }) => return (main.is_some() && self.needs("@cloudflare/vite-plugin")).then_some(file),
            None => return None,
        };
        let is_plain_server = found.name.is_none_or(|name| SERVERS.iter().any(|(_, server, _)| *server == name));
        let is_main = main.is_some_and(|main| start.ends_with(main.trim_start_matches("./")));
        let by_wrangler = ["start", "dev"]
            .into_iter()
            .any(|name| *start == self.run(name) && self.script(name).is_some_and(|script| script.contains("wrangler ")));
        (is_plain_server && self.start_script().is_none() && (is_main || by_wrangler)).then_some(file)
    }

    fn is_desktop(&self, found: &Framework) -> bool {
        if !self.needs("electron") {
            return false;
        }
        let says = |name: &str| self.script(name).is_some_and(|script| script.contains("electron"));
        match &found.serves {
            Some(Serves::Command { .. }) => found.name.is_none() && (says("start") || self.start_script().is_none()),
            Some(Serves::Files { .. }) => says("build") || (self.build_script().is_none() && says("start")),
            None => true,
        }
    }

    /// The key that marks a library, when nothing else says that it serves.
    fn library(&self, found: &Framework) -> Option<&'static str> {
        const LISTENS: &[&str] = &["listen(", "createServer", "serve(", "Server(", ".login(", ".launch(", ".start("];
        let mark = ["exports", "files", "types", "typings", "publishConfig"].into_iter().find(|key| !self.json[key].is_null())?;
        let is_quiet = |start: &str| {
            let file = start.rsplit(' ').next().unwrap_or(start);
            let name = file.rsplit('/').next().unwrap_or(file);
            let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
            // What is built has its source elsewhere.
            let files = [file.to_owned(), format!("src/{stem}.ts"), format!("src/{stem}.js"), format!("{stem}.ts")];
            !files.iter().filter_map(|file| self.tree.text(file)).any(|text| LISTENS.iter().any(|sign| text.contains(sign)))
        };
        let is_library = match &found.serves {
            Some(Serves::Command { start, .. }) => found.name.is_none() && self.start_script().is_none() && is_quiet(start),
            // In its library mode Vite takes no page.
            Some(Serves::Files { .. }) => found.name == Some("vite") && !self.has_page(),
            None => true,
        };
        is_library.then_some(mark)
    }
}
