//! The way to the Docker engine: found, spoken to in the newest API that it knows, and its failures in our words.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::sync::Mutex;

use crate::{
    config::Settings,
    model::{
        log::safe,
        problem::{Problem, ProblemKind},
    },
};

/// Where Docker listens when nobody says otherwise.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The oldest API that has all we need: Docker 20.10.
pub const OLDEST_API: (usize, usize) = (1, 41);
/// Longest wait for the engine's version.
const GREETING: Duration = Duration::from_secs(5);
/// Longest silence of the engine in an answer; a stop may take its instance's limit.
const SILENCE: u64 = 120;

/// A Docker engine by its address; connected when first needed, and again after it was away.
#[derive(Debug)]
pub struct Client {
    address: String,
    known: Mutex<Option<Docker>>,
    was_seen: AtomicBool,
}

impl Client {
    pub fn new(settings: &Settings) -> Self {
        let asked = settings.config.docker.host.trim();
        let address = if asked.is_empty() { DEFAULT } else { asked };
        Self { address: address.to_owned(), known: Mutex::new(None), was_seen: AtomicBool::new(false) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The engine, with the API settled.
    pub async fn docker(&self) -> Result<Docker, Problem> {
        let mut known = self.known.lock().await;
        if let Some(docker) = known.as_ref() {
            return Ok(docker.clone());
        }
        let docker = self.connect().await?;
        *known = Some(docker.clone());
        self.was_seen.store(true, Ordering::Relaxed);
        Ok(docker)
    }

    /// Has the API settled anew at the next need: the engine may be another one now.
    pub async fn forget(&self) {
        *self.known.lock().await = None;
    }

    /// Whether a problem is that a Docker went away which was there before, so that it may be back soon.
    pub fn is_away(&self, problem: &Problem) -> bool {
        problem.is_transient() && problem.at.as_ref() == Some(&self.address) && self.was_seen.load(Ordering::Relaxed)
    }

    async fn connect(&self) -> Result<Docker, Problem> {
        if let Some(path) = self.address.strip_prefix("unix://")
            && !Path::new(path).exists()
        {
            return Err(absent(&self.address, "there is no such socket"));
        }
        let docker = match self.address.split_once("://") {
            Some(("unix", _)) => Docker::connect_with_unix(&self.address, SILENCE, API_DEFAULT_VERSION),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(&self.address, SILENCE, API_DEFAULT_VERSION),
            _ => {
                return Err(Problem::user(format!("`{}` is no address of a Docker engine", self.address))
                    .at("docker.host")
                    .hint("write unix:///path/to/docker.sock or tcp://host:port"));
            }
        };
        let docker = docker.map_err(|error| self.problem("reach Docker", error))?;
        let settled = tokio::time::timeout(GREETING, docker.negotiate_version()).await;
        let docker = match settled {
            Ok(settled) => settled.map_err(|error| self.problem("reach Docker", error))?,
            Err(_) => return Err(absent(&self.address, "it does not answer")),
        };
        let api = docker.client_version();
        if (api.major_version, api.minor_version) < OLDEST_API {
            return Err(Problem::conflict(format!("Docker at {} speaks API {api}, which is too old", self.address))
                .hint("install Docker 20.10 or newer (API 1.41)"));
        }
        Ok(docker)
    }

    /// `error` in our words; `deed` completes "cannot".
    pub fn problem(&self, deed: &str, error: Error) -> Problem {
        match error {
            Error::DockerResponseServerError { status_code, ref message } => said(deed, status_code, message.trim()),
            Error::DockerStreamError { ref error } => said(deed, 500, error.trim()),
            Error::DockerContainerWaitError { ref error, .. } => said(deed, 500, error.trim()),
            Error::RequestTimeoutError => absent(&self.address, "it did not answer in time"),
            Error::JsonDataError { .. }
            | Error::JsonSerdeError { .. }
            | Error::StrParseError { .. }
            | Error::APIVersionParseError {}
            | Error::HttpHeaderNotFoundError(_) => {
                tracing::debug!(deed, error = causes(&error), "an answer that is not Docker's");
                Problem::app(format!("cannot {deed}: what answers at {} does not speak as Docker does", self.address))
                    .at(self.address.clone())
                    .hint("see that docker.host is a Docker engine's address: pilothouse doctor")
            }
            Error::SocketNotFoundError(_) => absent(&self.address, "there is no such socket"),
            Error::UnsupportedURISchemeError { .. }
            | Error::URLParseError { .. }
            | Error::InvalidURIError { .. }
            | Error::InvalidURIPartsError { .. } => Problem::user(format!("`{}` is no address of a Docker engine", self.address))
                .at("docker.host")
                .hint("write unix:///path/to/docker.sock or tcp://host:port"),
            other => {
                let cause = io_cause(&other);
                if cause == Some(io::ErrorKind::PermissionDenied) {
                    return Problem::conflict(format!("this user may not use Docker at {}", self.address))
                        .at(self.address.clone())
                        .hint("sudo usermod -aG docker $USER, then log in again; or run as root");
                }
                tracing::debug!(deed, error = causes(&other), "Docker does not answer");
                absent(&self.address, why(cause))
            }
        }
    }
}

/// The operating system's reason below an error, if it is one.
fn io_cause(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let below = std::iter::successors(Some(error), |error| error.source());
    below.filter_map(|error| error.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

fn why(cause: Option<io::ErrorKind>) -> &'static str {
    use io::ErrorKind as Kind;
    match cause {
        Some(Kind::NotFound) => "there is no such socket",
        Some(Kind::ConnectionRefused) => "nobody listens there",
        Some(Kind::TimedOut | Kind::WouldBlock) => "it did not answer in time",
        Some(Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable) => "there is no way to that address",
        // An end in the middle of an answer has no reason of its own.
        _ => "it ended the connection",
    }
}

/// Whether an answer says that the thing is not there.
pub fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether it already is as was asked: 304.
pub fn is_unchanged(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 304, .. })
}

fn absent(address: &str, why: &str) -> Problem {
    Problem::unavailable(format!("Docker does not answer: {why}"))
        .at(address.to_owned())
        .hint("start Docker; pilothouse doctor says what is missing")
}

/// What Docker said, without the prefixes that say nothing.
fn said(deed: &str, status: u16, message: &str) -> Problem {
    let message = message.trim_start_matches("Error response from daemon: ");
    let kind = match status {
        404 => ProblemKind::NotFound,
        409 => ProblemKind::Conflict,
        400..=499 => ProblemKind::User,
        _ => ProblemKind::App,
    };
    let first = message.lines().next().unwrap_or("it does not say why");
    let problem = Problem::new(kind, format!("cannot {deed}: Docker says: {}", safe(first)));
    let next = match problem.kind {
        _ if message.contains("no space left on device") => "make room on the disk: pilothouse prune; docker system df",
        ProblemKind::NotFound => "pilothouse containers lists what is there",
        ProblemKind::Conflict => "see what stands in its way: pilothouse containers",
        ProblemKind::User => "correct what was asked, then try again",
        _ => "Docker's own log says more: journalctl -u docker",
    };
    problem.hint(next)
}

/// The error with what lies below it, each once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.iter().any(|known| known.contains(&cause_words)) {
            words.push(cause_words);
        }
        next = cause.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_says_is_told_with_what_was_tried() {
        let problem = said("start shop-1-a", 404, "Error response from daemon: no such image\nmore");
        assert_eq!(
            (problem.kind, problem.what.as_str()),
            (ProblemKind::NotFound, "cannot start shop-1-a: Docker says: no such image")
        );
    }

    #[tokio::test]
    async fn a_docker_that_refuses_is_told_without_words_of_libraries() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", taken.local_addr().unwrap());
        drop(taken);
        let client = Client { address: address.clone(), known: Mutex::new(None), was_seen: AtomicBool::new(false) };
        let problem = client.docker().await.unwrap_err();
        assert_eq!(problem.what, "Docker does not answer: nobody listens there");
        assert!(problem.is_transient());
        assert_eq!(problem.at, Some(address));
        assert!(problem.next.is_some() && problem.evidence.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_docker_is_told_as_such() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let answering = async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await.unwrap();
        };
        let client = Client { address: address.clone(), known: Mutex::new(None), was_seen: AtomicBool::new(false) };
        let (problem, ()) = tokio::join!(client.docker(), answering);
        let problem = problem.unwrap_err();
        assert_eq!(problem.what, format!("cannot reach Docker: what answers at {address} does not speak as Docker does"));
    }

    #[test]
    fn a_docker_that_is_away_may_come_back() {
        assert!(absent("unix:///x", "no such socket").is_transient());
    }
}
