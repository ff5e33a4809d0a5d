//! What may become part of the binary: the policy of `deny.toml`, kept without cargo-deny.
#![allow(clippy::expect_used, clippy::disallowed_types, reason = "a test runs cargo and may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde::Deserialize;

/// Crates in the binary and its build at most. A new dependency that takes it over this needs a reason in its commit.
const MOST_CRATES: usize = 270;

/// The part of `deny.toml` that is kept here.
#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// A crate as `cargo metadata` knows it.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

fn policy() -> Policy {
    toml::from_str(include_str!("../deny.toml")).expect("deny.toml has the expected tables")
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let run = Command::new(cargo).current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().expect("cargo runs");
    assert!(run.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("cargo prints UTF-8")
}

/// `x86_64-unknown-linux-gnu` and the like.
fn target() -> String {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("rustc prints UTF-8");
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// What is compiled for the binary and by its build scripts: (name, version).
fn compiled() -> BTreeSet<(String, String)> {
    let tree =
        cargo(&["tree", "--locked", "-e", "normal,build", "--prefix", "none", "--no-dedupe", "-f", "{p}", "--target", &target()]);
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
    });
    crates.collect()
}

/// Metadata of what is compiled; this package itself is left out.
fn packages() -> Vec<Package> {
    let compiled = compiled();
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", &target()]);
    let metadata: Metadata = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    let inside = |package: &Package| {
        package.name != env!("CARGO_PKG_NAME") && compiled.contains(&(package.name.clone(), package.version.clone()))
    };
    metadata.packages.into_iter().filter(inside).collect()
}

/// Whether an SPDX expression can be met by the allowed licences. `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // `A AND (B OR C)` and `(A OR B) AND C` are all there is: every part between ANDs needs one allowed choice.
    expression.split(" AND ").all(|part| part.split(" OR ").any(|choice| allowed.iter().any(|allowed| allowed == choice.trim())))
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let allowed = policy().licenses.allow;
    let refused: Vec<String> = packages()
        .into_iter()
        .filter(|package| !package.license.as_deref().is_some_and(|licence| is_allowed(licence, &allowed)))
        .map(|package| format!("{} {}: {}", package.name, package.version, package.license.unwrap_or_default()))
        .collect();
    assert!(refused.is_empty(), "licences that deny.toml does not allow:\n{}", refused.join("\n"));
}

#[test]
fn no_banned_crate_is_in_the_lock_file() {
    // The lock file holds all platforms and features: what is not there cannot come back through a forgotten default.
    let lock = include_str!("../Cargo.lock");
    for ban in policy().bans.deny {
        let line = format!("name = \"{}\"", ban.name);
        assert!(!lock.lines().any(|other| other == line), "{} is banned: {}", ban.name, ban.reason);
    }
}

#[test]
fn a_crate_is_there_in_one_version_or_with_a_reason() {
    let skip: Vec<String> = policy().bans.skip.into_iter().map(|named| named.name).collect();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version) in compiled() {
        let skipped = skip.iter().any(|skip| {
            skip.split_once(':').is_some_and(|(other, major)| other == name && version.starts_with(&format!("{major}.")))
        });
        if !skipped {
            versions.entry(name).or_default().push(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "twice in the build, without a reason in deny.toml's bans.skip: {versions:?}");
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let strangers: Vec<String> = packages()
        .into_iter()
        .filter(|package| package.source.as_deref() != Some("registry+https://github.com/rust-lang/crates.io-index"))
        .map(|package| format!("{} from {:?}", package.name, package.source))
        .collect();
    assert!(strangers.is_empty(), "not from crates.io: {strangers:?}");
}

#[test]
fn dependencies_stay_few() {
    let number = compiled().len();
    assert!(
        number <= MOST_CRATES,
        "{number} crates, {MOST_CRATES} at most: name what each new one is worth, then raise the number"
    );
}

#[test]
fn licence_expressions_are_read_as_spdx() {
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    assert!(is_allowed("Apache-2.0/MIT", &allowed));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(!is_allowed("GPL-3.0", &allowed));
}
