//! The house plan of `docs/architecture.md`, kept: who may use whom, which files are pure, how releases are built.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests fail loudly; sizes are only reported")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// Every room, in reading order, with the rooms it may use. No other arrow is allowed.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("wire", &["model", "config"]),
    ("hosts", &["model", "config", "wire"]),
    ("sources", &["model", "config", "hosts"]),
    ("keep", &["model"]),
    ("runtimes", &["model", "config", "hosts", "keep"]),
    ("catalog", &["model", "config"]),
    ("edge", &["model", "config", "wire"]),
    ("store", &["model", "config"]),
    ("secrets", &["model", "config", "store"]),
    ("ledger", &["model", "config", "secrets"]),
    ("deploy", &["model"]),
    ("integrity", &["model", "config"]),
    ("telemetry", &["model", "config", "store"]),
    ("placement", &["model"]),
    ("agent", &["hosts", "sources", "keep", "runtimes", "catalog", "wire", "integrity", "telemetry", "model", "config"]),
    (
        "engine",
        &[
            "model",
            "config",
            "wire",
            "hosts",
            "catalog",
            "store",
            "secrets",
            "ledger",
            "deploy",
            "integrity",
            "telemetry",
            "placement",
        ],
    ),
    ("console", &["model", "config", "wire"]),
    ("cli", &["model", "config", "wire", "sources", "deploy"]),
];

/// Files and folders of decisions (◇): functions of values, without async, files, sockets, clock or randomness.
const PURE: &[&str] = &[
    "model/",
    "edge/routes.rs",
    "deploy/",
    "integrity/lockfiles/",
    "integrity/tree.rs",
    "integrity/policy.rs",
    "telemetry/rules.rs",
    "placement/",
    "console/",
];

/// In folders of `PURE`, and at the rim: traits that others fill with I/O, the console's loop and its driver for tests.
const NOT_PURE: &[&str] =
    &["deploy/ports.rs", "console/feed.rs", "console/mod.rs", "console/runtime.rs", "console/script.rs", "console/terminal.rs"];

/// Not pure, yet pure files may name their types: plain values read at the border.
const PLAIN: &[&str] = &["config/settings.rs"];

/// Paths that a pure file may not name, with the reason.
const IMPURE_PATHS: &[(&str, &str)] = &[
    ("tokio", "async"),
    ("tokio_util", "async"),
    ("futures_util", "async"),
    ("async_trait", "async"),
    ("hyper", "sockets"),
    ("hyper_util", "sockets"),
    ("socket2", "sockets"),
    ("rustix", "the system"),
    ("sysinfo", "the system"),
    ("rusqlite", "files"),
    ("tempfile", "files"),
    ("ignore", "files"),
    ("etcetera", "the environment"),
    ("getrandom", "randomness"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::net::TcpListener", "sockets"),
    ("std::net::TcpStream", "sockets"),
    ("std::net::UdpSocket", "sockets"),
    ("std::os::unix::net", "sockets"),
    ("std::io::stdin", "the terminal"),
    ("std::io::stdout", "the terminal"),
    ("std::io::stderr", "the terminal"),
    ("std::time::Instant", "the clock"),
    ("std::time::SystemTime", "the clock"),
    ("chrono::Utc::now", "the clock"),
    ("chrono::Local::now", "the clock"),
];

/// Lines without tests above which a file is named in the report.
const LARGE_FILE: usize = 400;

/// One source file and what it names.
struct Source {
    /// Relative to `src/`, with `/`: `engine/api.rs`.
    file: String,
    text: String,
    read: Read,
}

impl Source {
    fn parse(file: &str, text: &str) -> Self {
        let tree = syn::parse_file(text).unwrap_or_else(|error| panic!("src/{file} is not Rust: {error}"));
        let mut read = Read { module: module_of(file), ..Read::default() };
        read.visit_file(&tree);
        Self { file: file.to_owned(), text: text.to_owned(), read }
    }

    /// Absent for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        let first = self.file.split('/').next()?;
        let room = first.strip_suffix(".rs").unwrap_or(first);
        (room != "lib" && room != "main").then_some(room)
    }

    fn is_pure(&self) -> bool {
        is_pure(&self.file)
    }

    /// `src/engine/api.rs:12`, where `needle` first stands; the line is left out when it is not found.
    fn place(&self, path: &[String]) -> String {
        let needle = path.iter().rev().take(2).rev().cloned().collect::<Vec<_>>().join("::");
        let last = path.last().map_or("", String::as_str);
        let line =
            |needle: &str| self.text.lines().position(|line| !line.trim_start().starts_with("//") && line.contains(needle));
        match line(&needle).or_else(|| line(last)) {
            Some(line) => format!("src/{}:{}", self.file, line + 1),
            None => format!("src/{}", self.file),
        }
    }
}

fn is_pure(file: &str) -> bool {
    let listed = |list: &[&str]| list.iter().any(|entry| file == *entry || (entry.ends_with('/') && file.starts_with(entry)));
    listed(PURE) && !listed(NOT_PURE)
}

/// Module path of a file: `engine/controllers/mod.rs` is `[engine, controllers]`.
fn module_of(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        parts.pop();
    }
    parts
}

/// What a file names, with paths as seen from the crate's root: `crate::…` without the `crate`, others as written.
#[derive(Default)]
struct Read {
    module: Vec<String>,
    /// Paths into this crate.
    inner: Vec<Vec<String>>,
    /// Paths into this crate that are exported again.
    exported: Vec<Vec<String>>,
    /// Other paths.
    outer: Vec<Vec<String>>,
    has_async: bool,
}

impl Read {
    /// The path from the crate's root, if it is one of this crate's.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => return Some(rest[1..].to_vec()),
            "self" => rest = &rest[1..],
            "super" => {}
            _ => return None,
        }
        while rest.first().is_some_and(|part| part == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn note(&mut self, path: Vec<String>, exported: bool) {
        match self.resolve(&path) {
            Some(inner) => {
                if exported {
                    self.exported.push(inner.clone());
                }
                self.inner.push(inner);
            }
            None => self.outer.push(path),
        }
    }

    fn note_tree(&mut self, tree: &syn::UseTree, mut base: Vec<String>, exported: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                base.push(path.ident.to_string());
                self.note_tree(&path.tree, base, exported);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(tree, base.clone(), exported);
                }
            }
            syn::UseTree::Name(name) => {
                if name.ident != "self" || base.is_empty() {
                    base.push(name.ident.to_string());
                }
                self.note(base, exported);
            }
            syn::UseTree::Rename(rename) => {
                if rename.ident != "self" || base.is_empty() {
                    base.push(rename.ident.to_string());
                }
                self.note(base, exported);
            }
            syn::UseTree::Glob(_) => self.note(base, exported),
        }
    }
}

/// Whether an item is there for tests only.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().segments.last().is_some_and(|last| last.ident == "test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test")))
    })
}

impl<'ast> Visit<'ast> for Read {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_test(&module.attrs) {
            return;
        }
        if module.content.is_some() {
            self.module.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.note_tree(&item.tree, Vec::new(), !matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.note(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), false);
        }
        visit::visit_path(self, path);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.has_async |= signature.asyncness.is_some();
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.has_async = true;
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        self.has_async = true;
        visit::visit_expr_await(self, expression);
    }

    /// A macro's arguments are tokens without a grammar: paths are looked for among them.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        let tokens = call.tokens.to_string();
        let words: Vec<&str> = tokens.split_whitespace().collect();
        let mut at = 0;
        while at < words.len() {
            let mut path = vec![words[at].to_owned()];
            while words.get(at + 1) == Some(&"::") && words.get(at + 2).is_some() {
                path.push(words[at + 2].to_owned());
                at += 2;
            }
            if path.len() > 1 && is_word(&path[0]) {
                self.note(path, false);
            }
            at += 1;
        }
    }
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files of the crate but those that hold only tests.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src/ can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(root()).expect("below src/").to_string_lossy().replace('\\', "/");
                if !is_test_file(&file) {
                    found.push(Source::parse(&file, &fs::read_to_string(&path).expect("a source file can be read")));
                }
            }
        }
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

/// Sibling files of tests: `tests.rs`, `panes/tests/…`.
fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

/// Arrows of `source` that the table does not have, in words.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let Some(allowed) = allowed(room) else {
        return vec![format!("src/{}: the room `{room}` is not in the table of tests/architecture.rs", source.file)];
    };
    let mut wrong = BTreeSet::new();
    for path in &source.read.inner {
        let Some(used) = path.first().filter(|first| is_room(first)) else { continue };
        if used != room && !allowed.contains(&used.as_str()) {
            wrong.insert(format!(
                "{}: `crate::{}`: {room}/ may not use {used}/ (it may use: {})",
                source.place(path),
                path.join("::"),
                allowed.join(", ")
            ));
        }
    }
    wrong.into_iter().collect()
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|(room, _)| *room == name)
}

/// What makes a pure file impure, in words. `files` are all files of the crate.
fn impurities(source: &Source, files: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    if source.read.has_async {
        wrong.insert(format!("src/{}: a pure file may not have `async`", source.file));
    }
    for path in &source.read.outer {
        let written = path.join("::");
        let hit = IMPURE_PATHS.iter().find(|(impure, _)| written == *impure || written.starts_with(&format!("{impure}::")));
        if let Some((impure, why)) = hit {
            wrong.insert(format!("{}: `{impure}`: a pure file may not touch {why}", source.place(path)));
        }
        if path.len() == 2 && (path[0] == "Utc" || path[0] == "Local") && path[1] == "now" {
            wrong.insert(format!("{}: `{written}`: a pure file may not touch the clock", source.place(path)));
        }
    }
    for path in &source.read.inner {
        let Some(used) = file_of(path, files) else { continue };
        let family = is_parent_and_child(&source.file, &used);
        if used != source.file && !family && !is_pure(&used) && !PLAIN.contains(&used.as_str()) {
            wrong.insert(format!(
                "{}: `crate::{}`: a pure file may not use src/{used}, which is not pure",
                source.place(path),
                path.join("::")
            ));
        }
    }
    wrong.into_iter().collect()
}

/// The file that a path leads to: the longest of its beginnings that is one.
fn file_of(path: &[String], files: &BTreeSet<String>) -> Option<String> {
    (1..=path.len()).rev().find_map(|length| {
        let base = path[..length].join("/");
        [format!("{base}.rs"), format!("{base}/mod.rs")].into_iter().find(|file| files.contains(file))
    })
}

/// Whether one of two files is the other's `mod.rs`.
fn is_parent_and_child(a: &str, b: &str) -> bool {
    let (a_path, b_path) = (module_of(a), module_of(b));
    let over = |parent: &[String], child: &[String]| child.len() == parent.len() + 1 && child.starts_with(parent);
    (a.ends_with("mod.rs") && over(&a_path, &b_path)) || (b.ends_with("mod.rs") && over(&b_path, &a_path))
}

/// Exports of another room's names, in words.
fn foreign_exports(source: &Source) -> Vec<String> {
    let exported = source.read.exported.iter().filter(|path| {
        let first = path.first().map(String::as_str);
        first.is_some_and(is_room) && first != source.room()
    });
    exported
        .map(|path| format!("{}: `pub use crate::{}`: a room exports only what is its own", source.place(path), path.join("::")))
        .collect()
}

fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}\n  {}\n", wrong.join("\n  "));
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let wrong: Vec<String> = sources().iter().flat_map(wrong_arrows).collect();
    none(&wrong, "an arrow that is not in the table (docs/architecture.md): move the code, or pass the value in from main.rs");
}

#[test]
fn the_table_has_no_circle() {
    let mut below: BTreeMap<&str, BTreeSet<&str>> = ROOMS.iter().map(|(room, _)| (*room, BTreeSet::new())).collect();
    // As often as there are rooms: then every way is walked to its end.
    for _ in ROOMS {
        for (room, allowed) in ROOMS {
            let reached: BTreeSet<&str> = allowed.iter().flat_map(|next| below[next].iter().copied().chain([*next])).collect();
            below.insert(room, reached);
        }
    }
    let circles: Vec<&&str> = below.iter().filter(|(room, reached)| reached.contains(*room)).map(|(room, _)| room).collect();
    assert!(circles.is_empty(), "rooms that reach themselves: {circles:?}");
}

#[test]
fn rooms_export_only_what_is_their_own() {
    let wrong: Vec<String> = sources().iter().flat_map(foreign_exports).collect();
    none(&wrong, "a name has one home: let its users name that room");
}

#[test]
fn pure_files_stay_pure() {
    let sources = sources();
    let files: BTreeSet<String> = sources.iter().map(|source| source.file.clone()).collect();
    let pure = sources.iter().filter(|source| source.is_pure());
    let wrong: Vec<String> = pure.flat_map(|source| impurities(source, &files)).collect();
    none(&wrong, "decisions are functions of values: take what the world says as an argument");
}

#[test]
fn sizes_are_reported() {
    for source in sources() {
        let code = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or(&source.text);
        let lines = code.lines().count();
        if lines > LARGE_FILE {
            println!("src/{}: {lines} lines without tests: something wants out", source.file);
        }
    }
}

#[test]
fn a_panic_unwinds_in_every_profile() {
    let manifest: toml::Table = toml::from_str(include_str!("../Cargo.toml")).expect("Cargo.toml is TOML");
    let profiles = manifest.get("profile").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    for (name, profile) in profiles {
        let panic = profile.get("panic").and_then(toml::Value::as_str);
        assert_ne!(panic, Some("abort"), "profile {name}: supervision restarts what panics, so a panic must unwind");
    }
}

mod the_reader {
    use super::*;

    fn wrong(file: &str, text: &str) -> usize {
        wrong_arrows(&Source::parse(file, text)).len()
    }

    #[test]
    fn sees_every_way_to_name_a_room() {
        for text in [
            "use crate::keep::Spec;",
            "use crate::{model::ids::AppId, keep};",
            "use crate::keep as other;",
            "use super::super::keep::Spec;",
            "fn f() { crate::keep::run() }",
            "fn f(spec: &crate::keep::Spec) {}",
            "fn f() { println!(\"{}\", crate::keep::NAME) }",
            "mod inner { use super::super::super::keep::Spec; }",
        ] {
            assert_eq!(wrong("engine/api.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn lets_pass_what_the_table_allows_and_what_only_tests_use() {
        assert_eq!(wrong("engine/api.rs", "use crate::model::ids::AppId; use super::fleet::Fleet;"), 0);
        assert_eq!(wrong("engine/api.rs", "#[cfg(test)] mod tests { use crate::keep::Spec; }"), 0);
        assert_eq!(wrong("cellar/mod.rs", ""), 1);
    }

    #[test]
    fn sees_what_makes_a_file_impure() {
        let files = ["model/ids.rs", "console/update.rs", "console/runtime.rs", "console/mod.rs"].map(str::to_owned).into();
        let found = |text: &str| impurities(&Source::parse("console/update.rs", text), &files).len();
        for text in [
            "async fn f() {}",
            "fn f() { let later = async {}; }",
            "use std::{fmt, fs};",
            "use tokio::time::Instant;",
            "fn f() { std::env::var(\"HOME\"); }",
            "use chrono::Utc; fn f() { Utc::now(); }",
            "use super::runtime::Loop;",
            "use crate::console::runtime;",
        ] {
            assert_eq!(found(text), 1, "{text}");
        }
        assert_eq!(found("use std::{fmt, net::SocketAddr, time::Duration}; use crate::model::ids::AppId;"), 0);
    }

    #[test]
    fn sees_a_name_exported_from_another_room() {
        let exports = |text: &str| foreign_exports(&Source::parse("wire/mod.rs", text)).len();
        assert_eq!(exports("pub use crate::model::ids::AppId;"), 1);
        assert_eq!(exports("pub(crate) use crate::model::ids;"), 1);
        assert_eq!(exports("pub use http::Client; pub use self::http::Body; use crate::model::ids::AppId;"), 0);
    }
}
