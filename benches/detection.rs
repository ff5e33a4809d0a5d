//! How long `detect` takes: every tree of `fixtures/detection`, one of 2,000 files and one of 20,000, from the folder to the
//! recipe: `cargo bench --bench detection`. Prints rows of `docs/performance.md`; takes about ten seconds.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench reports, and fails loudly")]
#![allow(clippy::disallowed_types, reason = "it stands outside: it measures")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use pilothouse::cli::detect::recipe;

/// Times that each tree is looked at.
const ROUNDS: usize = 15;
/// Longest for a normal repository.
const BAR: Duration = Duration::from_millis(20);

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/detection");
    let mut medians = Vec::new();
    for entry in fs::read_dir(fixtures).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        let case: toml::Table = toml::from_str(&fs::read_to_string(&path).expect("a text")).expect("a fixture in TOML");
        let folder = home.path().join(path.file_stem().expect("a name"));
        for (name, text) in case["files"].as_table().expect("files") {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder is made");
            fs::write(file, text.as_str().expect("a text")).expect("a file is written");
        }
        fs::create_dir_all(&folder).expect("a folder is made");
        medians.push((measure(&folder).1, path));
    }
    medians.sort();
    let (longest, path) = medians.last().expect("fixtures");
    row(&format!("detect: {} small trees, the middle one", medians.len()), medians[medians.len() / 2].0);
    row(&format!("detect: the slowest of them ({})", path.file_stem().expect("a name").to_string_lossy()), *longest);
    for count in [2_000, 20_000] {
        let folder = home.path().join(format!("large-{count}"));
        large(&folder, count);
        let (fastest, median) = measure(&folder);
        row(&format!("detect: a Node workspace of {count} files (fastest {:.1} ms)", fastest.as_secs_f64() * 1000.0), median);
    }
}

/// Fastest and middle of the rounds; what is not recognised takes its time too.
fn measure(folder: &Path) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let _ = recipe(folder);
            begun.elapsed()
        })
        .collect();
    took.sort();
    (took[0], took[ROUNDS / 2])
}

/// A workspace with 20 packages and `count` sources.
fn large(folder: &Path, count: usize) {
    fs::create_dir_all(folder).expect("a folder is made");
    fs::write(folder.join("package.json"), r#"{"workspaces":["packages/*"]}"#).expect("a file is written");
    for package in 0..20 {
        let folder = folder.join(format!("packages/p{package}/src"));
        fs::create_dir_all(&folder).expect("a folder is made");
        let json = r#"{"scripts":{"start":"node src/0.js"},"dependencies":{"express":"5"}}"#;
        fs::write(folder.join("../package.json"), json).expect("a file is written");
        for n in 0..count / 20 {
            fs::write(folder.join(format!("{n}.js")), "export default 1;\n").expect("a file is written");
        }
    }
}

fn row(what: &str, took: Duration) {
    let verdict = if took <= BAR { "met" } else { "**MISSED**" };
    println!("| {what} | {} ms | {:.1} ms | – | {verdict} |", BAR.as_millis(), took.as_secs_f64() * 1000.0);
}
