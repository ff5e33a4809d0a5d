use std::sync::Mutex;

use super::*;
use crate::{
    secrets::seal::Seal,
    store::{Store, sqlite::Sqlite},
};

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap_or_else(|error| panic!("{error}")) }
    }

    /// As after a start of the engine.
    fn secrets(&self) -> Secrets {
        let store: Box<dyn Store> =
            Box::new(Sqlite::open(&self.folder.path().join("journal.db")).unwrap_or_else(|problem| panic!("{problem}")));
        let seal = Seal::new(self.folder.path().join("secrets.key"));
        Secrets::new(Blobs::new(std::sync::Arc::new(Mutex::new(store)), seal), Known::default())
    }

    fn holds(&self, text: &str) -> bool {
        std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().any(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        })
    }
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shop() -> (AppId, ReleaseId) {
    (AppId::suggest("shop"), ReleaseId(1))
}

#[tokio::test]
async fn a_stored_value_is_sealed_listed_without_it_and_found_after_a_new_start() {
    let world = World::new();
    world.secrets().set("shop-db", Secret("hunter2-hunter2".into()), "ada").await.unwrap();
    assert!(!world.holds("hunter2"));
    let secrets = world.secrets();
    let listed = secrets.list().await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].set_by.as_str(), listed.len()), ("shop-db", "ada", 1));
    let env = secrets.resolve(&of(&[("DATABASE_URL", "store:shop-db")])).await.unwrap();
    assert_eq!(env.0["DATABASE_URL"], "hunter2-hunter2");
    assert_eq!(secrets.known().masker().mask("a hunter2-hunter2"), "a ***");
    secrets.remove("shop-db").await.unwrap();
    assert!(secrets.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn removing_one_leaves_those_whose_names_begin_alike() {
    let world = World::new();
    let secrets = world.secrets();
    for name in ["db", "db-2"] {
        secrets.set(name, Secret("hunter2-hunter2".into()), "ada").await.unwrap();
    }
    secrets.remove("db").await.unwrap();
    assert_eq!(secrets.list().await.unwrap()[0].name, "db-2");
}

#[tokio::test]
async fn a_reference_that_leads_nowhere_names_variable_reference_and_next_step() {
    let world = World::new();
    let secrets = world.secrets();
    for (reference, next) in [
        ("store:shop-db", "pilothouse secret set shop-db"),
        ("env:PILOTHOUSE_NO_SUCH_VARIABLE", "start the engine with"),
        ("file:/nowhere/token", "write the value to /nowhere/token"),
    ] {
        let problem = secrets.resolve(&of(&[("DATABASE_URL", reference)])).await.unwrap_err();
        assert!(problem.what.contains("DATABASE_URL") && problem.at.unwrap().contains(reference), "{reference}");
        assert!(problem.next.unwrap().contains(next), "{reference}");
    }
}

#[tokio::test]
async fn stored_values_follow_and_those_of_files_outlive_their_file() {
    let world = World::new();
    let (app, release) = shop();
    let path = world.folder.path().join("token");
    std::fs::write(&path, "token-one\n").unwrap();
    let references = of(&[("TOKEN", &format!("file:{}", path.display())), ("DB", "store:db")]);
    let secrets = world.secrets();
    secrets.set("db", Secret("value-one".into()), "ada").await.unwrap();
    secrets.of_release(&app, release, &references).await.unwrap();
    secrets.set("db", Secret("value-two".into()), "ada").await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let again = world.secrets();
    again.begin().await.unwrap();
    let values = again.of_release(&app, release, &references).await.unwrap();
    assert_eq!((values.0["TOKEN"].as_str(), values.0["DB"].as_str()), ("token-one", "value-two"));
    again.remove("db").await.unwrap();
    let problem = again.of_release(&app, release, &references).await.unwrap_err();
    assert_eq!(problem.next.as_deref(), Some("pilothouse secret set db"), "a removed value is gone");
    again.forget(&app, None).await.unwrap();
    assert!(again.of_release(&app, release, &of(&[("TOKEN", "file:/nowhere")])).await.is_err());
}

#[tokio::test]
async fn what_an_older_version_left_open_is_read_and_then_sealed() {
    let world = World::new();
    let mut store = Sqlite::open(&world.folder.path().join("journal.db")).unwrap();
    store.put_blob("env/shop/1/", br#"{"TOKEN":"hunter2-hunter2"}"#).unwrap();
    drop(store);
    let secrets = world.secrets();
    assert_eq!(secrets.blobs().env("env/shop/1/".into()).await.unwrap().0["TOKEN"], "hunter2-hunter2");
    secrets.begin().await.unwrap();
    assert!(!world.holds("hunter2"), "nothing of it is left in the files");
    assert_eq!(secrets.blobs().env("env/shop/1/".into()).await.unwrap().0["TOKEN"], "hunter2-hunter2");
}
