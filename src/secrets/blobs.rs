//! Values that must not stand in the journal's records: sealed, in the same store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::seal::Seal;
use crate::{
    model::{plan::Env, problem::Problem},
    store::Store,
};

/// A store that several may hold.
pub type Shared = Arc<Mutex<Box<dyn Store>>>;

/// Sealed values by name. What an older version left open is read all the same, and sealed at the next start.
#[derive(Clone)]
pub struct Blobs {
    store: Shared,
    seal: Seal,
}

impl Blobs {
    pub fn new(store: Shared, seal: Seal) -> Self {
        Self { store, seal }
    }

    /// Durable on return. Refused while the key is lost: a new one would shut what was sealed before, unseen.
    pub async fn put(&self, name: String, bytes: Vec<u8>) -> Result<(), Problem> {
        let seal = self.seal.clone();
        let put = move |store: &mut dyn Store| {
            if is_key_lost(&seal, store)? {
                return Err(seal.lost());
            }
            store.put_blob(&name, &seal.close(&name, &bytes)?)
        };
        on_store(&self.store, put).await
    }

    /// The same, but makes a new key in place of a lost one; whether it did. What was sealed before stays shut then.
    pub async fn put_with_any_key(&self, name: String, bytes: Vec<u8>) -> Result<bool, Problem> {
        let seal = self.seal.clone();
        let put = move |store: &mut dyn Store| {
            let is_lost = is_key_lost(&seal, store)?;
            store.put_blob(&name, &seal.close(&name, &bytes)?)?;
            Ok(is_lost)
        };
        on_store(&self.store, put).await
    }

    /// Absent when there is none.
    pub async fn get(&self, name: String) -> Result<Option<Vec<u8>>, Problem> {
        let seal = self.seal.clone();
        let opened = move |store: &mut dyn Store| match store.blob(&name)? {
            Some(bytes) if Seal::is_sealed(&bytes) => seal.open(&name, &bytes).map(Some),
            other => Ok(other),
        };
        on_store(&self.store, opened).await
    }

    /// Durable on return. Nothing is kept of an empty one: who has no environment needs no key.
    pub async fn put_env(&self, name: String, env: &Env) -> Result<(), Problem> {
        if env.0.is_empty() {
            return self.remove_one(name).await;
        }
        self.put(name, serde_json::to_vec(env).unwrap_or_default()).await
    }

    /// Empty when there is none.
    pub async fn env(&self, name: String) -> Result<Env, Problem> {
        let bytes = self.get(name).await?;
        Ok(Env(bytes.and_then(|bytes| serde_json::from_slice::<BTreeMap<_, _>>(&bytes).ok()).unwrap_or_default()))
    }

    /// Names that begin with `prefix`, in order.
    pub async fn names(&self, prefix: &'static str) -> Result<Vec<String>, Problem> {
        on_store(&self.store, move |store| store.blob_names(prefix)).await
    }

    /// Removes those whose names begin with `prefix`.
    pub async fn remove(&self, prefix: String) -> Result<(), Problem> {
        on_store(&self.store, move |store| store.remove_blobs(&prefix)).await
    }

    /// Removes one.
    pub async fn remove_one(&self, name: String) -> Result<(), Problem> {
        on_store(&self.store, move |store| store.remove_blob(&name)).await
    }

    /// Seals what an older version left open, and leaves nothing of it in the files.
    pub async fn seal_all(&self) -> Result<(), Problem> {
        let seal = self.seal.clone();
        on_store(&self.store, move |store| {
            let mut any = false;
            for name in store.blob_names("")? {
                let Some(bytes) = store.blob(&name)?.filter(|bytes| !bytes.is_empty() && !Seal::is_sealed(bytes)) else {
                    continue;
                };
                if is_key_lost(&seal, store)? {
                    return Err(seal.lost());
                }
                store.put_blob(&name, &seal.close(&name, &bytes)?)?;
                any = true;
            }
            if any { store.wipe() } else { Ok(()) }
        })
        .await
    }
}

/// Whether values lie here that were sealed with a key which is gone.
fn is_key_lost(seal: &Seal, store: &mut dyn Store) -> Result<bool, Problem> {
    if !seal.has_no_key() {
        return Ok(false);
    }
    for name in store.blob_names("")? {
        if store.blob(&name)?.is_some_and(|bytes| Seal::is_sealed(&bytes)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does what blocks for as long as the disk takes.
pub async fn on_store<T: Send + 'static>(
    store: &Shared,
    work: impl FnOnce(&mut dyn Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(store.lock().unwrap_or_else(PoisonError::into_inner).as_mut())).await;
    done.unwrap_or_else(|error| Err(Problem::internal(format!("the journal's writer ended: {error}"))))
}
