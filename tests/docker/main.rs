//! The Docker runtime against a real engine, and the whole way from an image to its page.
//!
//! `PILOTHOUSE_TEST_DOCKER` names an engine for tests alone: `tests/run` starts one (tests/peers/dockerd) and ends it.
#![allow(clippy::expect_used, reason = "helpers of tests fail loudly")]

#[path = "../kept/mod.rs"]
mod kept;
mod runtime;
mod support;
