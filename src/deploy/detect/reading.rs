//! Reading single values out of texts that are not worth a parser.

/// Whether `package` stands in `text` as a whole name: of a requirement, a module path, a gem, a dependency.
pub(super) fn names(text: &str, package: &str) -> bool {
    text.match_indices(package).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + package.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
        !part(before) && !part(after)
    })
}

/// The first of `(package, name)` that `text` names; its name.
pub(super) fn first_named<'n>(text: &str, known: &[(&str, &'n str)]) -> Option<&'n str> {
    known.iter().find(|(package, _)| names(text, package)).map(|(_, name)| *name)
}

/// The value of `name: 'value'` in a configuration written in JavaScript; comments are skipped, computed values are not.
pub(super) fn setting(text: &str, name: &str) -> Option<String> {
    lines_of_code(text).find_map(|line| quoted(value_after(line, name)?))
}

/// What follows `name:` in a configuration written in JavaScript, to the end of its line.
pub(super) fn setting_value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    lines_of_code(text).find_map(|line| value_after(line, name))
}

/// The text in quotes that `value` begins with.
pub(super) fn quoted(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    value[1..].split_once(quote).map(|(value, _)| value.to_owned())
}

/// Whether `name: word` stands in a configuration written in JavaScript.
pub(super) fn is_set_to(text: &str, name: &str, word: &str) -> bool {
    lines_of_code(text).any(|line| value_after(line, name).is_some_and(|value| value.starts_with(word)))
}

fn lines_of_code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('*'))
}

/// What follows `name:` in the line.
fn value_after<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.match_indices(name).find_map(|(at, _)| {
        let whole = !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?.trim_start();
        whole.then_some(rest)
    })
}

/// The first text in quotes after `key` in the same line; lines that are comments are skipped.
pub(super) fn quoted_after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let comment = |line: &&str| !line.trim_start().starts_with(['#', ';']) && !line.trim_start().starts_with("//");
    text.lines().filter(comment).find_map(|line| {
        let (before, rest) = line.split_once(key)?;
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let from = rest.find(['"', '\''])?;
        let quote = rest[from..].chars().next()?;
        // `"""` of Scala and Python is one quote.
        let rest = rest[from..].trim_start_matches(quote);
        rest.split_once(quote).map(|(value, _)| value)
    })
}

/// The value of `key: value` or `key = value` at a line's beginning, without quotes.
pub(super) fn field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(key)?.trim_start();
        let value = rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))?;
        Some(value.trim().trim_matches(['"', '\''])).filter(|value| !value.is_empty())
    })
}

/// What stands between `<tag>` and `</tag>`, the first time.
pub(super) fn element<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let from = text.find(&format!("<{tag}>"))? + tag.len() + 2;
    let to = text[from..].find(&format!("</{tag}>"))?;
    Some(text[from..from + to].trim())
}

/// `text` without what stands between `<tag>` and `</tag>`.
pub(super) fn without(text: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = text;
    let mut kept = String::new();
    while let Some(from) = rest.find(&open) {
        kept.push_str(&rest[..from]);
        rest = rest[from..].find(&close).map_or("", |to| &rest[from + to + close.len()..]);
    }
    kept + rest
}

/// The word after `flag` in a command line.
pub(super) fn word_after<'a>(script: &'a str, flag: &str) -> Option<&'a str> {
    let at = script.find(flag)?;
    let rest = script[at + flag.len()..].trim_start_matches([' ', '=']);
    rest.split_whitespace()
        .next()
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.starts_with(['-', '&', '|', ';']))
}

/// Whether the path ends so. Names of files are compared as they are written: so do the tools.
pub(super) fn ends(path: &str, end: &str) -> bool {
    path.ends_with(end)
}

/// A word that no shell changes.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "./_-=:@,+".contains(c))
}

/// `path` as a folder inside the root; absent when it leads out or is odd.
pub(super) fn inside(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let odd = path.is_empty()
        || path.starts_with(['/', '-'])
        || path.split('/').any(|part| part == "..")
        || !path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    (!odd).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_values_are_read() {
        assert!(names("gem 'rails'", "rails") && !names("gem 'rails-i18n'", "rails"));
        assert_eq!(setting("// output: 'a'\n  dir: { output: \"b\" }", "output").as_deref(), Some("b"));
        assert!(is_set_to("export default { ssr: false }", "ssr", "false") && !is_set_to("nossr: false", "ssr", "false"));
        assert_eq!(quoted_after("name := \"\"\"shop\"\"\"", "name :="), Some("shop"));
        assert_eq!(field("a: b\nname: 'x'", "name"), Some("x"));
        assert_eq!(element(&without("<p><v>1</v></p><v>2</v>", "p"), "v"), Some("2"));
        assert_eq!(inside("./dist/"), Some("dist".to_owned()));
        assert!(inside("../x").is_none() && inside("/etc").is_none() && inside("-rf").is_none());
    }
}
