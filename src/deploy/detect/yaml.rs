//! YAML as a tree in which every key and value knows its line.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use crate::model::Problem;

/// Most levels of a tree: deeper ones are nobody's configuration.
const DEPTH: usize = 64;

/// A value with the line (from 1) on which it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number as it is written down again: `8080`, `0.5`.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Line of the key.
    pub(super) line: u64,
    pub(super) value: Node,
}

/// Reads `text`, the contents of `file`. A problem is at `FILE:LINE`.
pub(super) fn read(text: &str, file: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            max_events: 200_000,
            max_nodes: 100_000,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        // The reader names its own counters.
        let is_aliases = ["alias replay", "alias expansion"].iter().any(|words| message.contains(words));
        if is_aliases || message.contains("budget") {
            let (what, next) = if is_aliases {
                ("its aliases (`*name`) repeat each other beyond what any configuration needs", "write out what they stand for")
            } else {
                ("it is larger or deeper than any configuration needs", "split it, or leave out what the app does not need")
            };
            return Problem::user(what).at(format!("{file}:{line}")).hint(next);
        }
        Problem::user(format!("this is not YAML: {}", message.escape_debug()))
            .at(format!("{file}:{line}"))
            .hint("mend the line; `docker compose config` shows how Docker reads it")
    })
}

impl Node {
    pub(super) fn map(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// A scalar as text; absent for lists, maps and nothing.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(yes) => Some(yes.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Changes every text below it, keys left out.
    pub(super) fn each_text(&mut self, change: &mut impl FnMut(&mut String, u64) -> Result<(), Problem>) -> Result<(), Problem> {
        match &mut self.value {
            Value::Text(text) => change(text, self.line),
            Value::List(items) => items.iter_mut().try_for_each(|item| item.each_text(change)),
            Value::Map(entries) => entries.iter_mut().try_for_each(|entry| entry.value.each_text(change)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            entries.push(Entry { key: key.value, line: key.referenced.line(), value: access.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_unfolds_to_too_much_is_refused_in_plain_words() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (one, other) in ["ab", "bc", "cd", "de", "ef"].iter().map(|pair| pair.split_at(1)) {
            bomb.push_str(&format!("{other}: &{other} [{}]\n", vec![format!("*{one}"); 10].join(", ")));
        }
        let problem = read(&bomb, "compose.yaml").unwrap_err();
        assert!(problem.what.starts_with("its aliases"), "{}", problem.what);
        assert!(problem.at.unwrap().starts_with("compose.yaml:"));
        let deep = read(&"[".repeat(200), "compose.yaml").unwrap_err();
        assert!(!deep.what.contains("budget") && !deep.what.contains("max_"), "{}", deep.what);
    }

    #[test]
    fn every_key_and_value_knows_its_line() {
        let tree = read("a:\n  b: 1\n  c: [x, 'yes']\nd:\n", "f").unwrap();
        let top = tree.map().unwrap();
        assert_eq!((top[0].key.as_str(), top[0].line, top[1].line), ("a", 1, 4));
        let below = top[0].value.map().unwrap();
        assert_eq!((below[0].line, below[0].value.scalar().as_deref()), (2, Some("1")));
        let items = below[1].value.list().unwrap();
        assert_eq!((items[1].line, items[1].value.clone()), (3, Value::Text("yes".to_owned())));
        assert!(top[1].value.is_null());
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let tree = read("x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n", "f").unwrap();
        let y = &tree.map().unwrap()[1].value;
        let mut keys: Vec<&str> = y.map().unwrap().iter().map(|entry| entry.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b"]);
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_line() {
        for (text, at) in [("a: 1\nb: [\n", "f:"), ("a: 1\na: 2\n", "f:2"), ("\ta: b: c\n", "f:1")] {
            let problem = read(text, "f").unwrap_err();
            assert!(problem.at.as_deref().unwrap_or_default().starts_with(at), "{text:?}: {problem}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f"), ("h", "g")] {
            let many = vec![format!("*{before}"); 9].join(", ");
            text.push_str(&format!("{name}: &{name} [{many}]\n"));
        }
        assert!(read(&text, "f").is_err());
        assert!(read(&"[".repeat(10_000), "f").is_err());
    }
}
