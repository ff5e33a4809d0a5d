//! The shared vocabulary: plain types that every room may use; no I/O, no clock, no async.

pub mod change;
pub mod command;
pub mod container;
pub mod container_plan;
pub mod dependencies;
pub mod deployment;
pub mod dockerfile;
pub mod edge;
pub mod escape;
pub mod fleet;
pub mod ids;
pub mod instance;
pub mod latin;
pub mod log;
pub mod manifest;
pub mod mask;
pub mod mount;
pub mod order;
pub mod peer;
pub mod plan;
pub mod problem;
pub mod recipe;
pub mod route;
pub mod sample;
pub mod secret;
pub mod source;
pub mod text;
pub mod tool;
pub mod units;
pub mod verbs;
pub mod watch;

pub use problem::Problem;
