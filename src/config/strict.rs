//! Reads a TOML file into its type, strictly: what is wrong is named with its line, its field and the nearest right word.

use std::ops::Range;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::model::Problem;

/// Words nearer than this are offered as what was meant (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.75;

/// Where each key of a file stands.
#[derive(Clone, Debug, Default)]
pub struct Places {
    file: String,
    /// Byte offsets at which lines begin, the first one left out.
    lines: Vec<usize>,
    keys: Vec<(String, Range<usize>)>,
}

impl Places {
    fn new(text: &str, file: &str) -> Self {
        let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        Self { file: file.to_owned(), lines, keys: Vec::new() }
    }

    /// `pilothouse.toml:12 build.install`; without the line when the file does not hold the field.
    pub fn of(&self, field: &str) -> String {
        match self.keys.iter().find(|(key, _)| key == field) {
            Some((_, span)) => self.at(span.start, field),
            None => format!("{} {field}", self.file),
        }
    }

    fn at(&self, offset: usize, field: &str) -> String {
        let line = self.lines.partition_point(|begin| *begin <= offset) + 1;
        format!("{}:{line} {field}", self.file).trim_end().to_owned()
    }

    /// The innermost field around `offset`.
    fn around(&self, offset: usize) -> &str {
        let around = self.keys.iter().filter(|(_, span)| span.start <= offset && offset <= span.end);
        around.min_by_key(|(_, span)| span.len()).map_or("", |(key, _)| key.as_str())
    }
}

/// Reads `text`, the contents of `file`, as a `T` whose JSON Schema says what is allowed.
///
/// Keys that begin with `x-` are free at every level. Bare numbers where the schema says text are refused, so that a
/// size or a span never lacks its unit. The first mistake is the problem, further ones its evidence.
pub fn read<T: JsonSchema + DeserializeOwned>(text: &str, file: &str) -> Result<(T, Places), Problem> {
    let mut places = Places::new(text, file);
    let mut table = DeTable::parse(text).map_err(|error| {
        let at = places.at(error.span().map_or(0, |span| span.start), "");
        Problem::user(format!("this is not TOML: {}", one_line(error.message())))
            .at(at)
            .hint("mend the line, or see https://toml.io")
    })?;
    let root = schemars::schema_for!(T).to_value();
    let mut check = Check { root: &root, places: &mut places, wrong: Vec::new() };
    check.table(table.get_mut(), &root, "");
    let mut wrong = check.wrong;
    wrong.sort_by_key(|(offset, _)| *offset);
    let mut wrong = wrong.into_iter().map(|(_, problem)| problem);
    if let Some(first) = wrong.next() {
        return Err(first.evidence(wrong.map(|problem| problem.to_string())));
    }
    match T::deserialize(toml::de::Deserializer::from(table)) {
        Ok(value) => Ok((value, places)),
        Err(error) => Err(refused(&error, &places)),
    }
}

/// What serde refused after the schema let it pass: a unit, a name, a number out of range.
fn refused(error: &toml::de::Error, places: &Places) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    let message = one_line(error.message());
    let (what, next) = message.split_once("; try: ").unwrap_or((&message, "see docs/manifest.md"));
    Problem::user(what).at(places.at(offset, places.around(offset))).hint(next)
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(", ")
}

/// A walk over a file beside its schema.
struct Check<'a> {
    root: &'a Schema,
    places: &'a mut Places,
    wrong: Vec<(usize, Problem)>,
}

impl<'a> Check<'a> {
    fn table(&mut self, table: &mut DeTable<'_>, schema: &'a Schema, path: &str) {
        let free: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).filter(|key| key.starts_with("x-")).collect();
        for key in free {
            table.remove(key.as_str());
        }
        let known = schema.get("properties").and_then(Schema::as_object);
        let any = schema.get("additionalProperties").filter(|more| more.is_object());
        for (key, value) in table.iter_mut() {
            let field = join(path, key.get_ref());
            self.places.keys.push((field.clone(), key.span().start..value.span().end.max(key.span().end)));
            match known.and_then(|known| known.get(key.get_ref().as_ref())).or(any) {
                Some(expected) => self.value(value, expected, &field),
                None => self.unknown(key, path, schema),
            }
        }
        self.missing(table, schema, path);
    }

    fn missing(&mut self, table: &DeTable<'_>, schema: &Schema, path: &str) {
        let required = schema.get("required").and_then(Schema::as_array).into_iter().flatten().filter_map(Schema::as_str);
        for key in required.filter(|key| !table.keys().any(|there| there.get_ref() == *key)) {
            let offset = self.places.keys.iter().find(|(field, _)| field == path).map_or(0, |(_, span)| span.start);
            let problem = Problem::user(format!("`{key}` is missing")).at(self.places.at(offset, path));
            self.wrong.push((offset, problem.hint(format!("add `{key} = …`"))));
        }
    }

    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, path: &str, schema: &'a Schema) {
        let name = key.get_ref();
        let known: Vec<&str> = properties(schema).map(|(word, _)| word).collect();
        let next = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match self.elsewhere(name, schema, path) {
                Some(field) => format!("did you mean `{field}`?"),
                None => format!("known here: {}; keys that begin with `x-` are free", known.join(", ")),
            },
        };
        let offset = key.span().start;
        let problem = Problem::user(format!("no such key `{}`", name.escape_debug()));
        self.wrong.push((offset, problem.at(self.places.at(offset, &join(path, name))).hint(next)));
    }

    /// The same key one table further down.
    fn elsewhere(&self, name: &str, schema: &'a Schema, path: &str) -> Option<String> {
        properties(schema).find_map(|(word, below)| {
            let below = self.resolve(below);
            let (below, word) = match below.get("additionalProperties").filter(|more| more.is_object()) {
                Some(each) => (self.resolve(each), format!("{word}.web")),
                None => (below, word.to_owned()),
            };
            properties(below).any(|(inner, _)| inner == name).then(|| join(&join(path, &word), name))
        })
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &'a Schema, field: &str) {
        let hint = schema.get("description").and_then(Schema::as_str);
        let schema = self.resolve(schema);
        let offset = value.span().start;
        let words = words(schema);
        match value.get_mut() {
            DeValue::Table(table) if allows(schema, "object") => self.table(table, schema, field),
            DeValue::Array(items) if allows(schema, "array") => {
                if let Some(each) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        let field = format!("{field}[{index}]");
                        self.places.keys.push((field.clone(), item.span()));
                        self.value(item, each, &field);
                    }
                }
            }
            DeValue::String(text) if !words.is_empty() => {
                if !words.contains(&text.as_ref()) {
                    let next = nearest(text, words.iter().copied())
                        .map_or_else(|| format!("known words: {}", words.join(", ")), |near| format!("did you mean `{near}`?"));
                    let what = format!("`{}` is not a word that `{field}` knows", text.escape_debug());
                    self.wrong.push((offset, Problem::user(what).at(self.places.at(offset, field)).hint(next)));
                }
            }
            DeValue::String(_) if allows(schema, "string") => {}
            DeValue::Boolean(_) if allows(schema, "boolean") => {}
            DeValue::Integer(number) if allows(schema, "integer") => {
                let (least, most) = range(schema);
                let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
                if !read.is_some_and(|number| (least..=most).contains(&number)) {
                    // One that is too long for any number is told as it is written.
                    let said = read.map_or_else(|| number.as_str().to_owned(), |number| number.to_string());
                    let what = format!("`{field}` must be a whole number from {least} to {most}, not {said}");
                    self.wrong.push((offset, Problem::user(what).at(self.places.at(offset, field)).hint(meaning(field, hint))));
                }
            }
            other => {
                let what = match other {
                    DeValue::Float(number) if allows(schema, "integer") => {
                        let (least, most) = range(schema);
                        format!("`{field}` must be a whole number from {least} to {most}, not {}", number.as_str())
                    }
                    other => format!("`{field}` must be {}, not {}", expected(schema), found(other)),
                };
                self.wrong.push((offset, Problem::user(what).at(self.places.at(offset, field)).hint(meaning(field, hint))));
            }
        }
    }

    /// The schema that `schema` refers to.
    fn resolve(&self, schema: &'a Schema) -> &'a Schema {
        let mut schema = schema;
        // A reference, or `anyOf` of one and null, for an optional one; they do not nest deeper than a few steps.
        for _ in 0..8 {
            let choice = schema.get("anyOf").and_then(Schema::as_array);
            let inner = choice.and_then(|all| all.iter().find(|one| one.get("type").and_then(Schema::as_str) != Some("null")));
            let name = schema.get("$ref").and_then(Schema::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
            let target = name.and_then(|name| self.root.get("$defs")?.get(name));
            match target.or(inner) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }
}

fn properties(schema: &Schema) -> impl Iterator<Item = (&str, &Schema)> {
    schema.get("properties").and_then(Schema::as_object).into_iter().flatten().map(|(word, below)| (word.as_str(), below))
}

/// The words of an enumeration; empty for everything else.
fn words(schema: &Schema) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Schema::as_array).into_iter().flatten().filter_map(Schema::as_str);
    let choices = schema.get("oneOf").and_then(Schema::as_array).into_iter().flatten();
    listed.chain(choices.filter_map(|one| one.get("const").and_then(Schema::as_str))).collect()
}

/// The numbers that a whole one may be.
fn range(schema: &Schema) -> (i64, i64) {
    let bound = |name: &str| schema.get(name).and_then(Schema::as_i64);
    (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(i64::from(u32::MAX)))
}

fn allows(schema: &Schema, kind: &str) -> bool {
    match schema.get("type") {
        Some(Schema::String(only)) => only == kind,
        Some(Schema::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

fn expected(schema: &Schema) -> &'static str {
    if !words(schema).is_empty() || allows(schema, "string") {
        return "text in quotes";
    }
    let kinds = [("integer", "a whole number"), ("boolean", "true or false"), ("array", "a list"), ("object", "a table")];
    kinds.into_iter().find(|(kind, _)| allows(schema, kind)).map_or("something else", |(_, word)| word)
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a bare number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The field's own doc text as the next step.
fn meaning(field: &str, description: Option<&str>) -> String {
    description.map_or_else(
        || "see docs/manifest.md".to_owned(),
        |text| {
            // Its line ends are those of the source.
            let text: Vec<&str> = text.split_whitespace().collect();
            format!("{field}: {}", text.join(" "))
        },
    )
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The word most like `word`, when one is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|other| (strsim::jaro_winkler(word, other), other));
    scored.filter(|(score, _)| *score >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}
