//! Flags of every command.

use std::path::PathBuf;

use clap::Args;

use crate::{config::load, model::problem::Problem};

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Folder with all of the engine's files [env: PILOTHOUSE_STATE] [default: $XDG_STATE_HOME/pilothouse]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Configuration file [env: PILOTHOUSE_CONFIG] [default: $XDG_CONFIG_HOME/pilothouse/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One setting over file and environment, such as edge.threads=2; an engine takes its own at its start
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) set: Vec<String>,
    /// One JSON document on standard output
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// No colours
    #[arg(long, global = true)]
    pub(super) no_color: bool,
    /// No progress on standard error
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Do not ask
    #[arg(long, short, global = true)]
    pub(super) yes: bool,
}

fn setting(pair: &str) -> Result<String, Problem> {
    load::check_pair(pair).map(|()| pair.to_owned())
}
