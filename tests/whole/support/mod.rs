//! What whole-program tests are made of: an engine, apps, requests, a terminal, peers.

pub mod app;
pub mod engine;
pub mod git;
pub mod http;
pub mod postgres;
pub mod processes;
pub mod terminal;
pub mod wait;
