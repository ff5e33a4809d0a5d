//! The small languages inside a Compose file: variables, command lines, sizes, spans.

use std::collections::BTreeMap;

use crate::model::{
    Problem,
    units::{Bytes, Millis},
};

/// Deepest nesting of `${A:-${B}}`.
const DEPTH: u32 = 8;

/// `text` with `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?why}`, `${NAME:+other}` filled in and `$$`
/// as `$`. Names without a value are told to `unset` and become empty. A problem says what is wrong, not where.
///
/// Format: <https://docs.docker.com/reference/compose-file/interpolation/>.
pub(super) fn filled(
    text: &str,
    variables: &BTreeMap<String, String>,
    unset: &mut Vec<String>,
    depth: u32,
) -> Result<String, Problem> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner).filter(|_| depth < DEPTH);
            let end = end.ok_or_else(|| Problem::user("`${` has no `}`").hint("write ${NAME}, or $$ for a plain `$`"))?;
            out.push_str(&one(&inner[..end], variables, unset, depth)?);
            rest = &inner[end + 1..];
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(Problem::user("`$` is followed by no name").hint("write ${NAME}, or $$ for a plain `$`"));
            }
            out.push_str(&value(&rest[..end], variables, unset));
            rest = &rest[end..];
        }
    }
    Ok(out + rest)
}

/// Where the `}` stands that belongs to the `{` before `inner`.
fn closing(inner: &str) -> Option<usize> {
    let mut open = 0_u32;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// What stands inside `${…}`.
fn one(inner: &str, variables: &BTreeMap<String, String>, unset: &mut Vec<String>, depth: u32) -> Result<String, Problem> {
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, operation) = inner.split_at(end);
    if name.is_empty() {
        return Err(Problem::user("`${…}` names no variable").hint("write ${NAME}, or $$ for a plain `$`"));
    }
    // With a colon, an empty value counts as none.
    let (operation, counts_empty) = operation.strip_prefix(':').map_or((operation, true), |operation| (operation, false));
    let known = variables.get(name).filter(|value| counts_empty || !value.is_empty());
    let mut fill = |word: &str| filled(word, variables, unset, depth + 1);
    match (operation.chars().next(), known) {
        (None, _) => Ok(value(name, variables, unset)),
        (Some('-'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) => fill(&operation[1..]),
        (Some('+'), Some(_)) => fill(&operation[1..]),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), Some(value)) => Ok(value.clone()),
        (Some('?'), None) => {
            let why = fill(&operation[1..]).unwrap_or_default();
            let why = if why.is_empty() { String::new() } else { format!(": {}", why.escape_debug()) };
            Err(Problem::user(format!("`{name}` is needed and has no value{why}"))
                .hint(format!("give it: --env {name}=…, or a line in .env")))
        }
        (Some(_), _) => Err(Problem::user(format!("`${{{}}}` is not understood", inner.escape_debug()))
            .hint("write ${NAME}, ${NAME:-default} or ${NAME:?why}")),
    }
}

fn value(name: &str, variables: &BTreeMap<String, String>, unset: &mut Vec<String>) -> String {
    if let Some(value) = variables.get(name) {
        return value.clone();
    }
    if !unset.iter().any(|known| known == name) {
        unset.push(name.to_owned());
    }
    String::new()
}

/// A command line as words, quotes and backslashes read as a POSIX shell does; nothing else of a shell.
pub(super) fn split(line: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some('\''), c) if c != '\'' => word.get_or_insert_default().push(c),
            (Some('"'), '\\') => {
                let next = letters.next();
                let escaped = next.filter(|next| "\\\"$`\n".contains(*next));
                let word = word.get_or_insert_default();
                if escaped.is_none() {
                    word.push('\\');
                }
                word.extend(next);
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Problem::user("a quote is not closed").hint("close it, or write the command as a list"));
    }
    words.extend(word);
    Ok(words)
}

/// `512m`, `1.5gb`, `2GiB`, `1048576`: units are powers of 1024, as Docker reads them.
pub(super) fn bytes(text: &str) -> Option<Bytes> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().trim_end_matches('b').trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    (bytes.is_finite() && (1.0..=1e18).contains(&bytes)).then_some(Bytes(bytes as u64))
}

/// `10s`, `1m30s`, `500ms`, `1h`: a sum of numbers with units.
pub(super) fn span(text: &str) -> Option<Millis> {
    let mut rest = text.trim();
    let mut sum = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        let after = &rest[end..];
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let factor = match &after[..unit_end] {
            "us" | "µs" => 0.001,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        sum += number * factor;
        rest = &after[unit_end..];
    }
    (sum.is_finite() && sum <= 1e12 && !text.trim().is_empty()).then_some(Millis(sum as u64))
}

/// The variables of an environment file (`.env`): `NAME=value`, quotes around a value, comments.
pub(super) fn environment(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches('\u{feff}');
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?;
            inner.find(*quote).map(|end| &inner[..end])
        });
        let plain = || value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
        found.insert(name.to_owned(), quoted.map_or_else(|| plain().to_owned(), str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, Problem> {
        let variables = [("A".to_owned(), "a".to_owned()), ("EMPTY".to_owned(), String::new())].into();
        filled(text, &variables, &mut Vec::new(), 0)
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        for (text, want) in [
            ("$A-${A}$$A", "a-a$A"),
            ("${B:-x}${EMPTY:-y}${EMPTY-z}", "xy"),
            ("${B:-${C:-deep}}", "deep"),
            ("${A:+set}${B:+set}", "set"),
            ("${B}", ""),
            ("postgres://u:p@db:5432/${A}", "postgres://u:p@db:5432/a"),
        ] {
            assert_eq!(fill(text).unwrap(), want, "{text}");
        }
        let problem = fill("${PASSWORD:?say one}").unwrap_err();
        assert!(problem.what.contains("`PASSWORD`") && problem.what.contains("say one"), "{problem}");
        for wrong in ["${A", "$", "${}", "${A!}", "$1"] {
            assert!(fill(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_line_is_split_at_blanks_outside_quotes() {
        assert_eq!(split(r#"a  'b c' "d \"e" f\ g ''"#).unwrap(), ["a", "b c", "d \"e", "f g", ""]);
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn sizes_and_spans_are_read() {
        assert_eq!(
            (bytes("512M"), bytes("1.5gb"), bytes("64")),
            (Some(Bytes::mib(512)), Some(Bytes::mib(1536)), Some(Bytes(64)))
        );
        assert_eq!((span("1m30s"), span("500ms"), span("0s")), (Some(Millis(90_000)), Some(Millis(500)), Some(Millis(0))));
        assert!(bytes("many").is_none() && bytes("-1").is_none() && span("10").is_none() && span("").is_none());
    }

    #[test]
    fn an_environment_file_is_read() {
        let found = environment("# c\nexport A=1\nB = \"two # x\"\nC=three # not\nnot a line\n=x\nD='a=b'\n");
        let words: Vec<String> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(words, ["A=1", "B=two # x", "C=three", "D=a=b"]);
    }
}
