//! Requests as a plain client makes them, to loopback only.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// A URL taken apart: where to connect to, the `Host`, the path.
#[derive(Clone, Debug)]
struct Place {
    address: SocketAddr,
    host: String,
    path: String,
}

/// `http://NAME.localhost:PORT/path`: names below localhost are this machine.
fn place(url: &str) -> Place {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("not an http URL: {url}"));
    let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, path.to_owned()));
    let port: u16 = host.rsplit_once(':').map_or(80, |(_, port)| port.parse().expect("a port"));
    Place { address: SocketAddr::from(([127, 0, 0, 1], port)), host: host.to_owned(), path: format!("/{path}") }
}

/// `GET url`.
pub fn get(url: &str) -> io::Result<Answer> {
    request("GET", url, &[], "")
}

/// One request on a connection of its own.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
    let Place { address, host, path } = place(url);
    let limit = Some(Duration::from_secs(10));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::other(format!("no whole answer: {:?}", String::from_utf8_lossy(&bytes))))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &bytes[end + 4..];
    let body = match headers.get("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if body.len() < length => return None,
        Some(length) => body[..length].to_vec(),
        None if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") => unchunk(body)?,
        None => body.to_vec(),
    };
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Asks one URL again and again while something else goes on.
pub struct Poll {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

/// What a poll met.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers with 200, by body.
    pub good: BTreeMap<String, u32>,
    /// Others, and broken connections, in words.
    pub bad: Vec<String>,
}

impl Seen {
    pub fn answers(&self) -> u32 {
        self.good.values().sum()
    }
}

impl Poll {
    pub fn start(url: &str) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (url, stopped, notes) = (url.to_owned(), stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let answer = get(&url);
                let mut notes = notes.lock().expect("nobody panics with the lock");
                match answer {
                    Ok(answer) if answer.status == 200 => *notes.good.entry(answer.body).or_default() += 1,
                    Ok(answer) => notes.bad.push(format!("{}: {}", answer.status, answer.body.trim())),
                    Err(error) => notes.bad.push(error.to_string()),
                }
                drop(notes);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, seen, thread }
    }

    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the poll does not panic");
        let seen = self.seen.lock().expect("nobody panics with the lock");
        seen.clone()
    }
}
