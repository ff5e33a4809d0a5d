//! Deciding: what to do next, as functions of values; nothing here touches the world.

pub mod detect;
