//! The edge as its users meet it: the real program, real sockets, small back ends that behave well or badly.
#![allow(clippy::expect_used, reason = "helpers of tests fail loudly")]
#![allow(unreachable_pub, dead_code, reason = "modules of one test program")]

mod app;
mod client;
mod frames;
mod secure;
mod world;

mod answers;
mod balance;
mod drains;
mod handover;
mod http2;
mod http2_limits;
mod limits;
mod paths;
mod pool;
mod ports;
mod proofs;
mod restart;
mod routing;
mod site;
mod tls;
mod websocket;
