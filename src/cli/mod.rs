//! The command line.
pub mod sample;
