//! A request on its way to an instance: its head as bytes, its body as it comes.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Method,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    http::request::Parts,
};

use super::{
    body::{FromClient, Outgoing},
    connection::Connection,
};

/// Bodies up to here are written together with the head, as one piece.
const JOINED: usize = 16 << 10;

/// What is still to be sent of a request.
#[derive(Debug)]
pub(super) struct Upload {
    body: Option<Box<FromClient>>,
    framing: Framing,
}

/// How the end of a body is told (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Bytes that are still to come.
    Length(u64),
    Chunked,
}

/// Why a request was not sent to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The instance takes no more.
    Instance(io::Error),
    /// The client's body broke off.
    Client,
}

impl Upload {
    /// Lays the head, and a body that is there already, ready to be written.
    pub(super) fn begin(connection: &mut Connection, head: &Parts, body: &mut Outgoing) -> Self {
        let out = &mut connection.out;
        write_head(out, head);
        match body {
            Outgoing::Empty => {
                // Methods that mean a body say that there is none (RFC 9110 §8.6).
                let expects = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
                out.extend_from_slice(if expects { b"content-length: 0\r\n\r\n" } else { b"\r\n" });
                Self { body: None, framing: Framing::Length(0) }
            }
            Outgoing::Whole(bytes) => {
                write_length(out, bytes.len() as u64);
                if bytes.len() <= JOINED {
                    out.extend_from_slice(bytes);
                } else {
                    connection.chunk = Bytes::clone(bytes);
                }
                Self { body: None, framing: Framing::Length(0) }
            }
            // It is taken once the head is written: until then the request can be sent elsewhere.
            Outgoing::Stream(stream) => {
                let Some(length) = stream.length() else {
                    out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                    return Self { body: None, framing: Framing::Chunked };
                };
                write_length(out, length);
                Self { body: None, framing: Framing::Length(length) }
            }
        }
    }

    /// Once all so far is written: takes the client's body, to be sent as it comes. False when nothing is left to send.
    pub(super) fn follow(&mut self, body: &mut Outgoing) -> bool {
        match std::mem::replace(body, Outgoing::Empty) {
            Outgoing::Stream(stream) => {
                self.body = Some(stream);
                true
            }
            other => {
                *body = other;
                false
            }
        }
    }

    /// The answer began before the request ended: its coming needs no limit any more.
    pub(super) fn answer_has_come(&mut self) {
        if let Some(body) = &mut self.body {
            body.no_answer_awaited();
        }
    }

    /// Writes as much as can be; ready when all is written.
    pub(super) fn poll(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            ready!(connection.poll_send(cx)).map_err(Broken::Instance)?;
            let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
            match ready!(body.poll(cx)) {
                Some(Ok(frame)) => {
                    // Trailers end here: an app that wants them cannot be told from one that does not.
                    if let Ok(data) = frame.into_data() {
                        self.add(connection, data)?;
                    }
                }
                Some(Err(_)) => return Poll::Ready(Err(Broken::Client)),
                None => {
                    self.body = None;
                    match self.framing {
                        Framing::Length(0) => {}
                        Framing::Length(_) => return Poll::Ready(Err(Broken::Client)),
                        Framing::Chunked => connection.out.extend_from_slice(b"0\r\n\r\n"),
                    }
                }
            }
        }
    }

    fn add(&mut self, connection: &mut Connection, data: Bytes) -> Result<(), Broken> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            // More than was announced would be taken for the next request.
            Framing::Length(left) => *left = left.checked_sub(data.len() as u64).ok_or(Broken::Client)?,
            Framing::Chunked => {
                use std::io::Write;
                // Writing to a vector cannot fail.
                let _ = write!(connection.out, "{:x}\r\n", data.len());
                connection.out.extend_from_slice(&data);
                connection.out.extend_from_slice(b"\r\n");
                return Ok(());
            }
        }
        connection.chunk = data;
        Ok(())
    }
}

/// Adds request line and fields, without those that tell the end of the body, and without the empty line.
fn write_head(out: &mut Vec<u8>, head: &Parts) {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = write!(out, "content-length: {length}\r\n\r\n");
}
