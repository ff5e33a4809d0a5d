//! The store in one SQLite file: write-ahead log, synced at each append.

use std::{
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::{NewRecord, Record, RecordKind, Store};
use crate::model::{
    problem::{Problem, ProblemKind},
    units::Timestamp,
};

/// `application_id` of our files: "PILO".
const APPLICATION: i32 = 0x5049_4c4f;

/// Free pages, of 4 KiB, for which the file is written anew.
const WORTH_GIVING_BACK: i64 = 1024;

/// Each brings a file from the version of its index to the next.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT,
        nonce TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL
    );
    CREATE TABLE snapshots (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE blobs (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE lease (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);
    INSERT INTO lease VALUES (1, 0);
"];

/// A store in a file of its own.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens or makes the file, mode 0600, and brings it to this version.
    ///
    /// A damaged, foreign, empty or newer file is refused with the way out, and left as it is.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        if !path.exists() {
            make(path)?;
        }
        let connection = Connection::open(path).map_err(|error| explain(&error, path))?;
        let mut store = Self { connection, path: path.to_owned() };
        store.prepare().map_err(|refusal| refusal.problem(path))?;
        Ok(store)
    }

    /// Whether the file could be used, without a change to it, while no engine holds it; a missing one can be made.
    pub fn look(path: &Path) -> Result<(), Problem> {
        if !path.exists() {
            return Ok(());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        // What a URI filename may not hold as it is (https://www.sqlite.org/uri.html §3.1).
        let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        // Else even a reader makes files beside the journal.
        let uri = format!("file:{name}?immutable=1");
        let connection = Connection::open_with_flags(uri, flags).map_err(|error| explain(&error, path))?;
        let store = Self { connection, path: path.to_owned() };
        store.check().map_err(|refusal| refusal.problem(path))
    }

    fn prepare(&mut self) -> Result<(), Refusal> {
        self.connection.busy_timeout(Duration::from_secs(5))?;
        self.check()?;
        self.connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
        migrate(&mut self.connection)?;
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        let (application, version) = self.marks()?;
        if !self.has_tables()? {
            // A new journal gets its name once it is whole: an empty one lost what it held.
            return Err(Refusal::Problem(self.refusal("the journal is damaged: it is empty")));
        }
        if application != APPLICATION {
            return Err(Refusal::Problem(self.refusal("the journal's file belongs to another program")));
        }
        if version > MIGRATIONS.len() as i32 {
            let what =
                format!("the journal was written by a newer Pilothouse (format {version}, this one knows {})", MIGRATIONS.len());
            return Err(Refusal::Problem(
                Problem::conflict(what)
                    .at(self.path.display().to_string())
                    .hint("start the newer version again, or give this one another folder with --state"),
            ));
        }
        let sound: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(Refusal::Problem(self.refusal(&format!("the journal is damaged: {sound}"))));
        }
        Ok(())
    }

    fn marks(&self) -> rusqlite::Result<(i32, i32)> {
        let application = self.connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok((application, version))
    }

    fn has_tables(&self) -> rusqlite::Result<bool> {
        self.connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
    }

    /// A blob may be a secret: it must not go on standing in the write-ahead log.
    fn removed(&mut self, removed: rusqlite::Result<usize>) -> Result<(), Problem> {
        match removed {
            Ok(0) => Ok(()),
            Ok(_) => self.wipe(),
            Err(error) => Err(explain(&error, &self.path)),
        }
    }

    fn refusal(&self, what: &str) -> Problem {
        refuse(what, &self.path)
    }
}

/// Makes a new journal under another name and renames it once it is whole: no crash leaves an empty one.
fn make(path: &Path) -> Result<(), Problem> {
    let log = beside(path, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        // SQLite would take its pages for those of the new file.
        return Err(refuse("the journal is missing, and its write-ahead log is there", path).at(log.display().to_string()));
    }
    let unusable =
        |error: &std::io::Error| Problem::unavailable(format!("cannot make the journal: {error}")).at(path.display().to_string());
    let new = beside(path, ".new");
    for old in [new.clone(), beside(&new, "-journal")] {
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&error)),
            _ => {}
        }
    }
    std::fs::OpenOptions::new().create_new(true).append(true).mode(0o600).open(&new).map_err(|error| unusable(&error))?;
    let made = Connection::open(&new).and_then(|mut connection| {
        migrate(&mut connection)?;
        connection.close().map_err(|(_, error)| error)
    });
    made.map_err(|error| explain(&error, path))?;
    std::fs::rename(&new, path).map_err(|error| unusable(&error))?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(&error))?;
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version.max(0) as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", index as i32 + 1)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// `journal.db` with `-wal` after it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

enum Refusal {
    Sqlite(rusqlite::Error),
    Problem(Problem),
}

impl Refusal {
    fn problem(self, path: &Path) -> Problem {
        match self {
            Self::Sqlite(error) => explain(&error, path),
            Self::Problem(problem) => problem,
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn refuse(what: &str, path: &Path) -> Problem {
    let (shown, folder) = (path.display(), path.parent().unwrap_or(path).display());
    // Its log belongs to it: a new journal beside an old log would be damaged at once.
    Problem::conflict(what).at(shown.to_string()).hint(format!(
        "it was left untouched: restore a backup, or begin anew with `mkdir {folder}/damaged && mv {shown}* {folder}/damaged/` \
         and deploy again"
    ))
}

fn explain(error: &rusqlite::Error, path: &Path) -> Problem {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => refuse("the journal is damaged or not a journal", path),
        Some(ErrorCode::DiskFull) => Problem::new(ProblemKind::Unavailable, "the disk is full: the journal cannot be written")
            .at(path.display().to_string())
            .hint("free some space; the engine goes on by itself"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Problem::unavailable("another program holds the journal").at(path.display().to_string()).hint("close it")
        }
        _ => Problem::unavailable(format!("the journal does not work: {error}")).at(path.display().to_string()),
    }
}

impl Store for Sqlite {
    fn append(&mut self, record: &NewRecord) -> Result<u64, Problem> {
        let stored = self
            .connection
            .prepare_cached("INSERT INTO records (at, kind, key, nonce, body) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| {
                insert.insert(params![record.at.0, record.kind.word(), record.key, record.nonce, record.body])
            });
        stored.map(|seq| seq as u64).map_err(|error| explain(&error, &self.path))
    }

    fn find(&mut self, nonce: &str) -> Result<Option<u64>, Problem> {
        self.connection
            .query_row("SELECT seq FROM records WHERE nonce = ?1", [nonce], |row| row.get::<_, i64>(0))
            .optional()
            .map(|seq| seq.map(|seq| seq as u64))
            .map_err(|error| explain(&error, &self.path))
    }

    fn read_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, Problem> {
        let read = || {
            let mut select = self
                .connection
                .prepare_cached("SELECT seq, at, kind, key, body FROM records WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let rows = select.query_map(params![seq as i64, limit as i64], |row| {
                let kind: String = row.get(2)?;
                Ok(Record {
                    seq: row.get::<_, i64>(0)? as u64,
                    at: Timestamp(row.get(1)?),
                    kind: RecordKind::read(&kind).unwrap_or(RecordKind::Change),
                    key: row.get(3)?,
                    body: row.get(4)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<Record>>>()
        };
        read().map_err(|error| explain(&error, &self.path))
    }

    fn snapshot(&mut self) -> Result<Option<(u64, String)>, Problem> {
        self.connection
            .query_row("SELECT seq, body FROM snapshots", [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))
            .optional()
            .map_err(|error| explain(&error, &self.path))
    }

    fn save_snapshot(&mut self, seq: u64, body: &str, drop_to: u64) -> Result<(), Problem> {
        let mut save = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("INSERT OR REPLACE INTO snapshots VALUES (1, ?1, ?2)", params![seq as i64, body])?;
            transaction.execute("DELETE FROM records WHERE seq <= ?1", [drop_to as i64])?;
            transaction.commit()
        };
        save().map_err(|error| explain(&error, &self.path))
    }

    fn thin(&mut self, drop_to: u64) -> Result<(), Problem> {
        let thin = || {
            self.connection.execute("DELETE FROM records WHERE seq <= ?1", [drop_to as i64])?;
            let pages = |name| self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
            let (all, free) = (pages("page_count")?, pages("freelist_count")?);
            if free > WORTH_GIVING_BACK && free > all / 2 {
                self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
            }
            Ok(())
        };
        thin().map_err(|error| explain(&error, &self.path))
    }

    fn put_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.connection
            .execute("INSERT OR REPLACE INTO blobs VALUES (?1, ?2)", params![name, bytes])
            .map(|_| ())
            .map_err(|error| explain(&error, &self.path))
    }

    fn blob(&mut self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.connection
            .query_row("SELECT bytes FROM blobs WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(|error| explain(&error, &self.path))
    }

    fn blob_names(&mut self, prefix: &str) -> Result<Vec<String>, Problem> {
        let read = || {
            let mut select =
                self.connection.prepare_cached("SELECT name FROM blobs WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")?;
            select.query_map([prefix], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(|error| explain(&error, &self.path))
    }

    fn remove_blobs(&mut self, prefix: &str) -> Result<(), Problem> {
        let removed = self.connection.execute("DELETE FROM blobs WHERE substr(name, 1, length(?1)) = ?1", [prefix]);
        self.removed(removed)
    }

    fn remove_blob(&mut self, name: &str) -> Result<(), Problem> {
        let removed = self.connection.execute("DELETE FROM blobs WHERE name = ?1", [name]);
        self.removed(removed)
    }

    fn wipe(&mut self) -> Result<(), Problem> {
        // Pages are overwritten when they are freed (`secure_delete`); the write-ahead log still holds them.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| explain(&error, &self.path))
    }

    fn next_lease(&mut self, taken: u64) -> Result<u64, Problem> {
        self.connection
            .query_row("UPDATE lease SET number = max(number, ?1) + 1 RETURNING number", [taken as i64], |row| {
                row.get::<_, i64>(0)
            })
            .map(|number| number as u64)
            .map_err(|error| explain(&error, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: &str) -> NewRecord {
        NewRecord {
            nonce: nonce.to_owned(),
            at: Timestamp(7),
            kind: RecordKind::Intent,
            key: Some("1/build@local".to_owned()),
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn what_was_appended_is_there_after_a_new_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let seq = Sqlite::open(&path).unwrap().append(&record("a")).unwrap();
        assert_eq!(Sqlite::look(&path), Ok(()));
        let mut again = Sqlite::open(&path).unwrap();
        assert_eq!(again.find("a").unwrap(), Some(seq));
        assert_eq!(again.find("b").unwrap(), None);
        assert_eq!(again.read_after(0, 10).unwrap()[0].key.as_deref(), Some("1/build@local"));
        assert!(again.next_lease(0).unwrap() < again.next_lease(0).unwrap());
        assert_eq!(again.next_lease(70).unwrap(), 71);
    }

    #[test]
    fn a_removed_blob_is_nowhere_in_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut store = Sqlite::open(&path).unwrap();
        store.put_blob("source/1/", b"hunter2-hunter2").unwrap();
        store.remove_blobs("source/1/").unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        }
    }

    #[test]
    fn a_snapshot_and_the_end_of_its_records_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut store = Sqlite::open(&path).unwrap();
        let seqs: Vec<u64> = ["a", "b", "c"].iter().map(|nonce| store.append(&record(nonce)).unwrap()).collect();
        store.save_snapshot(seqs[2], "{}", seqs[1]).unwrap();
        drop(store);
        let mut again = Sqlite::open(&path).unwrap();
        assert_eq!(again.snapshot().unwrap(), Some((seqs[2], "{}".to_owned())));
        let left: Vec<u64> = again.read_after(0, 10).unwrap().iter().map(|record| record.seq).collect();
        assert_eq!(left, seqs[2..]);
        assert!(again.append(&record("d")).unwrap() > seqs[2], "numbers go on rising, whatever was dropped");
    }

    #[test]
    fn a_snapshot_that_cannot_be_saved_drops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let mut store = Sqlite::open(&path).unwrap();
        let seq = store.append(&record("a")).unwrap();
        let full = store.connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap();
        store.connection.pragma_update_and_check(None, "max_page_count", full, |_| Ok(())).unwrap();
        let refused = store.save_snapshot(seq, &"x".repeat(1 << 20), seq).unwrap_err();
        assert!(refused.what.contains("full"), "{refused}");
        assert_eq!(store.read_after(0, 10).unwrap().len(), 1);
        assert_eq!(store.snapshot().unwrap(), None);
    }

    #[test]
    fn a_damaged_journal_is_refused_with_the_way_out_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, "this is no database, whatever its name says, and long enough to be looked at").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(Sqlite::look(&path).unwrap_err().what.contains("not a journal"));
        let problem = Sqlite::open(&path).unwrap_err();
        assert!(problem.next.unwrap().contains("mv "), "the way out is named");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn an_empty_journal_lost_what_it_held_and_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, "").unwrap();
        let problem = Sqlite::open(&path).unwrap_err();
        assert!(problem.what.contains("empty"), "{problem}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_journal_is_not_made_beside_the_log_of_a_lost_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(beside(&path, "-wal"), "pages of the lost one").unwrap();
        assert!(Sqlite::open(&path).unwrap_err().what.contains("missing"));
        assert!(!path.exists());
    }

    #[test]
    fn a_crash_while_it_is_made_leaves_room_for_the_next_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(beside(&path, ".new"), "half").unwrap();
        drop(Sqlite::open(&path).unwrap());
        assert!(!beside(&path, ".new").exists());
    }

    #[test]
    fn a_newer_journal_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(Sqlite::open(&path).unwrap_err().what.contains("newer"));
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        drop(Sqlite::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
