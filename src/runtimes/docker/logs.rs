//! What containers write, into the same files as keepers write: each line once, over restarts of engine and Docker.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use bollard::{Docker, container::LogOutput, query_parameters::LogsOptions};
use futures_util::StreamExt;
use tokio::sync::mpsc::Sender;

use super::{
    client::{Client, is_not_found},
    labels,
    seen::micros,
};
use crate::{
    config::Settings,
    keep::log::Log,
    model::{
        container::ContainerId,
        ids::InstanceId,
        log::{ContainerLine, ContainerQuery, Stream, read_record, safe},
        mask::Masker,
        problem::Problem,
        units::Timestamp,
    },
};

/// Lines taken at once.
const BATCH: usize = 1024;
/// Enough of a file's end to hold its last records.
const END: u64 = 256 * 1024;

/// Where the files end: time of the last line that a container wrote, and how many lines have that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    micros: i64,
    lines: u64,
}

/// Takes what a container has written since the last line that is kept; with `follow` until it ends.
///
/// One at a time per instance: the caller holds its lock.
// Gap: after a clock that jumped back, lines written before it comes up again are not taken after an engine's restart.
pub(super) async fn take(
    docker: &Docker,
    settings: &Settings,
    id: &InstanceId,
    container: &str,
    follow: bool,
) -> Result<(), bollard::errors::Error> {
    let folder = settings.state.keeper(&id.0).join("log");
    let mark = mark(&folder);
    let masker = masker(docker, container).await?;
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        since: i32::try_from(mark.micros / 1_000_000).unwrap_or(i32::MAX),
        timestamps: true,
        ..LogsOptions::default()
    };
    let mut log = Log::open(folder, settings.config.logs.rotate_at.0, settings.config.logs.keep);
    let mut again = Again { mark, seen: 0 };
    let mut lines = std::pin::pin!(docker.logs(container, Some(options)).ready_chunks(BATCH));
    while let Some(batch) = lines.next().await {
        for output in batch {
            if let Some((at, stream, line)) = parted(&output?)
                && !again.is_known(at)
            {
                if masker.is_empty() {
                    log.add_at(at, stream, line);
                } else {
                    log.add_at(at, stream, masker.mask(&String::from_utf8_lossy(line)).as_bytes());
                }
            }
        }
        log.flush();
    }
    Ok(())
}

/// Finds the secrets of a container: it knows its environment, also when no engine remembers it.
// Gap: Docker cuts lines at 16 KiB; a value across such a cut is not found.
async fn masker(docker: &Docker, container: &str) -> Result<Masker, bollard::errors::Error> {
    let config = docker.inspect_container(container, None).await?.config.unwrap_or_default();
    let names = config.labels.unwrap_or_default().remove(labels::SECRETS).unwrap_or_default();
    let env = config.env.unwrap_or_default();
    let is_secret = |name: &str| !name.is_empty() && names.split(',').any(|secret| secret == name);
    let values = env.iter().filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_secret(name));
    Ok(Masker::new(values.map(|(_, value)| value)))
}

/// Puts a line of ours into the files: how a container ended, that it was replaced.
pub(super) fn say(settings: &Settings, id: &InstanceId, micros: i64, line: &str) {
    let folder = settings.state.keeper(&id.0).join("log");
    let mut log = Log::open(folder, settings.config.logs.rotate_at.0, settings.config.logs.keep);
    log.add_at(micros, Stream::Keeper, line.as_bytes());
    log.flush();
}

/// The last lines of a container, safe to show.
pub(super) async fn last(docker: &Docker, container: &str, lines: usize) -> Vec<String> {
    let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..LogsOptions::default() };
    // Without what is to be masked nothing can be shown.
    let Ok(masker) = masker(docker, container).await else { return Vec::new() };
    let written: Vec<_> = docker.logs(container, Some(options)).collect().await;
    let texts = written.iter().flatten().map(|output| String::from_utf8_lossy(output.as_ref()));
    texts.map(|text| safe(&masker.mask(text.trim_end_matches(['\n', '\r'])))).collect()
}

/// Gives what any container has written, oldest first, line by line; with `follow` until it ends. Ends, too, once nobody reads
/// `lines`. What is secret in it is masked.
pub async fn show(
    client: &Client,
    id: &ContainerId,
    query: ContainerQuery,
    lines: &Sender<ContainerLine>,
) -> Result<(), Problem> {
    let docker = client.docker().await?;
    let refused = |error| match error {
        error if is_not_found(&error) => {
            Problem::not_found(format!("there is no container {id} any more")).hint("pilothouse containers lists them")
        }
        error => client.problem(&format!("read the log of container {id}"), error),
    };
    let masker = masker(&docker, &id.0).await.map_err(refused)?;
    let options = LogsOptions {
        follow: query.follow,
        stdout: true,
        stderr: true,
        since: query.since.map_or(0, |since| i32::try_from(since.0 / 1000).unwrap_or(i32::MAX)),
        timestamps: true,
        tail: query.tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string()),
        ..LogsOptions::default()
    };
    let mut written = std::pin::pin!(docker.logs(&id.0, Some(options)));
    while let Some(output) = written.next().await {
        let output = output.map_err(refused)?;
        let (time, stream, line) = match parted(&output) {
            Some((micros, stream, line)) => (Some(Timestamp(micros / 1000)), stream, line),
            None => (None, Stream::Out, output.as_ref()),
        };
        // Docker counts whole seconds.
        if query.since.zip(time).is_some_and(|(since, time)| time < since) {
            continue;
        }
        let text = String::from_utf8_lossy(line);
        let line = masker.mask(text.trim_end_matches(['\n', '\r'])).into_owned();
        if lines.send(ContainerLine { time, stream, line }).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Time, stream and text of what Docker gives as one line.
fn parted(output: &LogOutput) -> Option<(i64, Stream, &[u8])> {
    let (stream, message) = match output {
        LogOutput::StdErr { message } => (Stream::Err, message),
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => (Stream::Out, message),
    };
    let end = message.iter().position(|byte| *byte == b' ')?;
    let at = micros(std::str::from_utf8(&message[..end]).ok()?)?;
    let line = &message[end + 1..];
    Some((at, stream, line.strip_suffix(b"\n").unwrap_or(line)))
}

/// Tells lines that are kept from those that are not: Docker gives again what was written in the mark's second.
struct Again {
    mark: Mark,
    seen: u64,
}

impl Again {
    fn is_known(&mut self, at: i64) -> bool {
        if at == self.mark.micros {
            self.seen += 1;
        }
        at < self.mark.micros || (at == self.mark.micros && self.seen <= self.mark.lines)
    }
}

/// The mark of a log folder.
fn mark(folder: &Path) -> Mark {
    ["current", "1"].iter().find_map(|name| mark_of(&end(&folder.join(name))?)).unwrap_or_default()
}

fn mark_of(text: &str) -> Option<Mark> {
    let lines = text.lines().rev().filter_map(read_record).filter(|(_, stream, _)| *stream != Stream::Keeper);
    let mut mark: Option<Mark> = None;
    for (micros, ..) in lines {
        match &mut mark {
            None => mark = Some(Mark { micros, lines: 1 }),
            Some(mark) if mark.micros == micros => mark.lines += 1,
            Some(_) => break,
        }
    }
    mark
}

/// The end of a file; its first line may be torn.
fn end(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parted_from_its_time() {
        let message = bytes::Bytes::from_static(b"2026-11-26T01:00:00.000001999Z GET / 200\n");
        let output = LogOutput::StdErr { message };
        let (at, stream, line) = parted(&output).unwrap();
        assert_eq!((at % 1_000_000, stream, line), (1, Stream::Err, &b"GET / 200"[..]));
    }

    #[test]
    fn what_is_kept_is_not_taken_again_and_what_is_not_is() {
        let mark = mark_of("5 o a\n7 o b\n7 e c\n9 k exited\n").unwrap();
        assert_eq!(mark, Mark { micros: 7, lines: 2 });
        let mut again = Again { mark, seen: 0 };
        let known: Vec<bool> = [5, 7, 7, 7, 8].into_iter().map(|at| again.is_known(at)).collect();
        assert_eq!(known, [true, true, true, false, false]);
    }
}
