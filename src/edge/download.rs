//! The body of an instance's answer as it comes; its connection is kept when the body was read to its end.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{
    answer_head::Framing,
    chunked::{Chunked, Part},
    connection::Connection,
    upload::Upload,
};

/// Read at once of a body that is longer.
const ROOM: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Download {
    /// Absent when the answer is at its end.
    connection: Option<Box<Connection>>,
    /// What of the request is still to be sent: an instance may answer before it has read everything.
    upload: Option<Upload>,
    framing: Framing,
    chunked: Chunked,
    keeps: bool,
}

impl Download {
    pub(super) fn new(connection: Box<Connection>, upload: Option<Upload>, framing: Framing, keeps: bool) -> Self {
        Self { connection: Some(connection), upload, framing, chunked: Chunked::Size, keeps }
    }

    /// The whole body, if it has come with the head.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        let connection = self.connection.as_mut()?;
        let Framing::Length(length) = self.framing else { return None };
        if self.upload.is_some() || (connection.received.len() as u64) < length {
            return None;
        }
        let body = if length == 0 { Bytes::new() } else { connection.received.split_to(length as usize).freeze() };
        self.end();
        Some(body)
    }

    /// The connection, once it has become a tunnel.
    pub(super) fn into_tunnel(self) -> Option<Box<Connection>> {
        self.connection
    }

    /// Bytes that are still to come, when that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            _ => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.framing == Framing::Length(0)
    }

    fn end(&mut self) {
        self.framing = Framing::Length(0);
        if let Some(connection) = self.connection.take()
            && self.keeps
            && self.upload.is_none()
            // What comes unasked belongs to no request.
            && connection.received.is_empty()
        {
            connection.keep();
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.poll_upload(cx);
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            let received = &mut connection.received;
            match &mut self.framing {
                Framing::Length(0) => {
                    self.end();
                    return Poll::Ready(None);
                }
                Framing::Length(left) if !received.is_empty() => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                    *left -= n as u64;
                    let data = received.split_to(n).freeze();
                    // Nobody asks for the end of a body whose length is known.
                    if *left == 0 {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Framing::Chunked => match self.chunked.take(received) {
                    Ok(Part::Data(data)) => return Poll::Ready(Some(Ok(data))),
                    Ok(Part::Missing) => {}
                    Ok(Part::End) => {
                        self.end();
                        return Poll::Ready(None);
                    }
                    Err(why) => return self.broken(io::Error::new(io::ErrorKind::InvalidData, why)),
                },
                Framing::UntilEnd if !received.is_empty() => return Poll::Ready(Some(Ok(received.split().freeze()))),
                _ => {}
            }
            let room = match self.framing {
                Framing::Length(left) => usize::try_from(left).unwrap_or(ROOM).min(ROOM),
                _ => ROOM,
            };
            match ready!(connection.poll_receive(cx, room)) {
                Ok(0) if self.framing == Framing::UntilEnd => {
                    self.end();
                    return Poll::Ready(None);
                }
                Ok(0) => return self.broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the app closed the connection")),
                Ok(_) => {}
                Err(error) => return self.broken(error),
            }
        }
    }

    /// Goes on with what is still to be sent of the request; when that breaks, the answer may still come to its end.
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        let (Some(upload), Some(connection)) = (&mut self.upload, &mut self.connection) else { return };
        connection.watch().wakes(cx.waker());
        match upload.poll(connection, cx) {
            Poll::Pending if connection.watch().is_overdue() => {}
            Poll::Pending => return,
            Poll::Ready(Ok(())) => {
                self.upload = None;
                return;
            }
            Poll::Ready(Err(_)) => {}
        }
        connection.forget_unsent();
        self.upload = None;
        self.keeps = false;
    }

    fn broken(&mut self, error: io::Error) -> Poll<Option<io::Result<Bytes>>> {
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }
}
