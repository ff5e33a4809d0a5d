//! The edge as its users meet it: the real program, real sockets, small back ends that behave well or badly.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests fail loudly")]

mod app;
mod client;
mod world;

mod routing;
