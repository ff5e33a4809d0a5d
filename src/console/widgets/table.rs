//! Tables: a head with the sorted column marked, rows made only when they are seen, a cursor, marks.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier, text::Line};

use super::strip::{Strip, draw_line};
use crate::{
    console::theme::{Ground, Role, Theme},
    model::text::{fit, width},
};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub columns: usize,
    pub right: bool,
    /// Shown only when the table is at least so wide; 0: always.
    pub from: usize,
    /// Takes what is left of the width, up to this.
    pub grow: usize,
    /// Whether rows can be sorted by it.
    pub sorts: bool,
}

impl Column {
    pub const fn left(title: &'static str, columns: usize) -> Self {
        Self { title, columns, right: false, from: 0, grow: columns, sorts: true }
    }

    pub const fn right(title: &'static str, columns: usize) -> Self {
        Self { title, columns, right: true, from: 0, grow: columns, sorts: true }
    }

    pub const fn from(self, from: usize) -> Self {
        Self { from, ..self }
    }

    pub const fn grow(self, grow: usize) -> Self {
        Self { grow, ..self }
    }

    pub const fn unsorted(self) -> Self {
        Self { sorts: false, ..self }
    }
}

/// By which column, and which way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    pub column: usize,
    pub turned: bool,
}

/// The columns that a table of some width shows: (index, width).
pub fn fitted(columns: &[Column], wide: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<(usize, usize)> =
        columns.iter().enumerate().filter(|(_, column)| wide >= column.from).map(|(at, column)| (at, column.columns)).collect();
    let taken = |shown: &[(usize, usize)]| shown.iter().map(|(_, wide)| wide + GAP).sum::<usize>() + EDGE;
    while taken(&shown) > wide + GAP && shown.len() > 1 {
        shown.pop();
    }
    let mut left = (wide + GAP).saturating_sub(taken(&shown));
    for (at, columns_wide) in &mut shown {
        let more = columns[*at].grow.saturating_sub(*columns_wide).min(left);
        *columns_wide += more;
        left -= more;
    }
    shown
}

const GAP: usize = 2;
const EDGE: usize = 2;

/// What a table shows; `cell` writes the cell of (row, column) with the width it has.
pub struct Table<'a> {
    pub columns: &'a [Column],
    pub sort: Option<Sort>,
    pub rows: usize,
    pub offset: usize,
    pub cursor: Option<usize>,
    /// The list itself has the keys.
    pub focused: bool,
    pub marked: &'a dyn Fn(usize) -> bool,
    /// Rows that changed a moment ago.
    pub flashing: &'a dyn Fn(usize) -> bool,
    pub cell: &'a CellWriter<'a>,
}

type CellWriter<'a> = dyn for<'t> Fn(Strip<'t>, usize, usize, usize) -> Strip<'t> + 'a;

/// Draws the table: head in the first row of `area`, then rows.
pub fn table(buf: &mut Buffer, theme: &Theme, area: Rect, table: &Table<'_>) {
    let shown = fitted(table.columns, area.width as usize);
    draw_line(buf, area, area.y, &head(theme, table, &shown));
    for (y, row) in (area.y.saturating_add(1)..area.bottom()).zip(table.offset..table.rows) {
        let selected = table.cursor == Some(row);
        let mark = (table.marked)(row);
        let edge = match (selected, mark) {
            (true, _) if table.focused => "▎",
            (_, true) => "+",
            (true, _) => "▏",
            _ => " ",
        };
        let mut strip = Strip::new(theme).put(edge, Role::Accent).put(if mark && selected { "+" } else { " " }, Role::Accent);
        for (at, (column, wide)) in shown.iter().enumerate() {
            let end = strip.used() + wide;
            strip = (table.cell)(strip, row, *column, *wide);
            let gap = if at + 1 < shown.len() { GAP } else { 0 };
            let rest = end.saturating_sub(strip.used());
            strip = strip.gap(rest + gap);
        }
        draw_line(buf, area, y, &strip.line());
        let flashes = (table.flashing)(row);
        if selected || flashes {
            select(buf, theme, Rect { y, height: 1, ..area });
        }
        if flashes {
            let bold = ratatui::style::Style::new().add_modifier(Modifier::BOLD);
            buf.set_style(Rect { y, height: 1, ..area }.intersection(buf.area), bold);
        }
    }
}

/// Puts the selected ground beneath what is drawn; the text keeps its colours.
pub fn select(buf: &mut Buffer, theme: &Theme, area: Rect) {
    buf.set_style(area.intersection(buf.area), theme.ground(Ground::Selected));
}

fn head(theme: &Theme, table: &Table<'_>, shown: &[(usize, usize)]) -> Line<'static> {
    let mut strip = Strip::new(theme).gap(EDGE);
    for (at, (index, wide)) in shown.iter().enumerate() {
        let column = &table.columns[*index];
        let sorted = table.sort.filter(|sort| sort.column == *index);
        let arrow = sorted.map_or("", |sort| if sort.turned { "↑" } else { "↓" });
        let title = format!("{}{arrow}", fit(column.title, wide.saturating_sub(width(arrow))));
        let role = if sorted.is_some() { Role::Accent } else { Role::Muted };
        let mut style = theme.style(role);
        if sorted.is_some() {
            style = style.add_modifier(Modifier::BOLD);
        }
        let rest = wide.saturating_sub(width(&title));
        // The arrow stands beside its column, so that the title stays above the figures.
        strip = if column.right { strip.gap(rest).styled(title, style) } else { strip.styled(title, style).gap(rest) };
        strip = strip.gap(if at + 1 < shown.len() { GAP } else { 0 });
    }
    strip.line()
}

/// The first row to show so that `cursor` is among `high` rows, moving as little as possible from `offset`.
pub fn scrolled(offset: usize, cursor: usize, rows: usize, high: usize) -> usize {
    if high == 0 {
        return cursor;
    }
    let offset = offset.min(rows.saturating_sub(high));
    offset.clamp(cursor.saturating_sub(high - 1), cursor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_cursor_is_always_among_the_rows_shown(offset in 0_usize..300, cursor in 0_usize..200, high in 1_usize..60) {
            let first = scrolled(offset, cursor, 200, high);
            prop_assert!(first <= cursor && cursor < first + high);
        }

        #[test]
        fn columns_never_take_more_than_there_is(wide in 20_usize..300) {
            let columns = [Column::left("a", 10).grow(30), Column::right("b", 6), Column::left("c", 20).from(90)];
            let shown = fitted(&columns, wide);
            prop_assert!(shown.iter().map(|(_, wide)| wide + GAP).sum::<usize>() + EDGE <= wide + GAP);
        }
    }
}
