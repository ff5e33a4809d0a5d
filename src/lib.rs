//! Pilothouse: a console and engine that deploy, watch and steer a fleet of servers.
//!
//! The rooms in reading order; `docs/architecture.md` says who may use whom.

pub mod agent;
pub mod cli;
pub mod config;
pub mod console;
pub mod deploy;
pub mod edge;
pub mod engine;
pub mod hosts;
pub mod keep;
pub mod model;
pub mod runtimes;
pub mod secrets;
pub mod sources;
pub mod store;
pub mod telemetry;
pub mod wire;
