//! What the engine tells, as actions: the fleet with its changes, answers, lines. Each task ends with the console.

use std::time::Duration;

use tokio::{sync::mpsc::Sender, task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    action::{Action, Slot},
    runtime::Wake,
    theme::Role,
};
use crate::{
    model::{Problem, change::Change, command::Request, log::LogQuery, units::Millis},
    wire::engine::Client,
};

/// The engine says something every 2 s: after this it is lost.
const SILENCE: Duration = Duration::from_secs(7);
/// Before the engine is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a killed engine may take to come back by itself before it is started, and at most between two starts.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// How often its round trip is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// The streams of one console.
pub struct Feed {
    client: Client,
    actions: Sender<Action>,
    follows: [Option<AbortOnDropHandle<()>>; 2],
    /// Ends the commands on their way, too: they are journaled by then or were never sent.
    sends: JoinSet<()>,
    stop: CancellationToken,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Feed {
    /// `wake` starts an engine that was killed.
    pub fn begin(client: Client, actions: Sender<Action>, wake: Option<Wake>) -> Self {
        let stop = CancellationToken::new();
        let mut sends = JoinSet::new();
        sends.spawn(watch(client.clone(), actions.clone(), wake));
        sends.spawn(measure(client.clone(), actions.clone()));
        Self { client, actions, follows: [None, None], sends, stop }
    }

    /// Sends a command; its answer comes back with the ticket.
    pub fn send(&mut self, ticket: u64, request: Request) {
        while self.sends.try_join_next().is_some() {}
        let (client, actions, stop) = (self.client.clone(), self.actions.clone(), self.stop.clone());
        self.sends.spawn(async move {
            let answer = tokio::select! {
                answer = client.command(&request) => answer,
                () = stop.cancelled() => return,
            };
            // A closed queue: the console was left.
            let _ = actions.send(Action::Answered(ticket, answer)).await;
        });
    }

    /// Follows `query` in place of what the slot followed.
    pub fn follow(&mut self, slot: Slot, generation: u64, query: Option<LogQuery>) {
        let (client, actions) = (self.client.clone(), self.actions.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with its handle: at the next follow, or with the console")]
        let task = query.map(|query| AbortOnDropHandle::new(tokio::spawn(lines(client, actions, slot, generation, query))));
        self.follows[slot as usize] = task;
    }
}

/// Snapshot, then changes, for ever: after a break it asks again until the engine answers.
async fn watch(client: Client, actions: Sender<Action>, wake: Option<Wake>) {
    let (mut patience, mut lost) = (PATIENCE, None);
    loop {
        let began = Instant::now();
        let problem = match watch_once(&client, &actions).await {
            // The console was left.
            None => return,
            Some(Ok(())) => continue,
            Some(Err(problem)) => problem,
        };
        let told = if client.is_removed() { Action::Removed(problem) } else { Action::Lost(problem) };
        if actions.send(told).await.is_err() {
            return;
        }
        if began.elapsed() > AGAIN {
            // It answered for a while.
            (patience, lost) = (PATIENCE, None);
        }
        let since = *lost.get_or_insert_with(Instant::now);
        // One that was told to end took its socket with it, and is left at rest.
        if let Some(wake) = wake.as_ref().filter(|_| since.elapsed() >= patience && client.socket().exists()) {
            (patience, lost) = ((patience * 2).min(LONGEST_PATIENCE), None);
            let said = match wake() {
                Ok(()) => Action::HandedBack("the engine was gone: it is started again".to_owned(), Role::Warn),
                Err(problem) => Action::HandedBack(problem.to_string(), Role::Danger),
            };
            if actions.send(said).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// `Ok`: a gap, the fleet is to be read anew. Absent: nobody listens any more.
async fn watch_once(client: &Client, actions: &Sender<Action>) -> Option<Result<(), Problem>> {
    let asked = Instant::now();
    let fleet = match client.snapshot().await {
        Ok(fleet) => fleet,
        Err(problem) => return Some(Err(problem)),
    };
    let (epoch, seq) = (fleet.epoch, fleet.seq);
    actions.send(Action::Snapshot(Box::new(fleet), Millis::from(asked.elapsed()))).await.ok()?;
    let mut feed = match client.changes(epoch, seq).await {
        Ok(feed) => feed,
        Err(problem) => return Some(Err(problem)),
    };
    loop {
        let next = tokio::time::timeout(SILENCE, feed.next()).await;
        let broken = match next {
            Ok(Ok(Some(numbered))) => {
                let gap = matches!(numbered.change, Change::Gap { .. });
                // While the console is busy this waits, and the engine says when it became a gap.
                actions.send(Action::Changed(vec![numbered])).await.ok()?;
                if gap {
                    return Some(Ok(()));
                }
                continue;
            }
            Ok(Ok(None)) => Problem::unavailable("the engine ended"),
            Ok(Err(error)) => Problem::unavailable(format!("the engine broke off: {error}")),
            Err(_) => Problem::unavailable(format!("no answer of the engine in {} s", SILENCE.as_secs())),
        };
        return Some(Err(broken.hint("it is asked again; `pilothouse engine status` tells more")));
    }
}

async fn measure(client: Client, actions: Sender<Action>) {
    loop {
        tokio::time::sleep(MEASURE).await;
        let asked = Instant::now();
        if client.status().await.is_ok() && actions.send(Action::Alive(Millis::from(asked.elapsed()))).await.is_err() {
            return;
        }
    }
}

async fn lines(client: Client, actions: Sender<Action>, slot: Slot, generation: u64, query: LogQuery) {
    let problem = match client.logs(&query).await {
        Err(problem) => Some(problem),
        Ok(mut feed) => loop {
            match feed.next().await {
                Ok(Some(lines)) => {
                    if actions.send(Action::Lines(slot, generation, lines)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(Problem::unavailable(format!("the lines broke off: {error}"))),
            }
        },
    };
    let _ = actions.send(Action::LinesEnded(slot, generation, problem)).await;
}
