//! What the terminal's events mean to the console.

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use super::{
    action::{Action, Mouse},
    keymap::Key,
};

/// What a terminal's event means here.
pub(super) fn heard(event: &Event) -> Vec<Action> {
    match event {
        Event::Key(pressed) if pressed.kind != KeyEventKind::Release => {
            key(pressed.code, pressed.modifiers).map(Action::Key).into_iter().collect()
        }
        Event::Paste(text) => vec![Action::Paste(text.clone())],
        Event::Resize(wide, high) => vec![Action::Resize(*wide, *high)],
        Event::Mouse(mouse) => {
            let (x, y) = (mouse.column, mouse.row);
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => vec![Action::Mouse(Mouse::Press(x, y))],
                MouseEventKind::ScrollUp => vec![Action::Mouse(Mouse::WheelUp(x, y))],
                MouseEventKind::ScrollDown => vec![Action::Mouse(Mouse::WheelDown(x, y))],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char(c) if control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::F(n) => Key::F(n),
        _ => return None,
    })
}
