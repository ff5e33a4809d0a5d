//! Bundlers and site generators that leave a folder of files.

use super::{Package, Serves};
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
    bundler("umi", "umi", "dist", "umi build"),
    bundler("vite", "vite", "dist", "vite build"),
    bundler("rolldown-vite", "vite", "dist", "vite build"),
    bundler("parcel", "parcel", "dist", "parcel build index.html"),
    bundler("parcel-bundler", "parcel", "dist", "parcel build index.html"),
    bundler("snowpack", "snowpack", "build", "snowpack build"),
    common("@rspack/cli", "rspack", "dist", "rspack build"),
    common("webpack-cli", "webpack", "dist", "webpack --mode production"),
];

impl Package<'_> {
    /// Where a bundler leaves its files: as its configuration, its command, or its habit says.
    pub(super) fn files(&self, known: &Bundler) -> Serves {
        let key = self.build_script().unwrap_or("build");
        let script = self.script(key).unwrap_or_default();
        let told = ["--outDir", "--out-dir", "--dist-dir", "--dest", "--output-path", "--output"];
        if let Some(folder) = told.iter().find_map(|flag| word_after(script, flag)).and_then(inside) {
            return Serves::Files { proof: self.says(key, format!("static files in {folder}")), folder: self.output(&folder) };
        }
        let (configs, name): (&[&str], &str) = match known.name {
            "vite" => (&["vite.config.ts", "vite.config.js", "vite.config.mjs", "vite.config.mts"], "outDir"),
            "eleventy" => (
                &["eleventy.config.js", "eleventy.config.mjs", "eleventy.config.cjs", ".eleventy.js", "eleventy.config.ts"],
                "output",
            ),
            "vue-cli" => (&["vue.config.js"], "outputDir"),
            _ => (&[], ""),
        };
        let told = self.tree.first_text(configs).and_then(|(file, text)| Some((file, setting(text, name)?)));
        if let Some((file, folder)) = told.and_then(|(file, folder)| Some((file, self.up_from_member(&folder)?))) {
            let proof = self.tree.proof_at(file, name, format!("static files in {folder}"));
            return Serves::Files { proof, folder };
        }
        // `vitepress build docs` keeps its output below the folder that it is given.
        let below = known.name.ends_with("press").then(|| word_after(script, &format!("{} build", known.name)).and_then(inside));
        let folder = below.flatten().map_or_else(|| known.folder.to_owned(), |below| format!("{below}/{}", known.folder));
        Serves::Files { proof: self.says(known.package, format!("static files in {folder}")), folder: self.output(&folder) }
    }

    /// A folder as a configuration names it, from the root: that of a member may climb out of it.
    pub(super) fn up_from_member(&self, folder: &str) -> Option<String> {
        let mut at: Vec<&str> = self.member.iter().flat_map(|member| member.folder.split('/')).collect();
        let mut rest = folder.trim_start_matches("./");
        while let Some(up) = rest.strip_prefix("../") {
            at.pop()?;
            rest = up;
        }
        let folder = inside(rest)?;
        Some(if at.is_empty() { folder } else { format!("{}/{folder}", at.join("/")) })
    }

    /// A folder of the package, from the root.
    pub(super) fn output(&self, folder: &str) -> String {
        self.member.as_ref().map_or_else(|| folder.to_owned(), |member| format!("{}/{folder}", member.folder))
    }
}
