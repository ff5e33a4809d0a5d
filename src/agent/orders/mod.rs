//! Orders: each is one file that makes one effect true and says how it went.

pub mod await_ready;
pub mod start;
pub mod stop;
