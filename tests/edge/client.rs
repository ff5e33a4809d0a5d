//! A client that speaks HTTP/1.1 by hand, so that it can also speak it badly.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::world::PATIENCE;

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// One connection, kept over requests.
pub struct Client<S = TcpStream> {
    pub socket: S,
    rest: Vec<u8>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = timeout(PATIENCE, TcpStream::connect(address)).await.expect("in time").expect("connected");
        Self::over(socket)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// On an open connection, such as one by TLS.
    pub fn over(socket: S) -> Self {
        Self { socket, rest: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        self.socket.write_all(text.as_bytes()).await
    }

    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")).await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        self.ask(&format!("POST {path} HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: {length}\r\n\r\n{body}")).await
    }

    /// Sends a request as it stands and reads its answer.
    pub async fn ask(&mut self, text: &str) -> io::Result<Answer> {
        self.send(text).await?;
        self.answer(text.starts_with("HEAD")).await
    }

    pub async fn answer(&mut self, is_head: bool) -> io::Result<Answer> {
        timeout(PATIENCE, self.read_answer(is_head)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn read_answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let mut answer = Answer { status, head, body: String::new() };
        if is_head || matches!(status, 101 | 204 | 304) {
            return Ok(answer);
        }
        let body = if answer.header("transfer-encoding").is_some() {
            self.chunks().await?
        } else {
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.exactly(length).await?
        };
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = self.rest.windows(2).position(|two| two == b"\r\n") {
                    break self.rest.drain(..end + 2).collect::<Vec<u8>>();
                }
                self.more().await?;
            };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    pub async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < length {
            self.more().await?;
        }
        Ok(self.rest.drain(..length).collect())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.socket.read_buf(&mut self.rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Whether the other side ends the connection within the test's patience.
    pub async fn is_ended(&mut self) -> bool {
        let mut sink = [0; 1024];
        let ended = async { while matches!(self.socket.read(&mut sink).await, Ok(n) if n > 0) {} };
        timeout(PATIENCE, ended).await.is_ok()
    }
}

/// A request on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    Client::connect(address).await.get(path).await.expect("an answer")
}
