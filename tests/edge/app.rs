//! Small apps behind the edge, on real sockets, each with a way of its own to behave.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// How an app answers.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Body of its answers.
    pub name: &'static str,
    pub status: u16,
    pub work: Duration,
    /// Ends a connection that was silent for so long.
    pub idle: Duration,
    /// More lines of its heads.
    pub head: &'static str,
    /// What happens to a POST, once it has been read and applied.
    pub post: Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    Answer,
    /// Closes in order, without an answer.
    Close,
    /// Resets, without an answer.
    Reset,
    /// Answers 500.
    Fail,
}

impl Default for Manner {
    fn default() -> Self {
        Self { name: "app", status: 200, work: Duration::ZERO, idle: Duration::from_secs(60), head: "", post: Post::Answer }
    }
}

/// A running app; it ends when dropped, at once.
pub struct App {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    /// How often each POST was applied, by its body.
    applied: Mutex<HashMap<String, usize>>,
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    is_slow: AtomicBool,
}

impl App {
    pub async fn named(name: &'static str) -> Self {
        Self::with(Manner { name, ..Manner::default() }).await
    }

    pub async fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, manner)
    }

    pub fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        #[expect(clippy::disallowed_methods, reason = "it ends with the app")]
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                connections.spawn(converse(socket, manner.clone(), Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, seen, task: task.abort_handle() }
    }

    /// POSTs that were applied, each with how often.
    pub fn applied(&self) -> HashMap<String, usize> {
        self.seen.applied.lock().expect("unpoisoned").clone()
    }

    /// Heads of the requests that clients sent; not those of checks and proofs.
    pub fn heads(&self) -> Vec<String> {
        let heads = self.seen.heads.lock().expect("unpoisoned").clone();
        heads.into_iter().filter(|head| !head.contains("pilothouse-edge/")).collect()
    }

    pub async fn has_no_connection(&self) {
        let none = async {
            while self.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_millis(500), none).await.expect("the edge closes first");
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Counted(Arc<Seen>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, SeqCst);
    }
}

async fn converse(mut socket: TcpStream, manner: Manner, seen: Arc<Seen>) {
    seen.connections.fetch_add(1, SeqCst);
    let counted = Counted(seen);
    let seen = &counted.0;
    let mut buffer = Vec::new();
    loop {
        let request = tokio::time::timeout(manner.idle, read_request(&mut socket, &mut buffer)).await;
        let Ok(Some((head, body))) = request else { return };
        let is_post = head.starts_with("POST");
        let is_head = head.starts_with("HEAD");
        seen.heads.lock().expect("unpoisoned").push(head.clone());
        if is_post {
            *seen.applied.lock().expect("unpoisoned").entry(body).or_default() += 1;
            match manner.post {
                Post::Answer | Post::Fail => {}
                Post::Close => return,
                Post::Reset => {
                    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("lingers");
                    return;
                }
            }
        }
        if head.to_ascii_lowercase().contains("upgrade: echo") {
            echo(socket).await;
            return;
        }
        tokio::time::sleep(manner.work).await;
        let status = if is_post && manner.post == Post::Fail { 500 } else { manner.status };
        let (name, more) = (manner.name, manner.head);
        let length = name.len();
        let text = if is_head { "" } else { name };
        let answer = format!("HTTP/1.1 {status} Word\r\n{more}Content-Length: {length}\r\n\r\n{text}");
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn echo(mut socket: TcpStream) {
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    if socket.write_all(switch).await.is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    while let Ok(n) = socket.read(&mut buffer).await {
        if n == 0 || socket.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length:")).and_then(|length| length.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    while buffer.len() < end + length {
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&buffer[end..end + length]).into_owned();
    buffer.drain(..end + length);
    Some((head, body))
}
