//! `keys`: the keys of the console, from the verb table.

use clap::Args;

use super::{Ended, output::Output};

#[derive(Debug, Args)]
pub struct Keys {}

impl Keys {
    pub fn run(self, output: &Output) -> Ended {
        if output.json {
            output.document(&serde_json::json!([]));
        }
        Ended::Well
    }
}
