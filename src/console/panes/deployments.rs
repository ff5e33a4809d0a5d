//! Deployments: the list, and one in full with steps, plan, cause, checks and the live tail of its build.

use std::cmp::Reverse;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    Pane, Parts, Reply, empty, labelled,
    list_pane::{Details, ListPane},
    log_ring::LogRing,
};
use crate::{
    console::{
        filter::{Filter, Value},
        flash::Thing,
        list::List,
        marks,
        overlays::plan_lines,
        theme::Role,
        widgets::{
            strip::{Strip, bar, cut, fold, heading},
            table::Column,
        },
        world::Scene,
    },
    model::{
        deployment::{Deployment, StepState},
        ids::DeploymentId,
        log::LogQuery,
        units::Millis,
        verbs::{Scope, Subject, Verb},
    },
};

const NUMBER: usize = 0;
const COLUMNS: &[Column] = &[
    Column::right("#", 4),
    Column::left("state", 12),
    Column::left("app", 12).grow(22),
    Column::left("what", 10),
    Column::right("when", 8),
    Column::right("took", 8),
    Column::left("by", 10).from(84),
    Column::left("note", 14).grow(80).unsorted(),
];
/// Lines of a build that are kept beside its steps.
const BUILD_BUDGET: usize = 256 << 10;
const BUILD_TAIL: usize = 200;

/// The pane of deployments.
#[derive(Clone, Debug)]
pub struct Deployments {
    pub list: List<DeploymentId>,
    pub details: Details,
    /// Output of the build of the selected deployment.
    pub build: LogRing,
    pub following: Option<LogQuery>,
    /// What should be followed now.
    pub wanted: Option<LogQuery>,
}

impl Default for Deployments {
    fn default() -> Self {
        Self {
            list: List::sorted_by(NUMBER),
            details: Details::default(),
            build: LogRing::new(BUILD_BUDGET),
            following: None,
            wanted: None,
        }
    }
}

impl Deployments {
    fn parts(&self, area: Rect) -> Parts {
        self.details.parts(&self.list, area, 52)
    }

    pub fn enter(&mut self, id: DeploymentId) {
        self.list.filter.set("");
        self.list.choose(id);
        self.details.inside = true;
        self.details.scroll = 0;
    }

    fn lines(&self, scene: &Scene<'_>, it: &Deployment, columns: usize, high: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let mark = marks::deployment(it);
        let title = strip().put(mark.symbol, mark.role).gap(1).bold(it.app.as_str(), Role::Text).gap(2).put(mark.word, mark.role);
        let time =
            strip().muted(format!("{} ", if it.is_over() { "took" } else { "for" })).text(it.took(scene.now()).to_string());
        let mut lines = vec![title.with_right(time, columns)];
        let from = it.from.filter(|from| *from != it.release).map(|from| format!(", from {from}")).unwrap_or_default();
        let what = format!(
            "#{} {} of release {}{from}, asked by {} ({}) {}",
            it.id,
            it.aim.word(),
            it.release,
            it.actor,
            it.origin,
            scene.time(it.asked_at)
        );
        lines.extend(fold(&what, columns).into_iter().map(|line| strip().muted(line).line()));
        if !it.is_over() {
            let part = super::overview_tiles::progress(it);
            let wide = columns.saturating_sub(18).min(40);
            lines.push(Line::default());
            lines.push(bar(strip(), part, wide, Role::Accent).gap(2).put(it.phase.word(), Role::Accent).line());
        }
        lines.extend(cause_lines(scene, it, columns));
        lines.push(Line::default());
        lines.push(heading(scene.theme, "STEPS", strip(), columns));
        lines.extend(step_lines(scene, it, columns));
        if let Some(plan) = &it.plan {
            lines.push(Line::default());
            lines.push(heading(
                scene.theme,
                "PLAN",
                strip().muted(format!("release {} of {}", plan.release, plan.version)),
                columns,
            ));
            lines.extend(plan_lines(scene.theme, &plan.lines, columns));
            lines.extend(labelled(
                scene,
                "checks",
                if plan.checks.is_empty() { "not checked" } else { &plan.checks },
                Role::Muted,
                columns,
            ));
            lines.extend(labelled(scene, "undo", &plan.undo, Role::Muted, columns));
        }
        if it.has_build_log() && self.following.is_some() {
            let title = strip().muted(if it.is_over() { "b all of it" } else { "live" });
            lines.push(Line::default());
            lines.push(heading(scene.theme, "BUILD", title, columns));
            if self.build.is_empty() {
                let none = if it.is_over() { "it wrote no line" } else { "no line yet" };
                lines.push(strip().muted(none).line());
            }
            let rows = high.saturating_sub(lines.len()).max(6);
            for entry in self.build.tail(rows) {
                let role = if entry.level >= Some(3) { Role::Danger } else { Role::Text };
                lines.push(cut(strip().put(entry.text.to_string(), role).line(), columns));
            }
        }
        lines
    }
}

impl Pane for Deployments {
    fn scope(&self) -> Scope {
        Scope::Deployments
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let fleet = scene.fleet();
        let mut rows: Vec<DeploymentId> = fleet.deployments.keys().copied().collect();
        let all = rows.len();
        let filter = &self.list.filter;
        rows.retain(|id| fleet.deployments.get(id).is_some_and(|it| passes(filter, it)));
        let sort = self.list.sort;
        let key = |id: &DeploymentId| fleet.deployments.get(id);
        rows.sort_by(|one, other| {
            let (Some(a), Some(b)) = (key(one), key(other)) else {
                return one.cmp(other);
            };
            let order = match sort.column {
                1 => (a.is_over(), a.phase.word()).cmp(&(b.is_over(), b.phase.word())),
                2 => a.app.cmp(&b.app),
                3 => a.aim.word().cmp(b.aim.word()),
                5 => b.took(scene.now()).cmp(&a.took(scene.now())),
                6 => a.actor.cmp(&b.actor),
                _ => Reverse(one).cmp(&Reverse(other)),
            };
            (if sort.turned { order.reverse() } else { order }).then(Reverse(one).cmp(&Reverse(other)))
        });
        let parts = self.parts(area);
        let before = self.list.current().copied();
        self.list.fill(rows, all, parts.table.height.saturating_sub(1) as usize);
        if before != self.list.current().copied() {
            self.details.scroll = 0;
        }
        let current = self.list.current().and_then(|id| fleet.deployments.get(id));
        self.wanted = current.filter(|it| it.has_build_log() && parts.details.is_some()).map(|it| LogQuery {
            app: Some(it.app.clone()),
            build: Some(it.release),
            tail: Some(BUILD_TAIL),
            follow: !it.is_over(),
            ..LogQuery::default()
        });
        let high = parts.details.map_or(0, |details| details.height as usize);
        self.details.lines = match (parts.details, current) {
            (Some(details), Some(it)) => self.lines(scene, it, details.width as usize, high),
            _ => Vec::new(),
        };
        self.details.settle(&parts, self.list.rows.is_empty());
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        let deployment = self.list.current().copied();
        let app = deployment.and_then(|id| scene.fleet().deployments.get(&id)).map(|it| it.app.clone());
        Subject { app, deployment, ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, _scene: &Scene<'_>) -> Reply {
        self.details.act(verb, &mut self.list, COLUMNS)
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        if scene.fleet().deployments.is_empty() {
            let title = "No deployment yet. Each one stands here with its steps, its times, its build output and, if it ends badly, its cause.";
            empty(scene, area, title, &[("n", "deploy a folder or a git repository")], buf);
            return;
        }
        let shown = ListPane {
            what: "deployments",
            list: &self.list,
            columns: COLUMNS,
            details: &self.details,
            flashing: &|id| scene.world.flashes.is_on(&Thing::Deployment(*id)),
        };
        shown.draw(scene, area, &self.parts(area), buf, &|strip, id, column, columns| match scene.fleet().deployments.get(id) {
            Some(it) => cell(scene, strip, it, column, columns),
            None => strip,
        });
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.list.filter)
    }

    fn copy(&self, scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)> {
        let it = scene.fleet().deployments.get(self.list.current()?)?;
        Some(if verb == Verb::Copy { ("the deployment's id", it.id.to_string()) } else { ("the name", it.app.to_string()) })
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let parts = self.parts(area);
        self.details.press(&mut self.list, &parts, x, y)
    }
}

fn passes(filter: &Filter, it: &Deployment) -> bool {
    let text = format!("#{} {} {} {} {}", it.id, it.app, it.phase.word(), it.aim.word(), it.actor);
    filter.passes(&text, &|name| match name {
        "app" => Some(Value::Text(it.app.to_string())),
        "state" | "phase" => Some(Value::Text(it.phase.word().to_owned())),
        "what" | "aim" => Some(Value::Text(it.aim.word().to_owned())),
        "by" | "actor" => Some(Value::Text(it.actor.clone())),
        "release" => Some(Value::Number(f64::from(it.release.0))),
        _ => None,
    })
}

fn cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, it: &Deployment, column: usize, columns: usize) -> Strip<'t> {
    let mark = marks::deployment(it);
    match column {
        NUMBER => strip.right(&it.id.to_string(), columns, Role::Muted),
        1 => {
            let role = if mark.role == Role::Ok { Role::Muted } else { mark.role };
            strip.put(mark.symbol, mark.role).gap(1).cell(mark.word, columns - 2, role)
        }
        2 => strip.cell_styled(
            it.app.as_str(),
            columns,
            scene.theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD),
        ),
        3 => strip.cell(&format!("{} {}", it.aim.word(), it.release), columns, Role::Text),
        4 => strip.right(&scene.time(it.asked_at), columns, Role::Muted),
        5 => strip.right(&it.took(scene.now()).to_string(), columns, Role::Text),
        6 => strip.cell(&it.actor, columns, Role::Muted),
        _ => match (&it.cause, it.steps.last()) {
            (Some(cause), _) => strip.cell(&cause.what, columns, Role::Text),
            (None, Some(step)) if !it.is_over() => strip.cell(&format!("{} {}", step.name, step.note), columns, Role::Muted),
            _ => {
                let about = it.plan.as_ref().map(|plan| plan.version.clone()).unwrap_or_default();
                strip.cell(&about, columns, Role::Muted)
            }
        },
    }
}

/// One line a step: mark, name, how long it took, what it gave.
pub fn step_lines(scene: &Scene<'_>, it: &Deployment, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    if it.steps.is_empty() {
        return vec![strip().muted(if it.is_over() { "no step was begun" } else { "waits for its turn" }).line()];
    }
    let name_wide = it.steps.iter().map(|step| step.name.len()).max().unwrap_or(0).clamp(8, 22);
    let mut lines = Vec::new();
    for step in &it.steps {
        let mark = marks::step(step.state);
        let under_way = matches!(step.state, StepState::Started | StepState::UndoStarted);
        let took = Millis::from(step.started_at.age(step.ended_at.unwrap_or(scene.now())));
        let mut line = strip().put(mark.symbol, mark.role).gap(1).cell(&step.name, name_wide, Role::Text);
        line = line.gap(1).right(&took.to_string(), 8, if under_way { Role::Accent } else { Role::Muted }).gap(2);
        // `done` is said by its sign and by the order of the steps; every other state by its word.
        if step.state != StepState::Succeeded {
            line = line.put(mark.word, mark.role).gap(2);
        }
        if step.tries > 1 {
            line = line.muted(format!("try {}  ", step.tries));
        }
        let role = if step.state == StepState::Failed { Role::Text } else { Role::Muted };
        lines.push(cut(line.put(step.note.clone(), role).line(), columns));
    }
    lines
}

/// The cause with its place, next step and evidence; nothing when there is none.
pub fn cause_lines(scene: &Scene<'_>, it: &Deployment, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let Some(cause) = &it.cause else {
        return Vec::new();
    };
    let role = marks::deployment(it).role;
    let mut lines = vec![Line::default()];
    lines.push(heading(scene.theme, "CAUSE", strip().muted(cause.at.clone().unwrap_or_default()), columns));
    lines.extend(fold(&cause.what, columns).into_iter().map(|line| strip().put(line, role).line()));
    for line in &cause.evidence {
        let safe = crate::model::log::safe(line);
        lines.extend(
            fold(&safe, columns.saturating_sub(2)).into_iter().map(|line| strip().put("┃ ", Role::Faint).muted(line).line()),
        );
    }
    lines.extend(labelled(scene, "next", &it.next(), Role::Info, columns));
    lines
}
