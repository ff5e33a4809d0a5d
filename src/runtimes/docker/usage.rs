//! How large volumes are: `GET /system/df`, spoken by hand, because its shape differs from API to API.

use std::{collections::HashMap, time::Duration};

use bollard::Docker;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use crate::model::units::Bytes;

/// Longest wait: Docker counts every file.
const LIMIT: Duration = Duration::from_secs(120);
/// The last API that is asked: newer ones answer by another shape.
const NEWEST: (usize, usize) = (1, 51);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volume {
    name: String,
    usage_data: Option<Usage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    /// -1 where it is not known.
    size: i64,
}

/// The size of each volume, by name; nothing where Docker does not say. Docker reads every file's size for it: seconds, with
/// large volumes a minute.
pub(super) async fn volumes(docker: &Docker, address: &str) -> HashMap<String, Bytes> {
    let api = docker.client_version();
    let (major, minor) = (api.major_version, api.minor_version).min(NEWEST);
    // Before API 1.42 all kinds are counted, whatever is asked.
    let path = format!("/v{major}.{minor}/system/df?type=volume");
    let asked = async {
        match address.split_once("://")? {
            ("unix", socket) => ask(UnixStream::connect(socket).await.ok()?, &path).await,
            ("tcp" | "http", host) => ask(TcpStream::connect(host).await.ok()?, &path).await,
            _ => None,
        }
    };
    let text = tokio::time::timeout(LIMIT, asked).await.ok().flatten().unwrap_or_default();
    sizes(&text)
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: S, path: &str) -> Option<Vec<u8>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path).header("host", "docker").body(Empty::<bytes::Bytes>::new()).ok()?;
    let answer = async {
        let answer = sender.send_request(request).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        Some(answer.into_body().collect().await.ok()?.to_bytes().to_vec())
    };
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection is at its end: what it has brought is still read.
        _ = &mut connection => answer.await,
    }
}

fn sizes(text: &[u8]) -> HashMap<String, Bytes> {
    let answer: Option<Answer> = serde_json::from_slice(text).ok();
    let volumes = answer.and_then(|answer| answer.volumes).unwrap_or_default().into_iter();
    volumes.filter_map(|volume| Some((volume.name, Bytes(u64::try_from(volume.usage_data?.size).ok()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_tells_them() {
        let text = br#"{"LayersSize":1,"Images":null,"Volumes":[
            {"Name":"data","Driver":"local","UsageData":{"RefCount":1,"Size":4096}},
            {"Name":"far","Driver":"nfs","UsageData":{"RefCount":1,"Size":-1}},
            {"Name":"odd","Driver":"x","UsageData":null}],"BuildCache":[]}"#;
        assert_eq!(sizes(text), HashMap::from([("data".to_owned(), Bytes(4096))]));
        assert_eq!(sizes(b"no JSON"), HashMap::new());
    }
}
