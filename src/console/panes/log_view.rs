//! How lines of logs look: time, origin in its hue, level, message, fields; keeper's words as rules across.

use ratatui::{
    style::{Modifier, Style},
    text::Line,
};

use super::{
    log_line::parse,
    log_ring::Entry,
    logs::{Logs, Times},
};
use crate::{
    console::{
        theme::Role,
        widgets::strip::{Strip, cut, fold},
        words::{ago, clock, clock_ms},
        world::Scene,
    },
    model::{
        log::Stream,
        text::{fit, width},
        units::Timestamp,
    },
};

/// Columns of what is seen now.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    time: usize,
    origin: usize,
    level: usize,
    message: usize,
    columns: usize,
}

impl Layout {
    pub fn of(logs: &Logs, seen: &[&Entry], columns: usize) -> Self {
        let time = match logs.times {
            Times::Off => 0,
            Times::Relative => 5,
            Times::Clock if columns >= 100 => 13,
            Times::Clock => 9,
        };
        // One origin needs no column: it stands in the head.
        let single = logs.query.build.is_some() || logs.query.instance.is_some();
        let names = logs.ring.origins().iter().map(|origin| width(&origin.instance)).max().unwrap_or(0);
        let origin = if single || columns < 60 { 0 } else { names.min(columns / 5).min(22) + 2 };
        let level = if seen.iter().any(|entry| entry.level.is_some()) && columns >= 50 { 6 } else { 0 };
        let room = columns.saturating_sub(1 + time + origin + level);
        let structured = seen.iter().map(|entry| parse(&entry.text)).filter(|parsed| !parsed.fields.is_empty());
        let message = structured.map(|parsed| width(&parsed.message)).max().unwrap_or(0).min(room / 2);
        Self { time, origin, level, message, columns }
    }

    fn room(&self) -> usize {
        self.columns.saturating_sub(1 + self.time + self.origin + self.level).max(1)
    }
}

/// Rows that a line takes when it is folded.
pub fn rows(logs: &Logs, entry: &Entry, columns: usize) -> usize {
    if entry.stream == Stream::Keeper {
        return 1;
    }
    // As wide as the narrowest layout of this moment gives it.
    let layout = Layout { level: if columns >= 50 { 6 } else { 0 }, ..Layout::of(logs, &[], columns) };
    fold(&entry.text, layout.room()).len()
}

pub fn lines(logs: &Logs, scene: &Scene<'_>, layout: &Layout, entry: &Entry) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let time = match logs.times {
        Times::Off => String::new(),
        Times::Relative => ago(entry.time, scene.now()),
        Times::Clock if layout.time > 10 => clock_ms(entry.time, scene.world.offset_s),
        Times::Clock => clock(entry.time, scene.world.offset_s),
    };
    let instance = logs.ring.origin(entry).map(|origin| origin.instance.clone()).unwrap_or_default();
    if entry.stream == Stream::Keeper {
        let said = strip().put(" ── ", Role::Warn).put(format!("{time} {instance} {} ", entry.text), Role::Warn);
        let rest = layout.columns.saturating_sub(said.used() + 1);
        return vec![cut(said.put("─".repeat(rest), Role::Faint).line(), layout.columns)];
    }
    let mut begin = strip().gap(1);
    if layout.time > 0 {
        begin = begin.cell(&time, layout.time - 1, Role::Muted).gap(1);
    }
    if layout.origin > 0 {
        begin = begin.cell(&fit(&instance, layout.origin - 2), layout.origin - 2, Role::Series(entry.origin as usize)).gap(2);
    }
    let (word, role) = match entry.level {
        Some(3) => ("ERROR", Role::Danger),
        Some(2) => ("WARN", Role::Warn),
        Some(1) => ("INFO", Role::Muted),
        Some(_) => ("DEBUG", Role::Muted),
        None => ("", Role::Muted),
    };
    if layout.level > 0 {
        begin = begin.cell_styled(word, layout.level - 1, bold(scene, role, entry.level >= Some(2))).gap(1);
    }
    let role = match entry.level {
        Some(3) => Role::Danger,
        Some(2) => Role::Warn,
        _ if entry.stream == Stream::Err => Role::Text,
        _ => Role::Text,
    };
    if logs.wrap {
        let left = begin.used();
        let parts = fold(&entry.text, layout.columns.saturating_sub(left).max(1));
        // As many rows as were counted, whatever the layout of this moment.
        return parts
            .into_iter()
            .enumerate()
            .map(|(at, text)| {
                let start = if at == 0 { begin.clone() } else { strip().gap(left) };
                hits(start, &text, scene.theme.style(role), logs, scene).line()
            })
            .collect();
    }
    let parsed = parse(&entry.text);
    let message = if parsed.fields.is_empty() { parsed.message } else { fit(&parsed.message, layout.message).into_owned() };
    let from = begin.used();
    let mut line = hits(begin, &message, scene.theme.style(role), logs, scene);
    if !parsed.fields.is_empty() {
        if layout.message > 0 {
            line = line.tab(from + layout.message + 2);
        }
        for (name, value) in parsed.fields {
            line = line.muted(format!("{name}=")).put("", Role::Text);
            line = hits(line, &value, scene.theme.style(Role::Text), logs, scene).gap(2);
        }
    }
    vec![cut(line.line(), layout.columns)]
}

fn bold(scene: &Scene<'_>, role: Role, heavy: bool) -> Style {
    let style = scene.theme.style(role);
    if heavy { style.add_modifier(Modifier::BOLD) } else { style }
}

/// `text` with what is looked for standing out.
fn hits<'t>(mut strip: Strip<'t>, text: &str, style: Style, logs: &Logs, scene: &Scene<'_>) -> Strip<'t> {
    let needle = logs.needle.to_lowercase();
    let lower = text.to_lowercase();
    // Lower case may have other lengths in some scripts: then nothing is marked rather than the wrong place.
    if needle.is_empty() || lower.len() != text.len() {
        return strip.styled(text.to_owned(), style);
    }
    let mut at = 0;
    while let Some(found) = lower[at..].find(&needle).map(|found| at + found) {
        let end = found + needle.len();
        if !text.is_char_boundary(found) || !text.is_char_boundary(end) {
            break;
        }
        strip = strip.styled(text[at..found].to_owned(), style).styled(text[found..end].to_owned(), scene.theme.tag(Role::Warn));
        at = end;
    }
    strip.styled(text[at..].to_owned(), style)
}

/// Lines over time as a row of blocks; seconds with errors stand out.
pub fn pulse(logs: &Logs, scene: &Scene<'_>, columns: usize) -> Line<'static> {
    const STEPS: [&str; 7] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇"];
    let (Some(first), Some(last)) = (logs.pulse.beats.front(), logs.pulse.beats.back()) else {
        return Line::default();
    };
    let length = last.second - first.second + 1;
    let wide = (columns.saturating_sub(34) as i64).min(length);
    if wide < 10 {
        return Line::default();
    }
    let (mut all, mut errors) = (vec![0_u32; wide as usize], vec![0_u32; wide as usize]);
    for beat in &logs.pulse.beats {
        let at = (((beat.second - first.second).clamp(0, length - 1)) * wide / length) as usize;
        all[at.min(wide as usize - 1)] += beat.all;
        errors[at.min(wide as usize - 1)] += beat.errors;
    }
    let top = all.iter().copied().max().unwrap_or(1).max(1);
    let mut strip = Strip::new(scene.theme).gap(1).cell("lines", 8, Role::Muted);
    for (all, errors) in all.into_iter().zip(errors) {
        let step = if all == 0 { " " } else { STEPS[((all * 6).div_ceil(top) as usize).min(6)] };
        strip = if errors > 0 {
            strip.put(if step == " " { "▁" } else { step }, Role::Danger)
        } else {
            strip.put(step, Role::Faint)
        };
    }
    let time = |second: i64| clock(Timestamp(second * 1000), scene.world.offset_s);
    strip.gap(2).muted(format!("{} → {}", time(first.second), time(last.second))).line()
}

/// Why no line is seen, and what to do.
pub fn nothing(logs: &Logs, scene: &Scene<'_>) -> (String, Vec<(&'static str, &'static str)>) {
    if !logs.ring.is_empty() {
        return ("No line passes the filter.".to_owned(), vec![("Esc", "take the filter away"), ("/", "change it")]);
    }
    match &logs.ended {
        Some(Some(problem)) => (format!("The lines cannot be read: {problem}"), vec![]),
        _ if scene.fleet().apps.is_empty() => (
            "No app yet. Lines of all instances stand here, merged by time, as they are written.".to_owned(),
            vec![("n", "deploy a folder or a git repository")],
        ),
        Some(None) => ("No line was written.".to_owned(), vec![]),
        None => ("No line yet. They appear as they are written.".to_owned(), vec![]),
    }
}
