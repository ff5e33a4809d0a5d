//! `doctor`: what was found on this machine, its version, whether it is usable, and how to mend it.

mod docker;
mod edge;
mod machine;
mod tools;

use clap::Args;
use serde::Serialize;

use super::{
    Ended,
    context::Context,
    output::Tone,
    table::{Cell, Table},
};
use crate::model::problem::Problem;

#[derive(Debug, Args)]
pub struct Doctor {}

/// One thing that was looked at. Fields may be added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub found: bool,
    pub version: Option<String>,
    pub usable: bool,
    /// Nothing works without it.
    pub needed: bool,
    /// What it is for, or what was seen.
    pub note: String,
    /// How to mend it; absent when there is nothing to mend.
    pub mend: Option<String>,
}

impl Finding {
    fn good(name: &'static str, note: impl Into<String>) -> Self {
        Self { name, found: true, version: None, usable: true, needed: false, note: note.into(), mend: None }
    }

    fn bad(name: &'static str, note: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { usable: false, mend: Some(mend.into()), ..Self::good(name, note) }
    }

    fn absent(name: &'static str, note: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { found: false, ..Self::bad(name, note, mend) }
    }

    fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    fn needed(mut self) -> Self {
        self.needed = true;
        self
    }

    fn stops_everything(&self) -> bool {
        self.needed && !self.usable
    }
}

/// The document of `doctor`.
#[derive(Serialize)]
struct Document {
    /// Everything that is needed is usable.
    ok: bool,
    version: &'static str,
    checks: Vec<Finding>,
}

impl Doctor {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let mut checks = machine::look(context).await;
        checks.push(docker::look(context).await);
        checks.extend(tools::look().await);
        let ok = !checks.iter().any(Finding::stops_everything);
        let document = Document { ok, version: env!("CARGO_PKG_VERSION"), checks };
        if context.output.json {
            context.output.document(&document);
        } else {
            tell(&document, context);
        }
        Ok(if ok { Ended::Well } else { Ended::Badly })
    }
}

fn tell(document: &Document, context: &Context<'_>) {
    let mut table = Table::new(&["", "what", "version", "note"]);
    let is_absent_tool = |finding: &&Finding| !finding.found && tools::has(finding.name);
    let (absent, shown): (Vec<&Finding>, Vec<&Finding>) = document.checks.iter().partition(is_absent_tool);
    for finding in shown {
        let (tone, symbol) = match (finding.usable, finding.needed, finding.found) {
            (true, ..) => (Tone::Good, "✓ usable"),
            (false, true, _) => (Tone::Danger, "✖ needed"),
            (false, false, true) => (Tone::Warn, "▲ limited"),
            (false, false, false) => (Tone::Muted, "○ absent"),
        };
        table.row([
            Cell::toned(tone, symbol),
            finding.name.into(),
            finding.version.clone().unwrap_or_default().into(),
            Cell::toned(Tone::Muted, finding.note.clone()),
        ]);
    }
    table.show(context.output);
    if !absent.is_empty() {
        context.output.line("");
        let mut table = Table::new(&["not found", "needed only when used", "how to get it"]);
        for finding in absent {
            table.row([
                finding.name.into(),
                Cell::toned(Tone::Muted, finding.note.clone()),
                finding.mend.clone().unwrap_or_default().into(),
            ]);
        }
        table.show(context.output);
    }
    let to_mend = document
        .checks
        .iter()
        .filter(|finding| !is_absent_tool(finding))
        .filter_map(|finding| Some((finding, finding.mend.as_deref()?)));
    for (index, (finding, mend)) in to_mend.enumerate() {
        if index == 0 {
            context.output.line("");
        }
        context.output.line(&format!("{} {mend}", context.output.paint(Tone::Bold, &format!("{}:", finding.name))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_and_optional_stops_nothing() {
        assert!(!Finding::absent("node", "", "install it").stops_everything());
        assert!(Finding::bad("state folder", "", "make it writable").needed().stops_everything());
    }
}
