//! Values out of every line: what stands in their place in logs, records and screens.

mod sight;

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use self::sight::Sight;

/// What is shown instead of a value.
pub const MASK: &str = "***";
/// Bytes that a secret has at least: a shorter one would be found by chance in half of all lines.
pub const SHORTEST: usize = 6;
/// Longest text that is looked for at once; a longer value is looked for in pieces of this length.
const PIECE: usize = 512;
/// Letters of a value in base64 that say which value it is.
const TELLING: usize = 8;
/// So much of a stream is held at most while a value may go on behind what shows nothing: no record of a log is as long.
const HELD: usize = 64 * 1024;

/// Finds values in text, also percent-encoded (RFC 3986 §2.1), in base64 (RFC 4648 §4 and §5, at any offset), in hex, and
/// as JSON writes them; and the password of a value that is a URL.
///
/// A value of several lines is found line by line. What shows nothing may stand anywhere in one, as colours do: a view that
/// leaves it out must not join the value again. Cheap to clone.
#[derive(Clone, Default)]
pub struct Masker {
    found: Option<Arc<Found>>,
}

struct Found {
    search: AhoCorasick,
    /// Sorted; none holds a line feed.
    needles: Vec<Vec<u8>>,
    longest: usize,
}

/// Never what is looked for.
impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({})", self.found.as_ref().map_or(0, |found| found.needles.len()))
    }
}

impl Masker {
    /// One for `values`; those shorter than `SHORTEST` are left out.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = BTreeSet::new();
        values.into_iter().for_each(|value| forms(value, &mut needles));
        let unseen: Vec<Vec<u8>> = needles.iter().flat_map(|needle| sight::without_unseen(needle)).collect();
        needles.extend(unseen.into_iter().filter(|needle| needle.len() >= SHORTEST));
        let needles: Vec<Vec<u8>> = needles.into_iter().collect();
        let search = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&needles);
        let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
        let found = search.ok().filter(|_| longest > 0).map(|search| Arc::new(Found { search, needles, longest }));
        Self { found }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    /// Whether `text` holds a value.
    pub fn is_in(&self, text: &str) -> bool {
        self.found.as_ref().is_some_and(|found| found.is_in(text.as_bytes(), &sight::of(text.as_bytes())))
    }

    /// `text` without values.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(found) = &self.found else { return Cow::Borrowed(text) };
        let sights = sight::of(text.as_bytes());
        if !found.is_in(text.as_bytes(), &sights) {
            return Cow::Borrowed(text);
        }
        let mut shown = Vec::with_capacity(text.len());
        let mut at = 0;
        for range in found.ranges(text.as_bytes(), &sights, None) {
            shown.extend_from_slice(&text.as_bytes()[at..range.start]);
            shown.extend_from_slice(MASK.as_bytes());
            at = range.end;
        }
        shown.extend_from_slice(&text.as_bytes()[at..]);
        // A piece of a long value may begin inside a character.
        Cow::Owned(String::from_utf8_lossy(&shown).into_owned())
    }
}

impl Found {
    fn is_in(&self, bytes: &[u8], sights: &[Sight]) -> bool {
        self.search.is_match(bytes) || sights.iter().any(|sight| self.search.is_match(&sight.seen))
    }

    /// Where values stand, those that touch as one; what lies before `covered` is known to be part of one. None begins or
    /// ends inside of what shows nothing.
    fn ranges(&self, bytes: &[u8], sights: &[Sight], covered: Option<usize>) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = covered.map(|end| 0..end).into_iter().collect();
        found.extend(self.search.find_overlapping_iter(bytes).map(|found| found.range()));
        for sight in sights {
            found.extend(self.search.find_overlapping_iter(&sight.seen).map(|found| sight.place(found.range())));
        }
        if let Some(sight) = sights.first() {
            for range in &mut found {
                *range = sight.whole(range.clone());
            }
        }
        found.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// Where the end of `bytes` may be the beginning of a value of which at least `least` bytes are there.
    fn begun(&self, bytes: &[u8], sights: &[Sight], least: usize) -> Option<usize> {
        let open = |bytes: &[u8]| Some(self.open_end(bytes)).filter(|at| bytes.len() - at >= least);
        let seen = sights.iter().filter_map(|sight| Some(sight.place_of(open(&sight.seen)?)));
        let plain = open(bytes).map(|at| sights.first().map_or(at, |sight| sight.whole(at..at + 1).start));
        seen.chain(plain).min()
    }

    /// Where the end of `bytes` may be the beginning of a value.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let earliest = bytes.len().saturating_sub(self.longest - 1);
        // No value holds a line feed.
        let from = bytes[earliest..].iter().rposition(|byte| *byte == b'\n').map_or(earliest, |at| earliest + at + 1);
        (from..bytes.len()).find(|start| self.has_longer(&bytes[*start..])).unwrap_or(bytes.len())
    }

    /// Whether a value begins with `part` and goes on behind it.
    fn has_longer(&self, part: &[u8]) -> bool {
        let after = self.needles.partition_point(|needle| needle.as_slice() <= part);
        self.needles.get(after).is_some_and(|needle| needle.starts_with(part))
    }
}

/// Masks a stream that arrives in pieces: what may be the beginning of a value is held until more has come.
#[derive(Debug, Default)]
pub struct Masking {
    masker: Masker,
    held: Vec<u8>,
    /// So much of `held` belongs to a value that was the last thing given, masked.
    covered: Option<usize>,
}

impl Masking {
    pub fn new(masker: Masker) -> Self {
        Self { masker, held: Vec::new(), covered: None }
    }

    /// Takes a piece and gives what can be shown of all that came.
    pub fn push(&mut self, bytes: &[u8], mut give: impl FnMut(&[u8])) {
        match &self.masker.found {
            None => give(bytes),
            Some(found) => {
                let found = Arc::clone(found);
                self.held.extend_from_slice(bytes);
                let sights = sight::of(&self.held);
                let unfinished = sights.iter().filter_map(|sight| sight.open).min().unwrap_or(self.held.len());
                let begun = found.begun(&self.held, &sights, 1).filter(|begun| self.held.len() - begun <= HELD);
                self.give(&found, &sights, begun.unwrap_or(unfinished).min(unfinished), give);
            }
        }
    }

    /// Gives what was held: nothing more comes. What may be most of a value that was cut off is masked.
    pub fn finish(&mut self, mut give: impl FnMut(&[u8])) {
        let Some(found) = self.masker.found.as_ref().filter(|_| !self.held.is_empty()).map(Arc::clone) else { return };
        let sights = sight::of(&self.held);
        let Some(begun) = found.begun(&self.held, &sights, SHORTEST) else {
            return self.give(&found, &sights, self.held.len(), give);
        };
        self.give(&found, &sights, begun, &mut give);
        if self.covered.is_none() {
            give(MASK.as_bytes());
        }
        self.held.clear();
        self.covered = None;
    }

    fn give(&mut self, found: &Found, sights: &[Sight], end: usize, mut give: impl FnMut(&[u8])) {
        if end == 0 {
            return;
        }
        let ranges = found.ranges(&self.held, sights, self.covered);
        let mut at = 0;
        let mut covered = None;
        for range in ranges.into_iter().take_while(|range| range.start < end || range.end == 0) {
            if at < range.start {
                give(&self.held[at..range.start]);
            }
            if self.covered.is_none() || range.start > 0 {
                give(MASK.as_bytes());
            }
            at = range.end.min(end);
            covered = range.end.checked_sub(end);
        }
        if at < end {
            give(&self.held[at..end]);
        }
        self.held.drain(..end);
        self.covered = covered;
    }
}

/// Every way in which a value may be written, into `needles`.
fn forms(value: &str, needles: &mut BTreeSet<Vec<u8>>) {
    let mut take = |text: &str, least: usize| {
        let bytes = text.as_bytes();
        if bytes.len() <= PIECE {
            if bytes.len() >= least && !bytes.contains(&b'\n') {
                needles.insert(bytes.to_vec());
            }
            return;
        }
        let last = bytes.len() - PIECE;
        for start in (0..last).step_by(PIECE).chain([last]) {
            needles.insert(bytes[start..start + PIECE].to_vec());
        }
    };
    let password = password(value);
    for part in [Some(value.to_owned()), password].into_iter().flatten() {
        for line in part.lines().map(str::trim).filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")) {
            take(line, SHORTEST);
            let json = serde_json::to_string(line).unwrap_or_default();
            let json = json.trim_matches('"');
            take(json, SHORTEST);
            take(&json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"), SHORTEST);
            for kept in ["", "!'()*", "/"] {
                let encoded = percent(line, kept);
                take(&encoded.replace("%20", "+"), SHORTEST);
                take(&lower_escapes(&encoded), SHORTEST);
                take(&encoded, SHORTEST);
            }
        }
        let whole = part.trim();
        if whole.len() >= SHORTEST {
            let hex: String = whole.bytes().map(|byte| format!("{byte:02x}")).collect();
            take(&hex.to_ascii_uppercase(), SHORTEST);
            take(&hex, SHORTEST);
            for offset in 0..3 {
                let letters = base64(whole.as_bytes(), offset);
                take(&letters.replace('+', "-").replace('/', "_"), TELLING);
                take(&letters, TELLING);
            }
        }
    }
}

/// The password of a URL, as it is written and therefore as it may be read back.
fn password(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let password = match user.split_once(':') {
        Some((_, password)) => password,
        // Forges take a token in place of a name.
        None if scheme.starts_with("http") => user,
        None => return None,
    };
    (password.len() >= SHORTEST).then(|| password.to_owned())
}

/// Percent-encoding of all but the unreserved characters (RFC 3986 §2.3) and those of `kept`.
fn percent(text: &str, kept: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The same with `%2f` for `%2F`.
fn lower_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2.min(part.len()));
        text.push_str(&format!("%{}{rest}", code.to_ascii_lowercase()));
    }
    text
}

/// The letters of base64 that `bytes` alone decide when `offset` (0 to 2) bytes come before it in a group of three.
fn base64(bytes: &[u8], offset: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let all: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let mut text = String::new();
    for group in all.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for letter in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    // The first letters are also made of what came before, the last one of what comes after.
    let end = if all.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
    text[(offset * 8).div_ceil(6)..end].to_owned()
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
