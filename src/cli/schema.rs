//! `schema`: the JSON Schema of `pilothouse.toml`, for editors.

use clap::Args;

use super::{Ended, output::Output};
use crate::config::{manifest_file, settings::ConfigFile};

#[derive(Debug, Args)]
pub struct Schema {
    /// Of config.toml instead
    #[arg(long)]
    settings: bool,
}

impl Schema {
    pub fn run(self, output: &Output) -> Ended {
        if self.settings {
            output.document(&schemars::schema_for!(ConfigFile));
        } else {
            output.document(&manifest_file::schema());
        }
        Ended::Well
    }
}
