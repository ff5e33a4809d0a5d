//! A Dockerfile as Docker's builders take it without a frontend that was fetched.

/// The `text` without links, which only newer frontends know and which change no result, and without its line `syntax`.
pub(super) fn text(text: &str, syntax: Option<u64>) -> String {
    let line = |(line, number)| if Some(number) == syntax { "#\n".to_owned() } else { without_options(line) + "\n" };
    text.lines().zip(1..).map(line).collect()
}

fn without_options(line: &str) -> String {
    let is_left_out = |word: &str| word == "--link" || word.starts_with("--link=");
    let begins = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(begins);
    let first = rest.split_whitespace().next().unwrap_or_default();
    let is_instruction = ["COPY", "ADD"].iter().any(|word| first.eq_ignore_ascii_case(word));
    // A continued line may begin with an option.
    if !(is_instruction || is_left_out(first)) || !rest.split_whitespace().any(is_left_out) {
        return line.to_owned();
    }
    let mut kept = Vec::new();
    let mut words = rest.split_inclusive(char::is_whitespace).peekable();
    if is_instruction {
        kept.extend(words.next());
    }
    while let Some(word) = words.next_if(|word| word.trim().starts_with("--") || word.trim().is_empty()) {
        if !is_left_out(word.trim()) {
            kept.push(word);
        }
    }
    kept.extend(words);
    format!("{indent}{}", kept.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_left_out_and_nothing_else() {
        for (line, want) in [
            ("RUN --mount=type=cache,target=/x npm  ci && \\", "RUN --mount=type=cache,target=/x npm  ci && \\"),
            ("    --link --chown=1 \\", "    --chown=1 \\"),
            ("COPY --link --from=build /a /b", "COPY --from=build /a /b"),
            ("run echo --link", "run echo --link"),
            ("  npm run x --link", "  npm run x --link"),
            ("", ""),
        ] {
            assert_eq!(text(line, None).trim_end_matches('\n'), want, "{line}");
        }
        assert_eq!(text("#syntax=a\nFROM b\n", Some(1)), "#\nFROM b\n");
    }
}
