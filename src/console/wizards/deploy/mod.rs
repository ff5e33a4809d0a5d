//! Deploying: a source, what it is, how it runs, then its plan, then its build and its URL. What was written is never lost.

pub mod draft;
mod draw;
mod live;
mod step;

use std::path::PathBuf;

use draft::{Draft, Input};
pub use step::Step;

use crate::{
    console::{action::Goal, keymap::Key, overlays::Turn, world::World},
    model::{
        Problem,
        command::{Answer, Command},
        deployment::{Deployment, Phase},
        ids::DeploymentId,
        log::LogQuery,
        plan::Plan,
        source::Source,
        units::Timestamp,
    },
};

/// Lines of a build that are asked for at first.
const BUILD_TAIL: usize = 200;

/// What the engine is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// What is in the source.
    Look,
    /// What would be done.
    Plan,
    Deploy,
    Cancel,
}

#[derive(Clone, Debug)]
pub struct Deploy {
    pub draft: Draft,
    step: Step,
    focus: usize,
    /// The question under way, its ticket and since when.
    asking: Option<(Question, u64, Timestamp)>,
    problem: Option<Problem>,
    /// Source that could not be recognised: the operator may say how it runs.
    unrecognised: Option<Source>,
    plan: Option<Box<Plan>>,
    running: Option<DeploymentId>,
    /// Whether what runs ended badly: then what was written is kept.
    failed: bool,
    /// Cancelling was asked for once.
    sure: bool,
    manifest: bool,
    scroll: usize,
    folder: PathBuf,
}

impl Deploy {
    /// `folder` is where relative paths begin.
    pub fn with(draft: Draft, folder: PathBuf) -> Self {
        Self {
            draft,
            step: Step::Source,
            focus: 0,
            asking: None,
            problem: None,
            unrecognised: None,
            plan: None,
            running: None,
            failed: false,
            sure: false,
            manifest: false,
            scroll: 0,
            folder,
        }
    }

    /// What is to be kept of what was written once the card is closed.
    pub fn kept(self) -> Draft {
        if self.running.is_some() && !self.failed { Draft::default() } else { self.draft }
    }

    /// The build whose lines are to be shown.
    pub fn build(&self, world: &World) -> Option<LogQuery> {
        let it = world.fleet.deployments.get(&self.running?)?;
        it.has_build_log().then(|| LogQuery {
            app: Some(it.app.clone()),
            build: Some(it.release),
            tail: Some(BUILD_TAIL),
            follow: !it.is_over(),
            ..LogQuery::default()
        })
    }

    fn input(&self) -> Option<Input> {
        self.step.inputs(&self.draft).get(self.focus).copied()
    }

    pub fn paste(&mut self, text: &str) {
        if self.asking.is_some() || self.manifest {
            return;
        }
        if let Some(field) = self.input().and_then(|input| self.draft.field(input)) {
            field.paste(text);
            self.problem = None;
        }
    }

    pub fn key(&mut self, key: Key, world: &World) -> Turn {
        match key {
            Key::Ctrl('c') => return Turn::Close,
            Key::Ctrl('g') if self.step != Step::Deploy => {
                self.manifest = !self.manifest;
                self.scroll = 0;
                return Turn::Stay;
            }
            _ => {}
        }
        if self.scrolls(key) {
            return Turn::Stay;
        }
        if self.manifest {
            return self.manifest_key(key);
        }
        match self.step {
            Step::Deploy => self.live_key(key, world),
            _ if self.asking.is_some() => {
                // What is still made is let go.
                if key == Key::Esc {
                    self.asking = None;
                }
                Turn::Stay
            }
            Step::Plan => self.plan_key(key),
            _ => self.form_key(key),
        }
    }

    /// Moves through what does not fit.
    fn scrolls(&mut self, key: Key) -> bool {
        if !self.manifest && !matches!(self.step, Step::Plan | Step::Deploy) {
            return false;
        }
        match key {
            Key::Down | Key::Char('j') => self.scroll += 1,
            Key::Up | Key::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Key::PageDown => self.scroll += 10,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(10),
            _ => return false,
        }
        true
    }

    /// The plan that was made, else that of the look at the source.
    fn known_plan(&self) -> Option<&Plan> {
        self.plan.as_deref().or(self.draft.found.as_ref().map(|(_, plan)| plan.as_ref()))
    }

    fn manifest_key(&mut self, key: Key) -> Turn {
        match key {
            Key::Esc => self.manifest = false,
            Key::Char('y') => return Turn::Copy("the manifest", self.draft.manifest()),
            Key::Char('Y') => {
                if let Some(plan) = self.known_plan() {
                    return Turn::Copy("the command", plan.command.clone());
                }
            }
            _ => {}
        }
        Turn::Stay
    }

    fn form_key(&mut self, key: Key) -> Turn {
        let inputs = self.step.inputs(&self.draft);
        let input = self.input();
        match key {
            Key::Esc if self.step == Step::Source => return Turn::Close,
            Key::Esc => self.go(self.step.neighbour(false)),
            Key::Tab | Key::Down => self.focus = (self.focus + 1) % inputs.len().max(1),
            Key::BackTab | Key::Up => self.focus = (self.focus + inputs.len().max(1) - 1) % inputs.len().max(1),
            Key::Ctrl('p') if self.step > Step::Source => return self.ask(Question::Plan),
            Key::Enter => return self.enter(input),
            Key::Backspace if input == Some(Input::Variable) && self.draft.variable.is_empty() => self.draft.edit_last_variable(),
            key => self.write(input, key),
        }
        Turn::Stay
    }

    fn write(&mut self, input: Option<Input>, key: Key) {
        let Some(input) = input else { return };
        if input.is_choice() {
            match key {
                Key::Left => self.draft.turn(input, false),
                Key::Right | Key::Char(' ') => self.draft.turn(input, true),
                _ => {}
            }
        } else if self.draft.field(input).is_some_and(|field| field.key(key)) {
            self.problem = None;
        }
    }

    fn enter(&mut self, input: Option<Input>) -> Turn {
        let wrong = self.step.inputs(&self.draft).iter().position(|input| self.draft.trouble(*input).is_some());
        if let Some(at) = wrong {
            self.focus = at;
            return Turn::Stay;
        }
        if input == Some(Input::Variable) && !self.draft.variable.text().trim().is_empty() {
            self.draft.add_variable();
            return Turn::Stay;
        }
        match self.step {
            Step::Source => self.look(),
            Step::Strategy => self.ask(Question::Plan),
            step => {
                self.go(step.neighbour(true));
                Turn::Stay
            }
        }
    }

    fn go(&mut self, step: Step) {
        self.step = step;
        self.focus = 0;
        self.scroll = 0;
        self.problem = None;
        self.sure = false;
    }

    /// Has the engine look at the source, unless it just did.
    fn look(&mut self) -> Turn {
        match self.draft.source(&self.folder) {
            Ok(source) if self.draft.found.as_ref().is_some_and(|(known, _)| *known == source) => self.go(Step::WhatItIs),
            Ok(source) if self.unrecognised.as_ref() == Some(&source) => self.go(Step::WhatItIs),
            Ok(_) => return self.ask(Question::Look),
            Err(problem) => self.problem = Some(problem),
        }
        Turn::Stay
    }

    fn plan_key(&mut self, key: Key) -> Turn {
        match key {
            Key::Esc => self.go(Step::Strategy),
            Key::Enter => return self.ask(Question::Deploy),
            Key::Char('y') => {
                if let Some(plan) = &self.plan {
                    return Turn::Copy("the command", plan.command.clone());
                }
            }
            _ => {}
        }
        Turn::Stay
    }

    fn live_key(&mut self, key: Key, world: &World) -> Turn {
        let Some(it) = self.running.and_then(|id| world.fleet.deployments.get(&id)) else {
            return if matches!(key, Key::Esc | Key::Char('q')) { Turn::Close } else { Turn::Stay };
        };
        self.failed = it.is_over() && it.phase != Phase::Live;
        match key {
            Key::Esc if self.failed => {
                self.running = None;
                self.go(Step::Plan);
                Turn::Stay
            }
            Key::Esc | Key::Char('q') => Turn::Close,
            Key::Enter => Turn::Go(if it.phase == Phase::Live { Goal::App(it.app.clone()) } else { Goal::Deployment(it.id) }),
            Key::Char('l') => Turn::Go(if it.phase == Phase::Live {
                Goal::Logs { app: it.app.clone(), instance: None }
            } else {
                Goal::BuildLog { app: it.app.clone(), release: it.release }
            }),
            Key::Char('y') => match world.fleet.apps.get(&it.app).and_then(|app| app.url.clone()) {
                Some(url) if it.phase == Phase::Live => Turn::Copy("the URL", url),
                _ => Turn::Stay,
            },
            Key::Char('C') if !it.is_over() => self.cancel(it),
            _ => Turn::Stay,
        }
    }

    /// Asked twice: what is cancelled has to be begun anew.
    fn cancel(&mut self, it: &Deployment) -> Turn {
        if !self.sure {
            self.sure = true;
            return Turn::Stay;
        }
        self.sure = false;
        self.asking = Some((Question::Cancel, 0, Timestamp::default()));
        Turn::Send(vec![Command::Cancel { deployment: it.id }])
    }

    fn ask(&mut self, question: Question) -> Turn {
        match self.draft.request(&self.folder, question != Question::Look) {
            Ok(request) => {
                self.asking = Some((question, 0, Timestamp::default()));
                self.problem = None;
                let command = if question == Question::Deploy { Command::Deploy(request) } else { Command::Plan(request) };
                Turn::Send(vec![command])
            }
            Err(problem) => {
                self.problem = Some(problem);
                Turn::Stay
            }
        }
    }

    pub fn sent(&mut self, tickets: &[u64], now: Timestamp) {
        if let Some((_, ticket, since)) = &mut self.asking {
            *ticket = tickets.first().copied().unwrap_or(0);
            *since = now;
        }
    }

    pub fn answered(&mut self, ticket: u64, answer: &Result<Answer, Problem>) -> Option<Turn> {
        let (question, _, _) = self.asking.filter(|(_, asked, _)| *asked == ticket)?;
        self.asking = None;
        match answer {
            Ok(Answer::Planned(plan)) if question == Question::Look => {
                if let Ok(source) = self.draft.source(&self.folder) {
                    self.draft.prefill(source, plan.clone());
                }
                self.go(Step::WhatItIs);
            }
            Ok(Answer::Planned(plan)) => {
                self.plan = Some(plan.clone());
                self.go(Step::Plan);
            }
            Ok(Answer::Accepted { deployment, .. }) if question == Question::Deploy => {
                self.go(Step::Deploy);
                self.running = Some(*deployment);
                self.failed = false;
            }
            Ok(Answer::Refused(problem)) | Err(problem) => {
                if question == Question::Look {
                    self.unrecognised = self.draft.source(&self.folder).ok();
                }
                self.problem = Some(problem.clone());
            }
            Ok(_) => {}
        }
        Some(Turn::Stay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::widgets::form::Field;

    fn card(source: &str) -> Deploy {
        Deploy::with(Draft { source: Field::with(source), ..Draft::default() }, PathBuf::from("/home/me"))
    }

    #[test]
    fn esc_lets_a_question_go_and_keeps_what_was_written() {
        let (mut card, world) = (card("/srv/shop"), World::default());
        assert!(matches!(card.key(Key::Enter, &world), Turn::Send(_)));
        card.sent(&[7], Timestamp(0));
        assert_eq!(card.key(Key::Esc, &world), Turn::Stay);
        assert_eq!(card.answered(7, &Err(Problem::user("too late"))), None);
        assert_eq!(card.key(Key::Esc, &world), Turn::Close);
        assert_eq!(card.kept().source.text(), "/srv/shop");
    }

    #[test]
    fn what_is_not_recognised_can_be_said_by_hand() {
        let (mut card, world) = (card("/srv/odd"), World::default());
        card.key(Key::Enter, &world);
        card.sent(&[1], Timestamp(0));
        card.answered(1, &Err(Problem::not_found("cannot tell how to run this")));
        assert_eq!(card.step, Step::Source);
        assert_eq!(card.key(Key::Enter, &world), Turn::Stay);
        assert_eq!(card.step, Step::WhatItIs);
    }

    #[test]
    fn a_step_is_not_left_while_a_field_is_wrong() {
        let (mut card, world) = (card("/srv/shop"), World::default());
        card.go(Step::Strategy);
        card.draft.replicas = Field::with("many");
        assert_eq!(card.key(Key::Enter, &world), Turn::Stay);
        assert_eq!(card.step, Step::Strategy);
        card.draft.replicas = Field::with("2");
        assert!(matches!(card.key(Key::Enter, &world), Turn::Send(_)));
    }
}
