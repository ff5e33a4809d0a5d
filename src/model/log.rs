//! Log records, and what part of the logs is asked for.

use std::{borrow::Cow, fmt::Write};

use serde::{Deserialize, Serialize};

pub use super::escape::turns_direction;
use super::{
    escape::{self, Beginning},
    ids::{AppId, InstanceId, ReleaseId},
    units::Timestamp,
};

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Out,
    Err,
    /// Written by the keeper: started, exited, restarts in …
    Keeper,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub time: Timestamp,
    pub app: AppId,
    pub release: ReleaseId,
    /// The instance, or `build` for lines of a build.
    pub instance: String,
    pub stream: Stream,
    /// Without its line end; escapes and control characters are as the app wrote them: make it safe before showing it.
    pub line: String,
}

/// One line of a container, whoever started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerLine {
    /// As Docker keeps it; absent where it tells none.
    pub time: Option<Timestamp>,
    pub stream: Stream,
    /// Without its line end; not safe to show yet.
    pub line: String,
}

/// Which lines of a container to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerQuery {
    pub since: Option<Timestamp>,
    /// Only the last so many lines.
    pub tail: Option<usize>,
    /// Go on with new lines until it ends.
    pub follow: bool,
}

/// Which records to give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    /// All apps when absent.
    pub app: Option<AppId>,
    pub instance: Option<InstanceId>,
    /// The build of this release instead of instances; needs `app`. `Some(0)`: the newest build.
    pub build: Option<ReleaseId>,
    pub since: Option<Timestamp>,
    /// Only the last so many records.
    pub tail: Option<usize>,
    /// Go on with new records.
    pub follow: bool,
}

/// Whose log a folder holds; stands as `labels.json` beside the log files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLabels {
    pub app: AppId,
    pub release: ReleaseId,
    /// The instance, or `build`.
    pub instance: String,
}

/// Longest line in a log file, in bytes; a longer one is cut into several records.
pub const LONGEST_LINE: usize = 16 * 1024;

/// One record of a log file: `MICROSECONDS o|e|k TEXT\n`; microseconds since 1970 UTC, text in UTF-8 without line ends.
///
/// Log files stand in `keepers/ID/log/`: `current`, and after rotation `1` (newest) to `N` (oldest).
pub fn write_record(micros: i64, stream: Stream, line: &[u8], into: &mut Vec<u8>) {
    let sign = match stream {
        Stream::Out => 'o',
        Stream::Err => 'e',
        Stream::Keeper => 'k',
    };
    into.extend_from_slice(format!("{micros} {sign} ").as_bytes());
    let text = String::from_utf8_lossy(line);
    into.extend(text.bytes().map(|b| if b == b'\n' { b' ' } else { b }));
    into.push(b'\n');
}

/// Reads what `write_record` wrote, without its line end; absent when it is torn or foreign.
pub fn read_record(record: &str) -> Option<(i64, Stream, &str)> {
    let (micros, rest) = record.split_once(' ')?;
    let (sign, line) = rest.split_once(' ')?;
    let stream = match sign {
        "o" => Stream::Out,
        "e" => Stream::Err,
        "k" => Stream::Keeper,
        _ => return None,
    };
    Some((micros.parse().ok()?, stream, line))
}

/// JSON whose text may be shown: control characters, and those that turn the direction of a line, stand as `\uXXXX`.
///
/// JSON itself escapes only those below U+0020 (RFC 8259 §7); outside of texts it has none of them.
pub fn safe_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if ('\u{7f}'..='\u{9f}').contains(&c) || turns_direction(c) => {
                let _ = write!(shown, "\\u{:04x}", c as u32);
            }
            c => shown.push(c),
        }
    }
    shown
}

/// `line` fit for a terminal: escape sequences left out, tabs as spaces, other control characters as `�`.
pub fn safe(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = match escape::left_out(rest.as_bytes()) {
            Beginning::Unseen(length) => length,
            Beginning::Open => rest.len(),
            Beginning::Shown => {
                match c {
                    '\t' => shown.push_str("    "),
                    c if c.is_control() => shown.push('\u{fffd}'),
                    c => shown.push(c),
                }
                c.len_utf8()
            }
        };
        // A sequence that is cut for its length may be cut inside a character.
        rest = (length..rest.len()).find_map(|from| rest.get(from..)).unwrap_or_default();
    }
    shown
}

/// `text` on one line and with nothing that a terminal obeys: control characters, and those that turn a line's direction, stand as
/// they are written in a program (`\t`, `\u{1b}`).
pub fn escaped(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() || turns_direction(c);
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_obeyed(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_shown_without_what_a_terminal_obeys_and_means_the_same() {
        let line = "a\u{9b}31m b\u{202e}c\u{7f}";
        let json = serde_json::to_string(line).unwrap();
        let shown = safe_json(&json);
        assert_eq!(shown, "\"a\\u009b31m b\\u202ec\\u007f\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), line);
    }

    #[test]
    fn escapes_are_left_out_and_the_text_stays() {
        assert_eq!(safe("\u{1b}[31;1mred\u{1b}[0m \u{1b}]0;title\u{7}plain\u{1b}]8;;x\u{1b}\\end\t."), "red plainend    .");
        assert_eq!(
            safe("\u{1b}(Ba\u{1b}7b\u{1b}\u{1b}[1mc\u{1b}[3\u{1b}[1md\u{1b}]0;x\u{1b}[1me\u{1b}"),
            "abcde",
            "as terminals take them"
        );
        assert_eq!(safe("a\u{1b}[\nb\u{1b}]0;x\nc\u{202e}d\r"), "a�b�cd", "none reaches over the end of a line");
    }

    proptest! {
        #[test]
        fn what_is_shown_holds_no_control_character(line in any::<String>()) {
            prop_assert!(!safe(&line).chars().any(char::is_control));
        }

        #[test]
        fn a_record_is_read_as_it_was_written(micros in 0_i64..i64::MAX, line in "[^\n]{0,80}") {
            let mut file = Vec::new();
            write_record(micros, Stream::Err, line.as_bytes(), &mut file);
            let text = String::from_utf8(file).unwrap();
            prop_assert_eq!(read_record(text.strip_suffix('\n').unwrap()), Some((micros, Stream::Err, line.as_str())));
        }
    }
}
