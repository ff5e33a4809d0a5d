//! The engine's door: a snapshot, then changes; commands; logs. `docs/api.md` describes it for others.

use std::{collections::BTreeMap, io, time::Duration};

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::http::{self, Lines};
use crate::model::{
    change::Numbered,
    command::{Answer, Command, Request},
    edge::EdgeStatus,
    fleet::{EngineStatus, Fleet},
    ids::Seq,
    log::{LogLine, LogQuery},
    problem::Problem,
};

/// Version of the API: the first part of each path.
pub const VERSION: &str = "v1";

/// Longest wait for an answer that needs no work.
const PROMPT: Duration = Duration::from_secs(10);
/// Longest wait for a plan or the acceptance of a deploy: the source may have to be looked at first.
const PLAN: Duration = Duration::from_secs(6 * 60);
/// Longest wait for another edge to serve: a port may be waited for, and one that does not come is ended.
const EDGE: Duration = Duration::from_secs(90);

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub engine: EngineStatus,
    pub edge: EdgeStatus,
    pub uptime_s: u64,
    /// Settings that it took at its start, by key, as they are written.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// From where the feed is wanted: `GET /v1/changes?epoch=E&after=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct From {
    pub epoch: u64,
    pub after: Seq,
}

/// A client of one engine.
#[derive(Clone, Debug)]
pub struct Client {
    http: http::Client,
}

impl Client {
    pub fn new(socket: std::path::PathBuf) -> Self {
        Self { http: http::Client::new(socket, "the engine").started_by("pilothouse engine start") }
    }

    pub fn socket(&self) -> &std::path::Path {
        self.http.socket()
    }

    /// Whether the folder of the engine's socket is gone: then nobody starts it there again.
    pub fn is_removed(&self) -> bool {
        self.socket().parent().is_some_and(|folder| !folder.exists())
    }

    pub async fn status(&self) -> Result<Status, Problem> {
        self.http.call::<(), _>(Method::GET, "/v1/status", None, PROMPT).await
    }

    pub async fn snapshot(&self) -> Result<Fleet, Problem> {
        self.http.call::<(), _>(Method::GET, "/v1/snapshot", None, PROMPT).await
    }

    /// The feed after a snapshot: `changes(fleet.epoch, fleet.seq)`. Every 2 s without a change it says `Alive`; after
    /// `Gap` take a new snapshot.
    pub async fn changes(&self, epoch: u64, after: Seq) -> Result<Feed, Problem> {
        let query = serde_urlencoded::to_string(From { epoch, after }).unwrap_or_default();
        Ok(Feed { lines: self.http.stream(&format!("/v1/changes?{query}")).await? })
    }

    /// Sends a command. A refusal comes back as the error.
    pub async fn command(&self, request: &Request) -> Result<Answer, Problem> {
        let limit = match request.command {
            Command::Plan(_) | Command::Deploy(_) => PLAN,
            Command::ReplaceEdge => EDGE,
            _ => PROMPT,
        };
        self.http.call(Method::POST, "/v1/commands", Some(request), limit).await
    }

    /// Log records in batches, oldest first; without `follow` the stream ends after the last.
    pub async fn logs(&self, query: &LogQuery) -> Result<LogFeed, Problem> {
        let query =
            serde_urlencoded::to_string(query).map_err(|error| Problem::internal(format!("cannot ask for logs: {error}")))?;
        Ok(LogFeed { lines: self.http.stream(&format!("/v1/logs?{query}")).await? })
    }
}

/// Numbered changes as they come.
pub struct Feed {
    lines: Lines,
}

impl Feed {
    /// The next change; absent when the engine ends.
    pub async fn next(&mut self) -> io::Result<Option<Numbered>> {
        http::next_line(&mut self.lines).await
    }
}

/// Log records as they come.
pub struct LogFeed {
    lines: Lines,
}

impl LogFeed {
    /// The next batch, never empty; absent at the end.
    pub async fn next(&mut self) -> io::Result<Option<Vec<LogLine>>> {
        http::next_line(&mut self.lines).await
    }
}
