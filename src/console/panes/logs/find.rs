//! Going to the lines that hold a text, or to the next of a kind.

use super::{
    super::{Reply, log_ring::Entry},
    Logs,
};
use crate::console::keymap::Key;

impl Logs {
    /// Goes to the next line, up or down, for which `wanted` holds.
    pub(super) fn seek(&mut self, down: bool, wanted: impl Fn(&Entry) -> bool) -> bool {
        let from = self.index();
        let held = self.cursor.is_some();
        let holds = |index: &usize| self.shown.get(*index).and_then(|id| self.ring.get(*id)).is_some_and(&wanted);
        let found = if down {
            (from + 1..self.shown.len()).find(holds)
        } else {
            let upto = if held { from } else { self.shown.len() };
            (0..upto).rev().find(holds)
        };
        if let Some(index) = found {
            self.go(index);
        }
        found.is_some()
    }

    pub(super) fn find(&mut self, down: bool) -> Reply {
        let needle = self.needle.to_lowercase();
        if needle.is_empty() {
            return Reply::Say("nothing is looked for yet; f asks for a text".to_owned());
        }
        if self.seek(down, |entry| entry.text.to_lowercase().contains(&needle)) {
            Reply::Taken
        } else {
            Reply::Say(format!("no further line {} with `{}`", if down { "below" } else { "above" }, self.needle))
        }
    }

    /// Whether a prompt of this pane takes the keys.
    pub fn is_finding(&self) -> bool {
        self.finding.is_some()
    }

    pub fn find_key(&mut self, key: Key) -> Reply {
        let Some(field) = &mut self.finding else {
            return Reply::Ignored;
        };
        match key {
            Key::Esc => self.finding = None,
            Key::Enter => {
                self.needle = field.text().to_owned();
                self.finding = None;
                if !self.needle.is_empty() {
                    return self.find(false);
                }
            }
            key => {
                field.key(key);
            }
        }
        Reply::Taken
    }

    pub fn paste(&mut self, text: &str) {
        if let Some(field) = &mut self.finding {
            field.paste(text);
        }
    }
}
