//! `.dockerignore`: which files of a folder the builder does not get.
//!
//! Rules: <https://docs.docker.com/build/concepts/context/#dockerignore-files>: patterns from the root, `*` and `?` within a
//! name, `**` over folders, `!` takes back, the last pattern that matches decides.

use regex::Regex;

/// Name of the file.
pub(super) const FILE: &str = ".dockerignore";
/// Most patterns that are read.
const MOST: usize = 2_000;

/// Patterns in order.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    patterns: Vec<(Regex, bool)>,
}

impl Ignored {
    /// Reads the file; a line that is no pattern is left out.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}')).filter(|line| !line.starts_with('#'));
        let patterns = lines.map(str::trim).filter(|line| !line.is_empty()).take(MOST).filter_map(|line| {
            let (line, is_taken_back) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim_start(), true));
            let clean = clean(line);
            // The root itself cannot be left out.
            (!clean.is_empty()).then(|| Some((expression(&clean)?, !is_taken_back)))?
        });
        Self { patterns: patterns.collect() }
    }

    /// Whether the file at `path`, relative to the root, is left out: itself or a folder above it.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        let mut out = false;
        for (pattern, ignores) in &self.patterns {
            if out != *ignores && pattern.is_match(path) {
                out = *ignores;
            }
        }
        out
    }
}

/// Without `.`, `..` and doubled slashes.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The pattern as an expression over a path, of which it may match a folder above.
fn expression(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^");
    let mut letters = pattern.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '*' if letters.peek() == Some(&'*') => {
                letters.next();
                if letters.peek() == Some(&'/') {
                    letters.next();
                    text.push_str("(?:.*/)?");
                } else {
                    text.push_str(".*");
                }
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => {
                let class: String = letters.by_ref().take_while(|c| *c != ']').collect();
                let (not, class) = class.strip_prefix('^').map_or(("", class.as_str()), |rest| ("^", rest));
                text.push_str(&format!("[{not}{}]", class.replace('\\', r"\\").replace('[', r"\[").replace('&', r"\&")));
            }
            '\\' => text.push_str(&regex::escape(&letters.next().unwrap_or('\\').to_string())),
            c => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    text.push_str("(?:/.*)?$");
    Regex::new(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let ignored =
            Ignored::read("# c\n/node_modules\n*.md\n!README.md\n**/*.log\ndocs/**\n!docs/keep/a.txt\ntmp?\n./a/../b/\n[xy]z\n");
        for path in ["node_modules", "node_modules/a/b.js", "x.md", "a/b/c.log", "c.log", "docs/a/b", "tmp1", "b/c", "xz"] {
            assert!(ignored.leaves_out(path), "{path}");
        }
        for path in ["src/node_modules/a", "README.md", "src/x.md", "docs/keep/a.txt", "tmp", "a", "zz", "b.log.txt"] {
            assert!(!ignored.leaves_out(path), "{path}");
        }
    }

    #[test]
    fn odd_patterns_break_nothing() {
        for pattern in ["[", "[^", "\\", "***", "!", "!!a", "[z-a]", "(", "+", "/", "..", "é*"] {
            let _ = Ignored::read(pattern).leaves_out("a/b");
        }
        assert!(!Ignored::read(".\n/\n").leaves_out("a"));
        assert!(Ignored::read("*").leaves_out("a/b"));
    }
}
