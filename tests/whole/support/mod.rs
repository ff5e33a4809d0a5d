//! What whole-program tests and `benches/` are made of: an engine, apps, requests, a terminal, peers.
#![allow(dead_code, reason = "each of the programs made from this uses a part")]

pub mod app;
pub mod docker;
pub mod engine;
pub mod git;
pub mod http;
pub mod postgres;
pub mod processes;
pub mod terminal;
pub mod wait;
