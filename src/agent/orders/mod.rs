//! Orders: each is one file that makes one effect true and says how it went.

mod artefact;
pub mod await_ready;
pub mod build;
mod build_failure;
mod build_output;
mod disk;
pub mod environment;
pub mod fetch;
pub mod prune;
pub mod start;
pub mod stop;
