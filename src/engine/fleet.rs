//! The fleet's one owner: changes in, numbered changes out.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::{Mutex, broadcast, mpsc, oneshot};

use super::{
    journal::{Journal, Mark},
    masking,
};
use crate::{
    config::clock,
    model::{
        change::{Change, Numbered},
        fleet::{EngineStatus, Event, Fleet, Level},
        ids::{Generation, Seq},
        instance::Instance,
        problem::Problem,
    },
    secrets::{Secrets, blobs::Blobs, known::Known},
};

/// Asks that may wait for the owner.
const ASKS: usize = 1024;
/// Changes that a slow reader of the feed may be behind before it gets a gap.
const FEED: usize = 4096;
/// Longest wait for the journal with what need not be in it.
const TURN: Duration = Duration::from_secs(1);

type Look = Box<dyn FnOnce(&Fleet) + Send>;
type Revise = Box<dyn FnOnce(&Fleet) -> Vec<Change> + Send>;

enum Ask {
    Apply(Vec<Change>, oneshot::Sender<()>),
    Observe(Vec<Change>),
    Revise(Revise),
    Look(Look),
    Follow { epoch: u64, after: Seq, answer: oneshot::Sender<Following> },
}

/// What a follower gets first, and then.
pub struct Following {
    pub backlog: Vec<Arc<Numbered>>,
    pub feed: broadcast::Receiver<Arc<Numbered>>,
}

/// The way to the owner.
#[derive(Clone)]
pub struct Hub {
    asks: mpsc::Sender<Ask>,
    journal: Arc<Mutex<Journal>>,
    feed: broadcast::Sender<Arc<Numbered>>,
    secrets: Secrets,
    lease: u64,
}

/// Makes the owner's task and the way to it.
pub fn hub(journal: Journal, fleet: Fleet, secrets: Secrets) -> (Hub, impl Future<Output = ()> + Send) {
    let (asks, asked) = mpsc::channel(ASKS);
    let (feed, _) = broadcast::channel(FEED);
    let owner = Owner { fleet, feed: feed.clone(), recent: VecDeque::new(), known: secrets.known().clone() };
    let lease = journal.lease();
    (Hub { asks, journal: Arc::new(Mutex::new(journal)), feed, secrets, lease }, owner.run(asked))
}

impl Hub {
    /// Decides on the present fleet, journals the changes, then applies them; no other commit comes between.
    /// Returns once they are durable and applied. No changes: nothing is journaled.
    pub async fn commit<T, F>(&self, mark: Mark, decide: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Fleet) -> Result<(Vec<Change>, T), Problem> + Send + 'static,
    {
        let mut journal = self.journal.lock().await;
        let (changes, given) = self.look(decide).await?;
        if changes.is_empty() {
            return Ok(given);
        }
        let changes = self.masked(changes);
        let seq = journal.append(&mark, &changes, |trouble| self.degrade(trouble)).await;
        self.apply(&mut journal, seq, changes).await;
        Ok(given)
    }

    /// As `commit`, for what somebody asks for: when the journal refuses the record, so is the request. Nobody waits
    /// for a full disk without being told.
    pub async fn accept<T, F>(&self, decide: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Fleet) -> Result<(Vec<Change>, T), Problem> + Send + 'static,
    {
        let mut journal = self.journal.lock().await;
        let (changes, given) = self.look(decide).await?;
        let changes = self.masked(changes);
        let stored = journal.append_or_refuse(&Mark::Change, &changes).await;
        self.degrade(stored.as_ref().err().cloned());
        let seq = stored?;
        self.apply(&mut journal, seq, changes).await;
        Ok(given)
    }

    fn masked(&self, changes: Vec<Change>) -> Vec<Change> {
        let masker = self.secrets.known().masker();
        changes.into_iter().map(|change| masking::change(change, &masker)).collect()
    }

    async fn apply(&self, journal: &mut Journal, seq: u64, changes: Vec<Change>) {
        let (done, applied) = oneshot::channel();
        // The owner ends last of all: a failed send means that the engine is ending.
        let _ = self.asks.send(Ask::Apply(changes, done)).await;
        let _ = applied.await;
        if journal.wants_snapshot() {
            let fleet = self.look(Fleet::clone).await;
            journal.save_snapshot(seq, fleet).await;
        }
    }

    /// Takes in what was observed; what is as it was is dropped.
    pub async fn observe(&self, changes: Vec<Change>) {
        let _ = self.asks.send(Ask::Observe(changes)).await;
    }

    /// Derives what is observed from the present fleet and takes it in, with nothing between.
    pub async fn revise(&self, derive: impl FnOnce(&Fleet) -> Vec<Change> + Send + 'static) {
        let _ = self.asks.send(Ask::Revise(Box::new(derive))).await;
    }

    /// As `revise`, for what the next engine should know, too. A journal that takes no record now does not keep it from being
    /// taken in. Events are only observed.
    pub async fn remember(&self, derive: impl FnOnce(&Fleet) -> Vec<Change> + Send + 'static) {
        let Ok(mut journal) = tokio::time::timeout(TURN, self.journal.lock()).await else { return self.revise(derive).await };
        let derived = self.look(derive).await;
        let (events, changes): (Vec<_>, Vec<_>) = derived.into_iter().partition(|change| matches!(change, Change::Event(_)));
        if !changes.is_empty() {
            let changes = self.masked(changes);
            match journal.append_or_refuse(&Mark::Change, &changes).await {
                Ok(seq) => self.apply(&mut journal, seq, changes).await,
                Err(problem) => {
                    tracing::warn!(%problem, "the next engine will not know what was observed");
                    self.degrade(Some(problem));
                    self.observe(changes).await;
                }
            }
        }
        self.observe(events).await;
    }

    /// Says that something happened.
    pub async fn event(&self, subject: impl Into<String>, level: Level, what: impl Into<String>) {
        let event = Event { at: clock::now(), subject: subject.into(), what: what.into(), level };
        self.observe(vec![Change::Event(event)]).await;
    }

    /// Looks at the present fleet.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Fleet) -> T + Send + 'static) -> T {
        let (answer, seen) = oneshot::channel();
        let look: Look = Box::new(move |fleet| {
            let _ = answer.send(look(fleet));
        });
        if self.asks.send(Ask::Look(look)).await.is_ok()
            && let Ok(seen) = seen.await
        {
            return seen;
        }
        // The engine is ending; this task is about to be dropped.
        std::future::pending().await
    }

    /// The feed from `after` on.
    pub async fn follow(&self, epoch: u64, after: Seq) -> Following {
        let (answer, following) = oneshot::channel();
        let _ = self.asks.send(Ask::Follow { epoch, after, answer }).await;
        match following.await {
            Ok(following) => following,
            Err(_) => std::future::pending().await,
        }
    }

    /// The feed from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Numbered>> {
        self.feed.subscribe()
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub fn blobs(&self) -> &Blobs {
        self.secrets.blobs()
    }

    /// This engine's lease: the generation of its orders.
    pub fn lease(&self) -> u64 {
        self.lease
    }

    /// The generation of a table made from `fleet`: rises with each change, and with each engine.
    pub fn table_generation(&self, fleet: &Fleet) -> u64 {
        Generation::of_table(self.lease, fleet.seq).0
    }

    /// Tries whether the journal takes a record, and says so. A commit that waits for its turn does so itself.
    pub async fn try_journal(&self) {
        let Ok(mut journal) = self.journal.try_lock() else { return };
        let tried = journal.append_or_refuse(&Mark::Change, &[]).await;
        self.degrade(tried.err());
    }

    fn degrade(&self, trouble: Option<Problem>) {
        let told = move |fleet: &Fleet| vec![Change::Engine(EngineStatus { degraded: trouble, ..fleet.engine.clone() })];
        let _ = self.asks.try_send(Ask::Revise(Box::new(told)));
    }
}

struct Owner {
    fleet: Fleet,
    feed: broadcast::Sender<Arc<Numbered>>,
    recent: VecDeque<Arc<Numbered>>,
    known: Known,
}

impl Owner {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Apply(changes, done) => {
                    for change in changes {
                        let change = keep_observed(&self.fleet, change);
                        self.take(change);
                    }
                    let _ = done.send(());
                }
                Ask::Observe(changes) => self.observe(changes),
                Ask::Revise(derive) => {
                    let changes = derive(&self.fleet);
                    self.observe(changes);
                }
                Ask::Look(look) => look(&self.fleet),
                Ask::Follow { epoch, after, answer } => {
                    let _ = answer.send(self.follow(epoch, after));
                }
            }
        }
    }

    fn observe(&mut self, changes: Vec<Change>) {
        let masker = self.known.masker();
        for change in changes {
            let change = masking::change(change, &masker);
            if is_news(&self.fleet, &change) {
                self.take(change);
            }
        }
    }

    fn take(&mut self, change: Change) {
        let numbered = Arc::new(Numbered { seq: self.fleet.seq.next(), at: clock::now(), change });
        self.fleet.take(Numbered::clone(&numbered));
        if self.recent.len() >= FEED {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&numbered));
        // Nobody may be listening.
        let _ = self.feed.send(numbered);
    }

    fn follow(&self, epoch: u64, after: Seq) -> Following {
        let feed = self.feed.subscribe();
        let oldest = self.recent.front().map_or(self.fleet.seq.next(), |first| first.seq);
        let is_known = epoch == self.fleet.epoch && after <= self.fleet.seq && after.next() >= oldest;
        let backlog = if is_known {
            self.recent.iter().filter(|numbered| numbered.seq > after).cloned().collect()
        } else {
            let missed = self.fleet.seq.0.saturating_sub(after.0);
            vec![Arc::new(Numbered { seq: self.fleet.seq, at: clock::now(), change: Change::Gap { missed } })]
        };
        Following { backlog, feed }
    }
}

/// A committed instance with what was observed of it meanwhile: a commit decides what is wanted, never what is.
fn keep_observed(fleet: &Fleet, change: Change) -> Change {
    match change {
        Change::Instance(committed) => match fleet.instances.get(&committed.id) {
            Some(known) => Change::Instance(Instance {
                address: committed.address,
                wanted: committed.wanted,
                host: committed.host,
                ..known.clone()
            }),
            None => Change::Instance(committed),
        },
        change => change,
    }
}

/// Whether a change says something that the fleet does not know yet.
fn is_news(fleet: &Fleet, change: &Change) -> bool {
    match change {
        Change::Host(host) => fleet.hosts.get(&host.id) != Some(host),
        Change::HostGone(id) => fleet.hosts.contains_key(id),
        Change::App(app) => fleet.apps.get(&app.id).is_some_and(|known| known != app),
        Change::AppGone(id) => fleet.apps.contains_key(id),
        Change::Instance(instance) => fleet.instances.get(&instance.id).is_some_and(|known| known != instance),
        Change::InstanceGone(id) => fleet.instances.contains_key(id),
        Change::Task(task) => fleet.tasks.get(&task.id) != Some(task),
        Change::TaskGone(id) => fleet.tasks.contains_key(id),
        Change::Edge(edge) => fleet.edge != *edge,
        Change::Engine(engine) => fleet.engine != *engine,
        Change::Docker(docker) => fleet.docker.as_ref() != Some(docker),
        Change::Container(container) => fleet.containers.get(&container.id) != Some(container),
        Change::ContainerGone(id) => fleet.containers.contains_key(id),
        Change::Image(image) => fleet.images.get(&image.id) != Some(image),
        Change::ImageGone(id) => fleet.images.contains_key(id),
        Change::Volume(volume) => fleet.volumes.get(&volume.name) != Some(volume),
        Change::VolumeGone(name) => fleet.volumes.contains_key(name),
        _ => true,
    }
}
