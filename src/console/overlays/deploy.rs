//! Deploying: a source, then its plan, then go. What was typed is never lost.

use std::path::PathBuf;

use ratatui::text::Line;

use super::{Turn, command_line, foot, plan_lines, problem_lines};
use crate::{
    console::{
        action::Goal,
        keymap::Key,
        theme::Role,
        widgets::{
            form::Field,
            strip::{Strip, cut, fold},
        },
        words::span,
        world::Scene,
    },
    model::{
        Problem,
        command::{Answer, Command, DeployRequest, Overrides},
        ids::AppId,
        plan::Plan,
        source::Source,
        units::Timestamp,
    },
};

/// What the operator wrote.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub source: Field,
    pub reference: Field,
    pub name: Field,
}

#[derive(Clone, Debug)]
pub struct Deploy {
    pub draft: Draft,
    focus: usize,
    stage: Stage,
    problem: Option<Problem>,
    ticket: u64,
    /// Where relative paths begin.
    folder: PathBuf,
}

#[derive(Clone, Debug)]
enum Stage {
    Source,
    Planning(Timestamp),
    Plan(Box<Plan>),
    Asking(Box<Plan>, Timestamp),
}

const FIELDS: usize = 3;

impl Deploy {
    pub fn with(draft: Draft, folder: PathBuf) -> Self {
        Self { draft, focus: 0, stage: Stage::Source, problem: None, ticket: 0, folder }
    }

    fn field(&mut self) -> &mut Field {
        match self.focus {
            0 => &mut self.draft.source,
            1 => &mut self.draft.reference,
            _ => &mut self.draft.name,
        }
    }

    pub fn paste(&mut self, text: &str) {
        if matches!(self.stage, Stage::Source) {
            self.field().paste(text);
        }
    }

    pub fn key(&mut self, key: Key) -> Turn {
        match (&self.stage, key) {
            (Stage::Source, Key::Esc | Key::Ctrl('c')) => return Turn::Close,
            (_, Key::Ctrl('c')) => return Turn::Close,
            // One step back; a plan that is still made is let go.
            (_, Key::Esc) => {
                self.stage = Stage::Source;
                self.ticket = 0;
                self.problem = None;
            }
            (Stage::Source, Key::Tab | Key::Down) => self.focus = (self.focus + 1) % FIELDS,
            (Stage::Source, Key::BackTab | Key::Up) => self.focus = (self.focus + FIELDS - 1) % FIELDS,
            (Stage::Source, Key::Enter) => return self.ask(),
            (Stage::Source, key) => {
                self.field().key(key);
                self.problem = None;
            }
            (Stage::Plan(plan), Key::Enter) => match self.request() {
                Ok(request) => {
                    let plan = plan.clone();
                    self.stage = Stage::Asking(plan, Timestamp::default());
                    self.problem = None;
                    return Turn::Send(vec![Command::Deploy(request)]);
                }
                Err(problem) => self.problem = Some(problem),
            },
            _ => {}
        }
        Turn::Stay
    }

    fn ask(&mut self) -> Turn {
        match self.request() {
            Ok(request) => {
                self.stage = Stage::Planning(Timestamp::default());
                self.problem = None;
                Turn::Send(vec![Command::Plan(request)])
            }
            Err(problem) => {
                self.problem = Some(problem);
                Turn::Stay
            }
        }
    }

    fn request(&self) -> Result<DeployRequest, Problem> {
        let text = self.draft.source.text().trim();
        if text.is_empty() {
            return Err(Problem::user("no source is given").hint("write the path of a folder or the URL of a git repository"));
        }
        let reference = Some(self.draft.reference.text().trim().to_owned()).filter(|reference| !reference.is_empty());
        let source = if is_git(text) || reference.is_some() {
            let url = if is_git(text) { text.to_owned() } else { self.path(text).display().to_string() };
            Source::Git { url, reference }
        } else {
            Source::Folder { path: self.path(text) }
        };
        let name = self.draft.name.text().trim();
        let name = if name.is_empty() { None } else { Some(AppId::parse(name)?) };
        Ok(DeployRequest { source, overrides: Overrides { name, ..Overrides::default() } })
    }

    fn path(&self, text: &str) -> PathBuf {
        let path = PathBuf::from(text);
        if path.is_absolute() { path } else { self.folder.join(path) }
    }

    pub fn sent(&mut self, tickets: &[u64], now: Timestamp) {
        self.ticket = tickets.first().copied().unwrap_or(0);
        if let Stage::Planning(since) | Stage::Asking(_, since) = &mut self.stage {
            *since = now;
        }
    }

    pub fn answered(&mut self, ticket: u64, answer: &Result<Answer, Problem>) -> Option<Turn> {
        if ticket != self.ticket {
            return None;
        }
        match answer {
            Ok(Answer::Planned(plan)) => {
                self.stage = Stage::Plan(plan.clone());
            }
            Ok(Answer::Accepted { deployment, .. }) => return Some(Turn::Go(Goal::Deployment(*deployment))),
            Ok(Answer::Done { .. } | Answer::PrunePlanned(_) | Answer::Secrets { .. }) => return Some(Turn::Close),
            Ok(Answer::Refused(problem)) | Err(problem) => {
                self.stage = match std::mem::replace(&mut self.stage, Stage::Source) {
                    Stage::Asking(plan, _) => Stage::Plan(plan),
                    _ => Stage::Source,
                };
                self.problem = Some(problem.clone());
            }
        }
        Some(Turn::Stay)
    }

    fn path_of_steps(&self, scene: &Scene<'_>) -> Line<'static> {
        let at = match self.stage {
            Stage::Source => 0,
            Stage::Planning(_) | Stage::Plan(_) => 1,
            Stage::Asking(..) => 2,
        };
        let mut strip = Strip::new(scene.theme);
        for (index, name) in ["Source", "Plan", "Deploy"].into_iter().enumerate() {
            if index > 0 {
                strip = strip.put(" ── ", Role::Faint);
            }
            strip = match index.cmp(&at) {
                std::cmp::Ordering::Less => strip.put("✓ ", Role::Ok).text(name),
                std::cmp::Ordering::Equal => strip.put("● ", Role::Accent).bold(name, Role::Text),
                std::cmp::Ordering::Greater => strip.muted("○ ").muted(name),
            };
        }
        strip.line()
    }

    pub fn lines(&self, scene: &Scene<'_>, columns: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let mut lines = vec![self.path_of_steps(scene), Line::default()];
        let bottom = match &self.stage {
            Stage::Source | Stage::Planning(_) => {
                lines.extend(self.form(scene, columns));
                match &self.stage {
                    Stage::Planning(since) => {
                        let text = format!("looking at the source, {}", span(*since, scene.now()));
                        lines.push(Line::default());
                        lines.push(strip().status("◐", &text, Role::Accent).line());
                        foot(scene.theme, &[("Esc", "back")])
                    }
                    _ => foot(scene.theme, &[("Enter", "plan it"), ("Tab", "next field"), ("Esc", "back, nothing is lost")]),
                }
            }
            Stage::Plan(plan) => {
                lines.extend(shown_plan(scene, plan, columns));
                foot(scene.theme, &[("Enter", "deploy"), ("Esc", "back, nothing is lost")])
            }
            Stage::Asking(plan, since) => {
                lines.extend(shown_plan(scene, plan, columns));
                let text = format!("asking the engine, {}", span(*since, scene.now()));
                strip().status("◐", &text, Role::Accent).line()
            }
        };
        if let Some(problem) = &self.problem {
            lines.push(Line::default());
            lines.extend(problem_lines(scene.theme, problem, columns));
        }
        (lines, bottom)
    }

    fn form(&self, scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
        let hints = [
            "path of a folder, or URL of a git repository; no manifest is needed",
            "branch, tag or commit; empty: what is checked out, or the remote's default",
            "lower-case letters, digits and `-`; empty: from the folder or repository",
        ];
        let fields = [("source", &self.draft.source), ("ref", &self.draft.reference), ("name", &self.draft.name)];
        let active = matches!(self.stage, Stage::Source);
        let mut lines = Vec::new();
        for (index, (label, field)) in fields.into_iter().enumerate() {
            lines.push(field.line(scene.theme, label, 9, columns, active && index == self.focus));
            lines.push(cut(Strip::new(scene.theme).gap(9).muted(hints[index]).line(), columns));
            if index + 1 < FIELDS {
                lines.push(Line::default());
            }
        }
        lines
    }
}

/// A text that git takes as a URL rather than a path.
fn is_git(text: &str) -> bool {
    let scp = text.split_once(':').is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty());
    text.contains("://") || scp
}

fn shown_plan(scene: &Scene<'_>, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let blueprint = &plan.blueprint;
    let from = plan.from.map_or("the first release".to_owned(), |from| format!("release {from} serves now"));
    let mut lines = vec![cut(
        strip()
            .bold(plan.app.as_str(), Role::Text)
            .gap(2)
            .muted(format!("release {} of {}, {from}", plan.release, plan.version))
            .line(),
        columns,
    )];
    let recipe = &blueprint.recipe;
    let mut about: Vec<String> = [Some(recipe.language.clone()), recipe.framework.clone(), recipe.package_manager.clone()]
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect();
    about.extend(blueprint.build.iter().map(|(_, command)| command.clone()).filter(|command| !command.is_empty()));
    about.extend(blueprint.processes.iter().map(|process| process.command.clone()));
    lines.extend(fold(&about.join(" · "), columns).into_iter().map(|line| strip().muted(line).line()));
    for proof in recipe.proof.iter().take(3) {
        lines.push(cut(strip().gap(2).muted(format!("{}  {}", proof.file, proof.why)).line(), columns));
    }
    lines.push(Line::default());
    lines.extend(plan_lines(scene.theme, &plan.lines, columns));
    lines.push(Line::default());
    let hosts: Vec<String> = plan.hosts.iter().map(ToString::to_string).collect();
    let traffic = scene
        .world
        .app_sample(&plan.app)
        .map(|sample| format!(", {} req/s now", super::super::words::count(sample.requests_per_s)));
    let touches = format!(
        "{}{}",
        super::super::words::many(hosts.len(), "host"),
        if hosts.is_empty() { String::new() } else { format!(" ({})", hosts.join(", ")) }
    );
    let mut say = |label: &str, value: &str, role: Role| {
        for (at, text) in fold(value, columns.saturating_sub(10)).into_iter().enumerate() {
            lines.push(strip().cell(if at == 0 { label } else { "" }, 10, Role::Muted).put(text, role).line());
        }
    };
    say("touches", &format!("{touches}{}", traffic.unwrap_or_default()), Role::Text);
    say("undo", &plan.undo, Role::Text);
    say("checks", if plan.checks.is_empty() { "not checked" } else { &plan.checks }, Role::Warn);
    lines.push(Line::default());
    lines.push(strip().muted("same by command").line());
    lines.extend(command_line(scene.theme, &plan.command, columns));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str, reference: &str) -> Source {
        let draft = Draft { source: Field::with(text), reference: Field::with(reference), name: Field::default() };
        Deploy::with(draft, PathBuf::from("/home/me")).request().unwrap().source
    }

    #[test]
    fn a_path_is_a_folder_and_a_url_is_a_repository() {
        assert_eq!(source("shop", ""), Source::Folder { path: "/home/me/shop".into() });
        assert_eq!(source("/srv/shop", ""), Source::Folder { path: "/srv/shop".into() });
        for url in ["https://git.example/a.git", "git@git.example:a/b.git", "file:///srv/a.git"] {
            assert_eq!(source(url, "main"), Source::Git { url: url.into(), reference: Some("main".into()) });
        }
        assert_eq!(source("shop", "v2"), Source::Git { url: "/home/me/shop".into(), reference: Some("v2".into()) });
    }

    #[test]
    fn esc_from_the_plan_returns_to_what_was_typed() {
        let mut card = Deploy::with(Draft { source: Field::with("/srv/shop"), ..Draft::default() }, PathBuf::new());
        assert!(matches!(card.key(Key::Enter), Turn::Send(_)));
        card.sent(&[7], Timestamp(0));
        assert_eq!(card.key(Key::Esc), Turn::Stay);
        assert_eq!(card.draft.source.text(), "/srv/shop");
        assert_eq!(card.answered(7, &Err(Problem::user("too late"))), None);
    }
}
