//! `keys`: the keys of the console, from the verb table.

use clap::Args;
use serde::Serialize;

use super::{
    Ended,
    output::{Output, Tone},
    table::{Cell, Table},
};
use crate::model::verbs::{self, Row, Scope};

#[derive(Debug, Args)]
pub struct Keys {}

/// A verb as a document. Fields may be added, never renamed.
#[derive(Serialize)]
struct Document {
    word: &'static str,
    keys: &'static [&'static str],
    scopes: Vec<&'static str>,
    help: &'static str,
}

impl Document {
    fn of(row: &Row) -> Self {
        Self { word: row.word, keys: row.keys, scopes: row.scopes.iter().map(|scope| scope.word()).collect(), help: row.help }
    }
}

impl Keys {
    pub fn run(self, output: &Output) -> Ended {
        if output.json {
            output.document(&verbs::TABLE.iter().map(Document::of).collect::<Vec<_>>());
            return Ended::Well;
        }
        let mut table = Table::new(&["key", "word", "where", "what it does"]);
        for row in verbs::TABLE {
            let keys = if row.keys.is_empty() { ":".to_owned() } else { row.keys.join(" ") };
            let places: Vec<&str> = row.scopes.iter().copied().map(Scope::word).collect();
            table.row([
                Cell::toned(Tone::Accent, keys),
                row.word.into(),
                Cell::toned(Tone::Muted, places.join(", ")),
                row.help.into(),
            ]);
        }
        table.show(output);
        Ended::Well
    }
}
