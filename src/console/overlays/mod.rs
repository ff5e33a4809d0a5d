//! Overlays: cards above the pane, as a stack; the top one gets the keys.

pub mod confirm;
mod container_offers;
pub mod help;
pub mod leave;
mod offers;
pub mod palette;
pub mod prune;
pub mod why;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::Line,
    widgets::{Block, BorderType, Clear, Widget},
};

use super::{
    action::{Goal, Left},
    keymap::{Key, Keymap},
    panes::log_ring::LogRing,
    theme::{Ground, Role, Theme},
    widgets::strip::{Strip, cut, draw, fold},
    wizards::deploy,
    world::{Scene, World},
};
use crate::model::{
    Problem,
    command::{Answer, Command},
    plan::{PlanLine, Sign},
    text::width,
    verbs::{Scope, Verb},
};

/// A card.
#[derive(Clone, Debug)]
pub enum Overlay {
    Help(help::Help),
    Palette(palette::Palette),
    Confirm(Box<confirm::Confirm>),
    Deploy(Box<deploy::Deploy>),
    Why(why::Why),
    Prune(prune::Prune),
    Leave(leave::Leave),
}

/// What a card makes of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    Stay,
    Close,
    /// Close, then do this.
    Do(Verb),
    Go(Goal),
    /// Send these; the card stays until they are answered.
    Send(Vec<Command>),
    /// Into the clipboard: what it is, and its text.
    Copy(&'static str, String),
    Leave(Left),
}

/// What a card needs to know to answer a key.
pub struct Around<'a> {
    pub world: &'a World,
    pub keys: &'a Keymap,
    /// The pane beneath.
    pub scope: Scope,
}

impl Overlay {
    pub fn key(&mut self, key: Key, around: &Around<'_>) -> Turn {
        match self {
            Self::Help(card) => card.key(key),
            Self::Palette(card) => card.key(key, around),
            Self::Confirm(card) => card.key(key),
            Self::Deploy(card) => card.key(key, around.world),
            Self::Why(card) => card.key(key),
            Self::Prune(card) => card.key(key),
            Self::Leave(card) => card.key(key),
        }
    }

    pub fn paste(&mut self, text: &str) {
        match self {
            Self::Help(card) => card.field.paste(text),
            Self::Palette(card) => card.field.paste(text),
            Self::Confirm(card) => card.paste(text),
            Self::Deploy(card) => card.paste(text),
            Self::Why(_) | Self::Prune(_) | Self::Leave(_) => {}
        }
    }

    /// The wheel.
    pub fn scroll(&mut self, down: bool) {
        let key = if down { Key::Down } else { Key::Up };
        match self {
            Self::Help(card) => {
                card.key(key);
            }
            Self::Why(card) => {
                card.key(key);
            }
            Self::Prune(card) => {
                card.key(key);
            }
            _ => {}
        }
    }

    /// The engine's answer to what it sent; `None`: it was not this card's.
    pub fn answered(&mut self, ticket: u64, answer: &Result<Answer, Problem>) -> Option<Turn> {
        match self {
            Self::Confirm(card) => card.answered(ticket, answer),
            Self::Deploy(card) => card.answered(ticket, answer),
            Self::Prune(card) => card.answered(ticket, answer),
            _ => None,
        }
    }

    /// The tickets of what it sent.
    pub fn sent(&mut self, tickets: &[u64], world: &World) {
        match self {
            Self::Confirm(card) => card.sent(tickets),
            Self::Deploy(card) => card.sent(tickets, world.now),
            Self::Prune(card) => card.sent(tickets, world.now),
            _ => {}
        }
    }

    /// Draws the card over `area`, the whole screen.
    pub fn draw(&self, scene: &Scene<'_>, keys: &Keymap, build: &LogRing, area: Rect, buf: &mut Buffer) {
        let (title, wanted, most) = match self {
            Self::Help(_) => ("Keys", area.height.saturating_sub(4), 92),
            Self::Palette(_) => ("", 20, 72),
            Self::Confirm(card) => (card.title.as_str(), 0, 84),
            Self::Deploy(_) => ("Deploy", 0, 104),
            Self::Why(card) => (card.title.as_str(), 0, 96),
            Self::Prune(_) => ("Prune Docker", 0, 104),
            Self::Leave(card) => (card.title(), 0, 64),
        };
        let wide = most.min(area.width.saturating_sub(if area.width >= 60 { 4 } else { 0 }));
        let inner_wide = (wide as usize).saturating_sub(6).max(1);
        let most_rows = (area.height.saturating_sub(frame(area)) as usize).max(1);
        let (lines, foot) = match self {
            Self::Help(card) => card.lines(scene, keys, inner_wide, most_rows),
            Self::Palette(card) => card.lines(scene, keys, inner_wide, (wanted as usize).min(most_rows)),
            Self::Confirm(card) => card.lines(scene, inner_wide),
            Self::Deploy(card) => card.lines(scene, build, inner_wide, most_rows),
            Self::Why(card) => card.lines(scene, inner_wide, most_rows),
            Self::Prune(card) => card.lines(scene, inner_wide, most_rows),
            Self::Leave(card) => card.lines(scene, inner_wide),
        };
        card(scene.theme, buf, area, wide, title, &lines, &foot);
    }
}

/// Rows of a card that are not its lines: border, foot, and air where there is room.
fn frame(area: Rect) -> u16 {
    if area.height >= 16 { 6 } else { 4 }
}

/// A bordered card in the upper middle of `area`, `wide` columns; the foot stays in sight when the lines do not all fit.
fn card(theme: &Theme, buf: &mut Buffer, area: Rect, wide: u16, title: &str, lines: &[Line<'static>], foot: &Line<'static>) {
    let frame = frame(area);
    let high = (lines.len() as u16).saturating_add(frame).min(area.height);
    let x = area.x + (area.width - wide.min(area.width)) / 2;
    let y = area.y + (area.height - high) / 3;
    let place = Rect { x, y, width: wide.min(area.width), height: high };
    Clear.render(place, buf);
    buf.set_style(place, theme.ground(Ground::Raised));
    let title = if title.is_empty() { Line::default() } else { Strip::new(theme).bold(format!(" {title} "), Role::Text).line() };
    Block::bordered().border_type(BorderType::Rounded).border_style(theme.style(Role::Faint)).title(title).render(place, buf);
    let airy = u16::from(frame == 6);
    let inner = Rect {
        x: place.x + 3.min(place.width),
        y: (place.y + 1 + airy).min(place.bottom()),
        width: place.width.saturating_sub(6),
        height: place.height.saturating_sub(frame),
    };
    draw(buf, inner, lines, 0);
    if place.height >= 4 {
        draw(buf, Rect { y: place.bottom() - 2, height: 1, ..inner }, std::slice::from_ref(foot), 0);
    }
}

/// Takes the colours of everything behind a card away.
pub fn dim(theme: &Theme, area: Rect, buf: &mut Buffer) {
    let style = match theme.depth {
        super::theme::Depth::None => Style::reset().patch(theme.style(Role::Faint)),
        _ => Style::reset().patch(theme.ground(Ground::Base)).patch(theme.style(Role::Faint)),
    };
    let area = area.intersection(buf.area);
    for y in area.y..area.bottom() {
        for x in area.x..area.right() {
            buf[(x, y)].set_style(style);
        }
    }
}

/// Lines of a plan: sign, what, why.
pub fn plan_lines(theme: &Theme, plan: &[PlanLine], columns: usize) -> Vec<Line<'static>> {
    let what_wide = plan.iter().map(|line| width(&line.what)).max().unwrap_or(0).clamp(8, 22);
    let mut lines = Vec::new();
    for line in plan {
        let role = match line.sign {
            Sign::Add => Role::Ok,
            Sign::Change | Sign::Note => Role::Warn,
            Sign::Remove => Role::Danger,
        };
        let indent = 3 + what_wide + 2;
        for (at, why) in fold(&line.why, columns.saturating_sub(indent).max(12)).into_iter().enumerate() {
            let begin = if at == 0 {
                let what = theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD);
                Strip::new(theme)
                    .bold(line.sign.symbol().to_string(), role)
                    .gap(2)
                    .cell_styled(&line.what, what_wide, what)
                    .gap(2)
            } else {
                Strip::new(theme).gap(indent)
            };
            lines.push(cut(begin.text(why).line(), columns));
        }
    }
    lines
}

/// A problem in a card: cause, place, evidence, next step.
pub fn problem_lines(theme: &Theme, problem: &Problem, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(theme);
    let mut lines: Vec<Line<'static>> = fold(&problem.what, columns.saturating_sub(2))
        .into_iter()
        .enumerate()
        .map(|(at, text)| strip().put(if at == 0 { "✖ " } else { "  " }, Role::Danger).put(text, Role::Danger).line())
        .collect();
    if let Some(at) = &problem.at {
        lines.push(cut(strip().gap(2).muted(at.clone()).line(), columns));
    }
    for line in problem.evidence.iter().rev().take(8).rev() {
        lines.push(cut(strip().gap(2).put("┃ ", Role::Faint).muted(crate::model::log::safe(line)).line(), columns));
    }
    if let Some(next) = &problem.next {
        lines.extend(
            fold(next, columns.saturating_sub(7))
                .into_iter()
                .enumerate()
                .map(|(at, text)| strip().gap(2).muted(if at == 0 { "try: " } else { "     " }).put(text, Role::Info).line()),
        );
    }
    lines
}

/// Keys at the bottom of a card.
pub fn foot(theme: &Theme, keys: &[(&str, &str)]) -> Line<'static> {
    keys.iter().fold(Strip::new(theme), |strip, (key, word)| strip.key(key, word).gap(3)).line()
}

/// A shown command line.
pub fn command_line(theme: &Theme, command: &str, columns: usize) -> Vec<Line<'static>> {
    let style = theme.style(Role::Info).patch(theme.ground(Ground::Base));
    let style = theme.ground(Ground::Base).patch(theme.style(Role::Info)).patch(style);
    fold(command, columns.saturating_sub(4))
        .into_iter()
        .map(|text| Strip::new(theme).styled(format!("  {text}  "), style).line())
        .collect()
}
