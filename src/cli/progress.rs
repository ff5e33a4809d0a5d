//! How a deployment's progress is told: redrawn in place on a terminal, else line by line.

use std::{cell::RefCell, collections::VecDeque};

use tokio::time::Instant;

use super::output::{Output, Tone, width};
use crate::{
    config::clock,
    model::{
        deployment::{Deployment, Phase, Step, StepState},
        log,
        text::fit,
        units::Millis,
    },
};

/// Lines of the build that are shown below the steps.
const TAIL: usize = 6;
/// Steps that are shown; older ones scroll away.
const STEPS: usize = 8;

/// What has been told.
pub struct Progress<'a> {
    output: &'a Output,
    redraws: bool,
    started: Instant,
    told: RefCell<Told>,
}

#[derive(Default)]
struct Told {
    deployment: Option<Deployment>,
    phase: Option<Phase>,
    steps: Vec<(String, StepState)>,
    tail: VecDeque<String>,
    /// Lines on the screen that the next drawing replaces.
    drawn: usize,
}

impl<'a> Progress<'a> {
    pub fn new(output: &'a Output) -> Self {
        Self { output, redraws: output.can_redraw(), started: Instant::now(), told: RefCell::default() }
    }

    /// Takes in a state of the deployment.
    pub fn take(&self, deployment: &Deployment) {
        let mut told = self.told.borrow_mut();
        if !self.redraws {
            self.say_phase(&mut told, deployment);
            self.say_steps(&mut told, deployment);
        }
        told.deployment = Some(deployment.clone());
    }

    /// Takes in a line of the build.
    pub fn build_line(&self, line: &str) {
        let line = log::safe(line);
        if !self.redraws {
            self.output.progress(&format!("  │ {line}"));
            return;
        }
        let mut told = self.told.borrow_mut();
        told.tail.push_back(line);
        while told.tail.len() > TAIL {
            told.tail.pop_front();
        }
    }

    /// Draws anew; without a terminal it does nothing.
    pub fn draw(&self) {
        if !self.redraws {
            return;
        }
        let mut told = self.told.borrow_mut();
        let Some(deployment) = &told.deployment else {
            return;
        };
        let lines = self.picture(deployment, &told.tail);
        let mut text = up(told.drawn);
        for line in &lines {
            text.push_str(line);
            text.push_str("\u{1b}[K\n");
        }
        told.drawn = lines.len();
        self.output.error_text(&text);
    }

    /// Takes the drawing away, so that what follows stands in its place.
    pub fn clear(&self) {
        let mut told = self.told.borrow_mut();
        if told.drawn > 0 {
            self.output.error_text(&up(told.drawn));
            told.drawn = 0;
        }
    }

    fn picture(&self, deployment: &Deployment, tail: &VecDeque<String>) -> Vec<String> {
        let width = width().saturating_sub(1);
        let paint = |tone, text: &str| self.output.paint_err(tone, &fit(text, width));
        let took = Millis::from(self.started.elapsed());
        let mut lines = vec![paint(
            Tone::Bold,
            &format!(
                "◐ {} {} release {}  {}  {took}",
                deployment.aim.word(),
                deployment.app,
                deployment.release,
                deployment.phase.word()
            ),
        )];
        let steps = deployment.steps.iter().skip(deployment.steps.len().saturating_sub(STEPS));
        lines.extend(steps.map(|step| paint(tone(step), &format!("  {}", step_line(step)))));
        if deployment.phase == Phase::Building {
            lines.extend(tail.iter().map(|line| paint(Tone::Muted, &format!("  │ {line}"))));
        }
        lines.push(paint(Tone::Muted, "  ctrl-c leaves it running"));
        lines
    }

    fn say_phase(&self, told: &mut Told, deployment: &Deployment) {
        if told.phase != Some(deployment.phase) {
            told.phase = Some(deployment.phase);
            self.output.progress(&format!(
                "{:>7} {} {} release {}: {}",
                Millis::from(self.started.elapsed()).to_string(),
                deployment.aim.word(),
                deployment.app,
                deployment.release,
                deployment.phase.word()
            ));
        }
    }

    fn say_steps(&self, told: &mut Told, deployment: &Deployment) {
        for step in &deployment.steps {
            let known = told.steps.iter_mut().find(|(name, _)| *name == step.name);
            let news = match known {
                Some((_, state)) if *state == step.state => false,
                Some((_, state)) => {
                    *state = step.state;
                    true
                }
                None => {
                    told.steps.push((step.name.clone(), step.state));
                    true
                }
            };
            // Begun is no news of a step, nor of its undo: their ends are, with how long they took.
            if news && !matches!(step.state, StepState::Started | StepState::UndoStarted) {
                self.output.progress(&format!("{:>7} {}", Millis::from(self.started.elapsed()).to_string(), step_line(step)));
            }
        }
    }
}

fn step_line(step: &Step) -> String {
    let took = Millis::from(step.started_at.age(step.ended_at.unwrap_or_else(clock::now)));
    let symbol = match step.state {
        StepState::Started => "◐",
        StepState::Succeeded => "✓",
        StepState::Failed | StepState::UndoFailed => "✖",
        StepState::UndoStarted | StepState::UndoFinished => "↶",
    };
    let undo = match step.state {
        StepState::UndoStarted => " is undone",
        StepState::UndoFinished => " undone",
        StepState::UndoFailed => " could not be undone",
        _ => "",
    };
    format!("{symbol} {}{undo}  {took}  {}", step.name, log::safe(&step.note)).trim_end().to_owned()
}

fn tone(step: &Step) -> Tone {
    match step.state {
        StepState::Failed | StepState::UndoFailed => Tone::Danger,
        StepState::Started => Tone::Plain,
        _ => Tone::Muted,
    }
}

/// Moves to the start of the drawing and clears from there.
fn up(lines: usize) -> String {
    if lines == 0 { "\r\u{1b}[J".to_owned() } else { format!("\r\u{1b}[{lines}A\u{1b}[J") }
}
