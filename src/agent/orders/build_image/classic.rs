//! A Dockerfile as Docker's classic builder takes it, and the arguments that it asks for.

/// The text without cache mounts and links, which only BuildKit knows and which change no result.
pub(super) fn text(text: &str) -> String {
    text.lines().map(|line| without_options(line) + "\n").collect()
}

fn without_options(line: &str) -> String {
    let is_left_out = |word: &str| word.starts_with("--mount=type=cache") || word == "--link" || word.starts_with("--link=");
    let begins = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(begins);
    let first = rest.split_whitespace().next().unwrap_or_default();
    let is_instruction = ["RUN", "COPY", "ADD"].iter().any(|word| first.eq_ignore_ascii_case(word));
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

/// Names of the arguments that it declares.
pub(super) fn arguments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (word, rest) = line.trim().split_once(char::is_whitespace)?;
        let name = rest.trim().split(['=', ' ']).next()?;
        (word.eq_ignore_ascii_case("ARG") && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_mounts_and_links_are_left_out_and_nothing_else() {
        for (line, want) in [
            ("RUN --mount=type=cache,target=/x npm  ci && \\", "RUN npm  ci && \\"),
            ("    --mount=type=cache,target=/y \\", "    \\"),
            ("COPY --link --from=build /a /b", "COPY --from=build /a /b"),
            ("run echo --link", "run echo --link"),
            ("RUN --mount=type=secret,id=a x", "RUN --mount=type=secret,id=a x"),
            ("  npm run x --link", "  npm run x --link"),
            ("", ""),
        ] {
            assert_eq!(text(line).trim_end_matches('\n'), want, "{line}");
        }
    }

    #[test]
    fn declared_arguments_are_known() {
        let text = "ARG A=1\nFROM x\narg  B\n# ARG C\nENV ARG D\n";
        assert_eq!(arguments(text).collect::<Vec<_>>(), ["A", "B"]);
    }
}
