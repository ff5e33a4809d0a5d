//! Logs of instances and builds: the last lines, and those that come.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::stream::{self, Stream};

use super::log_files::{self, Cursor, Record, Wanted};
use crate::{
    config::{StateDir, clock},
    model::{
        ids::{AppId, ReleaseId},
        log::{LogLabels, LogLine, LogQuery},
        units::Timestamp,
    },
};

/// Label of a build's log, where an instance's has its id.
const BUILD: &str = "build";
/// How often a follower looks for new records.
const EVERY: Duration = Duration::from_millis(100);
/// Most that is read of all logs together when no smaller number is asked for.
const MOST_BYTES: u64 = 16 << 20;

/// The logs of one engine's keepers. They are files: they survive engine, keeper and instance until they are pruned.
#[derive(Clone, Debug)]
pub struct LogStore {
    state: StateDir,
}

impl LogStore {
    pub fn new(state: StateDir) -> Self {
        Self { state }
    }

    /// What is asked for, oldest first, merged by time; `query.follow` is not looked at.
    ///
    /// Without `tail`: the newest 16 MB at most. Blocks for the reading.
    pub fn read(&self, query: &LogQuery) -> Vec<LogLine> {
        Following::new(self.clone(), query.clone()).begin()
    }

    /// What `read` gives, then new records in batches within 150 ms of their writing, also of instances that come later.
    ///
    /// Each batch is ordered by time; the first may be empty. Never ends: drop it. Nothing is read while nobody polls.
    pub fn follow(&self, query: LogQuery) -> impl Stream<Item = Vec<LogLine>> + Send + Sync + 'static + use<> {
        let following = Following::new(self.clone(), query);
        stream::unfold((following, true), |(mut following, is_first)| async move {
            if is_first {
                let begun = tokio::task::spawn_blocking(move || {
                    let lines = following.begin();
                    (lines, (following, false))
                });
                return begun.await.ok();
            }
            loop {
                let lines = following.next();
                if !lines.is_empty() {
                    return Some((lines, (following, false)));
                }
                tokio::time::sleep(EVERY).await;
            }
        })
    }

    /// Logs that the query asks for.
    fn sources(&self, query: &LogQuery) -> Vec<(PathBuf, LogLabels)> {
        let entries = fs::read_dir(self.state.keepers()).into_iter().flatten().flatten();
        let mut sources: Vec<(PathBuf, LogLabels)> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let labels = labels(&entry.path())?;
                is_asked_for(query, &name, &labels).then(|| (entry.path(), labels))
            })
            .collect();
        if query.build == Some(ReleaseId(0)) {
            let newest = sources.iter().map(|(_, labels)| labels.release).max();
            sources.retain(|(_, labels)| Some(labels.release) == newest);
        }
        sources
    }
}

fn labels(dir: &Path) -> Option<LogLabels> {
    serde_json::from_slice(&fs::read(dir.join("labels.json")).ok()?).ok()
}

fn is_asked_for(query: &LogQuery, name: &str, labels: &LogLabels) -> bool {
    if query.app.as_ref().is_some_and(|app| *app != labels.app) {
        return false;
    }
    match (&query.build, &query.instance) {
        (Some(ReleaseId(0)), _) => labels.instance == BUILD,
        (Some(release), _) => labels.instance == BUILD && labels.release == *release,
        (None, Some(instance)) => labels.instance == instance.0,
        // The edge and other keepers of our own are no app's.
        (None, None) => labels.instance == name && is_instance(name, &labels.app, labels.release),
    }
}

fn is_instance(name: &str, app: &AppId, release: ReleaseId) -> bool {
    name.starts_with(&format!("{app}-{release}-"))
}

struct Source {
    dir: PathBuf,
    labels: LogLabels,
    cursor: Cursor,
}

impl Source {
    fn line(&self, record: Record) -> (i64, LogLine) {
        let line = LogLine {
            time: Timestamp(record.micros.div_euclid(1000)),
            app: self.labels.app.clone(),
            release: self.labels.release,
            instance: self.labels.instance.clone(),
            stream: record.stream,
            line: record.line,
        };
        (record.micros, line)
    }
}

/// A query with where it has come to in each log.
struct Following {
    store: LogStore,
    query: LogQuery,
    sources: Vec<Source>,
    /// The keepers' folder as it was when it was looked through; absent: look again.
    folder: Option<(u64, i64, i64)>,
}

impl Following {
    fn new(store: LogStore, query: LogQuery) -> Self {
        Self { store, query, sources: Vec::new(), folder: None }
    }

    fn begin(&mut self) -> Vec<LogLine> {
        let sources = self.store.sources(&self.query);
        let most = self.query.tail.unwrap_or(usize::MAX);
        let wanted = Wanted {
            records: most,
            bytes: if self.query.tail.is_some() { MOST_BYTES } else { MOST_BYTES / sources.len().max(1) as u64 },
            since_micros: self.query.since.map(|since| since.0.saturating_mul(1000)),
        };
        let mut lines = Vec::new();
        for (dir, labels) in sources {
            let (records, cursor) = log_files::read(&dir.join("log"), wanted);
            let source = Source { dir, labels, cursor };
            lines.extend(records.into_iter().map(|record| source.line(record)));
            self.sources.push(source);
        }
        let mut lines = merged(lines);
        lines.split_off(lines.len().saturating_sub(most))
    }

    fn next(&mut self) -> Vec<LogLine> {
        self.look_for_new();
        let mut lines = Vec::new();
        for source in &mut self.sources {
            let records = source.cursor.next();
            lines.extend(records.into_iter().map(|record| source.line(record)));
        }
        merged(lines)
    }

    /// Logs that were not there before are read from their begin.
    fn look_for_new(&mut self) {
        let keepers = self.store.state.keepers();
        let folder = fs::metadata(&keepers).ok().map(|meta| (meta.ino(), meta.mtime(), meta.mtime_nsec()));
        // Clocks of file systems are coarse: what is young may change again without a new time.
        let is_young = folder.is_some_and(|(_, seconds, _)| clock::now().0 - seconds * 1000 < 2000);
        if folder.is_some() && folder == self.folder {
            return;
        }
        // The newest build is the newest when it was first asked for.
        if self.query.build == Some(ReleaseId(0)) && !self.sources.is_empty() {
            return;
        }
        for (dir, labels) in self.store.sources(&self.query) {
            if !self.sources.iter().any(|source| source.dir == dir) {
                let cursor = Cursor::at_begin(dir.join("log"));
                self.sources.push(Source { dir, labels, cursor });
            }
        }
        self.sources.retain(|source| source.dir.exists());
        // A keeper's folder is there before its labels are: then it is looked at again.
        let mut entries = fs::read_dir(&keepers).into_iter().flatten().flatten();
        self.folder = folder.filter(|_| !is_young && entries.all(|entry| entry.path().join("labels.json").exists()));
    }
}

fn merged(mut lines: Vec<(i64, LogLine)>) -> Vec<LogLine> {
    // Stable: lines of one log with one time stay as they were written.
    lines.sort_by_key(|(micros, _)| *micros);
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests;
