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
    download::Download,
    passage::Passage,
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

    /// Its length, when the client has told it.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    pub(super) fn no_answer_awaited(&mut self) {
        self.instance = None;
    }

    /// Sets the limit of the answer as soon as the body is at its end.
    pub(super) fn then_answer_within(&mut self, instance: Arc<Watch>) {
        self.instance = Some(instance);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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
    download: Download,
    // Last, since fields are dropped in this order: a request counts as in flight until its connection is put away.
    _lease: Lease,
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

    /// The lease ends with the answer.
    pub(super) fn relay(download: Download, lease: Lease) -> Self {
        Self { content: Content::Relay(Box::new(Relay { download, _lease: lease })), passage: None }
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
            Content::Relay(relay) => ready!(relay.download.poll(cx)).map(|data| data.map(Frame::data)),
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
            Content::Relay(relay) => relay.download.is_over(),
            Content::File(part) => part.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.download.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Content::File(part) => SizeHint::with_exact(part.left),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(passage) = &mut self.passage {
            let is_whole = match &self.content {
                Content::Whole(_) => true,
                Content::Relay(relay) => relay.download.is_over(),
                Content::File(part) => part.left == 0,
            };
            if !is_whole {
                passage.abandoned();
            }
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
