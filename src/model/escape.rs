//! What a text for a terminal holds besides what it shows.

/// How a piece of text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With something that is shown.
    Shown,
    /// With so many bytes that show nothing.
    Unseen(usize),
    /// With the beginning of something that shows nothing; its end is not there yet.
    Open,
}

/// An escape sequence ends after so many bytes at the latest, so that a reader of a stream need not wait for ever.
const LONGEST: usize = 16 * 1024;
const ESCAPE: u8 = 0x1b;

/// Whether `bytes` begin with what is left out on a terminal: an escape sequence, a carriage return, or a mark that turns the
/// direction of a line. None of them reaches over the end of a line.
pub fn left_out(bytes: &[u8]) -> Beginning {
    match bytes {
        [ESCAPE, ..] => match sequence(&bytes[..bytes.len().min(LONGEST)]) {
            Beginning::Open if bytes.len() >= LONGEST => Beginning::Unseen(LONGEST),
            found => found,
        },
        [b'\r', ..] => Beginning::Unseen(1),
        [0xd8 | 0xe2] | [0xe2, 0x80 | 0x81] => Beginning::Open,
        // UAX #9 §2, in UTF-8.
        [0xd8, 0x9c, ..] => Beginning::Unseen(2),
        [0xe2, 0x80, 0x8e | 0x8f | 0xaa..=0xae, ..] | [0xe2, 0x81, 0xa6..=0xa9, ..] => Beginning::Unseen(3),
        _ => Beginning::Shown,
    }
}

/// Whether `c` can make a line read as another one (UAX #9 §2).
pub fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An escape sequence (ECMA-35 §13.2, ECMA-48 §5.4 and §5.6). What breaks one off, as another one does, is not of it.
fn sequence(bytes: &[u8]) -> Beginning {
    let Some(second) = bytes.get(1) else { return Beginning::Open };
    match second {
        b'[' => control_sequence(bytes, 2),
        b']' | b'P' | b'X' | b'^' | b'_' => string(bytes),
        0x20..=0x2f => ends(bytes, 2, |byte| (0x20..=0x2f).contains(byte), 0x30..=0x7e),
        0x30..=0x7e => Beginning::Unseen(2),
        _ => Beginning::Unseen(1),
    }
}

/// A control sequence whose parameters begin at `from`.
pub fn control_sequence(bytes: &[u8], from: usize) -> Beginning {
    ends(bytes, from, |byte| (0x20..=0x3f).contains(byte), 0x40..=0x7e)
}

fn ends(bytes: &[u8], from: usize, goes_on: impl Fn(&u8) -> bool, last: std::ops::RangeInclusive<u8>) -> Beginning {
    match bytes[from..].iter().position(|byte| !goes_on(byte)) {
        None => Beginning::Open,
        Some(at) => Beginning::Unseen(from + at + usize::from(last.contains(&bytes[from + at]))),
    }
}

/// A string for the terminal, as a title: to BEL or to `ESC \`.
fn string(bytes: &[u8]) -> Beginning {
    match bytes[2..].iter().position(|byte| matches!(*byte, 0x07 | b'\n' | ESCAPE)).map(|at| at + 2) {
        None => Beginning::Open,
        Some(at) => match bytes[at..] {
            [0x07, ..] => Beginning::Unseen(at + 1),
            [ESCAPE] => Beginning::Open,
            [ESCAPE, b'\\', ..] => Beginning::Unseen(at + 2),
            _ => Beginning::Unseen(at),
        },
    }
}
