//! The one way to every mutation: exactly what happens, how to undo it, the same command, and then a key.

use ratatui::text::Line;

use super::{
    Turn, command_line, container_offers, foot,
    offers::{Offer, cancel, remove, restart, rollbacks, scale, start, stop, wanted},
    plan_lines, problem_lines,
};
use crate::{
    console::{
        keymap::Key,
        theme::Role,
        widgets::{
            form::Field,
            strip::{Strip, cut, fold},
        },
        world::{Scene, World},
    },
    model::{
        Problem,
        command::Answer,
        container::{Container, ContainerAct},
        ids::{AppId, DeploymentId},
        manifest::MOST_REPLICAS,
        verbs::Verb,
    },
};

#[derive(Clone, Debug)]
pub struct Confirm {
    pub title: String,
    /// Verb in the foot: `roll back`.
    word: &'static str,
    ask: Ask,
    step: Step,
    /// Left to be answered.
    tickets: Vec<u64>,
    accepted: Vec<DeploymentId>,
}

/// What the operator still says.
#[derive(Clone, Debug)]
enum Ask {
    Plain(Vec<Offer>),
    /// One of several, with a cursor.
    One(Vec<Offer>, usize),
    /// A number of instances; as it is written it may be one that cannot be had.
    Number {
        app: AppId,
        now: u32,
        wanted: u32,
        /// Digits were typed: the next one goes on with them.
        typed: bool,
    },
    /// The name, letter by letter.
    Typed {
        offer: Box<Offer>,
        name: String,
        field: Field,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Asking,
    Sending,
    Refused(Problem),
}

impl Confirm {
    /// The card for `verb` on `apps` (several when marked) or on `deployment`; absent when it has none.
    pub fn of(verb: Verb, world: &World, apps: &[AppId], deployment: Option<DeploymentId>) -> Option<Self> {
        let fleet = &world.fleet;
        let first = apps.first();
        let (word, ask) = match verb {
            Verb::Rollback => ("roll back", Ask::One(rollbacks(fleet, first?), 0)),
            Verb::Scale => {
                let now = wanted(fleet, first?);
                ("scale", Ask::Number { app: first?.clone(), now, wanted: now, typed: false })
            }
            Verb::Restart => ("restart", Ask::Plain(apps.iter().map(|app| restart(fleet, app)).collect())),
            Verb::Stop => ("stop", Ask::Plain(apps.iter().map(|app| stop(fleet, app)).collect())),
            Verb::Start => ("start", Ask::Plain(apps.iter().map(|app| start(fleet, app)).collect())),
            Verb::Remove => {
                let app = first?;
                ("remove", Ask::Typed { offer: Box::new(remove(fleet, app)), name: app.to_string(), field: Field::default() })
            }
            Verb::Cancel => ("cancel it", Ask::Plain(vec![cancel(fleet, deployment?)?])),
            _ => return None,
        };
        let what = match (&ask, apps.len()) {
            (Ask::Plain(offers) | Ask::One(offers, _), 1) if verb != Verb::Cancel => offers.first().map(|_| apps[0].to_string()),
            (_, 0) => None,
            (_, 1) if verb != Verb::Cancel => Some(apps[0].to_string()),
            (_, count) if verb != Verb::Cancel => Some(format!("{count} apps")),
            _ => None,
        };
        let title = match (verb, what, deployment) {
            (Verb::Cancel, _, Some(id)) => format!("Cancel deployment #{id}"),
            (_, Some(what), _) => format!("{} {what}", capital(word)),
            _ => capital(word),
        };
        Some(Self { title, word, ask, step: Step::Asking, tickets: Vec::new(), accepted: Vec::new() })
    }

    /// The card for a deed on one container; a foreign one, and what cannot be undone, asks for its name.
    pub fn of_container(verb: Verb, world: &World, container: &Container) -> Option<Self> {
        let act = match verb {
            Verb::Restart => ContainerAct::Restart,
            Verb::Stop => ContainerAct::Stop,
            Verb::Start => ContainerAct::Start,
            Verb::Remove => ContainerAct::Remove,
            _ => return None,
        };
        let offer = container_offers::offer(&world.fleet, container, act);
        let ask = if container.is_ours() && act != ContainerAct::Remove {
            Ask::Plain(vec![offer])
        } else {
            Ask::Typed { offer: Box::new(offer), name: container.name.clone(), field: Field::default() }
        };
        let title = format!("{} container {}", capital(act.word()), container.name);
        Some(Self { title, word: act.word(), ask, step: Step::Asking, tickets: Vec::new(), accepted: Vec::new() })
    }

    fn offers(&self) -> Vec<Offer> {
        match &self.ask {
            Ask::Plain(offers) => offers.clone(),
            Ask::One(offers, at) => offers.get(*at).cloned().into_iter().collect(),
            Ask::Number { wanted, .. } if !can_be_had(*wanted) => Vec::new(),
            Ask::Number { app, now, wanted, .. } => vec![scale(app, *now, *wanted)],
            Ask::Typed { offer, .. } => vec![(**offer).clone()],
        }
    }

    fn is_ready(&self) -> bool {
        match &self.ask {
            Ask::Number { now, wanted, .. } => now != wanted && can_be_had(*wanted),
            Ask::Typed { name, field, .. } => field.text() == name,
            Ask::Plain(offers) | Ask::One(offers, _) => !offers.is_empty(),
        }
    }

    pub fn paste(&mut self, text: &str) {
        if let Ask::Typed { field, .. } = &mut self.ask {
            field.paste(text);
        }
    }

    pub fn key(&mut self, key: Key) -> Turn {
        if key == Key::Esc || key == Key::Ctrl('c') {
            return Turn::Close;
        }
        if matches!(self.step, Step::Sending) {
            return Turn::Stay;
        }
        if key == Key::Enter && self.is_ready() {
            self.step = Step::Sending;
            return Turn::Send(self.offers().into_iter().map(|offer| offer.command).collect());
        }
        match (&mut self.ask, key) {
            (_, Key::Enter) => {}
            (Ask::Typed { field, .. }, key) => {
                field.key(key);
            }
            (_, Key::Char('q')) => return Turn::Close,
            (Ask::One(offers, at), Key::Down | Key::Char('j')) => *at = (*at + 1).min(offers.len().saturating_sub(1)),
            (Ask::One(_, at), Key::Up | Key::Char('k')) => *at = at.saturating_sub(1),
            (Ask::Number { wanted, typed, .. }, Key::Up | Key::Right | Key::Char('+' | 'k' | 'l')) => {
                (*wanted, *typed) = ((*wanted + 1).clamp(1, MOST_REPLICAS), false);
            }
            (Ask::Number { wanted, typed, .. }, Key::Down | Key::Left | Key::Char('-' | 'j' | 'h')) => {
                (*wanted, *typed) = (wanted.saturating_sub(1).clamp(1, MOST_REPLICAS), false);
            }
            (Ask::Number { wanted, typed, .. }, Key::Char(digit)) if digit.is_ascii_digit() => {
                let before = if *typed { *wanted } else { 0 };
                let next = before * 10 + digit.to_digit(10).unwrap_or(0);
                // One that is far too large already is not made larger.
                if next <= 9999 {
                    (*wanted, *typed) = (next, true);
                }
            }
            (Ask::Number { wanted, typed, .. }, Key::Backspace) => (*wanted, *typed) = (*wanted / 10, true),
            _ => {}
        }
        if let Step::Refused(_) = self.step {
            self.step = Step::Asking;
        }
        Turn::Stay
    }

    pub fn sent(&mut self, tickets: &[u64]) {
        self.tickets = tickets.to_vec();
    }

    /// Closes once all are answered well; the first refusal stays in the card.
    pub fn answered(&mut self, ticket: u64, answer: &Result<Answer, Problem>) -> Option<Turn> {
        let at = self.tickets.iter().position(|known| *known == ticket)?;
        self.tickets.remove(at);
        match answer {
            Ok(Answer::Accepted { deployment, .. }) => self.accepted.push(*deployment),
            Ok(Answer::Refused(problem)) | Err(problem) => {
                self.step = Step::Refused(problem.clone());
                self.tickets.clear();
                return Some(Turn::Stay);
            }
            Ok(_) => {}
        }
        if !self.tickets.is_empty() {
            return Some(Turn::Stay);
        }
        Some(match (self.word, self.accepted.last()) {
            ("roll back", Some(id)) => Turn::Go(crate::console::action::Goal::Deployment(*id)),
            _ => Turn::Close,
        })
    }

    pub fn lines(&self, scene: &Scene<'_>, columns: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let mut lines = Vec::new();
        match &self.ask {
            Ask::One(offers, at) => {
                for (index, offer) in offers.iter().enumerate().take(9) {
                    let here = index == *at;
                    let mark = strip().put(if here { "● " } else { "○ " }, if here { Role::Accent } else { Role::Muted });
                    lines.push(cut(mark.put(offer.label.clone(), if here { Role::Text } else { Role::Muted }).line(), columns));
                }
                lines.push(Line::default());
            }
            Ask::Number { app, now, wanted, .. } => {
                let number = strip().muted("instances  ").styled(format!(" {wanted} "), scene.theme.tag(Role::Accent));
                lines.push(number.gap(3).muted(format!("now {now};  + −  or type a number")).line());
                if !can_be_had(*wanted) {
                    let bound = format!("▲ a number from 1 to {MOST_REPLICAS}");
                    lines.push(cut(strip().gap(11).put(bound, Role::Warn).line(), columns));
                    if *wanted == 0 {
                        let stop = format!("pilothouse stop {app} ends all of them");
                        let stop = fold(&stop, columns.saturating_sub(13)).into_iter();
                        lines.extend(stop.map(|text| strip().gap(13).muted(text).line()));
                    }
                }
                lines.push(Line::default());
            }
            Ask::Plain(_) | Ask::Typed { .. } => {}
        }
        let offers = self.offers();
        for offer in &offers {
            if offers.len() > 1 {
                lines.push(strip().bold(offer.label.clone(), Role::Text).line());
            }
            lines.extend(plan_lines(scene.theme, &offer.lines, columns));
        }
        if let Some(offer) = offers.first() {
            lines.push(Line::default());
            for (at, text) in fold(&offer.undo, columns.saturating_sub(8)).into_iter().enumerate() {
                lines.push(strip().cell(if at == 0 { "undo" } else { "" }, 8, Role::Muted).text(text).line());
            }
            lines.push(Line::default());
            lines.push(strip().muted("same by command").line());
            for offer in &offers {
                lines.extend(command_line(scene.theme, &offer.same, columns));
            }
        }
        if let Ask::Typed { name, field, .. } = &self.ask {
            lines.push(Line::default());
            let label = strip().text("type ").bold(name.clone(), Role::Danger).text(" to go on  ");
            lines.push(field.shown(label, scene.theme, 24, true).line());
        }
        if let Step::Refused(problem) = &self.step {
            lines.push(Line::default());
            lines.extend(problem_lines(scene.theme, problem, columns));
        }
        let bottom = match (&self.step, self.is_ready()) {
            (Step::Sending, _) => strip().status("◐", "asking the engine", Role::Accent).line(),
            (_, true) => match &self.ask {
                Ask::One(offers, _) if offers.len() > 1 => {
                    foot(scene.theme, &[("↑ ↓", "choose"), ("Enter", self.word), ("Esc", "leave it")])
                }
                _ => foot(scene.theme, &[("Enter", self.word), ("Esc", "leave it")]),
            },
            (_, false) => foot(scene.theme, &[("Esc", "leave it")]),
        };
        (lines, bottom)
    }
}

/// Whether so many instances can run, as `pilothouse scale` and the manifest have it.
fn can_be_had(instances: u32) -> bool {
    (1..=MOST_REPLICAS).contains(&instances)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
