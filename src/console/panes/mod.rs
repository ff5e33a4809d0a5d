//! The panes: each owns only what the operator did to it, and borrows the world.

pub mod apps;
pub mod apps_detail;
mod container_detail;
mod container_rows;
pub mod containers;
pub mod deployments;
mod host_detail;
pub mod hosts;
pub mod list_pane;
pub mod log_line;
pub mod log_ring;
pub mod log_view;
pub mod logs;
pub mod overview;
pub mod overview_tiles;
mod stored;
pub mod tasks;
mod welcome;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    action::Goal,
    filter::Filter,
    theme::Role,
    widgets::strip::{Strip, cut, draw, draw_line, fold},
    world::Scene,
};
use crate::model::verbs::{Scope, Subject, Verb};

/// What a pane made of a verb.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Ignored,
    Taken,
    Go(Goal),
    /// Taken, with a word for the operator.
    Say(String),
}

/// A pane.
pub trait Pane {
    fn scope(&self) -> Scope;

    /// Recomputes rows and scroll for what the world is now; called after every change, before drawing.
    fn settle(&mut self, scene: &Scene<'_>, area: Rect);

    /// What verbs are applied to.
    fn subject(&self, scene: &Scene<'_>) -> Subject;

    fn act(&mut self, verb: Verb, scene: &Scene<'_>) -> Reply;

    /// Draws within `area`; only rows that are seen are made.
    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer);

    fn filter(&mut self) -> Option<&mut Filter> {
        None
    }

    /// (what it is, its text) for the clipboard.
    fn copy(&self, scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)>;

    /// A press at a cell; true when it hit something.
    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool;
}

/// Width from which details stand beside the list.
pub const WIDE: u16 = 140;

/// Where the parts of a list pane lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    pub chips: Option<Rect>,
    pub table: Rect,
    /// Beside the list, or over all of it.
    pub details: Option<Rect>,
}

/// Lays a list pane out: chips above the table when there are any; details at the right from 140 columns, else in place of
/// the list once `inside`.
pub fn parts(area: Rect, with_chips: bool, inside: bool, share: u16) -> Parts {
    let wide = area.width + 2 >= WIDE;
    if inside && !wide {
        return Parts { chips: None, table: Rect { height: 0, ..area }, details: Some(area) };
    }
    let details = wide.then(|| {
        let columns = area.width * share / 100;
        Rect { x: area.right() - columns, width: columns, ..area }
    });
    let list = details.map_or(area, |details| Rect { width: details.x.saturating_sub(area.x + 3), ..area });
    let chips = with_chips.then_some(Rect { height: list.height.min(1), ..list });
    let top = u16::from(with_chips).min(list.height);
    let table = Rect { y: list.y + top, height: list.height - top, ..list };
    Parts { chips, table, details }
}

/// Draws details with a hairline to their left when they stand beside a list.
pub fn draw_details(scene: &Scene<'_>, area: Rect, beside: bool, lines: &[Line<'static>], skip: usize, buf: &mut Buffer) {
    if beside && area.x > 1 {
        let style = scene.theme.style(Role::Faint);
        for y in area.y..area.bottom() {
            buf.set_stringn(area.x - 2, y, "│", 1, style);
        }
    }
    if lines.len() <= skip + area.height as usize || area.height < 2 {
        draw(buf, area, lines, skip);
        return;
    }
    // The mark has a row of its own: it must not stand on what is read.
    let shown = Rect { height: area.height - 1, ..area };
    draw(buf, shown, lines, skip);
    let more = format!("↓ {} more", lines.len() - skip - shown.height as usize);
    draw_line(buf, area, shown.bottom(), &Strip::new(scene.theme).right(&more, area.width as usize, Role::Muted).line());
}

/// What an empty pane says: what would be here, and how to get it.
pub fn empty(scene: &Scene<'_>, area: Rect, title: &str, hints: &[(&str, &str)], buf: &mut Buffer) {
    let columns = (area.width as usize).clamp(1, 72);
    let mut lines: Vec<Line<'static>> =
        fold(title, columns).into_iter().map(|line| Strip::new(scene.theme).text(line).line()).collect();
    lines.push(Line::default());
    for (key, what) in hints {
        lines.push(cut(Strip::new(scene.theme).bold(format!("{key:<7}"), Role::Accent).gap(1).muted(*what).line(), columns));
    }
    let widest = lines.iter().map(Line::width).max().unwrap_or(0) as u16;
    let x = area.x + area.width.saturating_sub(widest) / 2;
    let y = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    let within = Rect { x, y, width: area.right().saturating_sub(x), height: area.bottom().saturating_sub(y) };
    draw(buf, within, &lines, 0);
}

/// `label` in muted and a value, folded to `columns` with the value's column kept.
pub fn labelled(scene: &Scene<'_>, label: &str, value: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    const LABEL: usize = 10;
    let room = columns.saturating_sub(LABEL).max(8);
    fold(value, room)
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let label = if at == 0 { label } else { "" };
            Strip::new(scene.theme).cell(label, LABEL, Role::Muted).put(text, role).line()
        })
        .collect()
}

/// Scrolls by a verb of movement; `high` rows are seen. The end is found by the caller.
pub fn scroll(at: &mut usize, verb: Verb, high: usize) -> bool {
    *at = match verb {
        Verb::Up => at.saturating_sub(1),
        Verb::Down => *at + 1,
        Verb::Top => 0,
        Verb::Bottom => usize::MAX,
        Verb::PageUp => at.saturating_sub(high.max(1)),
        Verb::PageDown => at.saturating_add(high.max(1)),
        Verb::HalfUp => at.saturating_sub(high / 2 + 1),
        Verb::HalfDown => at.saturating_add(high / 2 + 1),
        _ => return false,
    };
    true
}

/// A press on a table: chooses the row, and goes inside when it was chosen already.
pub fn press_table<K: Ord + Clone>(list: &mut super::list::List<K>, inside: &mut bool, x: u16, y: u16, area: Rect) -> bool {
    if !area.contains((x, y).into()) || y == area.y {
        return false;
    }
    let row = list.offset + (y - area.y - 1) as usize;
    if row < list.rows.len() {
        *inside = list.cursor == row && !*inside;
        list.move_to(row);
    }
    true
}
