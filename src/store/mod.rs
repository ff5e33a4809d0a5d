//! Journal and blobs on disk, free of any database's types.

pub mod sqlite;

use crate::model::{problem::Problem, units::Timestamp};

/// What a record of the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Written before an effect.
    Intent,
    /// Written after an effect.
    Outcome,
    /// A change that needs no effect.
    Change,
}

impl RecordKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Change => "change",
        }
    }

    pub fn read(word: &str) -> Option<Self> {
        match word {
            "intent" => Some(Self::Intent),
            "outcome" => Some(Self::Outcome),
            "change" => Some(Self::Change),
            _ => None,
        }
    }
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Unique over the life of the journal: tells after a failed append whether it was stored.
    pub nonce: String,
    pub at: Timestamp,
    pub kind: RecordKind,
    /// Key of the order, for intents and outcomes.
    pub key: Option<String>,
    /// JSON.
    pub body: String,
}

/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Rises by one with each record.
    pub seq: u64,
    pub at: Timestamp,
    pub kind: RecordKind,
    pub key: Option<String>,
    pub body: String,
}

/// Journal, snapshot and blobs.
///
/// Contract: `append` and `put_blob` are durable on return. After an error of `append` the record may or may not be
/// stored: `find` tells. One process at a time holds a store; calls block for as long as the disk takes.
pub trait Store: Send {
    fn append(&mut self, record: &NewRecord) -> Result<u64, Problem>;
    /// Number of the record with this nonce, if it is stored.
    fn find(&mut self, nonce: &str) -> Result<Option<u64>, Problem>;
    /// Records after `seq`, oldest first, at most `limit`.
    fn read_after(&mut self, seq: u64, limit: usize) -> Result<Vec<Record>, Problem>;
    /// The newest snapshot and the number of the record that it includes.
    fn snapshot(&mut self) -> Result<Option<(u64, String)>, Problem>;
    /// Puts a snapshot in place of the one before and drops the records up to `drop_to`, both or neither.
    fn save_snapshot(&mut self, seq: u64, body: &str, drop_to: u64) -> Result<(), Problem>;
    /// Drops the records up to `drop_to` and gives the space back that is free by now, where that is most of the file.
    fn thin(&mut self, drop_to: u64) -> Result<(), Problem>;
    fn put_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), Problem>;
    fn blob(&mut self, name: &str) -> Result<Option<Vec<u8>>, Problem>;
    /// Names of blobs that begin with `prefix`, in order.
    fn blob_names(&mut self, prefix: &str) -> Result<Vec<String>, Problem>;
    /// Removes blobs whose names begin with `prefix`. Nothing of them stays in the files.
    fn remove_blobs(&mut self, prefix: &str) -> Result<(), Problem>;
    /// Removes one blob, likewise.
    fn remove_blob(&mut self, name: &str) -> Result<(), Problem>;
    /// Leaves nothing in the files of what blobs held before.
    fn wipe(&mut self) -> Result<(), Problem>;
    /// A number above all before it and above `taken`, durably: the engine's lease.
    fn next_lease(&mut self, taken: u64) -> Result<u64, Problem>;
}
