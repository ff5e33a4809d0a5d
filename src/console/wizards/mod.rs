//! Wizards: cards that ask one question at a time, show a plan, and follow what they began.

pub mod deploy;
