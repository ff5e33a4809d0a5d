//! A client's connection from its first byte: TLS or not, HTTP/1.1 or HTTP/2, each by code of its own.

use std::{convert::Infallible, future::poll_fn, mem::MaybeUninit, pin::Pin, sync::Arc, task::ready};

use bytes::{Bytes, BytesMut};
use hyper::{
    Request, Response, body::Incoming, header::STRICT_TRANSPORT_SECURITY, server::conn::http1::Builder, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::{
    begun::Begun,
    body::Answer,
    forward::{self, Client},
    http2,
    pool::BUFFER,
    redirect,
    socket::Watched,
    worker::Worker,
};

/// How a connection of HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So much of it tells it from every request of HTTP/1.1.
const TELLING: usize = 4;
/// Read at once at first.
const FIRST: usize = 4 << 10;

/// Both ends of a connection.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub worker: Arc<Worker>,
    pub client: Arc<Client>,
}

impl Conversation {
    fn watched<S>(&self, socket: S) -> Watched<S> {
        let (clock, limits) = (self.worker.edge.clock, self.worker.edge.limits);
        let watch = Arc::clone(&self.client.watch);
        Watched { tcp: socket, watch, clock, head_us: limits.header_us, stall_us: limits.idle_us }
    }
}

/// Serves a client that speaks plain HTTP/1.1, or HTTP/2 because it knows that it may (RFC 9113 §3.3).
pub(super) async fn plain(conversation: Conversation, mut socket: TcpStream) {
    let Some(first) = first_bytes(&mut socket).await else { return };
    let is_http2 = first.starts_with(&PREFACE[..TELLING]);
    let io = Begun { first, socket: conversation.watched(socket) };
    match (is_http2, conversation.worker.edge.redirects) {
        (false, false) => http1(conversation, io, forward::serve).await,
        (false, true) => http1(conversation, io, redirect::serve).await,
        (true, false) => http2::serve(conversation, io, forward::serve).await,
        (true, true) => http2::serve(conversation, io, redirect::serve).await,
    }
}

/// Serves a client by TLS; the protocol is agreed on in its handshake (ALPN, RFC 7301).
pub(super) async fn secure(conversation: Conversation, socket: TcpStream) {
    let Some(tls) = &conversation.worker.edge.tls else { return };
    let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(socket);
    // Its limit is the watch's, as for everything that a client is slow in.
    let Ok(stream) = handshake.await else { return };
    let edge = &conversation.worker.edge;
    conversation.client.watch.read_by(edge.clock.now() + edge.limits.header_us);
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = conversation.watched(stream);
    if is_http2 {
        http2::serve(conversation, io, over_tls).await;
    } else {
        http1(conversation, io, over_tls).await;
    }
}

async fn over_tls(worker: Arc<Worker>, client: Arc<Client>, request: Request<Incoming>) -> Response<Answer> {
    let hsts = worker.edge.hsts.clone();
    let mut answer = forward::serve(worker, client, request).await;
    if let Some(hsts) = hsts {
        answer.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
    }
    answer
}

async fn http1<S, H, F>(conversation: Conversation, io: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Arc<Worker>, Arc<Client>, Request<Incoming>) -> F,
    F: Future<Output = Response<Answer>>,
{
    let service = service_fn(|request| {
        let answer = handler(Arc::clone(&conversation.worker), Arc::clone(&conversation.client), request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // Time limits are the watch's; a client that breaks off is no event.
    let mut http = Builder::new();
    http.header_read_timeout(None).max_buf_size(BUFFER);
    drop(http.serve_connection(TokioIo::new(io), service).with_upgrades().await);
}

/// What comes first, as much as tells the protocol; absent when the client goes without a word.
///
/// The read that a connection begins with anyhow: nothing is read twice, and nothing is waited for twice.
async fn first_bytes(socket: &mut TcpStream) -> Option<Bytes> {
    let mut first = BytesMut::new();
    loop {
        let read = poll_fn(|cx| {
            let mut space = [MaybeUninit::uninit(); FIRST];
            let mut buffer = ReadBuf::uninit(&mut space);
            let done = ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer));
            first.extend_from_slice(buffer.filled());
            std::task::Poll::Ready(done.map(|()| buffer.filled().len()))
        });
        if read.await.ok()? == 0 {
            return None;
        }
        let shared = first.len().min(TELLING);
        if shared == TELLING || first[..shared] != PREFACE[..shared] {
            return Some(first.freeze());
        }
    }
}
