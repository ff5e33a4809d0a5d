//! Tasks: what the engine does, why, how long it took, and when it runs again.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    Pane, Parts, Reply, empty, labelled,
    list_pane::{Details, ListPane},
};
use crate::{
    console::{
        filter::{Filter, Value},
        flash::Thing,
        list::List,
        marks,
        theme::Role,
        widgets::{
            strip::{Strip, heading},
            table::Column,
        },
        words::span,
        world::Scene,
    },
    model::{
        fleet::{Task, TaskState},
        ids::TaskId,
        units::Millis,
        verbs::{Scope, Subject, Verb},
    },
};

const STATE: usize = 0;
const COLUMNS: &[Column] = &[
    Column::left("state", 11),
    Column::left("task", 18).grow(30),
    Column::right("took", 8),
    Column::right("next", 8).from(60),
    Column::right("again", 5).from(72),
    Column::left("reason", 16).grow(36),
    Column::left("note", 16).from(110).grow(70).unsorted(),
];

/// The pane of tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    pub list: List<TaskId>,
    pub details: Details,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { list: List::sorted_by(STATE), details: Details::default() }
    }
}

impl Tasks {
    fn parts(&self, area: Rect) -> Parts {
        self.details.parts(&self.list, area, 38)
    }
}

impl Pane for Tasks {
    fn scope(&self) -> Scope {
        Scope::Tasks
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let tasks = &scene.fleet().tasks;
        let filter = &self.list.filter;
        let mut rows: Vec<TaskId> = tasks.iter().filter(|(_, task)| passes(filter, task)).map(|(id, _)| *id).collect();
        let sort = self.list.sort;
        rows.sort_by(|one, other| {
            let (Some(a), Some(b)) = (tasks.get(one), tasks.get(other)) else {
                return one.cmp(other);
            };
            let order = match sort.column {
                STATE => rank(a).cmp(&rank(b)).then(b.started_at.cmp(&a.started_at)),
                2 => took(scene, b).cmp(&took(scene, a)),
                3 => a.next_run.is_none().cmp(&b.next_run.is_none()).then(a.next_run.cmp(&b.next_run)),
                4 => b.restarts.cmp(&a.restarts),
                5 => a.reason.cmp(&b.reason),
                _ => a.name.cmp(&b.name),
            };
            (if sort.turned { order.reverse() } else { order }).then_with(|| a.name.cmp(&b.name)).then(one.cmp(other))
        });
        let parts = self.parts(area);
        self.list.fill(rows, tasks.len(), parts.table.height.saturating_sub(1) as usize);
        self.details.lines = match (parts.details, self.list.current().and_then(|id| tasks.get(id))) {
            (Some(details), Some(task)) => lines(scene, task, details.width as usize),
            _ => Vec::new(),
        };
        self.details.settle(&parts, self.list.rows.is_empty());
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        let deployment = self.list.current().and_then(|id| scene.fleet().tasks.get(id)).and_then(|task| task.deployment);
        let app = deployment.and_then(|id| scene.fleet().deployments.get(&id)).map(|it| it.app.clone());
        Subject { app, deployment, ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, scene: &Scene<'_>) -> Reply {
        // A task that is a deployment is shown there.
        if verb == Verb::Open
            && !self.details.inside
            && let Some(deployment) = self.subject(scene).deployment
        {
            return Reply::Go(crate::console::action::Goal::Deployment(deployment));
        }
        self.details.act(verb, &mut self.list, COLUMNS)
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        if scene.fleet().tasks.is_empty() {
            let title = "No task yet. What the engine does stands here: deployments, watches and upkeep, each with its last run and its last error.";
            empty(scene, area, title, &[("n", "deploy a folder or a git repository")], buf);
            return;
        }
        let shown = ListPane {
            what: "tasks",
            list: &self.list,
            columns: COLUMNS,
            details: &self.details,
            flashing: &|id| scene.world.flashes.is_on(&Thing::Task(*id)),
        };
        shown.draw(scene, area, &self.parts(area), buf, &|strip, id, column, columns| match scene.fleet().tasks.get(id) {
            Some(task) => cell(scene, strip, task, column, columns),
            None => strip,
        });
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.list.filter)
    }

    fn copy(&self, scene: &Scene<'_>, _verb: Verb) -> Option<(&'static str, String)> {
        let task = scene.fleet().tasks.get(self.list.current()?)?;
        Some(("the task's name", task.name.clone()))
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let parts = self.parts(area);
        self.details.press(&mut self.list, &parts, x, y)
    }
}

/// Running first, then failed, then what waits, then what is done.
fn rank(task: &Task) -> u8 {
    match task.state {
        TaskState::Running => 0,
        TaskState::Failed => 1,
        TaskState::Waiting => 2,
        TaskState::Succeeded => 3,
    }
}

fn took(scene: &Scene<'_>, task: &Task) -> Option<Millis> {
    if task.state == TaskState::Running { Some(Millis::from(task.started_at.age(scene.now()))) } else { task.took }
}

fn passes(filter: &Filter, task: &Task) -> bool {
    filter.passes(&format!("{} {} {} {}", task.name, task.state.word(), task.reason, task.note), &|name| match name {
        "state" => Some(Value::Text(task.state.word().to_owned())),
        "task" | "name" => Some(Value::Text(task.name.clone())),
        "reason" => Some(Value::Text(task.reason.clone())),
        "again" | "restarts" => Some(Value::Number(f64::from(task.restarts))),
        _ => None,
    })
}

fn next_run(scene: &Scene<'_>, task: &Task) -> Option<String> {
    let next = task.next_run?;
    let left = Millis((next.0 - scene.now().0).max(0) as u64);
    Some(if scene.absolute {
        scene.clock(next)
    } else if left.0 < 1000 {
        "now".to_owned()
    } else {
        left.to_string()
    })
}

fn cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, task: &Task, column: usize, columns: usize) -> Strip<'t> {
    let mark = marks::task(task);
    match column {
        STATE => strip.put(mark.symbol, mark.role).gap(1).cell(
            mark.word,
            columns - 2,
            if mark.role == Role::Text { Role::Muted } else { mark.role },
        ),
        1 => strip.cell(&task.name, columns, Role::Text),
        2 => strip.right(&took(scene, task).map(|took| took.to_string()).unwrap_or_default(), columns, Role::Text),
        3 => strip.right(&next_run(scene, task).unwrap_or_default(), columns, Role::Muted),
        4 => strip.right(&if task.restarts == 0 { String::new() } else { task.restarts.to_string() }, columns, Role::Warn),
        5 => strip.cell(&task.reason, columns, Role::Muted),
        _ => match &task.last_error {
            Some(error) => strip.cell(&error.what, columns, Role::Text),
            None => strip.cell(&task.note, columns, Role::Muted),
        },
    }
}

fn lines(scene: &Scene<'_>, task: &Task, columns: usize) -> Vec<Line<'static>> {
    let mark = marks::task(task);
    let strip = || Strip::new(scene.theme);
    let mut lines = vec![
        strip().put(mark.symbol, mark.role).gap(1).bold(task.name.clone(), Role::Text).gap(2).put(mark.word, mark.role).line(),
        Line::default(),
    ];
    let mut say = |label: &str, value: String| {
        if !value.is_empty() {
            lines.extend(labelled(scene, label, &value, Role::Text, columns));
        }
    };
    say("reason", task.reason.clone());
    say("note", task.note.clone());
    say("began", format!("{} ago, {}", span(task.started_at, scene.now()), scene.clock(task.started_at)));
    say("took", took(scene, task).map(|took| took.to_string()).unwrap_or_default());
    say("next run", next_run(scene, task).unwrap_or_default());
    say("restarts", if task.restarts == 0 { String::new() } else { task.restarts.to_string() });
    if let Some(error) = &task.last_error {
        lines.push(Line::default());
        lines.push(heading(scene.theme, "LAST ERROR", strip().muted(error.at.clone().unwrap_or_default()), columns));
        lines.extend(labelled(scene, "what", &error.what, Role::Warn, columns));
        if let Some(next) = &error.next {
            lines.extend(labelled(scene, "next", next, Role::Info, columns));
        }
        for line in &error.evidence {
            lines.push(strip().put("┃ ", Role::Faint).muted(crate::model::log::safe(line)).line());
        }
    }
    lines
}
