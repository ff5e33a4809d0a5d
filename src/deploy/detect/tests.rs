use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::model::source::Survey;

/// A file of `fixtures/detection/`: a tree and what is expected of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for the reader of the file")]
    about: String,
    files: BTreeMap<String, String>,
    #[serde(default)]
    expect: Expected,
    /// Parts of the problem, when there is to be one.
    #[serde(default)]
    problem: Vec<String>,
}

/// A recipe as a reader of the fixture sees it: what is not named must be absent.
///
/// A fixture that names no proof is one of those written from the tools' documentation alone: it judges the commands, and
/// leaves proofs, port, environment and an unnamed framework open.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    language: String,
    framework: Option<String>,
    package_manager: Option<String>,
    runtime: String,
    install: Option<String>,
    build: Option<String>,
    start: Option<String>,
    output: Option<String>,
    port: Option<u16>,
    processes: Vec<(String, String)>,
    env: Vec<(String, String)>,
    /// Files of the proofs, in order.
    proof: Vec<String>,
}

impl From<Recipe> for Expected {
    fn from(recipe: Recipe) -> Self {
        Self {
            language: recipe.language,
            framework: recipe.framework,
            package_manager: recipe.package_manager,
            runtime: recipe.runtime,
            install: recipe.install,
            build: recipe.build,
            start: recipe.start,
            output: recipe.output,
            port: recipe.port,
            processes: recipe.processes,
            env: recipe.env,
            proof: recipe.proof.into_iter().map(|proof| proof.file).collect(),
        }
    }
}

/// A survey of `files`, as a source would give it.
fn survey(files: &BTreeMap<String, String>) -> Survey {
    let mut listing: Vec<String> = files.keys().cloned().collect();
    for path in files.keys() {
        listing.extend(path.match_indices('/').map(|(at, _)| path[..=at].to_owned()));
    }
    listing.sort();
    listing.dedup();
    let texts = Survey::wanted(files.keys().map(String::as_str));
    Survey { texts: texts.into_iter().map(|path| (path.to_owned(), files[path].clone())).collect(), listing, ..Survey::default() }
}

/// Whether a proof, `path` or `path:line`, names a file or a folder of the tree.
fn is_there(files: &BTreeMap<String, String>, proof: &str) -> bool {
    let path = proof.rsplit_once(':').filter(|(_, line)| line.parse::<usize>().is_ok()).map_or(proof, |(path, _)| path);
    files.contains_key(path) || (path.ends_with('/') && files.keys().any(|file| file.starts_with(path)))
}

#[test]
fn every_fixture_is_recognised_as_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/detection");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let case: Case =
            toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        count += 1;
        match detect(&survey(&case.files)) {
            Ok(recipe) if case.problem.is_empty() => {
                let unproved = recipe.proof.is_empty() || recipe.proof.iter().any(|proof| !is_there(&case.files, &proof.file));
                if unproved {
                    wrong.push(format!("{name}: proofs that are not there: {:?}", recipe.proof));
                }
                let mut found = Expected::from(recipe);
                if case.expect.proof.is_empty() {
                    (found.proof, found.env, found.port) = (Vec::new(), Vec::new(), None);
                    found.framework = found.framework.filter(|_| case.expect.framework.is_some());
                }
                if found != case.expect {
                    wrong.push(format!("{name}\n  found    {found:?}\n  expected {:?}", case.expect));
                }
            }
            Ok(recipe) => wrong.push(format!("{name}: no problem, but {recipe:?}")),
            Err(problem) => {
                let told = problem.to_string();
                if case.problem.is_empty() || case.problem.iter().any(|part| !told.contains(part)) {
                    wrong.push(format!("{name}: {told}, expected {:?}", case.problem));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 30, "only {count} fixtures were found");
}

proptest! {
    #[test]
    fn no_tree_breaks_detection(
        picks in prop::collection::vec((0..Survey::READ.len(), ".{0,60}|\\{.{0,40}\\}"), 0..5),
        json in "(\\{\"scripts\":\\{\"(start|build)\":\"[a-z -=/é]{0,20}\"\\},\"main\":\"[./a-zé]{0,9}\",\"dependencies\":\\{\"(vite|next|express|vitepress|@sveltejs/kit)\":1\\}\\})",
    ) {
        let mut files: BTreeMap<String, String> = picks.into_iter().map(|(n, text)| (Survey::READ[n].name.replace('*', "x"), text)).collect();
        let _ = detect(&survey(&files));
        files.insert("package.json".to_owned(), json);
        let _ = detect(&survey(&files));
    }
}
