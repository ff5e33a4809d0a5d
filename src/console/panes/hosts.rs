//! Hosts: cpu, memory, disk, network, load and uptime of each, with their history.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{Pane, Reply, empty, host_detail};
use crate::{
    console::{
        filter::{Filter, Value},
        list::List,
        marks,
        theme::Role,
        widgets::{
            sparkline::sparkline_of,
            strip::{Strip, draw, draw_line},
            table::{Column, Table, table},
        },
        words::span,
        world::Scene,
    },
    model::{
        fleet::Host,
        ids::HostId,
        sample::HostSample,
        units::{Bytes, Timestamp},
        verbs::{Scope, Subject, Verb},
    },
};

const STATE: usize = 0;
const COLUMNS: &[Column] = &[
    Column::left("state", 13),
    Column::left("host", 14).grow(24),
    Column::right("cpu", 4),
    Column::right("mem", 4),
    Column::right("disk", 4),
    Column::right("load", 6),
    Column::right("in", 8),
    Column::right("out", 8),
    Column::right("up", 8).from(90),
    Column::left("cpu, last 10 min", 24).from(120).unsorted(),
    Column::left("system", 18).from(134).grow(44).unsorted(),
];

/// The pane of hosts.
#[derive(Clone, Debug)]
pub struct Hosts {
    pub list: List<HostId>,
    inside: bool,
    scroll: usize,
    details: Vec<Line<'static>>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self { list: List::sorted_by(STATE), inside: false, scroll: 0, details: Vec::new() }
    }
}

impl Hosts {
    pub fn enter(&mut self, host: HostId) {
        self.list.filter.set("");
        self.list.choose(host);
    }

    fn has_chips(&self) -> bool {
        !self.list.filter.is_empty() || self.list.filter.editing
    }

    /// The table above, as high as it has rows; details below it.
    fn split(&self, area: Rect) -> (Rect, Rect, Rect) {
        let chips = Rect { height: u16::from(self.has_chips()).min(area.height), ..area };
        let rest = Rect { y: area.y + chips.height, height: area.height - chips.height, ..area };
        let wanted = self.list.rows.len() as u16 + 1;
        let most = if rest.height >= 16 { rest.height / 3 } else { rest.height };
        let high = if self.inside { 0 } else { wanted.min(most.max(2)).min(rest.height) };
        let top = u16::from(!self.inside);
        let below = Rect { y: (rest.y + high + top).min(rest.bottom()), height: rest.height.saturating_sub(high + top), ..rest };
        (chips, Rect { height: high, ..rest }, below)
    }
}

impl Pane for Hosts {
    fn scope(&self) -> Scope {
        Scope::Hosts
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let fleet = scene.fleet();
        let filter = &self.list.filter;
        let mut rows: Vec<HostId> =
            fleet.hosts.values().filter(|host| passes(filter, scene, host)).map(|host| host.id.clone()).collect();
        let sort = self.list.sort;
        let figure = |id: &HostId| -> f64 {
            let Some(sample) = newest(scene, id) else {
                return -1.0;
            };
            match sort.column {
                2 => f64::from(sample.cpu_percent.unwrap_or(-1.0)),
                3 => part(sample.memory_used, sample.memory_total),
                4 => part(sample.disk_used, sample.disk_total),
                5 => f64::from(sample.load_1m),
                6 => sample.received_per_s.unwrap_or(-1.0),
                7 => sample.sent_per_s.unwrap_or(-1.0),
                8 => booted(scene, id).map_or(-1.0, |at| at.age(scene.now()).as_secs_f64()),
                _ => 0.0,
            }
        };
        let reachable = |id: &HostId| fleet.hosts.get(id).is_some_and(|host| host.reachable);
        rows.sort_by(|one, other| {
            let order = match sort.column {
                STATE => reachable(one).cmp(&reachable(other)),
                1 => one.cmp(other),
                _ => figure(other).total_cmp(&figure(one)),
            };
            (if sort.turned { order.reverse() } else { order }).then_with(|| one.cmp(other))
        });
        self.list.fill(rows, fleet.hosts.len(), 1);
        let (_, table, below) = self.split(area);
        let rows = std::mem::take(&mut self.list.rows);
        self.list.fill(rows, fleet.hosts.len(), table.height.saturating_sub(1) as usize);
        self.details = match self.list.current().and_then(|id| fleet.hosts.get(id)) {
            Some(host) => host_detail::lines(scene, host, below.width as usize, below.height as usize),
            None => Vec::new(),
        };
        self.scroll = self.scroll.min(self.details.len().saturating_sub(below.height as usize));
        if self.list.rows.is_empty() {
            self.inside = false;
        }
    }

    fn subject(&self, _scene: &Scene<'_>) -> Subject {
        Subject::default()
    }

    fn act(&mut self, verb: Verb, _scene: &Scene<'_>) -> Reply {
        match verb {
            Verb::Open | Verb::NextPart | Verb::PreviousPart if !self.inside && self.list.current().is_some() => {
                self.inside = true;
            }
            Verb::Open | Verb::Back | Verb::Leave | Verb::NextPart | Verb::PreviousPart if self.inside => self.inside = false,
            Verb::Back if !self.list.filter.is_empty() => self.list.filter.set(""),
            _ if self.inside && super::scroll(&mut self.scroll, verb, 10) => {}
            _ if self.list.act(verb, COLUMNS) => self.scroll = 0,
            _ => return Reply::Ignored,
        }
        Reply::Taken
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        if scene.fleet().hosts.is_empty() {
            empty(
                scene,
                area,
                "No host yet. The engine's own machine appears here with its figures once its agent has reported.",
                &[("0", "what the engine does")],
                buf,
            );
            return;
        }
        let (chips, top, below) = self.split(area);
        if chips.height > 0 {
            let line = self.list.filter.line(scene.theme, self.list.rows.len(), self.list.all, "hosts", chips.width as usize);
            draw_line(buf, chips, chips.y, &line.unwrap_or_default());
        }
        if top.height > 0 {
            let rows = &self.list.rows;
            table(
                buf,
                scene.theme,
                top,
                &Table {
                    columns: COLUMNS,
                    sort: Some(self.list.sort),
                    rows: rows.len(),
                    offset: self.list.offset,
                    cursor: (!rows.is_empty()).then_some(self.list.cursor),
                    focused: !self.inside,
                    marked: &|_| false,
                    flashing: &|row| scene.world.flashes.is_on(&crate::console::flash::Thing::Host(rows[row].clone())),
                    cell: &|strip, row, column, columns| match scene.fleet().hosts.get(&rows[row]) {
                        Some(host) => cell(scene, strip, host, column, columns),
                        None => strip,
                    },
                },
            );
        }
        draw(buf, below, &self.details, self.scroll);
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.list.filter)
    }

    fn copy(&self, _scene: &Scene<'_>, _verb: Verb) -> Option<(&'static str, String)> {
        self.list.current().map(|id| ("the host's name", id.to_string()))
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let (_, table, _) = self.split(area);
        super::press_table(&mut self.list, &mut self.inside, x, y, table)
    }
}

pub(super) fn newest<'a>(scene: &Scene<'a>, id: &HostId) -> Option<&'a HostSample> {
    scene.world.fleet.host_history.get(id)?.back()
}

pub(super) fn booted(scene: &Scene<'_>, id: &HostId) -> Option<Timestamp> {
    Some(scene.fleet().hosts.get(id)?.facts.as_ref()?.booted_at)
}

/// Percent of `total`.
pub(super) fn part(used: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { used as f64 / total as f64 * 100.0 }
}

pub(super) fn name(host: &Host) -> String {
    match &host.facts {
        Some(facts) if !facts.name.is_empty() && facts.name != host.id.0 => format!("{} ({})", facts.name, host.id),
        _ => host.id.to_string(),
    }
}

fn passes(filter: &Filter, scene: &Scene<'_>, host: &Host) -> bool {
    let system = host.facts.as_ref().map(|facts| format!("{} {}", facts.os, facts.arch)).unwrap_or_default();
    filter.passes(&format!("{} {} {system}", name(host), marks::host(host).word), &|field| {
        let sample = newest(scene, &host.id)?;
        match field {
            "cpu" => sample.cpu_percent.map(|cpu| Value::Number(f64::from(cpu))),
            "mem" => Some(Value::Number(part(sample.memory_used, sample.memory_total))),
            "disk" => Some(Value::Number(part(sample.disk_used, sample.disk_total))),
            "load" => Some(Value::Number(f64::from(sample.load_1m))),
            _ => None,
        }
    })
}

pub(super) fn rate(per_s: Option<f64>) -> String {
    per_s.map_or("–".to_owned(), |bytes| Bytes(bytes as u64).to_string())
}

pub(super) fn loaded(percent: f64) -> Role {
    if percent >= 90.0 { Role::Warn } else { Role::Text }
}

fn cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, host: &Host, column: usize, columns: usize) -> Strip<'t> {
    let mark = marks::host(host);
    match column {
        STATE => {
            return strip.put(mark.symbol, mark.role).gap(1).cell(
                mark.word,
                columns - 2,
                if host.reachable { Role::Muted } else { mark.role },
            );
        }
        1 => {
            return strip.cell_styled(
                &name(host),
                columns,
                scene.theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD),
            );
        }
        8 => {
            return strip.right(
                &booted(scene, &host.id).map(|at| span(at, scene.now())).unwrap_or_default(),
                columns,
                Role::Muted,
            );
        }
        10 => {
            let system = host.facts.as_ref().map(|facts| format!("{} {}", facts.os, facts.arch)).unwrap_or_default();
            return strip.cell(&system, columns, Role::Muted);
        }
        _ => {}
    }
    let Some(sample) = newest(scene, &host.id) else {
        return if column < 8 { strip.right("–", columns, Role::Muted) } else { strip };
    };
    let percent = |strip: Strip<'t>, value: f64| strip.right(&format!("{value:.0}%"), columns, loaded(value));
    match column {
        2 => match sample.cpu_percent {
            Some(cpu) => percent(strip, f64::from(cpu)),
            None => strip.right("–", columns, Role::Muted),
        },
        3 => percent(strip, part(sample.memory_used, sample.memory_total)),
        4 => percent(strip, part(sample.disk_used, sample.disk_total)),
        5 => strip.right(&format!("{:.2}", sample.load_1m), columns, Role::Text),
        6 => strip.right(&rate(sample.received_per_s), columns, Role::Text),
        7 => strip.right(&rate(sample.sent_per_s), columns, Role::Text),
        _ => match scene.fleet().host_history.get(&host.id) {
            Some(history) => {
                let cpu = history.iter().map(|sample| sample.cpu_percent.map(f64::from));
                strip.put(sparkline_of(cpu, 100.0, columns), Role::Series(0))
            }
            None => strip,
        },
    }
}
