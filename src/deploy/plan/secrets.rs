//! Secrets of a plan: which a release refers to, and what may not hold their values.

use std::collections::BTreeMap;

use crate::model::{
    command::Overrides,
    manifest::Manifest,
    mask::Masker,
    plan::{Blueprint, Env},
    problem::Problem,
};

/// References to the secrets of a release, by variable: the manifest's, then the request's.
pub fn references(manifest: &Manifest, overrides: &Overrides) -> Result<BTreeMap<String, String>, Problem> {
    if let Some(name) = overrides.secrets.keys().find(|name| overrides.env.0.contains_key(*name)) {
        return Err(Problem::user(format!("{name} is given twice")).at("--env, --secret").hint("leave one of them out"));
    }
    let mut secrets = manifest.secrets.clone();
    secrets.retain(|name, _| !overrides.env.0.contains_key(name));
    secrets.extend(overrides.secrets.clone());
    Ok(secrets)
}

/// Refuses a command, an output or a route that holds a value itself: it would stand in plans, records and process lists.
pub fn check_commands(blueprint: &Blueprint, secrets: &Env) -> Result<(), Problem> {
    let build = blueprint.build.iter().map(|(name, command)| (name.clone(), command));
    let commands = build.chain(blueprint.processes.iter().map(|process| (process.name.clone(), &process.command)));
    let values: Vec<(&String, Masker)> = secrets.0.iter().map(|(name, value)| (name, Masker::new([value.as_str()]))).collect();
    for (place, command) in commands {
        if let Some((name, _)) = values.iter().find(|(_, value)| value.is_in(command)) {
            return Err(Problem::user(format!("the command of `{place}` holds the value of the secret {name}"))
                .hint(format!("write ${name} in its place: the shell puts the value in")));
        }
    }
    let output = blueprint.output.iter().map(|output| ("the folder that is served", output.clone()));
    let routes = blueprint.routes.iter().map(|route| ("a route", format!("{} {}", route.at.host, route.at.path)));
    // Hosts are written small.
    let written = |value: &String| Masker::new([value.as_str(), &value.to_lowercase()]);
    let values: Vec<(&String, Masker)> = secrets.0.iter().map(|(name, value)| (name, written(value))).collect();
    for (place, text) in output.chain(routes) {
        if let Some((name, _)) = values.iter().find(|(_, value)| value.is_in(&text)) {
            return Err(Problem::user(format!("{place} holds the value of the secret {name}")).hint(NO_NAMES));
        }
    }
    Ok(())
}

/// What to do where no shell puts a value in.
const NO_NAMES: &str = "give it another name: it stands in plans and records, and whoever visits the app may see it";

/// Refuses a request whose commands or output hold a value that is known to be secret; `known` masks all of them.
pub fn check_request(overrides: &Overrides, known: &Masker) -> Result<(), Problem> {
    let commands = [("--install", &overrides.install), ("--build", &overrides.build), ("--start", &overrides.start)];
    if overrides.output.as_ref().is_some_and(|output| known.is_in(output)) {
        return Err(Problem::user("the folder's name holds the value of a secret").at("--output").hint(NO_NAMES));
    }
    match commands.iter().find(|(_, command)| command.as_ref().is_some_and(|command| known.is_in(command))) {
        Some((flag, _)) => Err(Problem::user("the command holds the value of a secret itself")
            .at(*flag)
            .hint("give it by reference, --secret NAME=store:…, and write $NAME in its place: the shell puts the value in")),
        None => Ok(()),
    }
}
