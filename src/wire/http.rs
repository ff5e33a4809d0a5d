//! HTTP/1.1 over a Unix socket, both sides: JSON bodies, and streams with one JSON document per line.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tokio_util::{io::StreamReader, sync::CancellationToken, task::TaskTracker};

use crate::model::problem::{Problem, ProblemKind};

/// Body of an answer.
pub type Body = BoxBody<Bytes, io::Error>;
/// Largest body of a request that is read.
const LARGEST_BODY: usize = 4 << 20;

/// Listens on `path`, mode 0600, in place of a socket that nobody answers on.
///
/// Fails with `AddrInUse` while another process listens there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::{fs::PermissionsExt, net::UnixStream as Probe};
    if path.exists() {
        if Probe::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{} is in use", path.display())));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves connections of `listener` until `stop`; then lets running answers end for at most a second.
pub async fn serve<H, F>(listener: UnixListener, stop: CancellationToken, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: wait for some to be closed rather than spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (handler, stop) = (handler.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
            let connection = http.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(Duration::from_secs(1), connection).await;
                }
            }
        });
    }
    connections.close();
    let _ = tokio::time::timeout(Duration::from_secs(2), connections.wait()).await;
}

/// Reads a JSON body of at most 4 MiB.
pub async fn read_json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let body = http_body_util::Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    let body = body.map_err(|error| Problem::user(format!("the request's body cannot be read: {error}")))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| Problem::user(format!("the request's body is not what is expected: {error}")))
}

/// A JSON document as an answer.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    json_bytes(status, serde_json::to_vec(value).unwrap_or_default())
}

/// A JSON document that is written already as an answer.
pub fn json_bytes(status: StatusCode, document: Vec<u8>) -> Response<Body> {
    answer(status, "application/json", Full::new(Bytes::from(document)).map_err(|never| match never {}).boxed())
}

/// A problem as an answer; its kind chooses the status.
pub fn problem(problem: &Problem) -> Response<Body> {
    let status = match problem.kind {
        ProblemKind::User => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Conflict => StatusCode::CONFLICT,
        ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Limit | ProblemKind::App => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    json(status, problem)
}

/// A stream as an answer, one JSON document per line, sent as they come.
pub fn ndjson<T: Serialize>(items: impl Stream<Item = T> + Send + Sync + 'static) -> Response<Body> {
    let lines = items.map(|item| {
        let mut line = serde_json::to_vec(&item)?;
        line.push(b'\n');
        Ok(Frame::data(Bytes::from(line)))
    });
    answer(StatusCode::OK, "application/x-ndjson", BodyExt::boxed(StreamBody::new(lines)))
}

fn answer(status: StatusCode, content: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content));
    answer
}

/// What is told of a connection that ended too early; the library's words say no more.
const CUT_OFF: &str = "it ended the connection in the middle of an answer";

fn cut_off(error: hyper::Error) -> io::Error {
    tracing::debug!(%error, "a stream was cut off");
    io::Error::new(io::ErrorKind::ConnectionAborted, CUT_OFF)
}

/// Lines of an answer that goes on.
pub type Lines = Pin<Box<dyn tokio::io::AsyncBufRead + Send>>;

/// A client of one socket; each call takes a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    /// What answers there, for messages: `the engine`, `the edge`.
    name: &'static str,
    /// The command that starts it.
    start: Option<&'static str>,
}

impl Client {
    pub fn new(socket: PathBuf, name: &'static str) -> Self {
        Self { socket, name, start: None }
    }

    /// With the command that starts what is not there.
    pub fn started_by(self, command: &'static str) -> Self {
        Self { start: Some(command), ..self }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and reads its JSON answer, both within `limit`. A problem answered comes back as the error.
    pub async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        limit: Duration,
    ) -> Result<T, Problem> {
        let exchange = async {
            let answer = self.send(method, path, body).await?;
            let ok = answer.status().is_success();
            let body = answer.into_body().collect().await.map_err(|error| self.broken(&error))?.to_bytes();
            if ok {
                serde_json::from_slice(&body).map_err(|error| self.odd(&error))
            } else {
                Err(serde_json::from_slice::<Problem>(&body).unwrap_or_else(|error| self.odd(&error)))
            }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f32();
            Err(Problem::unavailable(format!("{} did not answer in {seconds} s", self.name))
                .at(self.socket.display().to_string()))
        })
    }

    /// Opens an answer that goes on; read it line by line with `next_line`.
    pub async fn stream(&self, path: &str) -> Result<Lines, Problem> {
        let answer = self.send::<()>(Method::GET, path, None).await?;
        if !answer.status().is_success() {
            let body = answer.into_body().collect().await.map_err(|error| self.broken(&error))?.to_bytes();
            return Err(serde_json::from_slice::<Problem>(&body).unwrap_or_else(|error| self.odd(&error)));
        }
        let chunks = answer.into_body().into_data_stream().map(|chunk| chunk.map_err(cut_off));
        Ok(Box::pin(BufReader::with_capacity(64 << 10, StreamReader::new(chunks))))
    }

    async fn send<B: Serialize>(&self, method: Method, path: &str, body: Option<&B>) -> Result<Response<Incoming>, Problem> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.absent(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        #[expect(clippy::disallowed_methods, reason = "ends with the connection, which ends with the answer's body")]
        tokio::spawn(connection);
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| self.odd(&error))?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "pilothouse")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Problem::internal(format!("cannot form the request {path}: {error}")))?;
        sender.send_request(request).await.map_err(|error| self.broken(&error))
    }

    fn absent(&self, error: &io::Error) -> Problem {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such socket".to_owned(),
            io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
            // It may well run: to try again, or to start another one, helps nobody.
            io::ErrorKind::PermissionDenied => {
                return Problem::conflict(format!("{} cannot be asked: this user may not use its socket", self.name))
                    .at(self.socket.display().to_string())
                    .hint("run this as the user whose engine it is, or give a folder of your own with --state");
            }
            _ => error.to_string(),
        };
        let problem = Problem::unavailable(format!("{} does not run: {why}", self.name)).at(self.socket.display().to_string());
        match self.start {
            Some(start) => problem.hint(start),
            None => problem,
        }
    }

    fn broken(&self, error: &hyper::Error) -> Problem {
        tracing::debug!(%error, name = self.name, "broke off");
        Problem::unavailable(format!("{} broke off: {CUT_OFF}", self.name))
            .at(self.socket.display().to_string())
            .hint("try again")
    }

    fn odd(&self, error: &dyn std::fmt::Display) -> Problem {
        Problem::internal(format!("{} answered what this version does not understand: {error}", self.name))
            .hint("compare `pilothouse --version` with `pilothouse engine status`; restart the older one")
    }
}

/// The next document of a stream; absent at its end.
pub async fn next_line<T: DeserializeOwned>(lines: &mut Lines) -> io::Result<Option<T>> {
    let mut line = String::new();
    if lines.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line).map(Some).map_err(io::Error::other)
}
