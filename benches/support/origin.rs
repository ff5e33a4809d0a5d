//! Back ends that cost little: each reads a request and writes an answer that lies ready, and counts what it applied.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// Body of every small answer.
pub const SMALL: usize = 128;
/// Body of the answers to `/big`.
pub const BIG: usize = 1 << 20;

/// How a back end behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Ends a connection that was silent for so long.
    pub idle: Duration,
    /// Time that each request takes.
    pub work: Duration,
    /// Of so many POSTs one is read and applied, and then the connection is reset; 0: none.
    pub resets_every: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self { idle: Duration::from_secs(3600), work: Duration::ZERO, resets_every: 0 }
    }
}

/// What the back ends of one bench have done.
#[derive(Debug, Default)]
pub struct Deeds {
    /// How often each POST was applied, by its body.
    applied: Mutex<HashMap<Vec<u8>, u32>>,
    /// POSTs that were applied and then answered by a reset.
    pub resets: AtomicU64,
}

impl Deeds {
    /// POSTs that were applied more than once.
    pub fn doubled(&self) -> usize {
        self.applied.lock().expect("unpoisoned").values().filter(|times| **times > 1).count()
    }

    pub fn has(&self, body: &[u8]) -> bool {
        self.applied.lock().expect("unpoisoned").contains_key(body)
    }
}

/// A running back end. It dies at once when dropped: connections with a request on them are torn.
pub struct Origin {
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Origin {
    /// Starts it on the runtime of the caller.
    pub async fn start(manner: Manner, deeds: Arc<Deeds>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answers = Arc::new(Answers::new());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                socket.set_nodelay(true).expect("an open socket");
                connections.spawn(converse(socket, manner.clone(), Arc::clone(&deeds), Arc::clone(&answers)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Answers {
    small: Vec<u8>,
    big: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let answer = |body: usize| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n");
            [head.into_bytes(), vec![b'x'; body]].concat()
        };
        Self { small: answer(SMALL), big: answer(BIG) }
    }
}

async fn converse(mut socket: TcpStream, manner: Manner, deeds: Arc<Deeds>, answers: Arc<Answers>) {
    let mut buffer = Vec::with_capacity(8 << 10);
    let is_patient = manner.idle >= Manner::default().idle;
    loop {
        let request = read_request(&mut socket, &mut buffer);
        // A timer of its own for each request would be most of the work of a back end that never needs it.
        let request = if is_patient { Ok(request.await) } else { tokio::time::timeout(manner.idle, request).await };
        let Ok(Some((end, length))) = request else { return };
        if !manner.work.is_zero() {
            tokio::time::sleep(manner.work).await;
        }
        let sent = if buffer.starts_with(b"POST") {
            let body = buffer[end..end + length].to_vec();
            let number = {
                let mut applied = deeds.applied.lock().expect("unpoisoned");
                *applied.entry(body.clone()).or_default() += 1;
                applied.len() as u64
            };
            if number.is_multiple_of(manner.resets_every) {
                deeds.resets.fetch_add(1, Relaxed);
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("an open socket");
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            socket.write_all(&[head.into_bytes(), body].concat()).await
        } else if buffer.starts_with(b"GET /big") {
            socket.write_all(&answers.big).await
        } else {
            socket.write_all(&answers.small).await
        };
        if sent.is_err() {
            return;
        }
        buffer.drain(..end + length);
    }
}

/// Reads until a request is whole: where its head ends, and the length of its body.
async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(usize, usize)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let length = if buffer.starts_with(b"GET") { 0 } else { body_length(&buffer[..end])? };
    while buffer.len() < end + length {
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some((end, length))
}

fn body_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.map_or(Some(0), |length| length.trim().parse().ok())
}
