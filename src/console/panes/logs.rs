//! Logs: followed, paused, filtered, searched; the view is drawn from what is seen, whatever the ring holds.

mod find;
mod head;
mod pulse;

use std::collections::VecDeque;

use pulse::Pulse;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Pane, Reply, empty,
    log_ring::{Entry, LogRing},
    log_view,
};
use crate::{
    console::{
        filter::{Filter, Value},
        theme::Role,
        widgets::{
            form::Field,
            strip::{draw, draw_line},
            table::select,
        },
        world::Scene,
    },
    model::{
        Problem,
        ids::{AppId, InstanceId, ReleaseId},
        log::{LogLine, LogQuery, Stream},
        verbs::{Scope, Subject, Verb},
    },
};

/// Bytes of lines kept.
const BUDGET: usize = 12 << 20;
/// Lines asked for when following begins.
const TAIL: usize = 1000;

/// How times stand before lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    #[default]
    Clock,
    Relative,
    Off,
}

/// The pane.
#[derive(Clone, Debug)]
pub struct Logs {
    pub ring: LogRing,
    pub filter: Filter,
    filtered_by: String,
    /// Ids of the lines that pass, ascending.
    pub shown: VecDeque<u64>,
    /// What is followed.
    pub query: LogQuery,
    /// The pane was looked at: only then lines are followed.
    pub opened: bool,
    /// Held at this line; absent: live.
    pub cursor: Option<u64>,
    /// First line seen while held.
    top: u64,
    pub wrap: bool,
    pub times: Times,
    finding: Option<Field>,
    pub needle: String,
    pub ended: Option<Option<Problem>>,
    /// Lines since the view was held.
    pub behind: u64,
    pub pulse: Pulse,
    high: usize,
    wide: usize,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            ring: LogRing::new(BUDGET),
            filter: Filter::default(),
            filtered_by: String::new(),
            shown: VecDeque::new(),
            query: Self::everything(),
            opened: false,
            cursor: None,
            top: 0,
            wrap: false,
            times: Times::default(),
            finding: None,
            needle: String::new(),
            ended: None,
            behind: 0,
            pulse: Pulse::default(),
            high: 1,
            wide: 80,
        }
    }
}

impl Logs {
    fn everything() -> LogQuery {
        LogQuery { tail: Some(TAIL), follow: true, ..LogQuery::default() }
    }

    /// Follows an app or one of its instances.
    pub fn enter(&mut self, app: AppId, instance: Option<InstanceId>) {
        self.ask(LogQuery { app: Some(app), instance, ..Self::everything() });
    }

    /// Shows the output of a build.
    pub fn enter_build(&mut self, app: AppId, release: ReleaseId) {
        self.ask(LogQuery { app: Some(app), build: Some(release), ..Self::everything() });
    }

    fn ask(&mut self, query: LogQuery) {
        self.opened = true;
        self.query = query;
        self.live();
        self.filter.set("");
    }

    /// A new stream begins: what was kept belongs to the old one.
    pub fn begin(&mut self) {
        self.ring.clear();
        self.shown.clear();
        self.pulse.beats.clear();
        self.ended = None;
        self.live();
    }

    fn live(&mut self) {
        self.cursor = None;
        self.behind = 0;
    }

    pub fn take(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            let second = line.time.0.div_euclid(1000);
            let entry = self.ring.push(line);
            let (id, bad) = (entry.id, entry.level == Some(3));
            let passes = self.filter.is_empty() || self.ring.get(id).is_some_and(|entry| passes(&self.filter, &self.ring, entry));
            if passes {
                self.shown.push_back(id);
                self.behind += u64::from(self.cursor.is_some());
            }
            self.pulse.beat(second, bad);
        }
        let first = self.ring.first();
        while self.shown.front().is_some_and(|id| *id < first) {
            self.shown.pop_front();
        }
    }

    /// Index into `shown` of the cursor, or of the line after it when it went.
    fn index(&self) -> usize {
        self.cursor.map_or(self.shown.len().saturating_sub(1), |id| {
            self.shown.partition_point(|shown| *shown < id).min(self.shown.len().saturating_sub(1))
        })
    }

    fn go(&mut self, index: usize) {
        let index = index.min(self.shown.len().saturating_sub(1));
        if let Some(id) = self.shown.get(index) {
            if self.cursor.is_none() {
                // Held where it is: the lines seen stay where they are.
                self.top = self.shown[self.first_live()];
            }
            self.cursor = Some(*id);
        }
    }

    fn rows_of(&self, id: u64) -> usize {
        if !self.wrap {
            return 1;
        }
        self.ring.get(id).map_or(1, |entry| log_view::rows(self, entry, self.wide))
    }

    /// First line seen when the newest stands at the bottom.
    fn first_live(&self) -> usize {
        self.first_up_from(self.shown.len().saturating_sub(1))
    }

    /// First line seen when the line at `last` stands at the bottom.
    fn first_up_from(&self, last: usize) -> usize {
        let (mut first, mut room) = (last, self.high);
        loop {
            let rows = self.shown.get(first).map_or(1, |id| self.rows_of(*id));
            if rows > room {
                return (first + 1).min(last);
            }
            room -= rows;
            if first == 0 || room == 0 {
                return first;
            }
            first -= 1;
        }
    }

    fn behind_now(&self) -> usize {
        self.shown.len().saturating_sub(self.index() + 1)
    }

    fn body(area: Rect) -> Rect {
        let top = if area.height >= 14 { 3 } else { 1 };
        Rect { y: area.y + top.min(area.height), height: area.height.saturating_sub(top), ..area }
    }
}

impl Pane for Logs {
    fn scope(&self) -> Scope {
        Scope::Logs
    }

    fn settle(&mut self, _scene: &Scene<'_>, area: Rect) {
        let body = Self::body(area);
        (self.high, self.wide) = ((body.height as usize).max(1), body.width as usize);
        if self.filtered_by != self.filter.text() {
            self.filtered_by = self.filter.text().to_owned();
            let (filter, ring) = (&self.filter, &self.ring);
            self.shown = ring.iter().filter(|entry| passes(filter, ring, entry)).map(|entry| entry.id).collect();
        }
        if self.shown.is_empty() {
            self.live();
        }
        if self.cursor.is_some() {
            let index = self.index();
            self.cursor = self.shown.get(index).copied();
            let top = self.shown.partition_point(|id| *id < self.top);
            let top = top.clamp(self.first_up_from(index), index);
            self.top = self.shown.get(top).copied().unwrap_or(0);
        }
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        let of_line =
            self.cursor.and_then(|id| self.ring.get(id)).and_then(|entry| self.ring.origin(entry)).map(|it| it.app.clone());
        let app = of_line.or_else(|| self.query.app.clone());
        let deployment = app.as_ref().and_then(|app| scene.fleet().last_deployment(app)).map(|last| last.id);
        Subject { app, deployment, ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, scene: &Scene<'_>) -> Reply {
        let page = self.high.max(1);
        match verb {
            Verb::Pause if self.cursor.is_some() => self.live(),
            Verb::Pause => self.go(usize::MAX),
            Verb::Live | Verb::Bottom => self.live(),
            Verb::Up => self.go(self.index().saturating_sub(1)),
            Verb::Down if self.cursor.is_none() => {}
            Verb::Down => self.go(self.index() + 1),
            Verb::Top => self.go(0),
            Verb::PageUp => self.go(self.index().saturating_sub(page)),
            Verb::HalfUp => self.go(self.index().saturating_sub(page / 2)),
            Verb::PageDown | Verb::HalfDown => {
                let step = if verb == Verb::PageDown { page } else { page / 2 };
                // Past the end it is live again, as in a pager that follows.
                if self.cursor.is_some() && self.index() + step >= self.shown.len() {
                    self.live();
                } else if self.cursor.is_some() {
                    self.go(self.index() + step);
                }
            }
            Verb::Wrap => self.wrap = !self.wrap,
            Verb::Times => {
                self.times = match self.times {
                    Times::Clock => Times::Relative,
                    Times::Relative => Times::Off,
                    Times::Off => Times::Clock,
                }
            }
            Verb::Find => self.finding = Some(Field::with(&self.needle)),
            Verb::NextHit => return self.find(true),
            Verb::PreviousHit => return self.find(false),
            Verb::NextError | Verb::PreviousError => {
                if !self.seek(verb == Verb::NextError && self.cursor.is_some(), |entry| entry.level == Some(3)) {
                    return Reply::Say("no further error among these lines".to_owned());
                }
            }
            Verb::Back if !self.needle.is_empty() => self.needle.clear(),
            Verb::Back if self.cursor.is_some() => self.live(),
            Verb::Back if !self.filter.is_empty() => self.filter.set(""),
            Verb::Open => {
                let app = self.subject(scene).app;
                return app.map_or(Reply::Taken, |app| Reply::Go(crate::console::action::Goal::App(app)));
            }
            _ => return Reply::Ignored,
        }
        Reply::Taken
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        draw_line(buf, area, area.y, &self.head(scene, area.width as usize));
        let body = Self::body(area);
        if area.height >= 14 {
            draw_line(buf, area, area.y + 1, &log_view::pulse(self, scene, area.width as usize));
        }
        if self.shown.is_empty() {
            let (title, hints) = log_view::nothing(self, scene);
            empty(scene, body, &title, &hints, buf);
            return;
        }
        let first = match self.cursor {
            Some(_) => self.shown.partition_point(|id| *id < self.top),
            None => self.first_live(),
        };
        let seen: Vec<&Entry> = self.shown.iter().skip(first).take(self.high).filter_map(|id| self.ring.get(*id)).collect();
        let layout = log_view::Layout::of(self, &seen, body.width as usize);
        let mut y = body.y;
        for entry in seen {
            for line in log_view::lines(self, scene, &layout, entry) {
                if y >= body.bottom() {
                    return;
                }
                let row = Rect { y, height: 1, ..body };
                draw(buf, row, std::slice::from_ref(&line), 0);
                if self.cursor == Some(entry.id) {
                    select(buf, scene.theme, row);
                    buf.set_stringn(row.x, y, "▎", 1, scene.theme.style(Role::Accent));
                }
                y += 1;
            }
        }
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.filter)
    }

    fn copy(&self, _scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)> {
        let id = self.cursor.or_else(|| self.shown.back().copied())?;
        let entry = self.ring.get(id)?;
        if verb == Verb::Copy {
            return Some(("the line", entry.text.to_string()));
        }
        self.ring.origin(entry).map(|origin| ("the instance's name", origin.instance.clone()))
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let body = Self::body(area);
        if !body.contains((x, y).into()) || self.shown.is_empty() {
            return false;
        }
        let mut index = match self.cursor {
            Some(_) => self.shown.partition_point(|id| *id < self.top),
            None => self.first_live(),
        };
        let mut row = (y - body.y) as usize;
        while let Some(id) = self.shown.get(index) {
            let rows = self.rows_of(*id);
            if row < rows {
                self.go(index);
                return true;
            }
            row -= rows;
            index += 1;
        }
        false
    }
}

fn passes(filter: &Filter, ring: &LogRing, entry: &Entry) -> bool {
    if filter.is_empty() {
        return true;
    }
    let Some(origin) = ring.origin(entry) else {
        return false;
    };
    filter.passes(&entry.text, &|name| match name {
        "app" => Some(Value::Text(origin.app.to_string())),
        "instance" | "inst" => Some(Value::Text(origin.instance.clone())),
        "release" => Some(Value::Number(f64::from(origin.release.0))),
        "level" => entry.level.map(|level| Value::Number(f64::from(level))),
        "stream" => Some(Value::Text(match entry.stream {
            Stream::Out => "out".to_owned(),
            Stream::Err => "err".to_owned(),
            Stream::Keeper => "keeper".to_owned(),
        })),
        _ => None,
    })
}
