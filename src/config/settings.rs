//! Every setting of an engine, with its default; also the shape of `config.toml`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::state_dir::StateDir;
use crate::model::units::{Bytes, Millis};

/// `config.toml`. Each key is also an environment variable (`edge.http` is `PILOTHOUSE_EDGE_HTTP`) and a flag
/// (`--set edge.http=…`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    pub edge: EdgeSettings,
    pub engine: EngineSettings,
    pub logs: LogSettings,
    pub docker: DockerSettings,
    pub console: ConsoleSettings,
}

/// The public edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeSettings {
    /// Addresses for plain HTTP. Empty: the first free port from 8080 on 127.0.0.1 and, where there is one, on `[::1]`.
    #[schemars(with = "Vec<String>")]
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTPS, by HTTP/1.1 and HTTP/2. Default: none.
    #[schemars(with = "Vec<String>")]
    pub https: Vec<SocketAddr>,
    /// PEM files of certificates, each `{ cert = "FILE", key = "FILE" }` or `"CERT:KEY"`; chosen by name, the first one for
    /// other names. Changed files are read within a second.
    pub certificates: Vec<CertificateFiles>,
    /// Plain HTTP leads to HTTPS (308) where a certificate is for the host. Default `false`.
    pub redirect: bool,
    /// Browsers are told to use HTTPS alone for so long (`Strict-Transport-Security`). Default `0s`: they are not.
    pub hsts: Millis,
    /// Threads that serve; 0: one per core.
    pub threads: usize,
    /// Longest wait for a request's head from a client. Default `10s`.
    pub header_timeout: Millis,
    /// Longest silence of a client between requests. Default `60s`.
    pub idle_timeout: Millis,
    /// Longest wait for the head of a back end's answer. Default `60s`.
    pub answer_timeout: Millis,
    /// Open connections of clients at most. Default 10000.
    pub connections: usize,
    /// Proxies (addresses) whose X-Forwarded-* headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Each app is also served at `NAME.DOMAIN`, which becomes its URL. A wildcard record must lead here. Default: none.
    pub domain: String,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            http: Vec::new(),
            https: Vec::new(),
            certificates: Vec::new(),
            redirect: false,
            hsts: Millis(0),
            threads: 0,
            header_timeout: Millis::seconds(10),
            idle_timeout: Millis::seconds(60),
            answer_timeout: Millis::seconds(60),
            connections: 10_000,
            trusted_proxies: Vec::new(),
            domain: String::new(),
        }
    }
}

/// The two PEM files of a certificate, which may be the same one. In text: `CERT:KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FilesWritten", into = "String")]
pub struct CertificateFiles {
    /// The certificate, then those between it and its root.
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FilesWritten {
    Text(String),
    Table { cert: PathBuf, key: PathBuf },
}

impl schemars::JsonSchema for CertificateFiles {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CertificateFiles".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "object"],
            "properties": { "cert": { "type": "string" }, "key": { "type": "string" } },
            "required": ["cert", "key"],
        })
    }
}

impl TryFrom<FilesWritten> for CertificateFiles {
    type Error = String;

    fn try_from(written: FilesWritten) -> Result<Self, String> {
        let files = match written {
            FilesWritten::Table { cert, key } => Self { cert, key },
            FilesWritten::Text(text) => {
                let (cert, key) = text.split_once(':').unwrap_or((&text, &text));
                Self { cert: cert.into(), key: key.into() }
            }
        };
        for path in [&files.cert, &files.key] {
            // It must stand in an environment variable as well.
            if path.as_os_str().is_empty() || path.to_string_lossy().contains([':', ',']) {
                let shown = path.display();
                return Err(format!("`{shown}` cannot be a certificate's file; try: CERT:KEY, both without `:` and `,`"));
            }
        }
        Ok(files)
    }
}

impl From<CertificateFiles> for String {
    fn from(files: CertificateFiles) -> Self {
        format!("{}:{}", files.cert.display(), files.key.display())
    }
}

/// The engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// The engine ends by itself after this time without console, app or work. Default `5m`.
    pub grace: Millis,
    /// How often hosts, instances and edge are measured. Default `3s`.
    pub sample_every: Millis,
    /// Builds that run at once. Default 2.
    pub builds: usize,
    /// How often a watched branch is looked at; longer after failures, at most ten minutes. Default `30s`.
    pub watch_every: Millis,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { grace: Millis::minutes(5), sample_every: Millis::seconds(3), builds: 2, watch_every: Millis::seconds(30) }
    }
}

/// The Docker engine of this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DockerSettings {
    /// Where it is asked: `unix:///path` or `tcp://host:port`. Empty: `DOCKER_HOST`, else `unix:///var/run/docker.sock`.
    pub host: String,
    /// Images that written Dockerfiles begin with, by language or package manager: `node=registry.example/node:22`.
    pub base_images: Vec<String>,
    /// Addresses of the network in which containers of all apps run: `198.18.7.0/24`. Empty: Docker chooses.
    pub subnet: String,
}

/// Logs of instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Size at which a log file is rotated. Default `8M`.
    pub rotate_at: Bytes,
    /// Rotated files kept of an instance. Default 4.
    pub keep: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { rotate_at: Bytes::mib(8), keep: 4 }
    }
}

/// The console.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleSettings {
    /// `pilot-dark`, `pilot-light`, or the path of a theme file.
    pub theme: String,
    /// No flash on change.
    pub reduced_motion: bool,
    /// Keys of verbs in place of their own: `roll-back = ["B", "F9"]`. Verbs are named as `pilothouse keys` names them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { theme: "pilot-dark".to_owned(), reduced_motion: false, keys: BTreeMap::new() }
    }
}

/// What a process of Pilothouse runs with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub state: StateDir,
    pub config: ConfigFile,
    /// This program's own file, from which keepers and the edge are started.
    pub binary: PathBuf,
    /// Identity of this boot of the machine; injectable for tests of a reboot (`PILOTHOUSE_BOOT_ID`).
    pub boot_id: String,
}
