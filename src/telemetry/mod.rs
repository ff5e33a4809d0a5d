//! What is kept of the fleet's life, and how it is asked for.

mod log_files;
pub mod logs;
