//! Leaving the demo: keep it or remove it; or it was removed already.

use ratatui::text::Line;

use super::{Turn, foot};
use crate::console::{
    action::Left,
    keymap::Key,
    theme::Role,
    widgets::strip::{Strip, fold},
    world::Scene,
};

/// Why the card is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The console is to be left: what becomes of the demo?
    Asked,
    /// The demo was removed from outside.
    Removed,
}

impl Leave {
    pub fn title(self) -> &'static str {
        match self {
            Self::Asked => "Leave",
            Self::Removed => "The demo is gone",
        }
    }

    pub fn key(self, key: Key) -> Turn {
        match (self, key) {
            (Self::Asked, Key::Char('k') | Key::Enter) => Turn::Leave(Left::KeepDemo),
            (Self::Asked, Key::Char('R')) => Turn::Leave(Left::RemoveDemo),
            (Self::Removed, Key::Char('q') | Key::Enter | Key::Ctrl('c')) => Turn::Leave(Left::Quit),
            (_, Key::Esc | Key::Char('q')) => Turn::Close,
            _ => Turn::Stay,
        }
    }

    pub fn lines(self, scene: &Scene<'_>, columns: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let (title, texts, keys): (_, [&str; 2], &[(&str, &str)]) = match self {
            Self::Asked => (
                strip().text("Keep the demo running?"),
                [
                    "Kept, its apps serve on without the console; `pilothouse demo` comes back to them.",
                    "Removed, nothing is left: no process, no file, no port.",
                ],
                &[("k", "keep"), ("R", "remove"), ("Esc", "stay")],
            ),
            Self::Removed => (
                strip().put("▲ ", Role::Warn).text("The demo was removed from outside."),
                [
                    "Nothing of it is left: no process, no file, no port. Behind this card stands what was last seen of it.",
                    "`pilothouse demo` begins another one.",
                ],
                &[("Enter", "leave"), ("Esc", "look on")],
            ),
        };
        let mut lines = vec![title.line(), Line::default()];
        for text in texts {
            lines.extend(fold(text, columns).into_iter().map(|line| strip().muted(line).line()));
        }
        (lines, foot(scene.theme, keys))
    }
}
