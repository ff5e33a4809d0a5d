//! The folder of static files that a build leaves: checked, and moved to its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use crate::{
    model::{Problem, units::Bytes},
    sources::{Limits, listing},
};

/// How deep pages are looked for when they are not where they should be.
const DEPTH: usize = 4;

/// Moves the folder `output` of `tree` to `site` and gives that. Goes on where an earlier run stopped. Blocks.
pub(super) fn take(tree: &Path, output: &str, site: &Path, cancel: &CancellationToken) -> Result<PathBuf, Problem> {
    if site.is_dir() {
        // The move is one step, so that what is there is whole.
        return Ok(site.to_path_buf());
    }
    let folder = check(tree, output)?;
    let unlimited = Limits { bytes: Bytes(u64::MAX), files: usize::MAX };
    listing::walk(&folder, listing::Which::All, &[], unlimited, cancel).map_err(|problem| match problem.kind {
        crate::model::problem::ProblemKind::User => Problem::app(format!("the output cannot be served: {}", problem.what))
            .at(format!("build.output `{output}`"))
            .hint("have the build copy the file instead of linking to it"),
        _ => problem,
    })?;
    fs::rename(&folder, site).map_err(|error| Problem::unwritable(site, &error))?;
    Ok(site.to_path_buf())
}

/// The folder, which must lie inside the tree and hold a page.
fn check(tree: &Path, output: &str) -> Result<PathBuf, Problem> {
    let place = format!("build.output `{output}`");
    let real_tree = tree.canonicalize().map_err(|error| Problem::unwritable(tree, &error))?;
    let Ok(folder) = tree.join(output).canonicalize() else {
        return Err(absent(&real_tree, format!("the build left no folder `{output}`"), place));
    };
    if !folder.starts_with(&real_tree) {
        return Err(Problem::user(format!("`{output}` leads outside the source"))
            .at(place)
            .hint("name a folder that the build makes"));
    }
    if !folder.is_dir() {
        return Err(absent(&real_tree, format!("`{output}` is a file, not a folder"), place));
    }
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none()) {
        return Err(absent(&real_tree, format!("the build left the folder `{output}` empty"), place));
    }
    if !folder.join("index.html").is_file() {
        return Err(absent(&real_tree, format!("there is no index.html in `{output}`"), place));
    }
    Ok(folder)
}

/// The problem, with what exists instead.
fn absent(tree: &Path, what: String, place: String) -> Problem {
    let mut pages = Vec::new();
    find_pages(tree, tree, DEPTH, &mut pages);
    let next = match pages.first() {
        Some(folder) => format!("there is an index.html in `{folder}`: say --output {folder}"),
        None => "see in the build's log where it writes to, and say --output FOLDER".to_owned(),
    };
    let evidence = pages.iter().take(8).map(|folder| format!("{folder}/index.html"));
    let problem = Problem::app(what).at(place).hint(next).evidence(evidence);
    if pages.is_empty() { problem.evidence([format!("the build left {}", names(tree))]) } else { problem }
}

fn find_pages(tree: &Path, folder: &Path, depth: usize, pages: &mut Vec<String>) {
    let mut below: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    below.sort_by_key(fs::DirEntry::file_name);
    if folder.join("index.html").is_file() {
        let name = folder.strip_prefix(tree).unwrap_or(folder).display().to_string();
        pages.push(if name.is_empty() { ".".to_owned() } else { name });
    }
    for entry in below {
        let is_foreign = entry.file_name() == "node_modules" || entry.file_name() == ".venv";
        if depth > 0 && !is_foreign && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_pages(tree, &entry.path(), depth - 1, pages);
        }
    }
    // What a build made is more likely meant than the page it was made from.
    if folder == tree {
        pages.sort_by_key(|page| (page == ".", page == "public" || page == "src", page.len()));
    }
}

fn names(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().escape_debug().to_string()).collect();
    names.sort();
    names.truncate(12);
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
