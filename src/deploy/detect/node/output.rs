//! Where a configuration written in JavaScript says that files go: a word, or a path put together from words.

use super::Package;
use crate::deploy::detect::reading::{ends, field, inside, quoted, setting_value, word_after};

const WEBPACK: &[&str] = &["webpack", "rspack"];
/// What their configurations are called, the one of a release first.
const VARIANTS: &[&str] = &[
    ".config.js",
    ".config.ts",
    ".config.cjs",
    ".config.mjs",
    ".prod.js",
    ".production.js",
    ".config.prod.js",
    ".config.production.js",
    ".common.js",
    ".base.js",
    ".config.common.js",
    ".config.base.js",
];
/// Where they are kept.
const FOLDERS: &[&str] = &["", "config/", "webpack/", "build/"];
/// What takes a page along into the folder of the bundles.
const PAGES: &[&str] =
    &["HtmlWebpackPlugin", "HtmlRspackPlugin", "HtmlBundlerPlugin", "CopyWebpackPlugin", "CopyPlugin", "CopyRspackPlugin"];

/// A folder that is told, with the file and the word that tell it.
pub(super) struct Told {
    /// Relative to the package; may climb out of a member.
    pub(super) folder: String,
    pub(super) file: String,
    pub(super) line: &'static str,
}

impl Package<'_> {
    /// webpack's and Rspack's `output.path`, or the folder above it whose page names the bundles.
    pub(super) fn webpack_output(&self, script: &str) -> Option<Told> {
        let told = ["--config", "-c"].into_iter().find_map(|flag| word_after(script, flag)).and_then(inside);
        let named = |folder: &'static str| {
            VARIANTS.iter().flat_map(move |end| WEBPACK.iter().map(move |name| format!("{folder}{name}{end}")))
        };
        let files = told.into_iter().chain(FOLDERS.iter().copied().flat_map(named));
        let texts = || files.clone().filter_map(|file| Some((self.tree.text(&file)?, file)));
        let (folder, file) = texts().find_map(|(text, file)| Some((path(block(text, "output")?, "path", &file)?, file)))?;
        let brings_a_page = texts().any(|(text, _)| PAGES.iter().any(|plugin| text.contains(plugin)));
        let has_page = |folder: &str| self.tree.has(&format!("{folder}/index.html"));
        let above = folder.rsplit_once('/').map(|(above, _)| above).filter(|above| has_page(above));
        let folder = above.filter(|_| !brings_a_page && !has_page(&folder)).unwrap_or(&folder).to_owned();
        (!folder.is_empty()).then_some(Told { folder, file, line: "path" })
    }

    /// Vite's `build.outDir`, which is relative to its `root`; both may be told by the command too.
    pub(super) fn vite_output(&self, script: &str, configs: &[&str]) -> Option<Told> {
        let given = word_after(script, "vite build").and_then(inside);
        let config =
            |folder: &str| configs.iter().map(|name| join(folder, name).unwrap_or_default()).find(|file| self.tree.has(file));
        let file = given.as_deref().and_then(config).or_else(|| config(""));
        let text = file.as_deref().and_then(|file| self.tree.text(file)).unwrap_or_default();
        // Vitest's own root comes below `test`.
        let before = text.split_once("test:").map_or(text, |(before, _)| before);
        let root = given.clone().or_else(|| path(before, "root", "")).unwrap_or_default();
        let by_command = |line, folder| Some(Told { folder, file: super::FILE.to_owned(), line });
        if let Some(folder) = word_after(script, "--outDir") {
            return by_command("--outDir", join(&root, folder)?);
        }
        let Some(file) = file else {
            return by_command("vite build", join(&given?, "dist")?);
        };
        let folder = match setting_value(text, "outDir") {
            Some(value) if value.starts_with(['"', '\'']) => join(&root, &quoted(value)?)?,
            Some(value) => path_of(value, folder_of(&file))?,
            None if !root.is_empty() => join(&root, "dist")?,
            None => return None,
        };
        let line = if text.contains("outDir") { "outDir" } else { "root" };
        Some(Told { folder, file, line })
    }

    /// Rsbuild's `output.distPath.root`.
    pub(super) fn rsbuild_output(&self) -> Option<Told> {
        let configs = ["rsbuild.config.ts", "rsbuild.config.js", "rsbuild.config.mjs", "rsbuild.config.mts"];
        let (file, text) = self.tree.first_text(&configs)?;
        Some(Told { folder: path(block(text, "distPath")?, "root", file)?, file: file.to_owned(), line: "distPath" })
    }

    /// Hexo's `public_dir`.
    pub(super) fn hexo_output(&self) -> Option<Told> {
        let folder = field(self.tree.text("_config.yml")?, "public_dir")?;
        Some(Told { folder: folder.to_owned(), file: "_config.yml".to_owned(), line: "public_dir" })
    }

    /// Where gulp and Grunt leave their pages: what is served while one develops, or the first folder of the first target; sources last.
    pub(super) fn tasks_output(&self) -> Option<Told> {
        let (file, text) = self.task_file()?;
        let served = ["baseDir", "server"].into_iter().filter_map(|name| quoted(setting_value(text, name)?));
        let target = |mark: &str| {
            let rest = text.split_once(mark)?.1.trim_start();
            quoted(rest)?.trim_start_matches("./").split('/').next().map(str::to_owned)
        };
        let targets = ["gulp.dest(", ".pipe(dest(", "dest:"].into_iter().filter_map(target);
        let mut folders: Vec<String> = served.chain(targets).filter_map(|folder| inside(&folder)).collect();
        folders.sort_by_key(|folder| self.tree.has(&format!("{folder}/index.html")));
        Some(Told { folder: folders.into_iter().next()?, file: file.to_owned(), line: "dest" })
    }

    /// Whether gulp or Grunt builds pages here: by a task `build`, or as the build script says.
    pub(super) fn tasks_build_pages(&self) -> bool {
        const BUILDS: &[&str] = &[
            "exports.build",
            "task('build'",
            "task(\"build\"",
            "Task('build'",
            "Task(\"build\"",
            "const build",
            "function build",
        ];
        let has_task = || self.task_file().is_some_and(|(_, text)| BUILDS.iter().any(|build| text.contains(build)));
        let has_script = || {
            let script = self.build_script().and_then(|name| self.script(name)).unwrap_or_default();
            script.contains("gulp") || script.contains("grunt")
        };
        let is_page = |path: &&str| [".html", ".pug", ".njk", ".hbs"].iter().any(|end| ends(path, end));
        (has_script() || has_task()) && self.tree.files_to(3).iter().any(is_page)
    }

    fn task_file(&self) -> Option<(&'static str, &str)> {
        self.tree.first_text(&["gulpfile.js", "gulpfile.mjs", "gulpfile.cjs", "gulpfile.ts", "gulpfile.babel.js", "Gruntfile.js"])
    }
}

/// The value of `name` as a path from the package; `file` is the one that says it.
fn path(text: &str, name: &str, file: &str) -> Option<String> {
    path_of(setting_value(text, name)?, folder_of(file))
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What stands in the braces after `name:` or `name =`.
fn block<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.match_indices(name).find_map(|(at, _)| {
        let rest = text[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        let rest = rest.strip_prefix([':', '='])?.trim_start().strip_prefix('{')?;
        let mut depth = 0_usize;
        let end = rest.find(|c| {
            depth += usize::from(c == '{');
            let is_end = c == '}' && depth == 0;
            depth -= usize::from(c == '}' && depth > 0);
            is_end
        });
        Some(&rest[..end.unwrap_or(rest.len())])
    })
}

/// A path that is a word (`'dist'`), or put together of `__dirname` and words: `path.resolve(__dirname, '../dist')`, `__dirname + '/dist'`.
///
/// `here` is the folder of the file that says it. Absent for what is computed otherwise.
fn path_of(value: &str, here: &str) -> Option<String> {
    let value = value.trim_start().replacen("process.cwd()", "''", 1);
    let value = value.as_str();
    if let Some(rest) = value.strip_prefix("`${__dirname}") {
        return join(here, rest.split_once('`')?.0.trim_start_matches('/'));
    }
    if value.starts_with(['"', '\'']) {
        return join("", &quoted(value)?);
    }
    if let Some(rest) = value.strip_prefix("__dirname") {
        let word = rest.trim_start().strip_prefix('+').and_then(|rest| quoted(rest.trim_start()));
        return join(here, word.unwrap_or_default().trim_start_matches('/'));
    }
    let (function, rest) = value.split_once('(')?;
    if function == "fileURLToPath" {
        return join(here, &quoted(rest.trim_start().strip_prefix("new URL(")?.trim_start())?);
    }
    if !["resolve", "join"].contains(&function.rsplit('.').next()?.trim()) {
        return None;
    }
    let mut at = String::new();
    for word in rest.split_once(')').map_or(rest, |(words, _)| words).split(',').map(str::trim).filter(|word| !word.is_empty()) {
        at = match word {
            "__dirname" | "import.meta.dirname" => here.to_owned(),
            word => join(&at, &quoted(word)?)?,
        };
    }
    Some(at)
}

/// `path` below `folder`, without `.` and with `..` only at its beginning; absent for what is not relative.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_however_it_is_put_together() {
        let dist = Some("dist".to_owned());
        assert_eq!(path_of("path.resolve(__dirname, '../dist'),", "config"), dist);
        assert_eq!(path_of("join(__dirname, \"..\", \"dist\")", "config"), dist);
        assert_eq!(path_of("__dirname + '/dist',", ""), dist);
        assert_eq!(path_of("`${__dirname}/dist`", ""), dist);
        assert_eq!(path_of("path.resolve('./dist/')", "config"), dist);
        assert_eq!(path_of("fileURLToPath(new URL('./dist', import.meta.url))", ""), dist);
        assert_eq!(path_of("path.resolve(process.cwd(), 'dist')", "config"), dist);
        assert!(path_of("paths.build", "").is_none() && path_of("'/srv/www'", "").is_none());
        assert_eq!(join("src", "../../dist").as_deref(), Some("../dist"));
    }

    #[test]
    fn a_block_ends_with_its_brace() {
        assert_eq!(block("entry: {}, output: { a: { b: 1 }, c }, d", "output"), Some(" a: { b: 1 }, c "));
        assert_eq!(block("output.filename = 1", "output"), None);
    }
}
