//! The overview: what needs a person first, then how the fleet is; only what was observed.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{Pane, Reply, empty, overview_tiles as tiles, welcome};
use crate::{
    console::{
        action::Goal,
        needs::{About, Need, needs},
        theme::Role,
        widgets::{
            strip::draw,
            table::{scrolled, select},
        },
        world::Scene,
    },
    model::{
        ids::{AppId, DeploymentId, HostId},
        verbs::{Scope, Subject, Verb},
    },
};

/// Something that the cursor can be on.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Need(Need),
    Deployment(DeploymentId, AppId),
    Host(HostId),
    App(AppId),
}

/// A line with the item that it belongs to.
pub type Row = (Option<usize>, Line<'static>);

/// The pane.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    items: Vec<Item>,
    /// First item of each part, for Tab.
    starts: Vec<usize>,
    cursor: usize,
    columns: Vec<Column>,
}

/// One column of tiles.
#[derive(Clone, Debug, Default)]
struct Column {
    x: u16,
    width: u16,
    rows: Vec<Row>,
    offset: usize,
}

impl Column {
    /// The rows that fit; a heading whose tile begins below them is left out.
    fn seen(&self, high: usize) -> &[Row] {
        let seen = &self.rows[self.offset.min(self.rows.len())..];
        if seen.len() <= high {
            return seen;
        }
        let is_blank = |at: Option<usize>| at.and_then(|at| seen.get(at)).is_some_and(|(_, line)| line.width() == 0);
        let is_heading = is_blank(high.checked_sub(2)) && seen.get(high).is_some_and(|(_, line)| line.width() > 0);
        &seen[..if is_heading { high.saturating_sub(1) } else { high }]
    }
}

/// Collects tiles from top to bottom.
#[derive(Default)]
pub struct Stack {
    pub rows: Vec<Row>,
    pub items: Vec<Item>,
    pub starts: Vec<usize>,
}

impl Stack {
    /// A tile with its lines; a blank line stands before all but the first.
    pub fn tile(&mut self, lines: Vec<(Option<Item>, Line<'static>)>) {
        if lines.is_empty() {
            return;
        }
        if !self.rows.is_empty() {
            self.rows.push((None, Line::default()));
        }
        let first = self.items.len();
        for (item, line) in lines {
            let at = item.map(|item| {
                // Lines of the same item belong together.
                if self.items.len() > first && self.items.last() == Some(&item) {
                    return self.items.len() - 1;
                }
                self.items.push(item);
                self.items.len() - 1
            });
            self.rows.push((at, line));
        }
        if self.items.len() > first {
            self.starts.push(first);
        }
    }
}

/// Width from which there are two columns.
const TWO: u16 = 118;

impl Overview {
    fn item(&self) -> Option<&Item> {
        self.items.get(self.cursor)
    }

    fn app(&self) -> Option<&AppId> {
        match self.item()? {
            Item::Need(need) => need.app(),
            Item::Deployment(_, app) | Item::App(app) => Some(app),
            Item::Host(_) => None,
        }
    }

    fn goal(&self) -> Option<Goal> {
        Some(match self.item()? {
            Item::Need(need) => match &need.about {
                About::App(app) => Goal::App(app.clone()),
                About::Deployment(id, _) => Goal::Deployment(*id),
                About::Host(host) => Goal::Host(host.clone()),
                About::Engine | About::Edge | About::Docker | About::Task(_) => Goal::Tasks,
            },
            Item::Deployment(id, _) => Goal::Deployment(*id),
            Item::Host(host) => Goal::Host(host.clone()),
            Item::App(app) => Goal::App(app.clone()),
        })
    }

    fn move_to(&mut self, item: usize) {
        self.cursor = item.min(self.items.len().saturating_sub(1));
    }

    fn part(&mut self, forth: bool) {
        let starts = &self.starts;
        let target = if forth {
            starts.iter().find(|start| **start > self.cursor).or(starts.first())
        } else {
            starts.iter().rev().find(|start| **start < self.cursor).or(starts.last())
        };
        self.cursor = target.copied().unwrap_or(0);
    }
}

impl Pane for Overview {
    fn scope(&self) -> Scope {
        Scope::Overview
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let before = self.item().cloned();
        let offsets: Vec<usize> = self.columns.iter().map(|column| column.offset).collect();
        let needs = needs(scene.world);
        let two = area.width >= TWO;
        let left_wide = if two { area.width * 3 / 5 } else { area.width };
        let columns = left_wide as usize;
        let mut stack = Stack::default();
        stack.tile(tiles::needs(scene, &needs, columns));
        if scene.fleet().apps.is_empty() {
            stack.tile(welcome::lines(scene, columns).into_iter().map(|line| (None, line)).collect());
        }
        stack.tile(tiles::fleet(scene, needs.is_empty(), columns));
        stack.tile(tiles::deployments(scene, columns));
        let mut right =
            Stack { items: std::mem::take(&mut stack.items), starts: std::mem::take(&mut stack.starts), ..Stack::default() };
        if two {
            let gap = 3;
            let wide = (area.width - left_wide).saturating_sub(gap) as usize;
            // The chart takes what room the tiles leave.
            let free = (area.height as usize).saturating_sub(stack.rows.len() + 1);
            let chart = tiles::traffic(scene, columns, free.min(20));
            stack.items.clear();
            stack.tile(chart);
            right.tile(tiles::hosts(scene, wide));
            right.tile(tiles::slowest(scene, wide));
            let free = (area.height as usize).saturating_sub(right.rows.len() + 1);
            right.tile(tiles::latest(scene, wide, free));
            self.columns = vec![
                Column { x: area.x, width: left_wide, rows: stack.rows, offset: 0 },
                Column { x: area.x + left_wide + gap, width: wide as u16, rows: right.rows, offset: 0 },
            ];
        } else {
            right.rows = stack.rows;
            // The greeting has the first screen to itself.
            if !scene.fleet().apps.is_empty() {
                right.tile(tiles::hosts(scene, columns));
            }
            right.tile(tiles::slowest(scene, columns));
            right.tile(tiles::latest(scene, columns, 12));
            self.columns = vec![Column { x: area.x, width: area.width, rows: right.rows, offset: 0 }];
        }
        self.items = right.items;
        self.starts = right.starts;
        let found = before.and_then(|before| self.items.iter().position(|item| same(item, &before)));
        self.move_to(found.unwrap_or(self.cursor));
        for (at, column) in self.columns.iter_mut().enumerate() {
            let high = area.height as usize;
            let offset = offsets.get(at).copied().unwrap_or(0).min(column.rows.len().saturating_sub(high));
            let of_cursor = |row: &Row| row.0 == Some(self.cursor) && !self.items.is_empty();
            let first = column.rows.iter().position(of_cursor);
            let last = column.rows.iter().rposition(of_cursor);
            column.offset = match (first, last) {
                // The heading above the first item is seen with it.
                (Some(first), Some(last)) => {
                    let offset = scrolled(offset, last, column.rows.len(), high);
                    if self.cursor == 0 && last < high { 0 } else { offset.min(first.saturating_sub(1)) }
                }
                _ => offset,
            };
        }
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        let app = self.app().cloned();
        let deployment = match self.item() {
            Some(Item::Deployment(id, _)) => Some(*id),
            Some(Item::Need(Need { about: About::Deployment(id, _), .. })) => Some(*id),
            _ => app.as_ref().and_then(|app| scene.fleet().last_deployment(app)).map(|last| last.id),
        };
        Subject { app, deployment, ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, _scene: &Scene<'_>) -> Reply {
        match verb {
            Verb::Open => return self.goal().map_or(Reply::Taken, Reply::Go),
            Verb::NextPart => self.part(true),
            Verb::PreviousPart => self.part(false),
            Verb::Up => self.move_to(self.cursor.saturating_sub(1)),
            Verb::Down => self.move_to(self.cursor + 1),
            Verb::Top => self.move_to(0),
            Verb::Bottom => self.move_to(usize::MAX),
            Verb::PageUp | Verb::HalfUp => self.move_to(self.cursor.saturating_sub(8)),
            Verb::PageDown | Verb::HalfDown => self.move_to(self.cursor + 8),
            _ => return Reply::Ignored,
        }
        Reply::Taken
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        // An engine that went before it told anything needs somebody, too.
        let needs_somebody = self.items.iter().any(|item| matches!(item, Item::Need(_)));
        if scene.fleet().apps.is_empty() && scene.fleet().hosts.is_empty() && !needs_somebody {
            let hints = [("n", "deploy a folder or a git repository"), ("?", "all keys")];
            empty(
                scene,
                area,
                "Nothing is known yet. What needs you, how the fleet is and what was deployed will stand here.",
                &hints,
                buf,
            );
            return;
        }
        for column in &self.columns {
            let within = Rect { x: column.x, width: column.width, ..area }.intersection(area);
            let rows = column.seen(within.height as usize).iter();
            for (y, (item, line)) in (within.y..within.bottom()).zip(rows) {
                let row = Rect { y, height: 1, ..within };
                draw(buf, row, std::slice::from_ref(line), 0);
                if *item == Some(self.cursor) && item.is_some() {
                    select(buf, scene.theme, row);
                    buf.set_stringn(row.x, y, "▎", 1, scene.theme.style(Role::Accent));
                }
            }
        }
    }

    fn copy(&self, scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)> {
        let app = self.app()?;
        match (scene.fleet().apps.get(app).and_then(|app| app.url.clone()), verb) {
            (Some(url), Verb::Copy) => Some(("the URL", url)),
            _ => Some(("the name", app.to_string())),
        }
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let hit = self.columns.iter().find(|column| (column.x..column.x + column.width).contains(&x)).and_then(|column| {
            let row = column.offset + y.checked_sub(area.y)? as usize;
            column.rows.get(row)?.0
        });
        if let Some(item) = hit {
            self.move_to(item);
        }
        hit.is_some()
    }
}

/// Whether two items are about the same thing, whatever is said of it now.
fn same(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::Need(one), Item::Need(other)) => one.about == other.about,
        (one, other) => one == other,
    }
}
