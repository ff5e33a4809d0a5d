//! Help: the keys in force, searchable.

use ratatui::text::Line;

use super::{Turn, foot};
use crate::{
    console::{
        keymap::{Key, Keymap},
        theme::Role,
        widgets::{
            form::Field,
            strip::{Strip, cut, fold},
        },
        world::Scene,
    },
    model::verbs::{Scope, TABLE},
};

#[derive(Clone, Debug)]
pub struct Help {
    pub field: Field,
    /// The pane beneath: its keys come first.
    scope: Scope,
    scroll: usize,
}

impl Help {
    pub fn of(scope: Scope) -> Self {
        Self { field: Field::default(), scope, scroll: 0 }
    }

    pub fn key(&mut self, key: Key) -> Turn {
        match key {
            Key::Esc if !self.field.is_empty() => self.field.clear(),
            Key::Esc | Key::Enter | Key::Ctrl('c') => return Turn::Close,
            Key::Char('q' | '?') if self.field.is_empty() => return Turn::Close,
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll += 1,
            Key::PageUp | Key::Ctrl('b') => self.scroll = self.scroll.saturating_sub(10),
            Key::PageDown | Key::Ctrl('f' | 'd') => self.scroll += 10,
            key => {
                self.field.key(key);
                self.scroll = 0;
            }
        }
        Turn::Stay
    }

    pub fn lines(&self, scene: &Scene<'_>, keys: &Keymap, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let mut all = Vec::new();
        let wanted = self.field.text().to_lowercase();
        let scopes =
            [self.scope, Scope::Everywhere].into_iter().chain(Scope::PANES.into_iter().filter(|scope| *scope != self.scope));
        let mut said = std::collections::HashSet::new();
        for scope in scopes {
            let mut rows = Vec::new();
            for row in TABLE.iter().filter(|row| row.scopes.contains(&scope)) {
                let bound: Vec<String> = keys.keys(scope, row.verb).map(|key| key.to_string()).collect();
                let found = wanted.is_empty()
                    || format!("{} {} {}", row.word, row.help, bound.join(" ")).to_lowercase().contains(&wanted);
                if !found || !said.insert((row.verb, bound.join(" "))) {
                    continue;
                }
                let bound = if bound.is_empty() { "by :".to_owned() } else { bound.join(" ") };
                for (at, text) in fold(row.help, columns.saturating_sub(30).max(12)).into_iter().enumerate() {
                    let line = match at {
                        0 => strip().gap(1).cell(&bound, 13, Role::Accent).cell(row.word, 16, Role::Text),
                        _ => strip().gap(30),
                    };
                    rows.push(cut(line.muted(text).line(), columns));
                }
            }
            if !rows.is_empty() {
                if !all.is_empty() {
                    all.push(Line::default());
                }
                all.push(strip().bold(scope.word().to_uppercase(), Role::Muted).line());
                all.append(&mut rows);
            }
        }
        let mut lines = vec![self.field.line(scene.theme, "search", 8, columns.min(48), true), Line::default()];
        if all.is_empty() {
            lines.push(strip().muted(format!("no key does `{}`", self.field.text())).line());
        }
        let high = rows.saturating_sub(lines.len() + 2).max(1);
        let skip = self.scroll.min(all.len().saturating_sub(high));
        lines.extend(all.into_iter().skip(skip).take(high));
        while lines.len() < high + 2 {
            lines.push(Line::default());
        }
        (lines, foot(scene.theme, &[("type", "to search"), ("↑ ↓", "scroll"), ("Esc", "back")]))
    }
}
