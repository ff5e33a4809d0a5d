//! Bundlers and site generators that leave a folder of files.

use super::{
    Package, Serves,
    output::{Told, join},
};
use crate::deploy::detect::reading::{inside, setting, word_after};

/// One that leaves static files.
pub(super) struct Bundler {
    pub(super) package: &'static str,
    pub(super) name: &'static str,
    /// Where its files are by habit.
    pub(super) folder: &'static str,
    /// What builds when no script does.
    pub(super) command: &'static str,
    /// Bundles servers as often as pages: says nothing beside a server.
    pub(super) is_common: bool,
}

const fn bundler(package: &'static str, name: &'static str, folder: &'static str, command: &'static str) -> Bundler {
    Bundler { package, name, folder, command, is_common: false }
}

const fn common(package: &'static str, name: &'static str, folder: &'static str, command: &'static str) -> Bundler {
    Bundler { package, name, folder, command, is_common: true }
}

/// All known, those that are built on others first.
pub(super) const KNOWN: &[Bundler] = &[
    bundler("@docusaurus/core", "docusaurus", "build", "docusaurus build"),
    bundler("vitepress", "vitepress", ".vitepress/dist", "vitepress build"),
    bundler("vuepress", "vuepress", ".vuepress/dist", "vuepress build"),
    bundler("gatsby", "gatsby", "public", "gatsby build"),
    bundler("@11ty/eleventy", "eleventy", "_site", "@11ty/eleventy"),
    bundler("hexo", "hexo", "public", "hexo generate"),
    bundler("@slidev/cli", "slidev", "dist", "slidev build"),
    bundler("react-scripts", "create-react-app", "build", "react-scripts build"),
    bundler("@vue/cli-service", "vue-cli", "dist", "vue-cli-service build"),
    bundler("ember-cli", "ember", "dist", "ember build --environment=production"),
    bundler("expo", "expo", "dist", "expo export -p web"),
    bundler("preact-cli", "preact-cli", "build", "preact build"),
    bundler("@stencil/core", "stencil", "www", "stencil build"),
    bundler("@rsbuild/core", "rsbuild", "dist", "rsbuild build"),
    bundler("@farmfe/core", "farm", "dist", "farm build"),
    bundler("@quasar/app-vite", "quasar", "dist/spa", "quasar build"),
    bundler("@quasar/app-webpack", "quasar", "dist/spa", "quasar build"),
    bundler("gridsome", "gridsome", "dist", "gridsome build"),
    bundler("honkit", "honkit", "_book", "honkit build"),
    bundler("antora", "antora", "build/site", "antora antora-playbook.yml"),
    bundler("umi", "umi", "dist", "umi build"),
    bundler("vite", "vite", "dist", "vite build"),
    bundler("rolldown-vite", "vite", "dist", "vite build"),
    bundler("parcel", "parcel", "dist", "parcel build index.html"),
    bundler("parcel-bundler", "parcel", "dist", "parcel build index.html"),
    bundler("snowpack", "snowpack", "build", "snowpack build"),
    common("@rspack/cli", "rspack", "dist", "rspack build"),
    common("webpack-cli", "webpack", "dist", "webpack --mode production"),
    common("gulp", "gulp", "dist", "gulp build"),
    common("grunt", "grunt", "dist", "grunt build"),
];

impl Package<'_> {
    /// Where a bundler leaves its files: as its configuration, its command, or its habit says.
    pub(super) fn files(&self, known: &Bundler) -> Serves {
        let key = self.build_script_of(Some(known.name)).unwrap_or("build");
        let script = self.script(key).unwrap_or_default();
        let told = match known.name {
            "vite" => self.vite_output(script, &["vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts"]),
            "webpack" | "rspack" => self.webpack_output(script),
            "gulp" | "grunt" => self.tasks_output(),
            "eleventy" => self.set_in(
                &["eleventy.config.js", "eleventy.config.mjs", "eleventy.config.cjs", ".eleventy.js", "eleventy.config.ts"],
                "output",
            ),
            "rsbuild" => self.rsbuild_output(),
            "hexo" => self.hexo_output(),
            "vue-cli" => self.set_in(&["vue.config.js"], "outputDir"),
            _ => None,
        };
        let flags = ["--outDir", "--out-dir", "--dist-dir", "--dest", "--output-path", "--output"];
        // Vite's own flag is relative to its root.
        let by_flag = flags.iter().find_map(|flag| word_after(script, flag)).and_then(inside);
        if let Some(folder) = by_flag.filter(|_| !(known.name == "vite" && told.is_some())) {
            return Serves::Files { proof: self.says(key, format!("static files in {folder}")), folder: self.output(&folder) };
        }
        if let Some((folder, told)) = told.and_then(|told| Some((self.in_the_root(&told.folder)?, told))) {
            let proof = self.tree.proof_at(&told.file, told.line, format!("static files in {folder}"));
            return Serves::Files { proof, folder };
        }
        // A folder `public` in the source is what the bundler copies.
        let is_source = |told: &Told| told.folder == "public" && self.tree.has("public/");
        if let Some(told) = self.hosted().filter(|told| !is_source(told)) {
            let proof = self.tree.proof_at(&told.file, told.line, format!("static files in {}", told.folder));
            return Serves::Files { folder: told.folder, proof };
        }
        // `vitepress build docs` keeps its output below the folder that it is given.
        let below = known.name.ends_with("press").then(|| word_after(script, &format!("{} build", known.name)).and_then(inside));
        let folder = below.flatten().map_or_else(|| known.folder.to_owned(), |below| format!("{below}/{}", known.folder));
        Serves::Files { proof: self.says(known.package, format!("static files in {folder}")), folder: self.output(&folder) }
    }

    fn set_in(&self, configs: &[&str], line: &'static str) -> Option<Told> {
        let (file, text) = self.tree.first_text(configs)?;
        Some(Told { folder: setting(text, line)?, file: file.to_owned(), line })
    }

    /// A folder as a configuration names it, from the root: that of a member may climb out of it.
    fn in_the_root(&self, folder: &str) -> Option<String> {
        let member = self.member.as_ref().map_or("", |member| member.folder.as_str());
        inside(&join(member, folder)?)
    }

    /// A folder of the package, from the root.
    pub(super) fn output(&self, folder: &str) -> String {
        self.member.as_ref().map_or_else(|| folder.to_owned(), |member| format!("{}/{folder}", member.folder))
    }
}
