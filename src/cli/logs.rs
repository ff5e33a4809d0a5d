//! `logs APP`: the lines that an app or its build wrote, oldest first; followed over restarts of the engine.

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use super::{
    Ended, absent,
    context::{self, Context},
    output::{Output, Tone},
    time, values,
};
use crate::model::{
    deployment::Deployment,
    fleet::Fleet,
    ids::{AppId, InstanceId, ReleaseId},
    log::{self, LogLine, LogQuery, Stream},
    problem::Problem,
    units::Timestamp,
};

#[derive(Debug, Args)]
pub struct Logs {
    #[arg(value_parser = context::app)]
    app: AppId,
    /// Go on with new lines until ctrl-c
    #[arg(long, short)]
    follow: bool,
    /// Lines since then: 10m, 2h, or a time as 2026-11-20T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<Timestamp>,
    /// The last so many lines
    #[arg(long, value_name = "N", value_parser = values::how_many)]
    tail: Option<usize>,
    /// Of one instance
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Of the newest build, or of one release: --build=N
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, require_equals = true, default_missing_value = "0", conflicts_with = "instance")]
    build: Option<ReleaseId>,
}

/// One record as a document on a line of its own. Fields may be added, never renamed.
#[derive(Serialize)]
struct Record<'a> {
    time: String,
    app: &'a AppId,
    release: ReleaseId,
    instance: &'a str,
    stream: Stream,
    line: &'a str,
}

impl Logs {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        if !fleet.apps.contains_key(&self.app) {
            return Err(absent::app(&self.app, &fleet));
        }
        if let Some(release) = self.build.filter(|release| release.0 > 0 && !is_known(&fleet, &self.app, *release)) {
            return Err(absent::build(&self.app, release));
        }
        let query = LogQuery {
            app: Some(self.app),
            instance: self.instance.map(InstanceId),
            // Release 0 is the newest one that was built.
            build: self.build,
            since: self.since,
            tail: self.tail,
            follow: self.follow,
        };
        let instance = query.instance.clone().filter(|instance| !fleet.instances.contains_key(instance));
        if let Some(instance) = instance.as_ref().filter(|_| query.follow) {
            return Err(absent::instance(instance, &fleet));
        }
        let unknown = instance.map(|instance| absent::instance(&instance, &fleet));
        tokio::select! {
            shown = show(context, query, unknown) => shown,
            // Following ends by ctrl-c and nothing else: that is its success.
            _ = tokio::signal::ctrl_c() => Ok(Ended::Well),
        }
    }
}

/// Whether there is such a release, or was a try to make it.
fn is_known(fleet: &Fleet, app: &AppId, release: ReleaseId) -> bool {
    let tried = |deployment: &Deployment| deployment.app == *app && deployment.release == release;
    fleet.release(app, release).is_some() || fleet.deployments.values().any(tried)
}

/// Shows what is asked for; of an instance that is gone its log may still be there, else it is `unknown`.
async fn show(context: &Context<'_>, mut query: LogQuery, unknown: Option<Problem>) -> Result<Ended, Problem> {
    let mut client = context.client();
    let mut seen = Seen::default();
    loop {
        let ended = match client.logs(&query).await {
            Ok(mut feed) => loop {
                match feed.next().await {
                    Ok(Some(batch)) => {
                        batch.iter().filter(|record| seen.is_new(record)).for_each(|record| tell(record, context.output));
                        if context.output.is_closed() {
                            return Ok(Ended::Well);
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(Problem::unavailable(format!("the engine broke off: {error}"))),
                }
            },
            Err(problem) => Some(problem),
        };
        match ended {
            None if !query.follow => return unknown.filter(|_| seen.last.is_none()).map_or(Ok(Ended::Well), Err),
            Some(problem) if !query.follow || !problem.is_transient() => return Err(problem),
            _ => {}
        }
        client = context.engine_again().await?;
        if seen.last.is_some() {
            // From the newest time that was shown, whose records are known.
            (query.since, query.tail, seen.compares) = (seen.last, None, true);
        }
    }
}

/// The newest time that was shown, and what was shown of it.
#[derive(Default)]
struct Seen {
    last: Option<Timestamp>,
    at_last: BTreeSet<(String, String)>,
    /// Records are compared only after a break: an app may well write the same line twice in a millisecond.
    compares: bool,
}

impl Seen {
    fn is_new(&mut self, record: &LogLine) -> bool {
        if self.last.is_none_or(|last| last < record.time) {
            self.last = Some(record.time);
            self.at_last.clear();
        }
        if self.last.is_some_and(|last| record.time < last) {
            return true;
        }
        self.at_last.insert((record.instance.clone(), record.line.clone())) || !self.compares
    }
}

fn tell(record: &LogLine, output: &Output) {
    if output.json {
        output.record(&Record {
            time: time::rfc3339(record.time),
            app: &record.app,
            release: record.release,
            instance: &record.instance,
            stream: record.stream,
            line: &record.line,
        });
        return;
    }
    let tone = if record.stream == Stream::Keeper { Tone::Muted } else { Tone::Plain };
    let head = output.paint(Tone::Muted, &format!("{} {}", time::clock_time(record.time), record.instance));
    output.line(&format!("{head} {}", output.paint(tone, &log::safe(&record.line))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: i64, line: &str) -> LogLine {
        LogLine {
            time: Timestamp(time),
            app: AppId::parse("shop").unwrap(),
            release: ReleaseId(1),
            instance: "shop-1-a".to_owned(),
            stream: Stream::Out,
            line: line.to_owned(),
        }
    }

    #[test]
    fn after_a_break_no_line_is_shown_twice_and_none_is_lost() {
        let mut seen = Seen::default();
        let before = [record(1, "a"), record(2, "b"), record(2, "b"), record(2, "c")];
        assert_eq!(before.iter().filter(|record| seen.is_new(record)).count(), 4);
        seen.compares = true;
        let again = [record(2, "b"), record(2, "b"), record(2, "c"), record(2, "d"), record(3, "e")];
        let after: Vec<&str> = again.iter().filter(|record| seen.is_new(record)).map(|record| record.line.as_str()).collect();
        assert_eq!(after, ["d", "e"]);
    }
}
