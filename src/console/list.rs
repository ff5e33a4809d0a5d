//! What an operator did to a list: cursor, scroll, order, filter, marks. Rows are known by their key, so that the cursor stays on
//! the same thing when others come and go.

use std::collections::BTreeSet;

use super::{
    filter::Filter,
    widgets::table::{Column, Sort, scrolled},
};
use crate::model::verbs::Verb;

#[derive(Clone, Debug)]
pub struct List<K> {
    pub rows: Vec<K>,
    /// Rows before filtering.
    pub all: usize,
    pub cursor: usize,
    chosen: Option<K>,
    pub offset: usize,
    /// Rows that fit.
    pub high: usize,
    pub sort: Sort,
    pub filter: Filter,
    pub marks: BTreeSet<K>,
}

impl<K: Ord + Clone> List<K> {
    pub fn sorted_by(column: usize) -> Self {
        Self {
            rows: Vec::new(),
            all: 0,
            cursor: 0,
            chosen: None,
            offset: 0,
            high: 1,
            sort: Sort { column, turned: false },
            filter: Filter::default(),
            marks: BTreeSet::new(),
        }
    }

    /// Takes the rows of this moment; the cursor stays on its thing while that is there.
    pub fn fill(&mut self, rows: Vec<K>, all: usize, high: usize) {
        self.rows = rows;
        self.all = all;
        self.high = high.max(1);
        let found = self.chosen.as_ref().and_then(|chosen| self.rows.iter().position(|row| row == chosen));
        self.move_to(found.unwrap_or(self.cursor));
    }

    pub fn current(&self) -> Option<&K> {
        self.rows.get(self.cursor)
    }

    /// Puts the cursor on `key`, also when it comes only with the next `fill`.
    pub fn choose(&mut self, key: K) {
        if let Some(at) = self.rows.iter().position(|row| *row == key) {
            self.move_to(at);
        }
        self.chosen = Some(key);
    }

    pub fn move_to(&mut self, row: usize) {
        self.cursor = row.min(self.rows.len().saturating_sub(1));
        self.offset = scrolled(self.offset, self.cursor, self.rows.len(), self.high);
        if let Some(current) = self.current() {
            self.chosen = Some(current.clone());
        }
    }

    /// The current row, or all marked ones that are still there.
    pub fn targets(&self) -> Vec<K> {
        let marked: Vec<K> = self.rows.iter().filter(|row| self.marks.contains(row)).cloned().collect();
        if marked.is_empty() { self.current().cloned().into_iter().collect() } else { marked }
    }

    /// Whether the verb moved the cursor, turned the order or marked.
    pub fn act(&mut self, verb: Verb, columns: &[Column]) -> bool {
        let at = match verb {
            Verb::Up => self.cursor.saturating_sub(1),
            Verb::Down => self.cursor + 1,
            Verb::Top => 0,
            Verb::Bottom => usize::MAX,
            Verb::PageUp => self.cursor.saturating_sub(self.high),
            Verb::PageDown => self.cursor + self.high,
            Verb::HalfUp => self.cursor.saturating_sub(self.high / 2),
            Verb::HalfDown => self.cursor + self.high / 2,
            Verb::SortNext | Verb::SortPrevious | Verb::SortTurn => {
                self.sort(verb, columns);
                return true;
            }
            Verb::Mark => {
                if let Some(current) = self.current().cloned()
                    && !self.marks.remove(&current)
                {
                    self.marks.insert(current);
                }
                self.cursor + 1
            }
            _ => return false,
        };
        self.move_to(at);
        true
    }

    fn sort(&mut self, verb: Verb, columns: &[Column]) {
        let sortable: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].sorts).collect();
        let Some(at) = sortable.iter().position(|column| *column == self.sort.column) else {
            return;
        };
        let count = sortable.len();
        self.sort = match verb {
            Verb::SortNext => Sort { column: sortable[(at + 1) % count], turned: false },
            Verb::SortPrevious => Sort { column: sortable[(at + count - 1) % count], turned: false },
            _ => Sort { turned: !self.sort.turned, ..self.sort },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_on_its_thing_when_rows_come_and_go() {
        let mut list = List::sorted_by(0);
        list.fill(vec!["a", "b", "c"], 3, 2);
        list.act(Verb::Down, &[]);
        list.fill(vec!["0", "a", "b", "c"], 4, 2);
        assert_eq!(list.current(), Some(&"b"));
        assert!(list.offset <= list.cursor && list.cursor < list.offset + 2);
        list.fill(vec!["0"], 1, 2);
        assert_eq!(list.current(), Some(&"0"));
        list.fill(vec![], 0, 2);
        assert_eq!(list.current(), None);
    }
}
