//! Workspaces: which member is the app, and how the root builds and starts it.

use serde_json::Value;

use super::{FILE, Framework, Member, Package, Serves, is_for_development, parse};
use crate::{
    deploy::detect::reading::inside,
    model::{Problem, recipe::Recipe},
};

/// Names of members that people open, the likeliest first; then names that serve behind them.
const LIKELY: &[&str] = &["web", "www", "site", "website", "app", "frontend", "client", "ui", "server", "api", "backend"];
const UNLIKELY: &[&str] = &["docs", "doc", "storybook", "e2e", "example", "examples", "playground", "test", "tests", "admin"];

/// The recipe of a workspace's app; absent when this is no workspace, or its root is the app, or no member serves.
pub(super) fn detect(root: &Package<'_>) -> Result<Option<Recipe>, Problem> {
    let members = members(root);
    if members.is_empty() {
        return Ok(None);
    }
    if root.start_script().is_some_and(|(_, script)| starts_one(script)) || is_an_app(root) {
        return Ok(None);
    }
    let mut apps: Vec<(Rank, &Package<'_>, Framework)> = Vec::new();
    let mut first_problem = None;
    for member in &members {
        match member.framework() {
            Ok(found) if member.check_servable(&found).is_err() => {}
            Ok(found) => apps.extend(rank(member, &found).map(|rank| (rank, member, found))),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    apps.sort_by(|a, b| a.0.cmp(&b.0));
    let others: Vec<String> = apps.iter().skip(1).filter_map(|(_, app, _)| Some(app.member.as_ref()?.folder.clone())).collect();
    let Some((_, app, found)) = apps.into_iter().next() else {
        return first_problem.map_or(Ok(None), Err);
    };
    let build = build(root, app, &members);
    let mut recipe = app.recipe(found);
    recipe.install = Some(root.manager.install.to_owned());
    recipe.build = build.or(recipe.build);
    let folder = app.tree.folder();
    let mut why = format!("the workspace's app is {}", folder.trim_end_matches('/'));
    if !others.is_empty() {
        why += &format!("; others: {}", others.join(", "));
    }
    recipe.proof.insert(1, app.tree.proof(FILE, why));
    Ok(Some(recipe))
}

type Rank = (u8, usize, String);

/// How likely the member is the app; absent for what serves nothing of its own.
fn rank(member: &Package<'_>, found: &Framework) -> Option<Rank> {
    let serves = found.serves.as_ref()?;
    let folder = &member.member.as_ref()?.folder;
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let is_library =
        member.json.get("exports").is_some() || member.json.get("types").is_some() || member.json.get("bin").is_some();
    let weak = match serves {
        // A bundler without a page makes a library.
        Serves::Files { .. } => found.name == Some("vite") && is_library && !member.tree.has("index.html"),
        Serves::Command { .. } => found.name.is_none() && member.start_script().is_none(),
    };
    if weak && is_library {
        return None;
    }
    let place = match LIKELY.iter().position(|name| last == *name || last.ends_with(&format!("-{name}"))) {
        _ if UNLIKELY.contains(&last) || found.name == Some("storybook") => LIKELY.len() + 1,
        Some(place) => place,
        None => LIKELY.len(),
    };
    Some((u8::from(weak), place, folder.clone()))
}

/// Whether a root script starts one app, not all of them.
fn starts_one(script: &str) -> bool {
    let all = [
        "turbo run",
        "turbo start",
        "lerna run",
        "nx run-many",
        "pnpm -r",
        "--recursive",
        "--workspaces",
        "workspaces foreach",
        "workspaces run",
    ];
    let chosen = ["--filter", "--scope", "--workspace=", "-w "];
    !is_for_development(script) && (!all.iter().any(|all| script.contains(all)) || chosen.iter().any(|one| script.contains(one)))
}

/// Whether the root is an app itself, beside its members.
fn is_an_app(root: &Package<'_>) -> bool {
    let runs_others = |script: &str| {
        ["turbo", "nx ", "lerna", "workspace", "--filter", " -r ", "moon ", "cd "].iter().any(|word| script.contains(word))
    };
    root.script("build").is_some_and(|script| !runs_others(script))
        && root.framework().is_ok_and(|found| found.serves.is_some() && found.name.is_some())
}

/// What builds the app: the root's script, turbo, or the member's own after those it needs.
fn build(root: &Package<'_>, app: &Package<'_>, members: &[Package<'_>]) -> Option<String> {
    let member = app.member.as_ref()?;
    let own = app.build_script().map(|script| app.run(script));
    if root.script("build").is_some_and(|script| !is_for_development(script)) {
        return Some(root.run("build"));
    }
    if root.tree.has("turbo.json") && own.is_some() {
        let name = member.name.clone().unwrap_or_else(|| format!("./{}", member.folder));
        return Some(root.manager.exec(&format!("turbo run build --filter={name}"), None));
    }
    let own = own?;
    let needed = members.iter().filter(|other| {
        let name = other.member.as_ref().and_then(|other| other.name.as_deref());
        name.is_some_and(|name| app.needs(name)) && other.script("build").is_some()
    });
    let mut steps: Vec<String> = needed.map(|other| other.run("build")).collect();
    steps.push(own);
    Some(steps.join(" && "))
}

/// The members, as packages of their own that are run from the root.
fn members<'t>(root: &Package<'t>) -> Vec<Package<'t>> {
    let patterns = patterns(root);
    let folders = root.tree.files().filter_map(|path| path.strip_suffix("/package.json"));
    let mut found = Vec::new();
    for folder in folders.filter(|folder| is_member(&patterns, folder) && inside(folder).is_some()) {
        let tree = root.tree.below(folder);
        let Some(Ok(json)) = tree.text(FILE).map(|text| parse(text, &tree)) else { continue };
        let name = json["name"].as_str().filter(|name| crate::deploy::detect::reading::is_plain(name)).map(str::to_owned);
        let member = Some(Member { folder: folder.to_owned(), name });
        found.push(Package { tree, json, manager: root.manager.clone(), member });
    }
    found
}

/// Patterns of folders, from `package.json`, `pnpm-workspace.yaml` or `lerna.json`.
fn patterns(root: &Package<'_>) -> Vec<String> {
    let words = |list: &Value| {
        list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let field = &root.json["workspaces"];
    let mut patterns = words(if field.is_object() { &field["packages"] } else { field });
    let mut within = false;
    for line in root.tree.text("pnpm-workspace.yaml").unwrap_or_default().lines() {
        match line.trim_start().strip_prefix('-') {
            Some(pattern) if within => {
                patterns.push(pattern.split(" #").next().unwrap_or(pattern).trim().trim_matches(['"', '\'']).to_owned());
            }
            _ if line.starts_with(|c: char| c.is_ascii_alphabetic()) => within = line.starts_with("packages:"),
            _ => {}
        }
    }
    if patterns.is_empty() {
        let lerna: Option<Value> = root.tree.text("lerna.json").and_then(|text| serde_json::from_str(text).ok());
        patterns = lerna.map(|lerna| words(&lerna["packages"])).unwrap_or_default();
    }
    patterns
}

fn is_member(patterns: &[String], folder: &str) -> bool {
    let fits = |pattern: &str| {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        if let Some(above) = pattern.strip_suffix("/**") {
            return folder.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        }
        let (mut want, mut have) = (pattern.split('/'), folder.split('/'));
        loop {
            match (want.next(), have.next()) {
                (None, None) => return true,
                (Some(want), Some(have)) => {
                    let fits = match want.split_once('*') {
                        Some((begin, end)) => have.starts_with(begin) && have.ends_with(end),
                        None => want == have,
                    };
                    if !fits {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    };
    patterns.iter().any(|pattern| fits(pattern)) && !patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(fits)
}
