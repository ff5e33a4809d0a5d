//! The Docker runtime against a real engine, and the whole way from an image to its page.
//!
//! `PILOTHOUSE_TEST_DOCKER` names an engine for tests alone: `tests/run` starts one (tests/peers/dockerd) and ends it.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly, and says what it skips")]
#![allow(unreachable_pub, reason = "one program of tests: its parts are open to each other")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "these tests stand outside: they run programs and wait")]

mod away;
#[path = "../whole/support/mod.rs"]
mod engine_support;
mod firewall;
#[path = "../kept/mod.rs"]
mod kept;
mod leftovers;
mod peers;
mod runtime;
mod shell;
mod support;
mod whole;
