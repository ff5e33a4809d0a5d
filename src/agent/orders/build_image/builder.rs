//! Docker's builders: one request whose body is the context and whose answer is what is said while it builds.
//!
//! Spoken by hand, because its limits of memory are 64-bit numbers and because dropping the connection is what ends a build.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request, StatusCode,
    body::{Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::mpsc,
};

use super::answer::{Reader, Said};
use crate::model::{Problem, units};

/// Which of Docker's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builder {
    Classic {
        /// Most memory of each step.
        memory: units::Bytes,
    },
    /// It knows no limit of memory, and has no containers.
    BuildKit,
}

impl Builder {
    /// Most memory of each step, where there is a limit.
    pub(super) fn memory(self) -> Option<units::Bytes> {
        match self {
            Self::Classic { memory } => Some(memory),
            Self::BuildKit => None,
        }
    }
}

/// What is asked of the builder beside the context.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Name of the Dockerfile in the context.
    pub(super) dockerfile: String,
    /// `repository:tag` of the image.
    pub(super) tag: String,
    pub(super) target: Option<String>,
    pub(super) arguments: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) by: Builder,
}

impl Asked {
    fn query(&self) -> String {
        let object = |pairs: &BTreeMap<String, String>| serde_json::json!(pairs).to_string();
        let mut query = vec![
            ("dockerfile", self.dockerfile.clone()),
            ("t", self.tag.clone()),
            ("buildargs", object(&self.arguments)),
            ("labels", object(&self.labels)),
        ];
        match self.by {
            Builder::BuildKit => query.push(("version", "2".to_owned())),
            Builder::Classic { memory } => {
                let memory = memory.0.min(i64::MAX as u64).to_string();
                query.extend([
                    ("version", "1".to_owned()),
                    // What ran a step goes, also when the step failed.
                    ("rm", "1".to_owned()),
                    ("forcerm", "1".to_owned()),
                    ("memory", memory.clone()),
                    // No swap beside it: the limit is the limit.
                    ("memswap", memory),
                    // Half of what an app gets when both want the processor.
                    ("cpushares", "512".to_owned()),
                ]);
            }
        }
        query.extend(self.target.iter().map(|target| ("target", target.clone())));
        serde_urlencoded::to_string(query).unwrap_or_default()
    }
}

/// Has an image built at `address`; `pieces` is the context. Everything that is said goes to `give`, in order.
///
/// Dropping the future ends the build. A failed build is told by `Said::Failed`, not by this answer.
pub(super) async fn build(
    address: &str,
    asked: &Asked,
    pieces: mpsc::Receiver<Bytes>,
    give: impl FnMut(Said),
) -> Result<(), Problem> {
    match address.split_once("://") {
        Some(("unix", path)) => talk(UnixStream::connect(path).await, address, asked, pieces, give).await,
        Some(("tcp" | "http", host)) => talk(TcpStream::connect(host).await, address, asked, pieces, give).await,
        _ => Err(Problem::user(format!("`{address}` is no address of a Docker engine")).at("docker.host")),
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: std::io::Result<S>,
    address: &str,
    asked: &Asked,
    pieces: mpsc::Receiver<Bytes>,
    mut give: impl FnMut(Said),
) -> Result<(), Problem> {
    let away = |why: &dyn std::fmt::Display| {
        Problem::unavailable(format!("Docker broke the build off: {why}"))
            .at(address.to_owned())
            .hint("start Docker, then deploy again; pilothouse doctor says what is missing")
    };
    let stream = stream.map_err(|error| away(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| away(&error))?;
    let request = Request::post(format!("/build?{}", asked.query()))
        .header("host", "docker")
        .header("content-type", "application/x-tar")
        .body(StreamBody::new(Pieces(pieces)))
        .map_err(|error| Problem::internal(error.to_string()))?;
    let work = async {
        let answer = sender.send_request(request).await.map_err(|error| away(&error))?;
        let (head, mut body) = answer.into_parts();
        if head.status != StatusCode::OK {
            return Err(refused(head.status, &text(body).await));
        }
        let mut reader = Reader::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| away(&error))?;
            if let Some(bytes) = frame.data_ref() {
                reader.push(bytes, &mut give);
            }
        }
        Ok(())
    };
    tokio::pin!(work);
    tokio::pin!(connection);
    tokio::select! {
        done = &mut work => done,
        // The connection is at its end: what it has brought is still read.
        _ = &mut connection => work.await,
    }
}

/// The end of an answer that is no build.
async fn text(body: Incoming) -> String {
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = value.get("message").and_then(serde_json::Value::as_str).map(str::to_owned);
    message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).chars().take(500).collect())
}

fn refused(status: StatusCode, message: &str) -> Problem {
    let what = format!("Docker refused to build: {}", message.trim());
    match status.as_u16() {
        400..=499 => Problem::user(what).hint("mend the Dockerfile, then deploy again"),
        _ => Problem::app(what),
    }
}

/// The pieces of the context as a body.
struct Pieces(mpsc::Receiver<Bytes>);

impl futures_util::Stream for Pieces {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_labels_stand_in_the_request() {
        let asked = Asked {
            dockerfile: "Dockerfile".to_owned(),
            tag: "a/b:1".to_owned(),
            arguments: BTreeMap::new(),
            by: Builder::Classic { memory: units::Bytes::gib(4) },
            labels: [("k".to_owned(), "v w".to_owned())].into(),
            target: Some("run".to_owned()),
        };
        let query = asked.query();
        for part in [
            "memory=4294967296",
            "memswap=4294967296",
            "forcerm=1",
            "t=a%2Fb%3A1",
            "target=run",
            "labels=%7B%22k%22%3A%22v+w%22%7D",
        ] {
            assert!(query.contains(part), "{part} in {query}");
        }
        let query = Asked { by: Builder::BuildKit, ..asked }.query();
        assert!(query.contains("version=2") && !query.contains("memory"), "{query}");
    }
}
