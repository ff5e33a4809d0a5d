//! The palette: every verb, pane and app by a few letters, what was used last first.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use ratatui::{style::Modifier, text::Line};

use super::{Around, Turn, foot};
use crate::{
    console::{
        action::Goal,
        keymap::{Key, Keymap},
        marks,
        theme::{Ground, Role},
        widgets::{
            form::Field,
            strip::{Strip, cut},
            table::scrolled,
        },
        world::{Scene, World},
    },
    model::verbs::{Scope, Subject, Verb, refusal},
};

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub word: String,
    pub about: String,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Do(Verb),
    Go(Goal),
}

#[derive(Clone, Debug)]
pub struct Palette {
    pub field: Field,
    cursor: usize,
    choices: Vec<Choice>,
    /// The one chosen, for the list of recent ones.
    pub chosen: Option<String>,
}

impl Palette {
    /// All that can be done now; `recent` words first, the newest first.
    pub fn of(world: &World, scope: Scope, subject: &Subject, recent: &[String]) -> Self {
        const DULL: [Verb; 15] = [
            Verb::Up,
            Verb::Down,
            Verb::Top,
            Verb::Bottom,
            Verb::PageUp,
            Verb::PageDown,
            Verb::HalfUp,
            Verb::HalfDown,
            Verb::Palette,
            Verb::Back,
            Verb::NextPart,
            Verb::PreviousPart,
            Verb::Open,
            Verb::Mark,
            Verb::Leave,
        ];
        let mut choices: Vec<Choice> = Keymap::rows(scope)
            .filter(|row| !DULL.contains(&row.verb) && refusal(row.verb, &world.fleet, subject).is_none())
            .map(|row| {
                let on = if needs_app(row.verb) { subject.app.as_ref().map(|app| format!(" {app}")) } else { None };
                Choice {
                    word: format!("{}{}", row.word, on.unwrap_or_default()),
                    about: row.help.to_owned(),
                    deed: Deed::Do(row.verb),
                }
            })
            .collect();
        for app in world.fleet.apps.keys() {
            let status = world.fleet.app_status(app).word();
            choices.push(Choice { word: format!("app {app}"), about: status.to_owned(), deed: Deed::Go(Goal::App(app.clone())) });
            choices.push(Choice {
                word: format!("logs {app}"),
                about: "its lines as they are written".to_owned(),
                deed: Deed::Go(Goal::Logs { app: app.clone(), instance: None }),
            });
        }
        for host in world.fleet.hosts.keys() {
            choices.push(Choice {
                word: format!("host {host}"),
                about: "its figures".to_owned(),
                deed: Deed::Go(Goal::Host(host.clone())),
            });
        }
        choices.sort_by_key(|choice| recent.iter().position(|word| *word == choice.word).unwrap_or(usize::MAX));
        Self { field: Field::default(), cursor: 0, choices, chosen: None }
    }

    pub fn key(&mut self, key: Key, _around: &Around<'_>) -> Turn {
        match key {
            Key::Esc | Key::Ctrl('c') => return Turn::Close,
            Key::Up | Key::Ctrl('p') => self.cursor = self.cursor.saturating_sub(1),
            Key::Down | Key::Ctrl('n') | Key::Tab => self.cursor += 1,
            Key::BackTab => self.cursor = self.cursor.saturating_sub(1),
            Key::Enter => {
                let found = self.found();
                let Some((choice, _)) = found.get(self.cursor.min(found.len().saturating_sub(1))) else {
                    return Turn::Stay;
                };
                self.chosen = Some(choice.word.clone());
                return match choice.deed.clone() {
                    Deed::Do(verb) => Turn::Do(verb),
                    Deed::Go(goal) => Turn::Go(goal),
                };
            }
            Key::Backspace if self.field.is_empty() => return Turn::Close,
            key => {
                self.field.key(key);
                self.cursor = 0;
            }
        }
        self.cursor = self.cursor.min(self.found().len().saturating_sub(1));
        Turn::Stay
    }

    /// What matches, the best first, with the places of the matched letters.
    fn found(&self) -> Vec<(Choice, Vec<u32>)> {
        let text = self.field.text().trim();
        if text.is_empty() {
            return self.choices.iter().cloned().map(|choice| (choice, Vec::new())).collect();
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
        let mut letters = Vec::new();
        let mut found: Vec<(u32, &Choice, Vec<u32>)> = self
            .choices
            .iter()
            .filter_map(|choice| {
                let mut at = Vec::new();
                let score = pattern.indices(Utf32Str::new(&choice.word, &mut letters), &mut matcher, &mut at)?;
                at.sort_unstable();
                Some((score, choice, at))
            })
            .collect();
        found.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, choice, at)| (choice.clone(), at)).collect()
    }

    pub fn lines(&self, scene: &Scene<'_>, keys: &Keymap, columns: usize, rows: usize) -> (Vec<Line<'static>>, Line<'static>) {
        let strip = || Strip::new(scene.theme);
        let prompt = strip().bold(":", Role::Accent).gap(1);
        let mut lines = vec![self.field.shown(prompt, scene.theme, columns.saturating_sub(2), true).line(), Line::default()];
        let found = self.found();
        if found.is_empty() {
            lines.push(strip().muted("nothing of that name").line());
        }
        let high = rows.saturating_sub(lines.len()).max(1);
        let cursor = self.cursor.min(found.len().saturating_sub(1));
        let first = scrolled(0, cursor, found.len(), high);
        for (at, (choice, letters)) in found.iter().enumerate().skip(first).take(high) {
            let mut line = strip().put(if at == cursor { "▎" } else { " " }, Role::Accent).gap(1);
            for (index, letter) in choice.word.chars().enumerate() {
                let style = if letters.contains(&(index as u32)) {
                    scene.theme.style(Role::Accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
                } else {
                    scene.theme.style(Role::Text)
                };
                line = line.styled(letter.to_string(), style);
            }
            line = line.tab(26).muted(choice.about.clone());
            let key = match &choice.deed {
                Deed::Do(verb) => verb_key(keys, *verb),
                Deed::Go(Goal::App(app)) => marks::app(scene.fleet().app_status(app)).symbol.to_owned(),
                Deed::Go(_) => String::new(),
            };
            let mut line = line_with(line, strip().bold(key, Role::Accent), columns);
            if at == cursor {
                let rest = columns.saturating_sub(line.width());
                line.spans.push(" ".repeat(rest).into());
                line = line.patch_style(scene.theme.ground(Ground::Selected));
                for span in &mut line.spans {
                    span.style = span.style.patch(scene.theme.ground(Ground::Selected));
                }
            }
            lines.push(line);
        }
        while lines.len() < high.min(self.choices.len()) + 2 {
            lines.push(Line::default());
        }
        (lines, foot(scene.theme, &[("↑ ↓", "choose"), ("Enter", "do it"), ("Esc", "back")]))
    }
}

fn line_with(left: Strip<'_>, right: Strip<'_>, columns: usize) -> Line<'static> {
    let keep = right.used() + 1;
    let left = cut(left.line(), columns.saturating_sub(keep));
    let gap = columns.saturating_sub(left.width() + right.used());
    let mut spans = left.spans;
    spans.push(" ".repeat(gap).into());
    spans.extend(right.line().spans);
    Line::from(spans)
}

fn needs_app(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::AppLogs | Verb::Why | Verb::Rollback | Verb::Restart | Verb::Scale | Verb::Stop | Verb::Start | Verb::Remove
    )
}

fn verb_key(keys: &Keymap, verb: Verb) -> String {
    let scope = verb.row().scopes.first().copied().unwrap_or(Scope::Everywhere);
    keys.key(scope, verb).map(|key| key.to_string()).unwrap_or_default()
}
