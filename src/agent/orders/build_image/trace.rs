//! What BuildKit tells of its steps while it builds, read into the lines of a log.
//!
//! Format: `moby.buildkit.v1.StatusResponse` of <https://github.com/moby/buildkit/blob/master/api/services/control/control.proto>,
//! protocol buffers in the answer's `moby.buildkit.trace`.

use std::collections::BTreeMap;

use prost::Message;

use crate::{keep::lines::Lines, model::units::Millis};

/// Steps of one build that are told apart; a build has dozens.
const MOST_STEPS: usize = 4096;

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "1")]
    vertexes: Vec<Vertex>,
    #[prost(message, repeated, tag = "3")]
    logs: Vec<VertexLog>,
}

/// One step.
#[derive(Clone, PartialEq, Message)]
struct Vertex {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    cached: bool,
    #[prost(message, optional, tag = "5")]
    started: Option<Time>,
    #[prost(message, optional, tag = "6")]
    completed: Option<Time>,
    #[prost(string, tag = "7")]
    error: String,
}

#[derive(Clone, PartialEq, Message)]
struct VertexLog {
    #[prost(string, tag = "1")]
    vertex: String,
    /// 1 or 2, as of a process.
    #[prost(int64, tag = "3")]
    stream: i64,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Time {
    fn millis(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(i64::from(self.nanos / 1_000_000))
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) is_error: bool,
    pub(super) text: Vec<u8>,
}

/// The steps as far as they were told.
#[derive(Debug, Default)]
pub(super) struct Trace {
    steps: BTreeMap<String, Step>,
    /// Name of the step that failed, else of the one that began last.
    at_work: Option<String>,
    has_failed: bool,
}

#[derive(Debug, Default)]
struct Step {
    /// As the lines name it.
    number: usize,
    is_done: bool,
    /// What it wrote that is no whole line yet, by stream.
    written: [Lines; 2],
}

impl Trace {
    /// What one message adds to the log. What is no message of BuildKit adds nothing.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let Ok(status) = Status::decode(bytes) else { return lines };
        for vertex in &status.vertexes {
            self.vertex(vertex, &mut lines);
        }
        for log in status.logs {
            let Some(step) = self.steps.get_mut(&log.vertex) else { continue };
            let is_error = log.stream == 2;
            let number = step.number;
            step.written[usize::from(is_error)].push(&log.message, |line| {
                lines.push(Line { is_error, text: [format!("#{number} ").as_bytes(), line].concat() });
            });
        }
        lines
    }

    /// The instruction at work, or the one that failed: `RUN npm ci`.
    pub(super) fn step(&self) -> Option<&str> {
        self.at_work.as_deref()
    }

    fn vertex(&mut self, vertex: &Vertex, lines: &mut Vec<Line>) {
        if vertex.started.is_none() && !vertex.cached && vertex.error.is_empty() {
            return;
        }
        let number = self.steps.len() + 1;
        let mut say = |text: String| lines.push(Line { is_error: false, text: text.into_bytes() });
        if !self.steps.contains_key(&vertex.digest) {
            if number > MOST_STEPS {
                return;
            }
            self.steps.insert(vertex.digest.clone(), Step { number, ..Step::default() });
            say(format!("#{number} {}", vertex.name));
            if !self.has_failed {
                self.at_work = instruction(&vertex.name);
            }
        }
        let Some(step) = self.steps.get_mut(&vertex.digest).filter(|step| !step.is_done) else { return };
        let number = step.number;
        if vertex.cached {
            step.is_done = true;
            return say(format!("#{number} CACHED"));
        }
        let Some(completed) = vertex.completed else { return };
        step.is_done = true;
        if vertex.error.is_empty() {
            let took = completed.millis() - vertex.started.map_or(completed.millis(), Time::millis);
            say(format!("#{number} DONE {}", Millis(took.max(0) as u64)));
        } else if !self.has_failed {
            // Others end because of this one.
            self.has_failed = true;
            self.at_work = instruction(&vertex.name);
        }
    }
}

/// The instruction of a step's name: `RUN x` of `[build 2/3] RUN x`, `FROM x` of `[internal] load metadata for x`.
fn instruction(name: &str) -> Option<String> {
    let (head, rest) = name.strip_prefix('[')?.split_once("] ")?;
    if head != "internal" {
        return Some(rest.to_owned());
    }
    rest.strip_prefix("load metadata for ").map(|image| format!("FROM {image}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vertex(digest: &str, name: &str, from: Option<i64>, to: Option<i64>) -> Vertex {
        let time = |millis: i64| Time { seconds: millis / 1000, nanos: (millis % 1000 * 1_000_000) as i32 };
        Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            started: from.map(time),
            completed: to.map(time),
            ..Vertex::default()
        }
    }

    fn told(trace: &mut Trace, vertexes: Vec<Vertex>, logs: &[(&str, i64, &str)]) -> Vec<String> {
        let logs = logs.iter().map(|(vertex, stream, text)| VertexLog {
            vertex: (*vertex).to_owned(),
            stream: *stream,
            message: text.as_bytes().to_vec(),
        });
        let status = Status { vertexes, logs: logs.collect() };
        let lines = trace.take(&status.encode_to_vec()).into_iter();
        lines.map(|line| format!("{}{}", if line.is_error { "! " } else { "" }, String::from_utf8_lossy(&line.text))).collect()
    }

    #[test]
    fn steps_output_and_times_become_lines() {
        let mut trace = Trace::default();
        let waiting = vertex("b", "[2/2] RUN make", None, None);
        assert_eq!(told(&mut trace, vec![vertex("a", "[1/2] FROM x", Some(1000), None), waiting], &[]), ["#1 [1/2] FROM x"]);
        let cached = Vertex { cached: true, ..vertex("a", "[1/2] FROM x", Some(1000), Some(1000)) };
        let begun = vertex("b", "[2/2] RUN make", Some(1500), None);
        let lines = told(&mut trace, vec![cached, begun], &[("b", 1, "one\ntw"), ("b", 2, "odd\n"), ("b", 1, "o\n")]);
        assert_eq!(lines, ["#1 CACHED", "#2 [2/2] RUN make", "#2 one", "! #2 odd", "#2 two"]);
        assert_eq!(trace.step(), Some("RUN make"));
        let done = vertex("b", "[2/2] RUN make", Some(1500), Some(3500));
        assert_eq!(told(&mut trace, vec![done.clone()], &[]), [format!("#2 DONE {}", Millis(2000))]);
        assert!(told(&mut trace, vec![done], &[]).is_empty());
    }

    #[test]
    fn the_step_that_failed_first_is_known() {
        let mut trace = Trace::default();
        let failed = |digest: &str, name: &str| Vertex { error: "no".to_owned(), ..vertex(digest, name, Some(1), Some(2)) };
        told(&mut trace, vec![failed("a", "[build 2/3] RUN false"), failed("b", "[internal] load metadata for x:1")], &[]);
        assert_eq!(trace.step(), Some("RUN false"));
        assert_eq!(instruction("[internal] load metadata for x:1").as_deref(), Some("FROM x:1"));
        assert_eq!(instruction("exporting to image"), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Trace::default().take(&bytes);
        }
    }
}
