//! One keeper's log files: read from their end, and followed through rotations.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::model::log::{Stream, read_record};

/// A record with its time in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) micros: i64,
    pub(super) stream: Stream,
    pub(super) line: String,
}

/// Which records of one log are wanted, from the newest on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) records: usize,
    /// Bytes of the files, at most.
    pub(super) bytes: u64,
    pub(super) since_micros: Option<i64>,
}

/// Read at once.
const BLOCK: u64 = 64 * 1024;
/// Most that one `Cursor::next` gives.
const BATCH: u64 = 1 << 20;

/// Opens the files of a log, newest first. A rotation meanwhile may show one file under two names: it is opened once.
fn open_all(folder: &Path) -> Vec<(File, u64)> {
    let mut files: Vec<(File, u64)> = Vec::new();
    let names = std::iter::once("current".to_owned()).chain((1..).map(|number: u32| number.to_string()));
    for (at, name) in names.enumerate() {
        match open(&folder.join(name)) {
            Ok((file, inode)) if files.iter().all(|(_, known)| *known != inode) => files.push((file, inode)),
            Ok(_) => {}
            // In the middle of a rotation `current` or `1` is missing for a moment.
            Err(_) if at < 2 => {}
            Err(_) => return files,
        }
    }
    files
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let inode = file.metadata()?.ino();
    Ok((file, inode))
}

/// The wanted records, oldest first, and a cursor behind the last of them.
pub(super) fn read(folder: &Path, wanted: Wanted) -> (Vec<Record>, Cursor) {
    let files = open_all(folder);
    let mut cursor = Cursor { folder: folder.to_owned(), at: None };
    let mut found = Backwards { wanted, records: Vec::new(), bytes: 0, is_done: wanted.records == 0 };
    for (file, inode) in files {
        let length = file.metadata().map_or(0, |meta| meta.len());
        // Nothing is known of a last line without its end: it is for the cursor.
        let end = last_line_end(&file, length).unwrap_or(0);
        found.file(&file, end);
        if cursor.at.is_none() {
            cursor.at = Some(Position { file, inode, offset: end });
        }
        if found.is_done {
            break;
        }
    }
    found.records.reverse();
    (found.records, cursor)
}

/// Offset behind the last line feed before `length`; 0 when there is none.
fn last_line_end(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let block = block(file, begin, end)?;
        if let Some(at) = block.iter().rposition(|b| *b == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn block(file: &File, begin: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (end - begin) as usize];
    file.read_exact_at(&mut bytes, begin)?;
    Ok(bytes)
}

fn record(line: &[u8]) -> Option<Record> {
    let text = String::from_utf8_lossy(line);
    let (micros, stream, line) = read_record(&text)?;
    Some(Record { micros, stream, line: line.to_owned() })
}

/// Records from the newest to the oldest.
struct Backwards {
    wanted: Wanted,
    records: Vec<Record>,
    bytes: u64,
    is_done: bool,
}

impl Backwards {
    /// Takes what is wanted of the first `end` bytes, which end with a line.
    fn file(&mut self, file: &File, end: u64) {
        let mut end = end;
        // End of a line whose beginning lies in the block before.
        let mut rest = Vec::new();
        while end > 0 && !self.is_done {
            let begin = end.saturating_sub(BLOCK);
            let Ok(mut bytes) = block(file, begin, end) else {
                return;
            };
            bytes.append(&mut rest);
            let whole_from = match bytes.iter().position(|b| *b == b'\n') {
                _ if begin == 0 => 0,
                Some(at) => at + 1,
                None => bytes.len(),
            };
            self.lines(&bytes[whole_from..]);
            bytes.truncate(whole_from);
            rest = bytes;
            end = begin;
        }
    }

    fn lines(&mut self, bytes: &[u8]) {
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.is_empty() {
            return;
        }
        for line in whole.rsplit(|b| *b == b'\n') {
            self.bytes += line.len() as u64 + 1;
            let found = record(line);
            let is_older = found.as_ref().is_some_and(|found| self.wanted.since_micros.is_some_and(|since| found.micros < since));
            if is_older || self.bytes > self.wanted.bytes {
                self.is_done = true;
                return;
            }
            self.records.extend(found);
            if self.records.len() >= self.wanted.records {
                self.is_done = true;
                return;
            }
        }
    }
}

#[derive(Debug)]
struct Position {
    file: File,
    inode: u64,
    offset: u64,
}

/// A place in a log, between two records.
#[derive(Debug)]
pub(super) struct Cursor {
    folder: PathBuf,
    /// Absent: before the oldest record.
    at: Option<Position>,
}

impl Cursor {
    /// Before the oldest record of a log.
    pub(super) fn at_begin(folder: PathBuf) -> Self {
        Self { folder, at: None }
    }

    /// Whole records since the last call, at most about 1 MB; goes on in the next file once one was rotated and is read
    /// to its end. Costs one `stat` when there is nothing new.
    pub(super) fn next(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut left = BATCH;
        loop {
            // Looked at before the file is read: what is not current any more is not written any more.
            let current = fs::metadata(self.folder.join("current")).ok();
            if let Some(at) = &mut self.at {
                let is_current = current.as_ref().is_some_and(|meta| meta.ino() == at.inode);
                let has_news = !is_current || current.as_ref().is_some_and(|meta| meta.len() > at.offset);
                if has_news {
                    left -= at.read(left, &mut records).unwrap_or(0);
                }
                if is_current || left == 0 {
                    return records;
                }
            }
            match self.successor() {
                Some(next) => self.at = Some(next),
                None => return records,
            }
        }
    }

    /// The file after the present one; the oldest when the present one is gone.
    fn successor(&self) -> Option<Position> {
        let mut files = open_all(&self.folder);
        let present = self.at.as_ref().and_then(|at| files.iter().position(|(_, inode)| *inode == at.inode));
        let next = match present {
            Some(0) => return None,
            Some(present) => present - 1,
            None => files.len().checked_sub(1)?,
        };
        let (file, inode) = files.swap_remove(next);
        Some(Position { file, inode, offset: 0 })
    }
}

impl Position {
    /// Reads whole records, `most` bytes of them; returns how many bytes, 0 when there was no whole line.
    fn read(&mut self, most: u64, records: &mut Vec<Record>) -> io::Result<u64> {
        let length = self.file.metadata()?.len();
        if length < self.offset {
            // What could not be written was taken back.
            self.offset = last_line_end(&self.file, length)?;
        }
        let bytes = block(&self.file, self.offset, length.min(self.offset + most))?;
        let Some(end) = bytes.iter().rposition(|b| *b == b'\n') else {
            return Ok(0);
        };
        records.extend(bytes[..end].split(|b| *b == b'\n').filter_map(record));
        self.offset += end as u64 + 1;
        // Nearly all that was allowed counts as all: the next line may be longer than what is left.
        let read = end as u64 + 1;
        Ok(if length > self.offset && read + BLOCK > most { most } else { read })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::model::log::write_record;

    const ALL: Wanted = Wanted { records: usize::MAX, bytes: u64::MAX, since_micros: None };

    fn append(folder: &Path, numbers: impl Iterator<Item = i64>) {
        let mut bytes = Vec::new();
        for number in numbers {
            write_record(number, Stream::Out, format!("{number} {}", "x".repeat(number as usize % 300)).as_bytes(), &mut bytes);
        }
        raw(folder, &bytes);
    }

    fn raw(folder: &Path, bytes: &[u8]) {
        let mut file = File::options().create(true).append(true).open(folder.join("current")).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn rotate(folder: &Path) {
        for number in (1..9).rev() {
            let _ = fs::rename(folder.join(number.to_string()), folder.join((number + 1).to_string()));
        }
        fs::rename(folder.join("current"), folder.join("1")).unwrap();
    }

    fn times(records: &[Record]) -> Vec<i64> {
        records.iter().map(|record| record.micros).collect()
    }

    #[test]
    fn the_newest_records_are_found_across_files_and_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        append(folder, 0..1000);
        rotate(folder);
        append(folder, 1000..1010);
        assert_eq!(times(&read(folder, ALL).0), (0..1010).collect::<Vec<_>>());
        let wanted = Wanted { records: 15, ..ALL };
        assert_eq!(times(&read(folder, wanted).0), (995..1010).collect::<Vec<_>>());
        let wanted = Wanted { since_micros: Some(990), ..ALL };
        assert_eq!(times(&read(folder, wanted).0), (990..1010).collect::<Vec<_>>());
        let wanted = Wanted { bytes: 2000, ..ALL };
        let few = times(&read(folder, wanted).0);
        assert!(few.len() < 20 && few.last() == Some(&1009));
    }

    #[test]
    fn a_torn_line_is_given_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        append(folder, 0..2);
        raw(folder, b"7 o to");
        let (records, mut cursor) = read(folder, ALL);
        assert_eq!(times(&records), [0, 1]);
        assert_eq!(cursor.next(), []);
        raw(folder, b"rn\n");
        let next = cursor.next();
        assert_eq!((next.len(), next[0].line.as_str()), (1, "torn"));
    }

    #[test]
    fn a_log_that_begins_later_is_followed_from_its_begin() {
        let folder = tempfile::tempdir().unwrap();
        let (records, mut cursor) = read(&folder.path().join("log"), ALL);
        assert_eq!((records, cursor.next()), (vec![], vec![]));
        fs::create_dir(folder.path().join("log")).unwrap();
        append(&folder.path().join("log"), 0..3);
        assert_eq!(times(&cursor.next()), [0, 1, 2]);
    }

    #[test]
    fn a_flood_comes_in_batches() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::at_begin(folder.path().to_owned());
        append(folder.path(), 0..20_000);
        let mut given = Vec::new();
        while let Some(batch) = Some(cursor.next()).filter(|batch| !batch.is_empty()) {
            assert!(batch.len() < 15_000);
            given.extend(times(&batch));
        }
        assert_eq!(given, (0..20_000).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_follower_sees_every_record_once_whatever_is_rotated_when(
            steps in proptest::collection::vec((0_i64..40, any::<bool>(), any::<bool>()), 1..30),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let mut cursor = read(folder, ALL).1;
            let (mut written, mut seen, mut rotations) = (0, Vec::new(), 0);
            for (lines, rotates, looks) in steps {
                append(folder, written..written + lines);
                written += lines;
                if rotates && rotations < 8 {
                    rotate(folder);
                    rotations += 1;
                }
                if looks {
                    seen.extend(times(&cursor.next()));
                    rotations = 0;
                }
            }
            append(folder, written..=written);
            seen.extend(times(&cursor.next()));
            prop_assert_eq!(seen, (0..=written).collect::<Vec<_>>());
        }
    }
}
