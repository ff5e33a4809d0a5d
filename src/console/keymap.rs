//! Keys, their names, and which verb each means where.

use std::{fmt, str::FromStr};

use crate::model::verbs::{Row, Scope, TABLE, Verb};

/// A key as it was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Backspace,
    Delete,
    F(u8),
}

const NAMED: [(&str, Key); 15] = [
    ("Enter", Key::Enter),
    ("Esc", Key::Esc),
    ("Tab", Key::Tab),
    ("shift-Tab", Key::BackTab),
    ("Up", Key::Up),
    ("Down", Key::Down),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("Home", Key::Home),
    ("End", Key::End),
    ("PageUp", Key::PageUp),
    ("PageDown", Key::PageDown),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Space", Key::Char(' ')),
];

/// As the verb table writes them: `j`, `R`, `Space`, `ctrl-d`, `F1`.
impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, key)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(*key);
        }
        let mut letters = text.chars();
        match (letters.next(), letters.as_str()) {
            (Some(c), "") => Ok(Self::Char(c)),
            (Some('F'), number) => number.parse().map(Self::F).map_err(|_| format!("`{text}` is not a key")),
            _ => match text.strip_prefix("ctrl-").map(|rest| (rest.chars().next(), rest.chars().count())) {
                Some((Some(c), 1)) => Ok(Self::Ctrl(c)),
                _ => Err(format!("`{text}` is not a key; write it as j, R, Space, ctrl-d or F1")),
            },
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMED.iter().find(|(_, key)| key == self) {
            return f.write_str(name);
        }
        match self {
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "ctrl-{c}"),
            Self::F(n) => write!(f, "F{n}"),
            _ => Ok(()),
        }
    }
}

/// The keys in force.
#[derive(Clone, Debug)]
pub struct Keymap {
    bound: Vec<(Scope, Key, Verb)>,
}

impl Default for Keymap {
    fn default() -> Self {
        let mut bound = Vec::new();
        for row in TABLE {
            for key in row.keys.iter().filter_map(|key| key.parse().ok()) {
                bound.extend(row.scopes.iter().map(|scope| (*scope, key, row.verb)));
            }
        }
        Self { bound }
    }
}

impl Keymap {
    /// What `key` means in `scope`: the pane's own meaning before that of everywhere.
    pub fn verb(&self, scope: Scope, key: Key) -> Option<Verb> {
        let find = |wanted: Scope| self.bound.iter().find(|(scope, bound, _)| *scope == wanted && *bound == key);
        find(scope).or_else(|| find(Scope::Everywhere)).map(|(.., verb)| *verb)
    }

    /// The first key that really means `verb` in `scope`.
    pub fn key(&self, scope: Scope, verb: Verb) -> Option<Key> {
        self.keys(scope, verb).next()
    }

    /// All keys that really mean `verb` in `scope`.
    pub fn keys(&self, scope: Scope, verb: Verb) -> impl Iterator<Item = Key> {
        let in_scope = move |bound: &&(Scope, Key, Verb)| {
            bound.2 == verb && (bound.0 == scope || bound.0 == Scope::Everywhere) && self.verb(scope, bound.1) == Some(verb)
        };
        self.bound.iter().filter(in_scope).map(|(_, key, _)| *key)
    }

    /// The verbs that can be meant in `scope`, in the table's order.
    pub fn rows(scope: Scope) -> impl Iterator<Item = &'static Row> {
        TABLE.iter().filter(move |row| row.scopes.contains(&scope) || row.scopes.contains(&Scope::Everywhere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_can_be_pressed() {
        for row in TABLE {
            for key in row.keys {
                assert_eq!(key.parse::<Key>().unwrap().to_string(), *key);
            }
        }
    }

    #[test]
    fn a_panes_own_meaning_comes_first() {
        let keys = Keymap::default();
        assert_eq!(keys.verb(Scope::Logs, Key::Char('n')), Some(Verb::NextHit));
        assert_eq!(keys.verb(Scope::Apps, Key::Char('n')), Some(Verb::Deploy));
        assert_eq!(keys.key(Scope::Logs, Verb::Deploy), None);
    }
}
