//! Aligned tables: a heading, rows of cells with their tone, widths by what is in them.

use unicode_width::UnicodeWidthStr;

use super::output::{Output, Tone};

/// A cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A number: aligned at the right.
    pub fn number(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain, right: true }
    }

    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, right: false }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// A table under way.
#[derive(Clone, Debug)]
pub struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it; nothing with `--json`.
    pub fn show(&self, output: &Output) {
        for line in self.lines(output) {
            output.line(&line);
        }
    }

    fn lines(&self, output: &Output) -> Vec<String> {
        let widths: Vec<usize> = self.heading.iter().enumerate().map(|(column, word)| self.width(column, word)).collect();
        let heading = self.heading.iter().enumerate().map(|(column, word)| {
            let right = self.rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.right));
            Cell { text: word.to_uppercase(), tone: Tone::Muted, right }
        });
        let rows = std::iter::once(heading.collect()).chain(self.rows.iter().cloned());
        rows.map(|row: Vec<Cell>| line(&row, &widths, output)).collect()
    }

    fn width(&self, column: usize, word: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width());
        cells.max().unwrap_or(0).max(word.width())
    }
}

fn line(row: &[Cell], widths: &[usize], output: &Output) -> String {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let space = " ".repeat(width.saturating_sub(cell.text.width()));
        let shown = output.paint(cell.tone, &cell.text);
        text.push_str(&if cell.right { format!("{space}{shown}  ") } else { format!("{shown}{space}  ") });
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_whatever_is_in_them() {
        let mut table = Table::new(&["app", "replicas"]);
        table.row(["shop".into(), Cell::number(12)]);
        table.row(["größe".into(), Cell::number(3)]);
        let lines = table.lines(&Output::new(false, false, true));
        assert_eq!(lines, ["APP    REPLICAS", "shop         12", "größe         3"]);
    }
}
