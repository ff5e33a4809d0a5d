//! Deciding: what to do next, as functions of values; nothing here touches the world.

pub mod containers;
pub mod detect;
pub mod docker_prune;
pub mod dockerfile;
pub mod image;
pub mod name;
pub mod plan;
pub mod ports;
pub mod scale;
pub mod steps;
pub mod strategies;
