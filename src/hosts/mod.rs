//! Hosts: reaching a machine to run programs and put files there. One trait; one file per way.

use std::path::Path;

use async_trait::async_trait;

use crate::model::{problem::Problem, units::Millis};

pub mod local;
pub mod tools;

/// A machine on which programs can be run.
#[async_trait]
pub trait Host: Send + Sync {
    /// Runs a program to its end, at most for `limit`, then it is killed. Nothing is read from a terminal.
    async fn run(&self, argv: &[String], limit: Millis) -> Result<Ran, Problem>;

    /// Makes `content` the file's content, as a whole or not at all; its folder exists. `mode` as for chmod(2).
    async fn put(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Problem>;
}

/// How a program ended, and what it wrote (each stream's first megabyte).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Absent when a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}
