//! The prune card: every object that would go, with its bytes, before anything goes.

use ratatui::text::Line;

use super::{Turn, foot, problem_lines};
use crate::{
    console::{
        keymap::Key,
        theme::Role,
        widgets::strip::{Strip, cut},
        world::Scene,
    },
    model::{
        Problem,
        command::{Answer, Command},
        container::{PruneObject, PrunePlan},
        text::width,
        units::{Timestamp, many},
    },
};

#[derive(Clone, Debug, Default)]
pub struct Prune {
    /// Named volumes too, with the data in them.
    volumes: bool,
    step: Step,
    scroll: usize,
    tickets: Vec<u64>,
    asked_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
enum Step {
    #[default]
    Looking,
    Planned(PrunePlan),
    Sending(PrunePlan),
    Refused(Problem),
}

impl Prune {
    /// What it asks the engine first.
    pub fn question(&self) -> Command {
        Command::PlanPrune { volumes: self.volumes }
    }

    pub fn key(&mut self, key: Key) -> Turn {
        match (key, &self.step) {
            (Key::Esc | Key::Ctrl('c') | Key::Char('q'), _) => return Turn::Close,
            (Key::Char('v'), Step::Planned(_) | Step::Refused(_)) => {
                self.volumes = !self.volumes;
                self.step = Step::Looking;
                self.scroll = 0;
                return Turn::Send(vec![self.question()]);
            }
            (Key::Enter, Step::Planned(plan)) if !plan.objects.is_empty() => {
                let plan = plan.clone();
                let objects = plan.objects.clone();
                self.step = Step::Sending(plan);
                return Turn::Send(vec![Command::PruneDocker { objects }]);
            }
            (Key::Down | Key::Char('j'), Step::Planned(plan)) => self.scroll = (self.scroll + 1).min(plan.objects.len()),
            (Key::Up | Key::Char('k'), _) => self.scroll = self.scroll.saturating_sub(1),
            _ => {}
        }
        Turn::Stay
    }

    pub fn sent(&mut self, tickets: &[u64], now: Timestamp) {
        self.tickets = tickets.to_vec();
        self.asked_at = now;
    }

    /// A plan is shown; once it is carried out the card closes.
    pub fn answered(&mut self, ticket: u64, answer: &Result<Answer, Problem>) -> Option<Turn> {
        let at = self.tickets.iter().position(|known| *known == ticket)?;
        self.tickets.remove(at);
        match answer {
            Ok(Answer::PrunePlanned(plan)) => self.step = Step::Planned(plan.clone()),
            Ok(Answer::Refused(problem)) | Err(problem) => self.step = Step::Refused(problem.clone()),
            Ok(_) => return Some(Turn::Close),
        }
        Some(Turn::Stay)
    }

    pub fn lines(&self, scene: &Scene<'_>, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let other = if self.volumes { "without volumes" } else { "volumes too" };
        match &self.step {
            Step::Looking => {
                let waited = crate::console::words::span(self.asked_at, scene.now());
                let line = strip().status("◐", "looking for what is not needed", Role::Accent).gap(2).muted(waited).line();
                (vec![line], foot(scene.theme, &[("Esc", "leave it")]))
            }
            Step::Refused(problem) => {
                (problem_lines(scene.theme, problem, columns), foot(scene.theme, &[("v", other), ("Esc", "leave it")]))
            }
            Step::Planned(plan) if plan.objects.is_empty() => {
                let mut lines = vec![strip().text("Nothing of ours lies unused.").line()];
                lines.extend(left_alone(scene, plan));
                (lines, foot(scene.theme, &[("v", other), ("Esc", "close")]))
            }
            Step::Planned(plan) => {
                let keys = [("Enter", "remove them"), ("v", other), ("↑ ↓", "scroll"), ("Esc", "leave it")];
                (self.plan(scene, plan, columns, rows), foot(scene.theme, &keys))
            }
            Step::Sending(plan) => (self.plan(scene, plan, columns, rows), strip().status("◐", "removing", Role::Accent).line()),
        }
    }

    fn plan(&self, scene: &Scene<'_>, plan: &PrunePlan, columns: usize, rows: usize) -> Vec<Line<'static>> {
        let strip = || Strip::new(scene.theme);
        let count = many(plan.objects.len(), "object");
        let mut lines =
            vec![strip().bold(count, Role::Text).text(", frees at most ").bold(plan.bytes.to_string(), Role::Text).line()];
        lines.push(Line::default());
        let room = rows.saturating_sub(7).max(3);
        let first = self.scroll.min(plan.objects.len().saturating_sub(room));
        let name_wide =
            plan.objects.iter().map(|it| width(&it.name)).max().unwrap_or(0).clamp(12, columns.saturating_sub(44).max(12));
        for it in plan.objects.iter().skip(first).take(room) {
            lines.push(cut(object(strip(), it, name_wide).line(), columns));
        }
        if plan.objects.len() > room {
            let left = plan.objects.len().saturating_sub(first + room);
            lines.push(strip().muted(format!("{first} above, {left} below")).line());
        }
        lines.push(Line::default());
        if self.volumes {
            lines.push(strip().put("!  ", Role::Warn).text("volumes go with the data in them, and there is no undo").line());
        } else {
            lines.push(strip().put("!  ", Role::Warn).text("images can be pulled or built again; volumes stay").line());
        }
        lines.extend(left_alone(scene, plan));
        lines
    }
}

fn object<'t>(strip: Strip<'t>, it: &PruneObject, name_wide: usize) -> Strip<'t> {
    let size = it.size.map_or("–".to_owned(), |size| size.to_string());
    strip
        .bold("−", Role::Danger)
        .gap(2)
        .cell(it.kind.word(), 10, Role::Muted)
        .cell(&it.name, name_wide, Role::Text)
        .gap(2)
        .right(&size, 8, Role::Text)
        .gap(2)
        .muted(it.why.clone())
}

/// What is left alone: data of removed apps, and what is foreign.
fn left_alone(scene: &Scene<'_>, plan: &PrunePlan) -> Vec<Line<'static>> {
    let kept = many(plan.kept_volumes as usize, "volume");
    let foreign = many(plan.foreign as usize, "unused object");
    let lines = [
        (plan.kept_volumes, format!("   left alone, with data of removed apps: {kept}")),
        (plan.foreign, format!("   left alone, since foreign: {foreign}")),
    ];
    lines.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| Strip::new(scene.theme).muted(words).line()).collect()
}
