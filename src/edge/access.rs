//! The access log: lines gathered per thread, handed over whole to one writer; `STATE/edge/access.log`, JSON lines.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use chrono::{DateTime, SecondsFormat};

use super::watch::lock;
use crate::{config::clock, model::ids::ReleaseId};

/// A buffer is handed over at this size.
const BUFFER: usize = 64 << 10;
/// Buffers that may wait for the disk; then lines are lost, and counted.
const WAITING: usize = 64;
/// Size at which the file is rotated.
const ROTATE_AT: u64 = 16 << 20;
/// Rotated files kept: `access.log.1` is the youngest.
const KEPT: u32 = 3;

/// What the log tells of a request. Never the query: it may hold secrets.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub id: &'a [u8],
    pub client: IpAddr,
    pub app: Option<&'a str>,
    pub release: Option<ReleaseId>,
    pub instance: Option<&'a str>,
    pub method: &'a str,
    pub host: &'a [u8],
    pub path: &'a str,
    /// 499: the client went away before an answer.
    pub status: u16,
    /// From the head of the request to the end of the answer.
    pub us: u64,
    pub bytes: u64,
    /// Why the answer broke off.
    pub cut: Option<&'a str>,
}

struct Buffer {
    text: Vec<u8>,
    lines: u64,
    /// The current second, as text: formatting a date costs more than the rest of a line.
    second: i64,
    second_text: String,
}

/// The log of one thread.
pub(super) struct AccessLog {
    buffer: Mutex<Buffer>,
    writer: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessLog")
    }
}

impl AccessLog {
    pub(super) fn new(writer: SyncSender<Vec<u8>>, lost: Arc<AtomicU64>) -> Self {
        let buffer = Buffer { text: Vec::with_capacity(BUFFER + 1024), lines: 0, second: i64::MIN, second_text: String::new() };
        Self { buffer: Mutex::new(buffer), writer, lost }
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let buffer = &mut *lock(&self.buffer);
        buffer.add(line, clock::micros());
        if buffer.text.len() >= BUFFER {
            self.hand_over(buffer);
        }
    }

    /// Hands over what there is; called every 100 ms.
    pub(super) fn flush(&self) {
        let buffer = &mut *lock(&self.buffer);
        if buffer.lines > 0 {
            self.hand_over(buffer);
        }
    }

    fn hand_over(&self, buffer: &mut Buffer) {
        let text = std::mem::replace(&mut buffer.text, Vec::with_capacity(BUFFER + 1024));
        let lines = std::mem::take(&mut buffer.lines);
        if self.writer.try_send(text).is_err() {
            self.lost.fetch_add(lines, Relaxed);
        }
    }
}

impl Buffer {
    fn add(&mut self, line: &Line<'_>, micros: i64) {
        let second = micros.div_euclid(1_000_000);
        if second != self.second {
            self.second = second;
            self.second_text = DateTime::from_timestamp(second, 0)
                .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true).trim_end_matches('Z').to_owned())
                .unwrap_or_default();
        }
        let text = &mut self.text;
        text.extend_from_slice(b"{\"time\":\"");
        text.extend_from_slice(self.second_text.as_bytes());
        text.push(b'.');
        let millis = micros.rem_euclid(1_000_000) / 1000;
        text.extend([100, 10, 1].map(|unit| b'0' + (millis / unit % 10) as u8));
        text.push(b'Z');
        let field = |text: &mut Vec<u8>, name: &str, value: &[u8]| {
            text.extend_from_slice(b"\",\"");
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":\"");
            escape(text, value);
        };
        field(text, "id", line.id);
        if let Some(app) = line.app {
            field(text, "app", app.as_bytes());
        }
        if let Some(instance) = line.instance {
            field(text, "instance", instance.as_bytes());
        }
        if let Some(cut) = line.cut {
            field(text, "cut", cut.as_bytes());
        }
        field(text, "method", line.method.as_bytes());
        field(text, "host", line.host);
        field(text, "path", line.path.as_bytes());
        // Writing to a vector cannot fail.
        let _ = write!(text, "\",\"client\":\"{}\"", line.client);
        if let Some(release) = line.release {
            let _ = write!(text, ",\"release\":{release}");
        }
        let _ = writeln!(text, ",\"status\":{},\"us\":{},\"bytes\":{}}}", line.status, line.us, line.bytes);
        self.lines += 1;
    }
}

/// Adds the inside of a JSON string; what is no printable ASCII becomes an escape.
fn escape(text: &mut Vec<u8>, value: &[u8]) {
    if value.iter().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')) {
        text.extend_from_slice(value);
        return;
    }
    for c in String::from_utf8_lossy(value).chars() {
        match c {
            '"' | '\\' => text.extend([b'\\', c as u8]),
            ' '..='~' => text.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
}

/// What is handed over last: the writer ends.
pub(super) const END: Vec<u8> = Vec::new();

/// Starts the one writer.
pub(super) fn writer(path: PathBuf, lost: Arc<AtomicU64>) -> io::Result<(SyncSender<Vec<u8>>, JoinHandle<()>)> {
    let (sender, buffers) = sync_channel(WAITING);
    let file = Rotated::open(path)?;
    let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_all(file, &buffers, &lost))?;
    Ok((sender, thread))
}

fn write_all(mut file: Rotated, buffers: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    while let Ok(buffer) = buffers.recv()
        && buffer != END
    {
        if file.write(&buffer).is_err() {
            lost.fetch_add(buffer.split(|b| *b == b'\n').count() as u64 - 1, Relaxed);
        }
    }
}

struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Rotated {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = append_to(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    fn write(&mut self, buffer: &[u8]) -> io::Result<()> {
        if self.size >= ROTATE_AT {
            self.rotate()?;
        }
        self.file.write_all(buffer)?;
        self.size += buffer.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| self.path.with_extension(format!("log.{n}"));
        for n in (1..KEPT).rev() {
            if numbered(n).exists() {
                std::fs::rename(numbered(n), numbered(n + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        self.file = append_to(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Line<'_> {
        Line {
            id: b"abc",
            client: IpAddr::from([127, 0, 0, 1]),
            app: Some("shop"),
            release: Some(ReleaseId(7)),
            instance: Some("shop-7-a"),
            method: "GET",
            host: b"shop.localhost:8080",
            path,
            status: 200,
            us: 412,
            bytes: 12,
            cut: None,
        }
    }

    #[test]
    fn every_line_is_json_whatever_a_client_sends() {
        let mut buffer = Buffer { text: Vec::new(), lines: 0, second: i64::MIN, second_text: String::new() };
        for path in ["/cart", "/\"},{\"status\":200", "/\\", "/\u{e9}\u{1f600}\n"] {
            buffer.add(&line(path), 1_700_000_000_123_456);
        }
        let text = String::from_utf8(buffer.text).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(lines[0]["release"], 7);
        assert_eq!(lines[1]["path"], "/\"},{\"status\":200");
        assert_eq!(lines[3]["path"], "/\u{e9}\u{1f600}\n");
    }

    #[test]
    fn a_full_log_is_rotated_and_three_old_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = Rotated::open(path.clone()).unwrap();
        for n in 0..6_u8 {
            log.write(&[b'0' + n]).unwrap();
            log.size = ROTATE_AT;
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        let kept: Vec<Option<String>> =
            ["access.log", "access.log.1", "access.log.2", "access.log.3", "access.log.4"].map(read).into();
        assert_eq!(kept, [Some("5".into()), Some("4".into()), Some("3".into()), Some("2".into()), None]);
    }

    #[test]
    fn lines_that_the_disk_cannot_take_are_counted() {
        let (sender, _waiting) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let log = AccessLog::new(sender, Arc::clone(&lost));
        for _ in 0..3 {
            log.write(&line("/"));
            log.flush();
        }
        assert_eq!(lost.load(Relaxed), 2);
    }
}
