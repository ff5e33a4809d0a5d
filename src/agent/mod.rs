//! The agent: executes orders on its host and reports what is there. It makes no choices.

pub mod orders;
