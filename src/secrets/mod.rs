//! Secrets: values sealed at rest, the references that lead to them, and what is to be masked.
//!
//! `store:` values lie in one place, the store, and follow at each start of an instance. Values of `env:` and `file:` follow
//! too; since they may be gone when the engine comes back, the last ones are sealed beside the release that uses them.

pub mod blobs;
pub mod known;
pub mod references;
pub mod seal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::{blobs::Blobs, known::Known};
use crate::{
    config::clock,
    model::{
        ids::{AppId, ReleaseId},
        plan::Env,
        problem::Problem,
        secret::{Reference, Secret, StoredSecret, store_name},
        units::Timestamp,
    },
};

/// A stored secret as it lies sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    value: Secret,
    set_at: Timestamp,
    set_by: String,
}

/// Stored secrets, and the way from references to values. Whatever passes through is known from then on, to be masked.
#[derive(Clone)]
pub struct Secrets {
    blobs: Blobs,
    known: Known,
}

impl Secrets {
    pub fn new(blobs: Blobs, known: Known) -> Self {
        Self { blobs, known }
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn known(&self) -> &Known {
        &self.known
    }

    /// For the start of an engine: seals what an older version left open, and learns every value that can be opened. Tells of
    /// the first trouble.
    pub async fn begin(&self) -> Result<(), Problem> {
        let mut troubles = vec![self.blobs.seal_all().await];
        for name in self.blobs.names(STORE).await? {
            troubles.push(self.stored(&name[STORE.len()..]).await.map(|_| ()));
        }
        let kept = [self.blobs.names(KEPT).await?, self.blobs.names(SOURCE).await?].concat();
        for name in kept {
            let opened = self.blobs.env(name).await;
            troubles.push(opened.map(|env| self.known.learn(env.0.into_values())));
        }
        troubles.into_iter().collect()
    }

    /// Keeps a value under a name, in place of the one before. Durable on return. Whether it made a new key in place of one
    /// that was lost: what that one had sealed stays shut.
    pub async fn set(&self, name: &str, value: Secret, by: &str) -> Result<bool, Problem> {
        store_name(name)?;
        value.check().map_err(|problem| problem.at(format!("secret {name}")))?;
        self.known.learn([value.0.clone()]);
        let stored = Stored { value, set_at: clock::now(), set_by: by.to_owned() };
        self.blobs.put_with_any_key(format!("{STORE}{name}"), serde_json::to_vec(&stored).unwrap_or_default()).await
    }

    /// All stored secrets by name; who uses them is for the caller to say.
    pub async fn list(&self) -> Result<Vec<StoredSecret>, Problem> {
        let mut all = Vec::new();
        for name in self.blobs.names(STORE).await? {
            let name = name[STORE.len()..].to_owned();
            let (set_at, set_by, lost) = match self.stored(&name).await {
                Ok(None) => continue,
                Ok(Some(Stored { set_at, set_by, .. })) => (set_at, set_by, false),
                Err(_) => (Timestamp(0), String::new(), true),
            };
            all.push(StoredSecret { name, set_at, set_by, lost, used_by: Vec::new() });
        }
        Ok(all)
    }

    /// Idempotent.
    pub async fn remove(&self, name: &str) -> Result<(), Problem> {
        self.blobs.remove_one(format!("{STORE}{name}")).await
    }

    async fn stored(&self, name: &str) -> Result<Option<Stored>, Problem> {
        let shut = |problem: Problem| {
            let what = format!("what is stored as `{name}` cannot be opened: {}", problem.what);
            Problem { what, ..problem }.hint(format!("put the key that belongs to it back, or: pilothouse secret set {name}"))
        };
        let Some(bytes) = self.blobs.get(format!("{STORE}{name}")).await.map_err(shut)? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&bytes)
            .map_err(|_| Problem::internal(format!("the stored secret `{name}` cannot be read")))?;
        self.known.learn([stored.value.0.clone()]);
        Ok(Some(stored))
    }

    /// The values that references lead to, by variable. One that leads nowhere is refused with the next step.
    pub async fn resolve(&self, references: &BTreeMap<String, String>) -> Result<Env, Problem> {
        let mut values = BTreeMap::new();
        for (name, reference) in references {
            let value = self.value(reference).await.map_err(|problem| {
                let at = format!("secrets.{name} = \"{reference}\"");
                Problem { what: format!("the secret {name} has no value: {}", problem.what), ..problem }.at(at)
            })?;
            values.insert(name.clone(), value);
        }
        self.known.learn(values.values().cloned());
        Ok(Env(values))
    }

    async fn value(&self, reference: &str) -> Result<String, Problem> {
        let value = match Reference::parse(reference)? {
            Reference::Store(name) => match self.stored(&name).await? {
                Some(stored) => stored.value,
                None => {
                    return Err(Problem::not_found(format!("nothing is stored as `{name}`"))
                        .hint(format!("pilothouse secret set {name}")));
                }
            },
            Reference::Env(name) => references::of_environment(&name)?,
            Reference::File(path) => references::of_file(path).await?,
        };
        value.check()?;
        Ok(value.0)
    }

    /// The values for a kept release, as they are now; what cannot be had any more is as it was when it was last had.
    pub async fn of_release(
        &self,
        app: &AppId,
        release: ReleaseId,
        references: &BTreeMap<String, String>,
    ) -> Result<Env, Problem> {
        if references.is_empty() {
            return Ok(Env::default());
        }
        // Where the references lead to a value, what was kept is not needed: it need not open.
        let kept = self.blobs.env(kept_blob(app, release)).await.unwrap_or_default();
        let mut values = BTreeMap::new();
        for (name, reference) in references {
            let one = BTreeMap::from([(name.clone(), reference.clone())]);
            match (self.resolve(&one).await, kept.0.get(name)) {
                (Ok(found), _) => values.extend(found.0),
                (Err(problem), Some(value)) if !reference.starts_with("store:") => {
                    tracing::warn!(%app, %release, %problem, "the last value is used");
                    values.insert(name.clone(), value.clone());
                }
                (Err(problem), _) => return Err(problem),
            }
        }
        let values = Env(values);
        self.known.learn(values.0.values().cloned());
        // What is at hand is not withheld because it cannot be sealed, as while the key is lost.
        if let Err(problem) = self.keep(app, release, references, &values).await {
            tracing::warn!(%app, %release, %problem, "the values are not kept");
        }
        Ok(values)
    }

    /// Seals the values of a release that may be gone one day: those of `env:` and `file:`.
    pub async fn keep(
        &self,
        app: &AppId,
        release: ReleaseId,
        references: &BTreeMap<String, String>,
        values: &Env,
    ) -> Result<(), Problem> {
        let lasting = |name: &String| references.get(name).is_some_and(|reference| reference.starts_with("store:"));
        let kept: BTreeMap<String, String> =
            values.0.iter().filter(|(name, _)| !lasting(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        if kept.is_empty() {
            return Ok(());
        }
        self.blobs.put_env(kept_blob(app, release), &Env(kept)).await
    }

    /// Forgets what was sealed beside a release, or beside all of an app's.
    pub async fn forget(&self, app: &AppId, release: Option<ReleaseId>) -> Result<(), Problem> {
        match release {
            Some(release) => self.blobs.remove(kept_blob(app, release)).await,
            None => self.blobs.remove(format!("{KEPT}{app}/")).await,
        }
    }
}

/// Beginnings of the names of blobs.
const STORE: &str = "secret/";
const KEPT: &str = "kept/";
const SOURCE: &str = "source/";

fn kept_blob(app: &AppId, release: ReleaseId) -> String {
    format!("{KEPT}{app}/{release}/")
}

#[cfg(test)]
mod tests;
