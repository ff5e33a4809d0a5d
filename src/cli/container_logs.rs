//! `container logs NAME`: what one container wrote, ours or foreign, as Docker keeps it.

use std::{pin::pin, sync::Arc};

use clap::Args;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    Ended,
    container::{await_docker, find, with_docker_of},
    context::Context,
    output::{Output, Tone},
    time,
};
use crate::{
    config::Settings,
    model::{
        container::ContainerId,
        log::{self, ContainerLine, ContainerQuery, Stream},
        problem::Problem,
        units::Timestamp,
    },
};

/// Lines on their way to the screen; a full queue holds Docker back.
const LINES: usize = 256;

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Its name, or the beginning of its id
    name: String,
    /// Go on with new lines until it ends, or ctrl-c
    #[arg(long, short)]
    follow: bool,
    /// Lines since then: 10m, 2h, or a time as 2026-11-20T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<Timestamp>,
    /// The last so many lines
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
}

/// The lines of a container as a role: with the settings that name the Docker engine; it ends with the container, or once
/// nobody reads.
pub type Lines = Arc<
    dyn Fn(Settings, ContainerId, ContainerQuery, mpsc::Sender<ContainerLine>) -> BoxFuture<'static, Result<(), Problem>>
        + Send
        + Sync,
>;

/// One line as a document on a line of its own. Fields may be added, never renamed.
#[derive(Serialize)]
struct Record<'a> {
    time: Option<String>,
    container: &'a str,
    stream: Stream,
    line: &'a str,
}

impl Logs {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = await_docker(context).await?;
        let found = find(&fleet, &self.name)?;
        let query = ContainerQuery { since: self.since, tail: self.tail, follow: self.follow };
        let (sender, mut lines) = mpsc::channel(LINES);
        let mut reading = pin!((context.roles.container_lines)(with_docker_of(&fleet, context), found.id.clone(), query, sender));
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let mut read = None;
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => tell(&found.name, &line, context.output),
                    None => return read.unwrap_or(Ok(())).map(|()| Ended::Well),
                },
                ended = &mut reading, if read.is_none() => read = Some(ended),
                // Following ends by ctrl-c and nothing else: that is its success.
                _ = &mut interrupt => return Ok(Ended::Well),
            }
            if context.output.is_closed() {
                return Ok(Ended::Well);
            }
        }
    }
}

fn tell(container: &str, line: &ContainerLine, output: &Output) {
    if output.json {
        let time = line.time.map(time::rfc3339);
        output.record(&Record { time, container, stream: line.stream, line: &line.line });
        return;
    }
    let text = log::safe(&line.line);
    match line.time {
        Some(at) => output.line(&format!("{} {text}", output.paint(Tone::Muted, &time::clock_time(at)))),
        None => output.line(&text),
    }
}
