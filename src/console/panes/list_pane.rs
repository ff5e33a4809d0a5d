//! What list panes share: chips, table and details drawn in their places, and the keys that move between them.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{Parts, Reply, WIDE, draw_details, empty, parts, scroll};
use crate::{
    console::{
        list::List,
        widgets::{
            strip::{Strip, draw_line},
            table::{Column, Table, table},
        },
        world::Scene,
    },
    model::verbs::Verb,
};

/// What an operator did to the details of a list, and what they say.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Details have the keys.
    pub inside: bool,
    pub scroll: usize,
    pub lines: Vec<Line<'static>>,
}

impl Details {
    /// Where the parts lie; details take `share` percent of a wide screen.
    pub fn parts<K: Ord + Clone>(&self, list: &List<K>, area: Rect, share: u16) -> Parts {
        parts(area, !list.filter.is_empty() || list.filter.editing, self.inside, share)
    }

    /// Keeps the scroll within what there is to see; details of nothing are left.
    pub fn settle(&mut self, parts: &Parts, is_empty: bool) {
        let high = parts.details.map_or(0, |details| details.height as usize);
        self.scroll = self.scroll.min(self.lines.len().saturating_sub(high));
        if is_empty {
            self.inside = false;
        }
    }

    /// Goes in and out, takes marks and filter away, scrolls, moves.
    pub fn act<K: Ord + Clone>(&mut self, verb: Verb, list: &mut List<K>, columns: &[Column]) -> Reply {
        match verb {
            Verb::Open | Verb::NextPart | Verb::PreviousPart if !self.inside && list.current().is_some() => {
                self.inside = true;
                self.scroll = 0;
            }
            Verb::Open | Verb::Back | Verb::Leave | Verb::NextPart | Verb::PreviousPart if self.inside => self.inside = false,
            Verb::Back if !list.marks.is_empty() => list.marks.clear(),
            Verb::Back if !list.filter.is_empty() => list.filter.set(""),
            _ if self.inside && scroll(&mut self.scroll, verb, list.high) => {}
            _ if list.act(verb, columns) => self.scroll = 0,
            _ => return Reply::Ignored,
        }
        Reply::Taken
    }

    pub fn press<K: Ord + Clone>(&mut self, list: &mut List<K>, parts: &Parts, x: u16, y: u16) -> bool {
        if parts.details.is_some_and(|details| details.contains((x, y).into())) {
            self.inside = true;
            return true;
        }
        super::press_table(list, &mut self.inside, x, y, parts.table)
    }
}

/// A list to draw: `what` names its rows (`apps`).
pub struct ListPane<'a, K> {
    pub what: &'a str,
    pub list: &'a List<K>,
    pub columns: &'a [Column],
    pub details: &'a Details,
    /// Rows that changed a moment ago.
    pub flashing: &'a dyn Fn(&K) -> bool,
}

impl<K: Ord + Clone> ListPane<'_, K> {
    /// Draws it within `parts` of `area`; `cell` writes the cell of (key, column) with the width it has.
    pub fn draw(
        &self,
        scene: &Scene<'_>,
        area: Rect,
        parts: &Parts,
        buf: &mut Buffer,
        cell: &dyn for<'t> Fn(Strip<'t>, &K, usize, usize) -> Strip<'t>,
    ) {
        let list = self.list;
        if let Some(chips) = parts.chips {
            let line = list.filter.line(scene.theme, list.rows.len(), list.all, self.what, chips.width as usize);
            draw_line(buf, chips, chips.y, &line.unwrap_or_default());
        }
        if parts.table.height > 0 {
            let rows = &list.rows;
            let shown = Table {
                columns: self.columns,
                sort: Some(list.sort),
                rows: rows.len(),
                offset: list.offset,
                cursor: (!rows.is_empty()).then_some(list.cursor),
                focused: !self.details.inside,
                marked: &|row| list.marks.contains(&rows[row]),
                flashing: &|row| (self.flashing)(&rows[row]),
                cell: &|strip, row, column, columns| cell(strip, &rows[row], column, columns),
            };
            table(buf, scene.theme, parts.table, &shown);
            if rows.is_empty() {
                let below = Rect { y: parts.table.y + 1, height: parts.table.height - 1, ..parts.table };
                let none = format!("None of the {} {} passes the filter.", list.all, self.what);
                empty(scene, below, &none, &[("Esc", "take the filter away"), ("/", "change it")], buf);
            }
        }
        if let Some(details) = parts.details {
            draw_details(scene, details, area.width + 2 >= WIDE, &self.details.lines, self.details.scroll, buf);
        }
    }
}
