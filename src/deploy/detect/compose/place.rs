//! A place in a Compose file, and the values that are read there: what is wrong is told with it.

use std::collections::BTreeMap;

use super::{
    Entry, Node, Reading,
    words::{bytes, span, split},
};
use crate::model::Problem;

/// Most replicas of one service.
const MOST_REPLICAS: u32 = 100;

/// Where in the file something is read.
pub(super) struct Place<'a, 'r> {
    pub(super) reading: &'a mut Reading<'r>,
    pub(super) line: u64,
    pub(super) field: String,
}

impl<'r> Place<'_, 'r> {
    pub(super) fn wrong(&self, what: impl Into<String>, next: impl Into<String>) -> Problem {
        self.reading.wrong(self.line, &self.field, what, next)
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.reading.note(self.line, &self.field, what);
    }

    /// The same place, one key further down.
    pub(super) fn below(&mut self, entry: &Entry) -> Place<'_, 'r> {
        let field = format!("{}.{}", self.field, entry.key);
        Place { line: entry.line, field, reading: self.reading }
    }

    pub(super) fn text(&self, value: &Node) -> Result<String, Problem> {
        let text = value.scalar().filter(|text| !text.trim().is_empty() && !text.contains('\0'));
        text.ok_or_else(|| self.wrong(format!("it must be text, not {}", value.kind()), "write one word or put it in quotes"))
    }

    pub(super) fn bytes(&self, value: &Node) -> Result<crate::model::units::Bytes, Problem> {
        let text = self.text(value)?;
        bytes(&text).ok_or_else(|| self.wrong(format!("`{}` is not a size", text.escape_debug()), "write it as `512m` or `2g`"))
    }

    pub(super) fn span(&self, value: &Node) -> Result<crate::model::units::Millis, Problem> {
        let text = self.text(value)?;
        span(&text)
            .ok_or_else(|| self.wrong(format!("`{}` is not a span of time", text.escape_debug()), "write it as `30s` or `1m30s`"))
    }

    pub(super) fn count(&self, value: &Node) -> Result<u32, Problem> {
        let count = value.scalar().and_then(|text| text.parse().ok()).filter(|count| (1..=MOST_REPLICAS).contains(count));
        count.ok_or_else(|| self.wrong("it must be a number of instances", format!("write 1 to {MOST_REPLICAS}")))
    }

    pub(super) fn command(&self, value: &Node) -> Result<Vec<String>, Problem> {
        match value.list() {
            Some(items) => items
                .iter()
                .map(|item| item.scalar().ok_or_else(|| self.wrong("a word of it is no text", "put it in quotes")))
                .collect(),
            None => split(&self.text(value)?).map_err(|problem| Problem { at: self.wrong("", "").at, ..problem }),
        }
    }

    /// `- NAME=value` or `NAME: value`; a name alone takes its value from the given variables.
    pub(super) fn pairs(&mut self, value: &Node) -> Result<BTreeMap<String, String>, Problem> {
        let mut found: Vec<(u64, String, Option<String>)> = Vec::new();
        match (value.list(), value.map()) {
            (Some(items), _) => {
                for item in items {
                    let text = item.scalar().ok_or_else(|| self.wrong("an entry of it is no text", "write `- NAME=value`"))?;
                    let (name, value) =
                        text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
                    found.push((item.line, name.trim().to_owned(), value));
                }
            }
            (_, Some(entries)) => {
                for entry in entries {
                    if entry.value.list().is_some() || entry.value.map().is_some() {
                        return Err(self
                            .wrong(format!("`{}` must be text, not {}", entry.key, entry.value.kind()), "write `NAME: value`"));
                    }
                    found.push((entry.line, entry.key.trim().to_owned(), entry.value.scalar()));
                }
            }
            _ if value.is_null() => {}
            _ => {
                return Err(
                    self.wrong(format!("it must be a map or a list, not {}", value.kind()), "write `NAME: value` below it")
                );
            }
        }
        let mut pairs = BTreeMap::new();
        for (line, name, value) in found {
            let shaped = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            if name.is_empty() || !shaped {
                let what = format!("`{}` cannot be a variable's name", name.escape_debug());
                return Err(self.reading.wrong(line, &self.field, what, "use letters, digits and `_`"));
            }
            match value.or_else(|| self.reading.variables.get(&name).cloned()) {
                Some(value) => {
                    pairs.insert(name, value.replace('\0', ""));
                }
                None => {
                    self.reading.note(line, &self.field, format!("`{name}` has no value and is left out: give --env {name}=…"));
                }
            }
        }
        Ok(pairs)
    }
}
