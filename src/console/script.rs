//! Drives the console without a terminal: for tests, demos and replays.

use std::path::PathBuf;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    action::{Action, Effect},
    keymap::{Key, Keymap},
    state::{Beginning, Mode, State, Tab},
    theme::{Depth, Theme},
    update::update,
    view::view,
};
use crate::model::{
    fleet::Fleet,
    text::width,
    units::{Millis, Timestamp},
};

/// A console with a world and a clock of its own.
#[derive(Clone, Debug)]
pub struct Script {
    pub state: State,
    /// Everything it caused, in order.
    pub effects: Vec<Effect>,
}

impl Script {
    pub fn sized(wide: u16, high: u16) -> Self {
        let beginning = Beginning {
            mode: Mode::Own,
            tab: Tab::Overview,
            theme: Theme::dark(Depth::True),
            actor: "ops-1".to_owned(),
            session: "script".to_owned(),
            folder: PathBuf::from("/home/ops-1"),
            program: vec!["pilothouse".to_owned()],
            reduced_motion: true,
            keys: Keymap::default(),
        };
        let mut script = Self { state: State::new(beginning), effects: Vec::new() };
        script.happen(Action::Resize(wide, high));
        script
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.state.mode = mode;
        self
    }

    pub fn theme(mut self, theme: Theme) -> Self {
        self.state.theme = theme;
        let effects = self.state.settle();
        self.effects.extend(effects);
        self
    }

    /// The fleet as it is at `now`.
    pub fn fleet(mut self, fleet: Fleet, now: Timestamp) -> Self {
        self.happen(Action::Tick(now));
        self.happen(Action::Snapshot(Box::new(fleet), Millis(3)));
        self
    }

    /// Presses keys by their names, parted by blanks; `"text"` is typed letter by letter.
    pub fn keys(mut self, keys: &str) -> Self {
        for key in read_keys(keys) {
            self.happen(Action::Key(key));
        }
        self
    }

    pub fn then(mut self, action: Action) -> Self {
        self.happen(action);
        self
    }

    pub fn happen(&mut self, action: Action) {
        let effects = update(&mut self.state, action);
        self.effects.extend(effects);
    }

    /// The screen with its colours.
    pub fn buffer(&self) -> Buffer {
        let area = Rect::new(0, 0, self.state.size.0, self.state.size.1);
        let mut buffer = Buffer::empty(area);
        view(&self.state, area, &mut buffer);
        buffer
    }

    /// The screen as text, without blanks at the ends of lines.
    pub fn screen(&self) -> String {
        let buffer = self.buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// `j j R "shop" Enter` as keys; what is no key is typed as text.
pub fn read_keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (typed, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            keys.extend(typed.chars().map(Key::Char));
            rest = after.trim_start();
            continue;
        }
        let (name, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match name.parse() {
            Ok(key) => keys.push(key),
            Err(_) => keys.extend(name.chars().map(Key::Char)),
        }
        rest = after.trim_start();
    }
    keys
}
