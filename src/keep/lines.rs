//! Bytes to lines: a line ends at its line feed, at the longest length, or when flushed.

use crate::model::log::LONGEST_LINE;

/// What came after the last whole line.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Gives every line that `bytes` completes.
    pub fn push(&mut self, bytes: &[u8], mut give: impl FnMut(&[u8])) {
        let mut pieces = bytes.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let ends = pieces.peek().is_some();
            if self.partial.is_empty() && ends && piece.len() <= LONGEST_LINE {
                give(without_return(piece));
                continue;
            }
            self.partial.extend_from_slice(piece);
            while self.partial.len() > LONGEST_LINE {
                let cut = cut(&self.partial);
                give(&self.partial[..cut]);
                self.partial.drain(..cut);
            }
            if ends {
                self.flush_even_empty(&mut give);
            }
        }
    }

    /// Gives what there is of a line that has not ended.
    pub fn flush(&mut self, mut give: impl FnMut(&[u8])) {
        if self.has_partial() {
            self.flush_even_empty(&mut give);
        }
    }

    pub fn has_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    fn flush_even_empty(&mut self, give: &mut impl FnMut(&[u8])) {
        give(without_return(&self.partial));
        self.partial.clear();
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where to cut a line that is too long: before a character of several bytes, not inside it.
fn cut(line: &[u8]) -> usize {
    let is_inside = |at: &usize| line[*at] & 0b1100_0000 == 0b1000_0000;
    (LONGEST_LINE - 3..=LONGEST_LINE).rev().find(|at| !is_inside(at)).unwrap_or(LONGEST_LINE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut given = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| given.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines.flush(|line| given.push(String::from_utf8_lossy(line).into_owned()));
        given
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(lines(&[b"on", b"e\r\ntwo\n\nthr", b"ee"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_line_too_long_is_cut_between_characters() {
        let long = "é".repeat(LONGEST_LINE);
        let given = lines(&[b"x", long.as_bytes(), b"\n"]);
        assert_eq!(given.concat(), format!("x{long}"));
        assert!(given.iter().all(|line| line.len() <= LONGEST_LINE && !line.contains('\u{fffd}')));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_chunks(text in "[a-z\n]{0,400}", at in 0_usize..400) {
            let at = at.min(text.len());
            let given = lines(&[&text.as_bytes()[..at], &text.as_bytes()[at..]]);
            let expected: Vec<&str> = text.lines().collect();
            prop_assert_eq!(given, expected);
        }
    }
}
