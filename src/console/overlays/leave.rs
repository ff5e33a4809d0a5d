//! Leaving the demo: keep it or remove it.

use ratatui::text::Line;

use super::{Turn, foot};
use crate::console::{
    action::Left,
    keymap::Key,
    widgets::strip::{Strip, fold},
    world::Scene,
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Leave;

impl Leave {
    pub fn key(self, key: Key) -> Turn {
        match key {
            Key::Char('k') | Key::Enter => Turn::Leave(Left::KeepDemo),
            Key::Char('R') => Turn::Leave(Left::RemoveDemo),
            Key::Esc | Key::Char('q') => Turn::Close,
            _ => Turn::Stay,
        }
    }

    pub fn lines(self, scene: &Scene<'_>, columns: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let mut lines = vec![strip().text("Keep the demo running?").line(), Line::default()];
        let kept = "Kept, its apps serve on without the console; `pilothouse demo` comes back to them.";
        let removed = "Removed, nothing is left: no process, no file, no port.";
        for text in [kept, removed] {
            lines.extend(fold(text, columns).into_iter().map(|line| strip().muted(line).line()));
        }
        (lines, foot(scene.theme, &[("k", "keep"), ("R", "remove"), ("Esc", "stay")]))
    }
}
