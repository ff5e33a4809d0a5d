//! Certificates made for a test, and clients that believe them.

use std::{net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pilothouse::config::settings::{CertificateFiles, EdgeSettings};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::world::settings;

/// Writes a certificate for these names; its files.
pub fn certificate(folder: &Path, name: &str, hosts: &[&str]) -> CertificateFiles {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(hosts).expect("a certificate");
    let files = CertificateFiles { cert: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    std::fs::write(&files.cert, made.cert.pem()).expect("written");
    files
}

pub fn https(certificates: Vec<CertificateFiles>) -> EdgeSettings {
    EdgeSettings { https: vec![SocketAddr::from(([127, 0, 0, 1], 0))], certificates, ..settings() }
}

/// A handshake for `host`, which trusts the certificates in these files alone.
pub async fn connect(
    address: SocketAddr,
    host: &str,
    trusted: &[&CertificateFiles],
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for files in trusted {
        roots.add(CertificateDer::from_pem_file(&files.cert).expect("a certificate")).expect("trusted");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let socket = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// A client of HTTP/2 on an open connection; the task ends with the connection.
pub async fn speak<S>(stream: S) -> SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
    tokio::spawn(connection);
    sender
}

pub fn request(method: &str, url: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(url).body(Full::new(body.into())).expect("a request")
}

pub async fn text(answer: Response<Incoming>) -> String {
    String::from_utf8_lossy(&answer.into_body().collect().await.expect("a body").to_bytes()).into_owned()
}
