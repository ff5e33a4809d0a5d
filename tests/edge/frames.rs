//! A client that speaks HTTP/2 frame by frame (RFC 9113 §4.1), so that it can also misbehave.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// A request to `shop.localhost` without a body, or with one of so many bytes to come: less than 10.
    pub fn request(stream: u32, path: &str, body: Option<u8>) -> Self {
        let flags = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
        Self::new(HEADERS, flags, stream, head(path, body))
    }

    /// The error code of a RST_STREAM or a GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    pub fn is_last_of(&self, stream: u32) -> bool {
        self.stream == stream && matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether it begins an answer with status 200: the static table's entry 8 (RFC 7541 appendix A).
    pub fn is_ok(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&0x88)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A head, each field as a literal that is not remembered (RFC 7541 §6.2.2).
pub fn head(path: &str, body: Option<u8>) -> Vec<u8> {
    let mut head = vec![if body.is_some() { 0x83 } else { 0x82 }, 0x86];
    for (name, value) in [(1, "shop.localhost"), (4, path)] {
        head.extend([name, u8::try_from(value.len()).expect("short")]);
        head.extend(value.as_bytes());
    }
    // Entry 28 of the static table: Content-Length.
    head.extend(body.into_iter().flat_map(|length| [0x0f, 28 - 15, 1, b'0' + length]));
    head
}

pub struct Raw {
    pub socket: TcpStream,
}

impl Raw {
    /// Connects and says what every client does first.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(address).await.expect("connected");
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
        let mut raw = Self { socket };
        raw.send(&Frame::new(SETTINGS, 0, 0, [])).await.expect("sent");
        raw
    }

    pub async fn send(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.socket.write_all(&frame.bytes()).await
    }

    /// The next frame; absent when the connection has ended. Pings are answered.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.read()).await.expect("a frame, or the end")?;
            if frame.kind != PING || frame.flags & ACK != 0 {
                return Some(frame);
            }
            // It may have been closed meanwhile, which the next read tells.
            let _ = self.send(&Frame { flags: ACK, ..frame }).await;
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame that is as wanted.
    pub async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// All that comes until the edge ends the connection.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Sends the same over and over, and reads nothing, until the edge ends the connection.
    pub async fn flood(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>().repeat(1000);
        let flooding = async { while self.socket.write_all(&bytes).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, flooding).await.expect("the edge ends the connection");
    }

    /// Sends a frame every few milliseconds, until the edge ends the connection.
    pub async fn drip(&mut self, frame: &Frame) {
        let dripping = async {
            while self.send(frame).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, dripping).await.expect("the edge ends the connection");
    }
}
