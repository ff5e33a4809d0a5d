//! The engine's door: commands in, streams out, over the Unix socket.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use tokio::sync::{broadcast::error::RecvError, watch};

use super::{controllers::commands::Commands, fleet::Hub};
use crate::{
    config::clock,
    model::{
        change::{Change, Numbered},
        command::{self, Answer, Command},
        ids::Seq,
        log::LogQuery,
        problem::Problem,
    },
    telemetry::logs::LogStore,
    wire::{
        engine::{From, Status},
        http::{self, Body},
    },
};

/// How often a feed without changes says that it lives.
const ALIVE: Duration = Duration::from_secs(2);

/// Longest wait of who asks for the fleet for the engine's first look at it.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What the door needs.
#[derive(Clone)]
pub struct Door {
    pub hub: Hub,
    pub commands: Commands,
    pub logs: LogStore,
    /// Settings of the engine, by key, as they are written.
    pub settings: Arc<BTreeMap<String, String>>,
    /// Open feeds: an engine with a console does not end by itself.
    pub feeds: Arc<AtomicUsize>,
    /// True once instances and edge were looked at.
    pub looked: watch::Receiver<bool>,
    /// How the engine is to end, once somebody asked.
    pub end: watch::Sender<Option<End>>,
}

/// How the engine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Apps and edge go on.
    Engine,
    /// Everything ends.
    Everything,
}

impl Door {
    /// Answers one request.
    pub async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let answer = match (&method, path.as_str()) {
            (&Method::GET, "/v1/status") => Ok(http::json(StatusCode::OK, &self.status().await)),
            (&Method::GET, "/v1/snapshot") => {
                self.first_look().await;
                let fleet = self.hub.look(|fleet| serde_json::to_vec(fleet).unwrap_or_default()).await;
                Ok(http::json_bytes(StatusCode::OK, fleet))
            }
            (&Method::GET, "/v1/changes") => read_query::<From>(&query).map(|from| http::ndjson(self.changes(from))),
            (&Method::GET, "/v1/logs") => match read_query::<LogQuery>(&query) {
                Ok(query) => Ok(self.logs(query).await),
                Err(problem) => Err(problem),
            },
            (&Method::POST, "/v1/commands") => self.command(request).await.map(|answer| http::json(StatusCode::OK, &answer)),
            _ => Err(Problem::not_found(format!("there is no {method} {path}")).hint("docs/api.md lists what there is")),
        };
        answer.unwrap_or_else(|problem| http::problem(&problem))
    }

    /// Waits until the engine has seen once what runs and serves: before that nothing true can be said of it.
    async fn first_look(&self) {
        let mut looked = self.looked.clone();
        // Past the limit, and without an observer, what is known is what can be told.
        let _ = tokio::time::timeout(FIRST_LOOK, looked.wait_for(|is| *is)).await;
    }

    async fn status(&self) -> Status {
        let settings = Arc::clone(&self.settings);
        self.hub
            .look(move |fleet| Status {
                engine: fleet.engine.clone(),
                edge: fleet.edge.clone(),
                uptime_s: fleet.engine.started_at.age(clock::now()).as_secs(),
                settings: (*settings).clone(),
            })
            .await
    }

    async fn command(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        let request: command::Request = http::read_json(request).await?;
        if let Command::StopEngine { everything } = request.command {
            self.end.send_replace(Some(if everything { End::Everything } else { End::Engine }));
            let next = if everything { "pilothouse" } else { "pilothouse engine start" };
            return Ok(Answer::Done { what: "the engine ends".to_owned(), next: next.to_owned() });
        }
        self.commands.take(request).await
    }

    fn changes(&self, from: From) -> impl Stream<Item = Numbered> + Send + Sync + use<> {
        let (hub, open) = (self.hub.clone(), Open::new(Arc::clone(&self.feeds)));
        let (changes, given) = tokio::sync::mpsc::channel::<Numbered>(256);
        #[expect(clippy::disallowed_methods, reason = "ends when the reader is gone, or with the feed")]
        tokio::spawn(async move {
            let _open = open;
            let _ = feed(hub, from, &changes).await;
        });
        stream::unfold(given, |mut given| async move { given.recv().await.map(|numbered| (numbered, given)) })
    }

    async fn logs(&self, query: LogQuery) -> Response<Body> {
        if query.follow {
            let open = Open::new(Arc::clone(&self.feeds));
            let batches = self.logs.follow(query).filter(|batch| std::future::ready(!batch.is_empty()));
            return http::ndjson(batches.map(move |batch| {
                let _ = &open;
                batch
            }));
        }
        let logs = self.logs.clone();
        let read = tokio::task::spawn_blocking(move || logs.read(&query)).await.unwrap_or_default();
        let batches: Vec<_> = read.chunks(500).map(<[_]>::to_vec).collect();
        http::ndjson(stream::iter(batches))
    }
}

/// Sends changes until the reader is gone.
async fn feed(hub: Hub, from: From, changes: &tokio::sync::mpsc::Sender<Numbered>) -> Option<()> {
    let following = hub.follow(from.epoch, from.after).await;
    for numbered in following.backlog {
        changes.send(Numbered::clone(&numbered)).await.ok()?;
    }
    let mut feed = following.feed;
    let mut last = from.after;
    loop {
        match tokio::time::timeout(ALIVE, feed.recv()).await {
            Ok(Ok(numbered)) => {
                last = numbered.seq;
                changes.send(Numbered::clone(&numbered)).await.ok()?;
            }
            Ok(Err(RecvError::Lagged(missed))) => changes.send(said(last, Change::Gap { missed })).await.ok()?,
            Ok(Err(RecvError::Closed)) => return None,
            Err(_) => changes.send(said(last, Change::Alive)).await.ok()?,
        }
    }
}

fn said(seq: Seq, change: Change) -> Numbered {
    Numbered { seq, at: clock::now(), change }
}

fn read_query<T: serde::de::DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_urlencoded::from_str(query)
        .map_err(|error| Problem::user(format!("the query is not understood: {error}")).hint("see docs/api.md"))
}

/// Counts itself while it lives.
struct Open {
    count: Arc<AtomicUsize>,
}

impl Open {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
