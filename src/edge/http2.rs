//! HTTP/2 to a client (RFC 9113): each stream with limits of its own; instances are asked by HTTP/1.1.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    header::{COOKIE, HeaderMap, HeaderValue},
    rt::Executor,
    server::conn::http2::Builder,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    body::Answer,
    converse::Conversation,
    extended_connect,
    forward::Client,
    watch::{Watch, lock},
    worker::{Worker, spawn},
};

/// Streams of one connection that may be open at once.
const STREAMS: u32 = 128;
/// Size of a head, uncompressed, as HPACK counts it (RFC 9113 §10.5.1).
const HEAD: u32 = 64 << 10;
/// Streams that were reset before they were looked at; a client with more is gone (CVE-2023-44487).
const RESETS: usize = 20;
/// Streams that may break our rules; a client with more is gone.
const FAULTS: usize = 64;
/// What a client may send before we take it: of a stream, of all.
const WINDOW: u32 = 256 << 10;
const ALL_WINDOWS: u32 = 1 << 20;
/// What waits to be sent of one stream.
const SENDING: usize = 256 << 10;
/// A connection in use that is silent for so long is asked whether it lives.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// Serves a connection until its client goes, or the edge accepts no more and its streams are done.
pub(super) async fn serve<S, H, F>(conversation: Conversation, io: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Arc<Worker>, Arc<Client>, Request<Incoming>) -> F,
    F: Future<Output = Response<Answer>> + Send + 'static,
{
    let Conversation { worker, client } = conversation;
    let closing = worker.edge.closing.clone();
    let streams = Arc::new(Streams { worker, connection: Arc::clone(&client.watch), open: AtomicUsize::new(0) });
    streams.idle();
    let begun = Begun::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        let stream = Arc::new(Stream::open(&streams));
        *lock(&begun.0) = Some(Arc::clone(&stream.watch));
        join_cookies(request.headers_mut());
        let is_websocket = extended_connect::translate(&mut request, || streams.worker.random());
        let client = Client {
            ip: client.ip,
            asker: client.asker.clone(),
            watch: Arc::clone(&stream.watch),
            stream: is_websocket.then(|| Arc::clone(&stream)),
        };
        let answer = handler(Arc::clone(&streams.worker), Arc::new(client), request);
        async move {
            let answer = answer.await;
            let answer = if is_websocket { extended_connect::translate_back(answer) } else { answer };
            Ok::<_, Infallible>(answer.map(|answer| Streamed { answer, stream }))
        }
    });
    let mut http = Builder::new(begun.clone());
    http.timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(FAULTS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .max_send_buf_size(SENDING)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN);
    let connection = http.serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is no event.
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// HTTP/1.1 has one field of cookies, which HTTP/2 may have in parts (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut parts = headers.get_all(COOKIE).iter();
    let (Some(first), Some(_)) = (parts.next(), parts.next()) else { return };
    let mut whole = first.as_bytes().to_vec();
    for part in headers.get_all(COOKIE).iter().skip(1) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(part.as_bytes());
    }
    if let Ok(whole) = HeaderValue::from_bytes(&whole) {
        headers.insert(COOKIE, whole);
    }
}

/// The streams of one connection.
#[derive(Debug)]
struct Streams {
    worker: Arc<Worker>,
    connection: Arc<Watch>,
    open: AtomicUsize,
}

impl Streams {
    /// Without a stream the client may be silent for a while.
    fn idle(&self) {
        let edge = &self.worker.edge;
        self.connection.read_by(edge.clock.now() + edge.limits.idle_us);
    }
}

/// One request with its answer; has its own deadlines, and ends them when dropped.
#[derive(Debug)]
pub(super) struct Stream {
    streams: Arc<Streams>,
    watch: Arc<Watch>,
    watched: u64,
}

impl Stream {
    fn open(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, SeqCst);
        streams.connection.no_read_limit();
        let watch = Arc::new(Watch::new());
        let watched = streams.worker.watches.add(Arc::clone(&watch));
        Self { streams: Arc::clone(streams), watch, watched }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.worker.watches.remove(self.watched);
        if self.streams.open.fetch_sub(1, SeqCst) == 1 {
            self.streams.idle();
        }
    }
}

/// Starts the task of each stream, and lets its watch end it. A stream's request is handed to the service right before its
/// task is started, on the same thread.
#[derive(Clone, Debug, Default)]
struct Begun(Arc<Mutex<Option<Arc<Watch>>>>);

impl<T: Future<Output = ()> + Send + 'static> Executor<T> for Begun {
    fn execute(&self, task: T) {
        let task = spawn(task);
        if let Some(watch) = lock(&self.0).take() {
            watch.owned_by(task);
        }
    }
}

/// An answer's body, whose client must take it.
#[derive(Debug)]
struct Streamed {
    answer: Answer,
    // Last, since fields are dropped in this order: the answer's end sets a limit for what comes next.
    stream: Arc<Stream>,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        // Asked for more: the client has room for it.
        this.stream.watch.write_moved();
        let frame = Pin::new(&mut this.answer).poll_frame(cx);
        if let Poll::Ready(Some(_)) = &frame {
            let edge = &this.stream.streams.worker.edge;
            this.stream.watch.write_blocked(edge.clock, edge.limits.idle_us);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_in_parts_become_one_field() {
        let mut headers = HeaderMap::new();
        for part in ["a=1", "b=2", "c=3"] {
            headers.append(COOKIE, HeaderValue::from_static(part));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
