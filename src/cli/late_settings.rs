//! Settings for an engine that runs already: it has read its own at its start, so a value that it does not follow is told.

use std::collections::BTreeMap;

use super::context::Context;
use crate::{
    config::{Flags, load, settings::ConfigFile},
    model::problem::Problem,
};

/// A setting with the value that the engine runs with, and the one that is said here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Late {
    pub setting: String,
    pub engine: String,
    pub here: String,
}

/// Settings that the engine of `theirs` took otherwise at its start than they are said here. Those of consoles, which each
/// console reads for itself, are none.
pub fn late(theirs: &BTreeMap<String, String>, here: &ConfigFile) -> Vec<Late> {
    let differs = |(setting, here): (String, String)| {
        let engine = theirs.get(&setting).filter(|engine| **engine != here)?.clone();
        Some(Late { setting, engine, here })
    };
    load::written(here).into_iter().filter(|(setting, _)| !setting.starts_with("console.")).filter_map(differs).collect()
}

/// Refuses what `--set` says and the running engine does not follow. Where none runs, the one that is started follows it.
pub(super) async fn refuse(context: &Context<'_>, flags: &Flags) -> Result<(), Problem> {
    let said = |setting: &str| flags.set.iter().any(|pair| pair.split('=').next().is_some_and(|key| key.trim() == setting));
    if flags.set.is_empty() {
        return Ok(());
    }
    // A command that cannot reach the engine says so itself.
    let Ok(status) = context.client().status().await else { return Ok(()) };
    let late: Vec<Late> =
        late(&status.settings, &context.settings.config).into_iter().filter(|late| said(&late.setting)).collect();
    if late.is_empty() { Ok(()) } else { Err(refusal(&late, flags)) }
}

fn refusal(late: &[Late], flags: &Flags) -> Problem {
    let pilothouse =
        flags.state.as_ref().map_or("pilothouse".to_owned(), |state| format!("pilothouse --state {}", state.display()));
    let now: Vec<String> = late.iter().map(|late| shown(&late.setting, &late.engine)).collect();
    let wanted: Vec<String> = late.iter().map(|late| format!("--set {}={}", late.setting, late.here)).collect();
    let read = if late.len() == 1 { "which it reads" } else { "which it reads all" };
    Problem::user(format!("the engine runs with {}, {read} at its start alone", now.join(" and "))).at(wanted.join(" ")).hint(
        format!(
            "`{pilothouse} engine stop`, then `{pilothouse} engine start {}`; apps and the edge serve on meanwhile",
            wanted.join(" ")
        ),
    )
}

/// `edge.threads=2`, or `edge.http unset`.
fn shown(setting: &str, value: &str) -> String {
    if value.is_empty() { format!("{setting} unset") } else { format!("{setting}={value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_engine_reads_and_took_otherwise_is_late() {
        let set = |pairs: &[&str]| {
            let set = pairs.iter().map(|pair| (*pair).to_owned()).collect();
            let environment = [("HOME".to_owned(), "/nowhere".to_owned())].into();
            load::load_from(&Flags { set, config: Some("/dev/null".into()), ..Flags::default() }, &environment).unwrap().config
        };
        let engine = load::written(&set(&["engine.grace=2m"]));
        let here = set(&["engine.grace=10s", "edge.threads=0", "console.reduced_motion=true"]);
        let found = late(&engine, &here);
        assert_eq!(found, [Late { setting: "engine.grace".into(), engine: "2m".into(), here: "10s".into() }]);
        assert_eq!(late(&engine, &set(&["engine.grace=120s"])), [], "the same in other words is the same");
        let told = refusal(&found, &Flags::default());
        assert!(told.what.contains("engine.grace=2m"), "{told}");
        assert!(told.next.is_some_and(|next| next.contains("engine start --set engine.grace=10s")));
    }
}
