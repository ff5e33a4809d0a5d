//! Bodies on their way: a client's to an instance, and answers to a client.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{fs::File, io::AsyncRead};

use super::{
    backend::Lease,
    passage::Passage,
    pool::Connection,
    watch::{Clock, Watch},
};

/// How much of a file is read at once.
const CHUNK: usize = 64 << 10;

/// Body of a request on its way to an instance.
#[derive(Debug)]
pub(super) enum Outgoing {
    Empty,
    /// Read before it is sent, so that it can be sent again.
    Whole(Bytes),
    Stream(Box<FromClient>),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.body.size_hint(),
        }
    }
}

/// A body as it comes from a client, whose silence has a limit.
#[derive(Debug)]
pub(super) struct FromClient {
    body: Incoming,
    client: Arc<Watch>,
    instance: Option<Arc<Watch>>,
    silence_us: u64,
    answer_us: u64,
    clock: Clock,
    is_waiting: bool,
}

impl FromClient {
    pub(super) fn new(body: Incoming, client: Arc<Watch>, silence_us: u64, answer_us: u64, clock: Clock) -> Self {
        Self { body, client, instance: None, silence_us, answer_us, clock, is_waiting: false }
    }

    /// Sets the limit of the answer as soon as the body is at its end.
    pub(super) fn then_answer_within(&mut self, instance: Arc<Watch>) {
        self.instance = Some(instance);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() {
            if !self.is_waiting {
                self.is_waiting = true;
                self.client.read_by(self.clock.now() + self.silence_us);
            }
            return Poll::Pending;
        }
        if self.is_waiting {
            self.is_waiting = false;
            self.client.no_read_limit();
        }
        let is_over = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        if is_over && let Some(instance) = self.instance.take() {
            instance.read_by(self.clock.now() + self.answer_us);
        }
        frame
    }
}

/// Reads a body of `length` bytes to its end.
pub(super) async fn whole(mut body: FromClient, length: usize) -> Result<Bytes, hyper::Error> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.poll(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        match &first {
            None => first = Some(data),
            Some(begin) => {
                if rest.is_empty() {
                    rest.reserve(length);
                    rest.extend_from_slice(begin);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

/// Body of an answer to a client.
#[derive(Debug)]
pub(super) struct Answer {
    content: Content,
    /// Ends, and is counted and logged, when the body is gone.
    passage: Option<Passage>,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Relay(Box<Relay>),
    File(Box<FilePart>),
}

/// An instance's answer as it comes.
#[derive(Debug)]
struct Relay {
    body: Incoming,
    /// Kept for the next request when the answer was read to its end.
    connection: Option<Connection>,
    is_over: bool,
    // Last, since fields are dropped in this order: a request counts as in flight until its connection is put away.
    lease: Lease,
}

#[derive(Debug)]
struct FilePart {
    file: File,
    left: u64,
}

impl Answer {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), passage: None }
    }

    pub(super) fn relay(body: Incoming, connection: Option<Connection>, lease: Lease) -> Self {
        Self { content: Content::Relay(Box::new(Relay { body, connection, is_over: false, lease })), passage: None }
    }

    /// `length` bytes of a file from where it stands.
    pub(super) fn file(file: File, length: u64) -> Self {
        Self { content: Content::File(Box::new(FilePart { file, left: length })), passage: None }
    }

    pub(super) fn with(mut self, passage: Passage) -> Self {
        self.passage = Some(passage);
        self
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let frame = match &mut this.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Relay(relay) => ready!(relay.poll(cx)),
            Content::File(part) => ready!(part.poll(cx)),
        };
        if let Some(passage) = &mut this.passage {
            match &frame {
                Some(Ok(frame)) => passage.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(error)) => passage.cut(error),
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Relay(relay) => relay.body.is_end_stream(),
            Content::File(part) => part.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.body.size_hint(),
            Content::File(part) => SizeHint::with_exact(part.left),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(passage) = &mut self.passage {
            let is_whole = match &self.content {
                Content::Whole(_) => true,
                Content::Relay(relay) => relay.is_over || relay.body.is_end_stream(),
                Content::File(part) => part.left == 0,
            };
            if !is_whole {
                passage.abandoned();
            }
        }
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => {
                self.connection = None;
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            None => {
                self.is_over = true;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        if (self.is_over || self.body.is_end_stream())
            && let Some(connection) = self.connection.take()
        {
            connection.keep(&self.lease.backend);
        }
    }
}

impl FilePart {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut buffer = BytesMut::zeroed(CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK)));
        let mut part = tokio::io::ReadBuf::new(&mut buffer);
        if let Err(error) = ready!(Pin::new(&mut self.file).poll_read(cx, &mut part)) {
            return Poll::Ready(Some(Err(error)));
        }
        let n = part.filled().len();
        if n == 0 {
            // It became shorter meanwhile: the client must not take the part for the whole.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left -= n as u64;
        buffer.truncate(n);
        Poll::Ready(Some(Ok(Frame::data(buffer.freeze()))))
    }
}
