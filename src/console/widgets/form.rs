//! One-line fields that are edited.

use ratatui::text::Line;
use tui_input::{Input, InputRequest};

use super::strip::Strip;
use crate::{
    console::{
        keymap::Key,
        theme::{Ground, Role, Theme},
    },
    model::text::width,
};

/// A line of text with a cursor.
#[derive(Clone, Debug, Default)]
pub struct Field(Input);

impl Field {
    pub fn with(text: &str) -> Self {
        Self(Input::new(text.to_owned()))
    }

    pub fn text(&self) -> &str {
        self.0.value()
    }

    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Whether the key meant something to the field.
    pub fn key(&mut self, key: Key) -> bool {
        let request = match key {
            Key::Char(c) => InputRequest::InsertChar(c),
            Key::Backspace => InputRequest::DeletePrevChar,
            Key::Delete => InputRequest::DeleteNextChar,
            Key::Left => InputRequest::GoToPrevChar,
            Key::Right => InputRequest::GoToNextChar,
            Key::Home | Key::Ctrl('a') => InputRequest::GoToStart,
            Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
            Key::Ctrl('w') => InputRequest::DeletePrevWord,
            Key::Ctrl('u') => InputRequest::DeleteLine,
            Key::Ctrl('k') => InputRequest::DeleteTillEnd,
            _ => return false,
        };
        self.0.handle(request);
        true
    }

    /// Text at once, as one line without control characters.
    pub fn paste(&mut self, text: &str) {
        for c in text.trim_end().chars() {
            self.0.handle(InputRequest::InsertChar(if c.is_control() { ' ' } else { c }));
        }
    }

    /// As a strip of `columns`, with the cursor when `active`; shows the end that the cursor is at.
    pub fn shown<'t>(&self, strip: Strip<'t>, theme: &Theme, columns: usize, active: bool) -> Strip<'t> {
        let ground = theme.ground(Ground::Base);
        let text = self.text();
        let before: String = text.chars().take(self.0.cursor()).collect();
        let from = width(&before).saturating_sub(columns.saturating_sub(1));
        let mut strip = strip;
        let (mut at, mut used) = (0, 0);
        for (index, c) in text.chars().enumerate() {
            let wide = width(c.encode_utf8(&mut [0; 4]));
            if at >= from && used + wide <= columns {
                let here = active && index == self.0.cursor();
                strip = strip.styled(c.to_string(), if here { cursor(theme) } else { ground });
                used += wide;
            }
            at += wide;
        }
        if active && self.0.cursor() >= text.chars().count() && used < columns {
            strip = strip.styled(" ", cursor(theme));
            used += 1;
        }
        strip.styled(" ".repeat(columns - used), ground)
    }

    /// A labelled field on a line of its own.
    pub fn line(&self, theme: &Theme, label: &str, label_columns: usize, columns: usize, active: bool) -> Line<'static> {
        let role = if active { Role::Accent } else { Role::Muted };
        let strip = Strip::new(theme).cell(label, label_columns, role);
        self.shown(strip, theme, columns.saturating_sub(label_columns), active).line()
    }
}

fn cursor(theme: &Theme) -> ratatui::style::Style {
    theme.tag(Role::Accent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::theme::Depth;

    #[test]
    fn the_cursor_stays_in_sight_in_a_narrow_field() {
        let theme = Theme::dark(Depth::True);
        let mut field = Field::with("https://git.example/a/very/long/path.git");
        let shown = |field: &Field| field.shown(Strip::new(&theme), &theme, 10, true).line().to_string();
        assert_eq!(shown(&field), "/path.git ");
        field.key(Key::Home);
        assert_eq!(shown(&field), "https://gi");
    }

    #[test]
    fn a_pasted_text_stays_one_line() {
        let mut field = Field::default();
        field.paste("a\nb\u{1b}c\n");
        assert_eq!(field.text(), "a b c");
    }
}
