//! Lines within a budget of bytes: the oldest go first, and are counted.

use std::collections::VecDeque;

use crate::model::{
    ids::{AppId, ReleaseId},
    log::{LogLine, Stream, safe},
    units::Timestamp,
};

/// Whose lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub app: AppId,
    pub release: ReleaseId,
    pub instance: String,
}

/// A line, safe to show.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Rises by one with each line ever taken.
    pub id: u64,
    pub time: Timestamp,
    /// Index into the origins.
    pub origin: u16,
    pub stream: Stream,
    /// 0 debug, 1 info, 2 warn, 3 error; absent when the line does not say.
    pub level: Option<u8>,
    pub text: Box<str>,
}

/// The ring. Taking a line costs the same whatever it holds.
#[derive(Clone, Debug)]
pub struct LogRing {
    entries: VecDeque<Entry>,
    origins: Vec<Origin>,
    bytes: usize,
    budget: usize,
    next: u64,
    dropped: u64,
}

impl LogRing {
    /// Bytes that an entry takes besides its text.
    const OVERHEAD: usize = std::mem::size_of::<Entry>();

    pub fn new(budget: usize) -> Self {
        Self { entries: VecDeque::new(), origins: Vec::new(), bytes: 0, budget, next: 0, dropped: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Lines that went for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::new(self.budget) };
    }

    pub fn origin(&self, entry: &Entry) -> Option<&Origin> {
        self.origins.get(entry.origin as usize)
    }

    /// Origins in the order in which they were first seen.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    pub fn push(&mut self, line: LogLine) -> &Entry {
        let origin = self.origin_of(&line);
        let text = safe(&line.line).into_boxed_str();
        self.bytes += text.len() + Self::OVERHEAD;
        while self.bytes > self.budget
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.text.len() + Self::OVERHEAD;
            self.dropped += 1;
        }
        let level = level(&text, line.stream);
        let entry = Entry { id: self.next, time: line.time, origin, stream: line.stream, level, text };
        self.next += 1;
        self.entries.push_back(entry);
        &self.entries[self.entries.len() - 1]
    }

    /// The id of the oldest line kept.
    pub fn first(&self) -> u64 {
        self.entries.front().map_or(self.next, |entry| entry.id)
    }

    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(id.checked_sub(self.first())? as usize)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The newest `rows` lines, oldest first.
    pub fn tail(&self, rows: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(self.entries.len().saturating_sub(rows))
    }

    fn origin_of(&mut self, line: &LogLine) -> u16 {
        let known =
            |origin: &Origin| origin.instance == line.instance && origin.release == line.release && origin.app == line.app;
        // The newest origins write most.
        if let Some(at) = self.origins.iter().rposition(known) {
            return at as u16;
        }
        if self.origins.len() < usize::from(u16::MAX) {
            self.origins.push(Origin { app: line.app.clone(), release: line.release, instance: line.instance.clone() });
        }
        (self.origins.len() - 1) as u16
    }
}

/// What a line says of its level: `level=warn`, `"level":"error"`, `[ERROR]`, `WARN`; looked for near its beginning.
pub fn level(text: &str, stream: Stream) -> Option<u8> {
    const WORDS: [(&str, u8); 12] = [
        ("error", 3),
        ("fatal", 3),
        ("panic", 3),
        ("critical", 3),
        ("err", 3),
        ("warn", 2),
        ("warning", 2),
        ("info", 1),
        ("notice", 1),
        ("debug", 0),
        ("trace", 0),
        ("exception", 3),
    ];
    if stream == Stream::Keeper {
        return None;
    }
    let end = text.char_indices().nth(120).map_or(text.len(), |(at, _)| at);
    let words = text[..end].split(|c: char| !c.is_ascii_alphanumeric());
    for word in words.filter(|word| (3..=9).contains(&word.len())) {
        if let Some((_, level)) = WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
            return Some(*level);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64) -> LogLine {
        LogLine {
            time: Timestamp(n as i64),
            app: AppId::suggest("shop"),
            release: ReleaseId(1),
            instance: "shop-1-a".to_owned(),
            stream: Stream::Out,
            line: format!("line {n}"),
        }
    }

    #[test]
    fn what_goes_for_want_of_room_is_counted() {
        let mut ring = LogRing::new(100 * (LogRing::OVERHEAD + 8));
        for n in 0..1000 {
            ring.push(line(n));
        }
        assert_eq!(ring.len() as u64 + ring.dropped(), 1000);
        assert!((90..=130).contains(&ring.len()), "{}", ring.len());
        assert!(ring.bytes <= ring.budget);
        assert_eq!(ring.get(ring.first()).map(|entry| entry.id), Some(ring.first()));
        assert_eq!(ring.tail(1).next().map(|entry| &*entry.text), Some("line 999"));
    }

    #[test]
    fn a_level_is_read_from_what_apps_write() {
        let level = |text| level(text, Stream::Out);
        assert_eq!(level(r#"{"level":"error","msg":"no"}"#), Some(3));
        assert_eq!(level("2026-11-21 WARN slow upstream"), Some(2));
        assert_eq!(level("level=info msg=ok"), Some(1));
        assert_eq!(level("GET / 200"), None);
        assert_eq!(level("terror in the information desk"), None);
    }
}
