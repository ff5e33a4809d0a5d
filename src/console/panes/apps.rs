//! Apps: one row each, with release, instances, figures and URL; details beside them.

use std::cmp::Ordering;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Pane, Parts, Reply, apps_detail, empty,
    list_pane::{Details, ListPane},
};
use crate::{
    console::{
        filter::{Filter, Value},
        flash::Thing,
        list::List,
        marks,
        theme::Role,
        widgets::{sparkline::sparkline, strip::Strip, table::Column},
        words::{count, latency, share},
        world::{Scene, World},
    },
    model::{
        fleet::{App, AppStatus},
        ids::AppId,
        instance::{Health, InstanceState},
        units::Bytes,
        verbs::{Scope, Subject, Verb, is_static},
    },
};

const STATE: usize = 0;
const COLUMNS: &[Column] = &[
    Column::left("state", 11),
    Column::left("app", 13).grow(24),
    Column::left("release", 9),
    Column::right("inst", 6),
    Column::right("req/s", 5),
    Column::right("p95", 7),
    Column::right("errors", 7),
    Column::right("cpu", 4),
    Column::right("mem", 6).from(87),
    Column::left("last 10 min", 20).from(109).unsorted(),
    Column::left("url", 26).from(137).grow(40),
];

/// The pane of apps.
#[derive(Clone, Debug)]
pub struct Apps {
    pub list: List<AppId>,
    pub details: Details,
}

impl Default for Apps {
    fn default() -> Self {
        Self { list: List::sorted_by(STATE), details: Details::default() }
    }
}

impl Apps {
    fn parts(&self, area: Rect) -> Parts {
        self.details.parts(&self.list, area, 42)
    }

    pub fn enter(&mut self, app: AppId) {
        self.list.filter.set("");
        self.list.choose(app);
        self.details.inside = true;
        self.details.scroll = 0;
    }
}

impl Pane for Apps {
    fn scope(&self) -> Scope {
        Scope::Apps
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let world = scene.world;
        let mut rows: Vec<AppId> = world.fleet.apps.keys().cloned().collect();
        let all = rows.len();
        rows.retain(|id| passes(&self.list.filter, world, id));
        let sort = self.list.sort;
        rows.sort_by(|one, other| {
            let order = compare(world, sort.column, one, other);
            (if sort.turned { order.reverse() } else { order }).then_with(|| one.cmp(other))
        });
        let before = self.list.current().cloned();
        let parts = self.parts(area);
        self.list.fill(rows, all, parts.table.height.saturating_sub(1) as usize);
        self.list.marks.retain(|id| world.fleet.apps.contains_key(id));
        if before.as_ref() != self.list.current() {
            self.details.scroll = 0;
        }
        self.details.lines = match (parts.details, self.list.current()) {
            (Some(details), Some(app)) => apps_detail::lines(scene, app, details.width as usize),
            _ => Vec::new(),
        };
        self.details.settle(&parts, self.list.rows.is_empty());
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        let app = self.list.current().cloned();
        let deployment = app.as_ref().and_then(|app| scene.fleet().last_deployment(app)).map(|last| last.id);
        Subject { app, deployment, ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, _scene: &Scene<'_>) -> Reply {
        self.details.act(verb, &mut self.list, COLUMNS)
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        let fleet = scene.fleet();
        if fleet.apps.is_empty() {
            let hints = [("n", "deploy a folder or a git repository"), (":", "all commands"), ("?", "all keys")];
            empty(
                scene,
                area,
                "No app yet. An app is a repository that was deployed: it gets releases, instances and a URL here.",
                &hints,
                buf,
            );
            return;
        }
        let shown = ListPane {
            what: "apps",
            list: &self.list,
            columns: COLUMNS,
            details: &self.details,
            flashing: &|id| scene.world.flashes.is_on(&Thing::App(id.clone())),
        };
        shown.draw(scene, area, &self.parts(area), buf, &|strip, id, column, columns| cell(scene, strip, id, column, columns));
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.list.filter)
    }

    fn copy(&self, scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)> {
        let app = scene.fleet().apps.get(self.list.current()?)?;
        match (&app.url, verb) {
            (Some(url), Verb::Copy) => Some(("the URL", url.clone())),
            _ => Some(("the name", app.id.to_string())),
        }
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let parts = self.parts(area);
        self.details.press(&mut self.list, &parts, x, y)
    }
}

fn passes(filter: &Filter, world: &World, id: &AppId) -> bool {
    if filter.is_empty() {
        return true;
    }
    let fleet = &world.fleet;
    let status = fleet.app_status(id);
    let app = fleet.apps.get(id);
    let url = app.and_then(|app| app.url.clone()).unwrap_or_default();
    let sample = world.app_sample(id);
    filter.passes(&format!("{id} {} {url}", status.word()), &|name| match name {
        "app" | "name" => Some(Value::Text(id.to_string())),
        "state" | "status" => Some(Value::Text(status.word().to_owned())),
        "url" => Some(Value::Text(url.clone())),
        "release" => app.and_then(|app| app.routed).map(|release| Value::Number(f64::from(release.0))),
        "inst" | "instances" => Some(Value::Number(instances(world, id).0 as f64)),
        "req" | "rps" => sample.map(|sample| Value::Number(sample.requests_per_s)),
        "p95" => sample.and_then(|sample| sample.p95_ms).map(Value::Number),
        "p50" => sample.and_then(|sample| sample.p50_ms).map(Value::Number),
        "errors" => sample.and_then(|sample| sample.error_share).map(|share| Value::Number(share * 100.0)),
        "cpu" => world.app_load(id).and_then(|load| load.0).map(Value::Number),
        "mem" => world.app_load(id).map(|load| Value::Number(load.1 as f64 / f64::from(1 << 20))),
        _ => None,
    })
}

/// Figures the largest first, names from a to z, states the worst first.
fn compare(world: &World, column: usize, one: &AppId, other: &AppId) -> Ordering {
    let fleet = &world.fleet;
    let largest = |figure: &dyn Fn(&AppId) -> Option<f64>| {
        let (one, other) = (figure(one).unwrap_or(-1.0), figure(other).unwrap_or(-1.0));
        other.total_cmp(&one)
    };
    match column {
        STATE => fleet.app_status(one).cmp(&fleet.app_status(other)),
        2 => largest(&|id| fleet.apps.get(id).and_then(|app| app.routed).map(|release| f64::from(release.0))),
        3 => largest(&|id| Some(instances(world, id).0 as f64)),
        4 => largest(&|id| world.app_sample(id).map(|sample| sample.requests_per_s)),
        5 => largest(&|id| world.app_sample(id).and_then(|sample| sample.p95_ms)),
        6 => largest(&|id| world.app_sample(id).and_then(|sample| sample.error_share)),
        7 => largest(&|id| world.app_load(id).and_then(|load| load.0)),
        8 => largest(&|id| world.app_load(id).map(|load| load.1 as f64)),
        10 => fleet.apps.get(one).map(|app| &app.url).cmp(&fleet.apps.get(other).map(|app| &app.url)),
        _ => one.cmp(other),
    }
}

/// Sound and wanted instances of an app.
fn instances(world: &World, id: &AppId) -> (usize, usize) {
    let wanted = world.fleet.instances_of(id).filter(|it| it.wanted);
    wanted.fold((0, 0), |(sound, all), it| {
        let good = it.state == InstanceState::Running && !matches!(it.health, Health::Failing | Health::Ejected);
        (sound + usize::from(good), all + 1)
    })
}

/// `41`, `57 + 58` while both run, `40 ← 41` when 41 was asked and 40 serves.
pub fn releases(scene: &Scene<'_>, app: &App) -> (String, Role) {
    let Some(routed) = app.routed else {
        return app.asked.map_or(("–".to_owned(), Role::Muted), |asked| (format!("{asked}…"), Role::Accent));
    };
    if let Some(active) = scene.fleet().active_deployment(&app.id)
        && active.release != routed
    {
        return (format!("{routed} + {}", active.release), Role::Accent);
    }
    match app.asked {
        Some(asked) if asked != routed => (format!("{routed} ← {asked}"), Role::Warn),
        _ => (routed.to_string(), Role::Text),
    }
}

fn cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, id: &AppId, column: usize, columns: usize) -> Strip<'t> {
    let world = scene.world;
    let Some(app) = world.fleet.apps.get(id) else {
        return strip;
    };
    let status = world.fleet.app_status(id);
    let mark = marks::app(status);
    let sample = world.app_sample(id);
    let none = |strip: Strip<'t>| strip.right("–", columns, Role::Muted);
    match column {
        STATE => strip.put(mark.symbol, mark.role).gap(1).cell(mark.word, columns - 2, word_role(status, mark.role)),
        1 => strip.cell_styled(id.as_str(), columns, scene.theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD)),
        2 => {
            let (text, role) = releases(scene, app);
            strip.cell(&text, columns, role)
        }
        3 if is_static(&world.fleet, id) => strip.right("static", columns, Role::Muted),
        3 => match instances(world, id) {
            (_, 0) => none(strip),
            (sound, all) => {
                let role = if sound < all { Role::Danger } else { Role::Text };
                strip.right(&format!("{sound}/{all}"), columns, role)
            }
        },
        4 => match sample {
            Some(sample) => strip.right(&count(sample.requests_per_s), columns, Role::Text),
            None => none(strip),
        },
        5 => match sample.and_then(|sample| sample.p95_ms) {
            Some(ms) => {
                let (number, unit) = latency(ms);
                strip.figure(&number, unit, columns, Role::Text)
            }
            None => none(strip),
        },
        6 => match sample.and_then(|sample| sample.error_share) {
            Some(part) => {
                let role = if part > 0.01 { Role::Danger } else { Role::Text };
                strip.figure(&share(part), " %", columns, role)
            }
            None => none(strip),
        },
        7 => match world.app_load(id).and_then(|load| load.0) {
            Some(cpu) => strip.figure(&format!("{cpu:.0}"), "%", columns, Role::Text),
            None => none(strip),
        },
        8 => match world.app_load(id) {
            Some((_, memory)) => {
                let text = Bytes(memory).to_string();
                let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
                strip.figure(number, &format!(" {unit}"), columns, Role::Text)
            }
            None => none(strip),
        },
        9 => match world.fleet.app_history.get(id) {
            Some(history) => {
                strip.put(sparkline(history.iter().map(|sample| Some(sample.requests_per_s)), columns), Role::Series(0))
            }
            None => strip,
        },
        _ => strip.cell(app.url.as_deref().unwrap_or("no route"), columns, Role::Muted),
    }
}

/// Words that say all is well stay quiet.
fn word_role(status: AppStatus, role: Role) -> Role {
    if matches!(status, AppStatus::Serving | AppStatus::Running) { Role::Muted } else { role }
}
