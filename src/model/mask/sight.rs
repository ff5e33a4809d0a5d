//! A text as it is seen: without what shows nothing, which a program may write anywhere in a value.

use std::ops::Range;

use crate::model::escape::{self, Beginning};

/// What is seen of a text, and where it stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) seen: Vec<u8>,
    /// Where what shows nothing stands, in order, with the bytes seen before it.
    unseen: Vec<(usize, Range<usize>)>,
    /// Where something begins that shows nothing and has no end yet.
    pub(super) open: Option<usize>,
}

impl Sight {
    /// Where the byte `at` of what is seen stands in the text; its end for the one behind the last.
    pub(super) fn place_of(&self, at: usize) -> usize {
        let before = self.unseen.partition_point(|(seen, _)| *seen <= at);
        self.unseen[..before].last().map_or(at, |(seen, unseen)| unseen.end + at - seen)
    }

    /// Where a part of what is seen stands in the text; `range` is not empty.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        self.place_of(range.start)..self.place_of(range.end - 1) + 1
    }

    /// `range` of the text with all of those that show nothing and that it begins or ends in.
    pub(super) fn whole(&self, range: Range<usize>) -> Range<usize> {
        let around = |at: usize| {
            let next = self.unseen.partition_point(|(_, unseen)| unseen.end <= at);
            self.unseen.get(next).map(|(_, unseen)| unseen.clone()).filter(|unseen| unseen.start < at)
        };
        let start = around(range.start).map_or(range.start, |unseen| unseen.start);
        start..around(range.end).map_or(range.end, |unseen| unseen.end)
    }
}

/// What is seen of `text`, on a terminal, and where JSON is decoded before; none where that is all of it.
pub(super) fn of(text: &[u8]) -> Vec<Sight> {
    let terminal = look(text, unseen);
    let decoded = if text.contains(&b'\\') { look(text, unseen_in_json) } else { None };
    match (terminal, decoded) {
        (None, None) => Vec::new(),
        // The first one tells what must stay whole.
        (None, Some(decoded)) => vec![Sight { seen: text.to_vec(), ..Sight::default() }, decoded],
        (Some(terminal), Some(decoded)) if terminal != decoded => vec![terminal, decoded],
        (Some(terminal), _) => vec![terminal],
    }
}

/// `needle` as it is seen, where that is something else.
pub(super) fn without_unseen(needle: &[u8]) -> Vec<Vec<u8>> {
    of(needle).into_iter().map(|sight| sight.seen).collect()
}

fn look(text: &[u8], unseen: impl Fn(&[u8]) -> Beginning) -> Option<Sight> {
    let mut sight: Option<Sight> = None;
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].iter().position(|byte| MAY_BEGIN[usize::from(*byte)]) {
        at += found;
        let (length, is_open) = match unseen(&text[at..]) {
            Beginning::Shown => {
                at += 1;
                continue;
            }
            Beginning::Unseen(length) => (length, false),
            Beginning::Open => (text.len() - at, true),
        };
        let sight = sight.get_or_insert_default();
        sight.seen.extend_from_slice(&text[from..at]);
        sight.unseen.push((sight.seen.len(), at..at + length));
        sight.open = is_open.then_some(at);
        at += length;
        from = at;
    }
    if let Some(sight) = &mut sight {
        sight.seen.extend_from_slice(&text[from..]);
    }
    sight
}

/// Bytes that what shows nothing may begin with; all others are passed over quickly.
const MAY_BEGIN: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let control = (byte < 0x20 && byte != 0x09 && byte != 0x0a) || byte == 0x7f;
        may[byte] = control || matches!(byte, 0x5c | 0xc2 | 0xd8 | 0xe2);
        byte += 1;
    }
    may
};

/// What is left out on a terminal, and control characters, which stand there as a sign.
fn unseen(bytes: &[u8]) -> Beginning {
    match (escape::left_out(bytes), bytes) {
        (Beginning::Shown, [0xc2]) => Beginning::Open,
        (Beginning::Shown, [0xc2, 0x80..=0x9f, ..]) => Beginning::Unseen(2),
        (Beginning::Shown, [0..=0x08 | 0x0b..=0x1f | 0x7f, ..]) => Beginning::Unseen(1),
        (beginning, _) => beginning,
    }
}

/// The same, written raw or as in a string of JSON (RFC 8259 §7).
fn unseen_in_json(bytes: &[u8]) -> Beginning {
    let [b'\\', rest @ ..] = bytes else { return unseen(bytes) };
    match rest {
        [] | [b'u'] => Beginning::Open,
        [b'r' | b'b' | b'f', ..] => Beginning::Unseen(2),
        [b'u', digits @ ..] => escaped(bytes, digits),
        _ => Beginning::Shown,
    }
}

/// `\u` and `digits`, where they stand for what shows nothing.
fn escaped(bytes: &[u8], digits: &[u8]) -> Beginning {
    const WRITTEN: usize = 6;
    let Some(four) = digits.get(..4) else {
        return if digits.iter().all(u8::is_ascii_hexdigit) { Beginning::Open } else { Beginning::Shown };
    };
    let code = std::str::from_utf8(four).ok().and_then(|text| u32::from_str_radix(text, 16).ok());
    let Some(c) = code.and_then(char::from_u32) else { return Beginning::Shown };
    match (c, &bytes[WRITTEN..]) {
        ('\t' | '\n', _) => Beginning::Shown,
        ('\u{1b}', []) => Beginning::Open,
        ('\u{1b}', [b'[', ..]) => escape::control_sequence(bytes, WRITTEN + 1),
        (c, _) if c.is_control() || escape::turns_direction(c) => Beginning::Unseen(WRITTEN),
        _ => Beginning::Shown,
    }
}
