//! The full-screen console: state, actions, update, view; a client of the engine that knows no driver.

pub mod action;
pub mod deeds;
pub mod feed;
pub mod filter;
pub mod flash;
mod heard;
pub mod keymap;
pub mod list;
pub mod marks;
pub mod needs;
pub mod overlays;
pub mod panes;
pub mod runtime;
pub mod script;
pub mod state;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;
pub mod wizards;
pub mod words;
pub mod world;
