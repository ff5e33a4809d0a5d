//! One log line taken apart: JSON and logfmt become level, message and fields; everything else stays as it is.

use serde_json::Value;

/// A line as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub message: String,
    /// What the line says besides, in its order.
    pub fields: Vec<(String, String)>,
}

const MESSAGE: [&str; 4] = ["msg", "message", "event", "text"];
/// Shown in columns of their own.
const ELSEWHERE: [&str; 9] = ["time", "ts", "timestamp", "@timestamp", "level", "severity", "lvl", "pid", "hostname"];

/// Takes `text` apart. What cannot be read is the message as a whole; nothing is lost but what the columns say.
pub fn parse(text: &str) -> Parsed {
    json(text).or_else(|| logfmt(text)).unwrap_or_else(|| Parsed { message: text.to_owned(), fields: Vec::new() })
}

fn json(text: &str) -> Option<Parsed> {
    if !text.starts_with('{') {
        return None;
    }
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return None;
    };
    let fields = object.into_iter().map(|(name, value)| {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (name, crate::model::log::safe(&value))
    });
    sort(fields.collect())
}

fn logfmt(text: &str) -> Option<Parsed> {
    let mut fields = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@".contains(c)) {
            return None;
        }
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.char_indices().find(|(at, c)| *c == '"' && !quoted[..*at].ends_with('\\'))?.0;
                (quoted[..end].replace("\\\"", "\""), &quoted[end + 1..])
            }
            None => after.split_once(' ').map_or((after.to_owned(), ""), |(value, left)| (value.to_owned(), left)),
        };
        fields.push((name.to_owned(), value));
        rest = left.trim_start();
    }
    (fields.len() > 1).then_some(())?;
    sort(fields)
}

fn sort(fields: Vec<(String, String)>) -> Option<Parsed> {
    let at = MESSAGE.iter().find_map(|wanted| fields.iter().position(|(name, _)| name == wanted));
    let message = at.map(|at| fields[at].1.clone()).unwrap_or_default();
    let rest = fields.into_iter().enumerate().filter(|(n, (name, _))| Some(*n) != at && !ELSEWHERE.contains(&name.as_str()));
    let fields: Vec<(String, String)> = rest.map(|(_, field)| field).collect();
    (!message.is_empty() || !fields.is_empty()).then_some(Parsed { message, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (String, String) {
        let parsed = parse(text);
        (parsed.message, parsed.fields.iter().map(|(name, value)| format!("{name}={value} ")).collect())
    }

    #[test]
    fn structured_lines_become_message_and_fields() {
        let json = shown(r#"{"level":"info","time":1,"msg":"order paid","order":8810,"req":"91ab20"}"#);
        assert_eq!(json, ("order paid".to_owned(), "order=8810 req=91ab20 ".to_owned()));
        let logfmt = shown(r#"level=warn msg="slow \"upstream\"" ms=402"#);
        assert_eq!(logfmt, (r#"slow "upstream""#.to_owned(), "ms=402 ".to_owned()));
    }

    #[test]
    fn every_other_line_stays_as_it_is() {
        for text in ["GET /a?b=c 200", "{not json", "x=1", "", "a = b", "=", r#"a="b"#] {
            assert_eq!(shown(text), (text.to_owned(), String::new()));
        }
    }

    #[test]
    fn an_escape_hidden_in_json_is_made_safe() {
        assert_eq!(shown(r#"{"msg":"a\u001b[2Jb"}"#).0, "ab");
    }
}
