//! Frames of the three doors: HTTP/1.1 with JSON over Unix sockets, streams as NDJSON.

pub mod agent;
pub mod edge;
pub mod engine;
pub mod http;
pub mod serving;
pub mod waiting;
