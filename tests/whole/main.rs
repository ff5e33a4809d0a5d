//! Whole-program tests: the real binary, a real engine in a state folder of its own, real apps, real requests.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly, and says what it skips")]
#![allow(unreachable_pub, reason = "one program of tests: its parts are open to each other")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "these tests stand outside: they run programs and wait")]

mod bad_luck;
mod bad_luck_around;
mod builders;
mod command_line;
mod demo;
mod deploy;
mod edge;
mod fixed_port;
mod journal;
mod kill_matrix;
mod scenarios;
mod secrets;
mod support;
mod taken_port;
mod terminal;
mod watch;
