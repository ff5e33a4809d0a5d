//! The way to the Docker engine: found, spoken to in the newest API that it knows, and its failures in our words.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::sync::Mutex;

use crate::{
    config::Settings,
    model::problem::{Problem, ProblemKind},
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
            Error::DockerResponseServerError { status_code, message } => said(deed, status_code, message.trim()),
            Error::DockerStreamError { error } => said(deed, 500, error.trim()),
            other => {
                let chain = causes(&other);
                if chain.contains("ermission denied") {
                    return Problem::conflict(format!("this user may not use Docker at {}", self.address))
                        .at(self.address.clone())
                        .hint("sudo usermod -aG docker $USER, then log in again; or run as root");
                }
                absent(&self.address, &chain)
            }
        }
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
    Problem::new(kind, format!("cannot {deed}: Docker says: {first}"))
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

    #[test]
    fn a_docker_that_is_away_may_come_back() {
        assert!(absent("unix:///x", "no such socket").is_transient());
    }
}
