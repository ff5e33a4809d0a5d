//! What the builder says while it builds: JSON values one after the other, read into lines and facts.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

/// Longest value that is kept; a longer one is not the builder's own.
const LONGEST: usize = 4 << 20;

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Output, with its line feeds.
    Text(String),
    /// How a pull goes on.
    Status(String),
    /// Id of the finished image.
    Image(String),
    /// What BuildKit's steps do, in its own form.
    Trace(Vec<u8>),
    Failed {
        code: Option<i64>,
        message: String,
    },
}

/// Reads the stream, wherever it is cut.
#[derive(Debug, Default)]
pub(super) struct Reader {
    partial: Vec<u8>,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8], mut give: impl FnMut(Said)) {
        self.partial.extend_from_slice(bytes);
        let mut values = serde_json::Deserializer::from_slice(&self.partial).into_iter::<Value>();
        let mut read = 0;
        loop {
            match values.next() {
                Some(Ok(value)) => {
                    read = values.byte_offset();
                    value.said().into_iter().for_each(&mut give);
                }
                None => {
                    read = self.partial.len();
                    break;
                }
                Some(Err(error)) if error.is_eof() => break,
                // Not what a builder says: what is left is told as it is.
                Some(Err(_)) => {
                    give(Said::Text(String::from_utf8_lossy(&self.partial[read..]).into_owned()));
                    read = self.partial.len();
                    break;
                }
            }
        }
        self.partial.drain(..read);
        if self.partial.len() > LONGEST {
            self.partial.clear();
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Value {
    stream: Option<String>,
    status: Option<String>,
    id: Option<String>,
    progress: Option<String>,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
    aux: Option<Aux>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<i64>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Aux {
    /// Base64 (RFC 4648 §4).
    Trace(String),
    Image {
        #[serde(rename = "ID")]
        id: Option<String>,
    },
}

impl Value {
    fn said(self) -> Option<Said> {
        if self.error.is_some() || self.detail.is_some() {
            let (code, message) = self.detail.map_or((None, None), |detail| (detail.code, detail.message));
            return Some(Said::Failed { code, message: message.or(self.error).unwrap_or_default() });
        }
        if let Some(text) = self.stream {
            return Some(Said::Text(text));
        }
        match self.aux {
            Some(Aux::Trace(text)) if self.id.as_deref() == Some("moby.buildkit.trace") => {
                return BASE64.decode(text).ok().map(Said::Trace);
            }
            Some(Aux::Image { id: Some(id) }) => return Some(Said::Image(id)),
            _ => {}
        }
        // How many bytes of a layer have come is told many times a second: only what is done is.
        let status = self.status.filter(|_| self.progress.is_none_or(|progress| progress.is_empty()))?;
        Some(Said::Status(match self.id {
            Some(id) => format!("{id}: {status}"),
            None => status,
        }))
    }
}

/// What the lines tell of the containers and layers that a build makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Containers in which steps ran; the builder removes them.
    pub(super) containers: Vec<String>,
    /// Last layer of each stage, as far as the build came.
    pub(super) stages: Vec<String>,
    /// `FROM python:3`: the step at work.
    pub(super) step: String,
}

impl Made {
    /// Takes a line of the classic builder into account.
    pub(super) fn note(&mut self, line: &str) {
        let line = line.trim();
        if let Some((_, step)) = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : ")) {
            step.clone_into(&mut self.step);
            if step.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from ")) {
                self.stages.push(String::new());
            }
            return;
        }
        let Some(rest) = line.strip_prefix("---> ") else { return };
        let id = |text: &str| text.chars().take_while(char::is_ascii_hexdigit).collect::<String>();
        if let Some(container) = rest.strip_prefix("Running in ") {
            self.containers.push(id(container));
        } else if id(rest).len() >= 12
            && let Some(last) = self.stages.last_mut()
        {
            // The first one of a stage is the image that it stands on.
            let is_base = self.step.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "));
            *last = if is_base { String::new() } else { id(rest) };
        }
    }

    /// The layers that are there for the next build, one for each stage that came further than its base.
    pub(super) fn layers(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(String::as_str).filter(|id| !id.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUILD: &str = concat!(
        "{\"stream\":\"Step 1/5 : FROM node AS build\"}\n{\"stream\":\"\\n\"}\n",
        "{\"status\":\"Pulling from library/node\",\"id\":\"22\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1},\"progress\":\"[=>  ]\",\"id\":\"abc\"}",
        "{\"stream\":\" ---\\u003e 0123456789ab\\n\"}{\"stream\":\"Step 2/5 : RUN x\\n\"}",
        "{\"stream\":\" ---\\u003e Running in cafecafecafe\\n\"}{\"stream\":\"Removing intermediate container cafecafecafe\\n\"}",
        "{\"stream\":\" ---\\u003e aaaaaaaaaaaa\\n\"}{\"stream\":\"Step 3/5 : FROM nginx\\n\"}{\"stream\":\" ---\\u003e bbbbbbbbbbbb\\n\"}",
        "{\"id\":\"moby.buildkit.trace\",\"aux\":\"AAEC\"}",
        "{\"aux\":{\"ID\":\"sha256:ff\"}}{\"errorDetail\":{\"code\":137,\"message\":\"no\"},\"error\":\"no\"}\n",
    );

    fn said(pieces: &[&str]) -> Vec<Said> {
        let (mut reader, mut all) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.push(piece.as_bytes(), |said| all.push(said));
        }
        all
    }

    #[test]
    fn output_pulls_image_and_failure_are_told_apart() {
        let all = said(&[BUILD]);
        assert_eq!(all[2], Said::Status("22: Pulling from library/node".to_owned()));
        assert_eq!(all[all.len() - 3], Said::Trace(vec![0, 1, 2]));
        assert_eq!(all[all.len() - 2], Said::Image("sha256:ff".to_owned()));
        assert_eq!(all[all.len() - 1], Said::Failed { code: Some(137), message: "no".to_owned() });
        assert!(!all.iter().any(|said| matches!(said, Said::Status(text) if text.contains("Downloading"))));
    }

    #[test]
    fn containers_and_layers_are_known() {
        let mut made = Made::default();
        for said in said(&[BUILD]) {
            if let Said::Text(text) = said {
                text.lines().for_each(|line| made.note(line));
            }
        }
        assert_eq!(made.containers, ["cafecafecafe"]);
        assert_eq!(made.layers().collect::<Vec<_>>(), ["aaaaaaaaaaaa"]);
        assert_eq!(made.step, "FROM nginx");
    }

    proptest! {
        #[test]
        fn it_is_the_same_wherever_it_is_cut(at in 0_usize..BUILD.len()) {
            prop_assert_eq!(said(&[&BUILD[..at], &BUILD[at..]]), said(&[BUILD]));
        }

        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..300), line in ".{0,60}") {
            let mut reader = Reader::default();
            reader.push(&bytes, |_| ());
            Made::default().note(&line);
        }
    }
}
