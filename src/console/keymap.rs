//! Keys, their names, and which verb each means where.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::model::{
    Problem,
    verbs::{Row, Scope, TABLE, Verb},
};

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

/// Words nearer than this are offered as what was meant (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.7;

impl Keymap {
    /// The table's keys, but for the verbs in `asked` (`console.keys`: the verb's word with `-` for blanks, and its keys):
    /// those have exactly the keys that they were given there, wherever they are heard.
    ///
    /// Refused: a word that is no verb, what is no key, a verb without a key that only a key can reach, and a key that
    /// means something else in the same place.
    pub fn with(asked: &BTreeMap<String, Vec<String>>) -> Result<Self, Problem> {
        let mut given: Vec<(&Row, Vec<Key>)> = Vec::new();
        for (word, keys) in asked {
            let place = format!("console.keys.{word}");
            let row = TABLE.iter().find(|row| name(row) == *word).ok_or_else(|| unknown(word).at(place.clone()))?;
            let read = |text: &String| text.parse::<Key>().map_err(|what| Problem::user(what).at(place.clone()).hint(KEYS));
            given.push((row, keys.iter().map(read).collect::<Result<_, _>>()?));
        }
        let mut bound: Vec<(Scope, Key, Verb)> = Vec::new();
        for (row, keys) in &given {
            for key in keys {
                bound.extend(row.scopes.iter().map(|scope| (*scope, *key, row.verb)));
            }
        }
        let asked_for = bound.len();
        let kept = Self::default().bound.into_iter().filter(|(.., verb)| !given.iter().any(|(row, _)| row.verb == *verb));
        bound.extend(kept);
        for (at, (scope, key, verb)) in bound.iter().enumerate().take(asked_for) {
            let other =
                bound.iter().enumerate().find(|(index, (place, other, _))| *index != at && (place, other) == (scope, key));
            if let Some((_, (.., other))) = other.filter(|(_, (.., other))| other != verb) {
                let what = format!("`{key}` is also {} in {}", other.row().word, scope.word());
                let next = format!("give `{}` another key there too, or choose another one", name(other.row()));
                return Err(Problem::user(what).at(format!("console.keys.{}", name(verb.row()))).hint(next));
            }
        }
        let map = Self { bound };
        // Without these there is no way to find the others.
        for verb in [Verb::Palette, Verb::Back, Verb::Open] {
            if !map.bound.iter().any(|(.., bound)| *bound == verb) {
                let what = format!("`{}` has no key", name(verb.row()));
                return Err(Problem::user(what).at(format!("console.keys.{}", name(verb.row()))).hint("give it one"));
            }
        }
        Ok(map)
    }

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

const KEYS: &str = "write keys as j, R, Space, Enter, ctrl-d or F1";

/// How `console.keys` names a verb: `roll-back`.
pub fn name(row: &Row) -> String {
    row.word.replace(' ', "-")
}

fn unknown(word: &str) -> Problem {
    let problem = Problem::user(format!("there is no verb `{}`", word.escape_debug()));
    let scored = TABLE.iter().map(name).map(|known| (strsim::jaro_winkler(word, &known), known));
    match scored.filter(|(score, _)| *score >= NEAR).max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((_, near)) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("`pilothouse keys` lists the verbs; write blanks as `-`"),
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

    fn asked(verb: &str, keys: &[&str]) -> Result<Keymap, Problem> {
        Keymap::with(&BTreeMap::from([(verb.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())]))
    }

    #[test]
    fn a_verb_has_exactly_the_keys_it_was_given() {
        let keys = asked("roll-back", &["B", "F9"]).unwrap();
        assert_eq!(keys.verb(Scope::Apps, Key::Char('B')), Some(Verb::Rollback));
        assert_eq!(keys.verb(Scope::Overview, Key::F(9)), Some(Verb::Rollback));
        assert_eq!(keys.verb(Scope::Apps, Key::Char('R')), None);
        assert_eq!(keys.verb(Scope::Apps, Key::Char('S')), Some(Verb::Scale), "the others keep theirs");
    }

    #[test]
    fn what_cannot_be_is_named_with_what_was_meant() {
        let problem = |verb: &str, keys: &[&str]| asked(verb, keys).unwrap_err().to_string();
        assert!(problem("rolback", &["B"]).contains("did you mean `roll-back`?"), "{}", problem("rolback", &["B"]));
        assert!(problem("stop", &["ctrl-alt-x"]).contains("is not a key"));
        let taken = problem("stop", &["R"]);
        assert!(taken.contains("`R` is also roll back in") && taken.contains("console.keys.stop"), "{taken}");
        assert!(problem("commands", &[]).contains("has no key"));
    }

    #[test]
    fn every_verb_has_a_name_of_its_own() {
        let mut names: Vec<String> = TABLE.iter().map(name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None);
    }
}
