//! The log files of one keeper: `log/current`, rotated to `1` (newest) … `N` (oldest).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
};

use super::clock;
use crate::model::{
    log::{Stream, write_record},
    units::many,
};

/// Appends records. It never fails and never waits for space: lines that cannot be kept are counted, and the next line
/// that can be kept is preceded by their number.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    rotate_at: u64,
    keep: u32,
    file: Option<File>,
    size: u64,
    /// Records not yet in the file, and their number.
    waiting: Vec<u8>,
    lines: u64,
    dropped: u64,
    /// Time of the last one of them.
    dropped_at: i64,
    /// Times never go back within a file, also when the clock does.
    last: i64,
}

impl Log {
    /// Goes on behind what is there. `folder` exists.
    pub fn open(folder: PathBuf, rotate_at: u64, keep: u32) -> Self {
        let mut log = Self {
            folder,
            rotate_at: rotate_at.max(4096),
            keep,
            file: None,
            size: 0,
            waiting: Vec::new(),
            lines: 0,
            dropped: 0,
            dropped_at: 0,
            last: 0,
        };
        // An absent file is tried again at each flush.
        let _ = log.reopen();
        log
    }

    pub fn add(&mut self, stream: Stream, line: &[u8]) {
        self.add_at(clock::micros(), stream, line);
    }

    /// Adds a line that was written at a time of its own, in microseconds since 1970.
    pub fn add_at(&mut self, micros: i64, stream: Stream, line: &[u8]) {
        self.last = self.last.max(micros);
        write_record(self.last, stream, line, &mut self.waiting);
        self.lines += 1;
        if self.waiting.len() >= 256 * 1024 {
            self.flush();
        }
    }

    /// A line of the keeper itself.
    pub(super) fn say(&mut self, line: &str) {
        self.add(Stream::Keeper, line.as_bytes());
    }

    /// Puts what waits into the file, in one piece; the file never ends inside a record.
    pub fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if self.append().is_ok() {
            self.dropped = 0;
        } else {
            self.dropped += self.lines;
            self.dropped_at = self.last;
        }
        self.waiting.clear();
        self.lines = 0;
    }

    fn append(&mut self) -> io::Result<()> {
        if self.size >= self.rotate_at {
            self.rotate()?;
        }
        self.reopen()?;
        let mut records = Vec::new();
        if self.dropped > 0 {
            let lost = many(usize::try_from(self.dropped).unwrap_or(usize::MAX), "line");
            let told = format!("lost {lost}: the log could not be written");
            write_record(self.dropped_at, Stream::Keeper, told.as_bytes(), &mut records);
        }
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write_all(&records).and_then(|()| file.write_all(&self.waiting));
        if written.is_err() {
            // A full disk may have taken the first part of it.
            file.set_len(self.size)?;
            return written;
        }
        self.size += (records.len() + self.waiting.len()) as u64;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.folder.join("current"))?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
            self.mend();
        }
        Ok(())
    }

    /// Ends a record that a keeper was killed in the middle of: what comes now must not become a part of it.
    fn mend(&mut self) {
        let end = self.size.checked_sub(1).and_then(|at| {
            let mut last = [0];
            File::open(self.folder.join("current")).ok()?.read_exact_at(&mut last, at).ok()?;
            Some(last[0])
        });
        if end.is_some_and(|byte| byte != b'\n') && self.file.as_mut().is_some_and(|file| file.write_all(b"\n").is_ok()) {
            self.size += 1;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let name = |number: u32| self.folder.join(number.to_string());
        for number in (1..self.keep).rev() {
            match fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let current = self.folder.join("current");
        match self.keep {
            0 => fs::remove_file(current)?,
            _ => fs::rename(current, name(1))?,
        }
        self.file = None;
        self.size = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::log::read_record;

    fn texts(file: PathBuf) -> Vec<String> {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|record| read_record(record).unwrap().2.to_owned()).collect()
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path().into(), 4096, 2);
        for batch in 0..40 {
            for line in 0..10 {
                log.add(Stream::Out, format!("{batch}/{line} {}", "x".repeat(100)).as_bytes());
            }
            log.flush();
        }
        let mut all = texts(folder.path().join("2"));
        all.extend(texts(folder.path().join("1")));
        all.extend(texts(folder.path().join("current")));
        assert!(all.last().unwrap().starts_with("39/9"));
        let oldest = 400 - all.len();
        assert!(all.iter().enumerate().all(|(at, line)| {
            let n = oldest + at;
            line.starts_with(&format!("{}/{} ", n / 10, n % 10))
        }));
        assert!(!folder.path().join("3").exists());
    }

    #[test]
    fn a_torn_record_does_not_swallow_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("current"), "7 o whole\n8 o to").unwrap();
        let mut log = Log::open(folder.path().into(), 4096, 2);
        log.say("started");
        log.flush();
        assert_eq!(texts(folder.path().join("current")), ["whole", "to", "started"]);
    }

    #[test]
    fn lines_that_cannot_be_kept_are_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        let mut log = Log::open(place.clone(), 4096, 2);
        log.add(Stream::Out, b"lost");
        log.add(Stream::Out, b"lost too");
        log.flush();
        fs::create_dir(&place).unwrap();
        log.add(Stream::Out, b"kept");
        log.flush();
        assert_eq!(texts(place.join("current")), ["lost 2 lines: the log could not be written", "kept"]);
    }
}
