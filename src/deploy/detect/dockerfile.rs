//! Dockerfile: which images it stands on, what it starts, where it listens, and what the classic builder makes of it.
//!
//! Format: <https://docs.docker.com/reference/dockerfile/>.

use std::collections::BTreeMap;

use super::tree::{Tree, proof};
use crate::model::{Problem, recipe::Recipe};

/// Name of the file.
pub const FILE: &str = "Dockerfile";

/// What a Dockerfile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Path relative to the source's root.
    pub file: String,
    /// Images that it stands on, in order, each with its line; stages of its own and `scratch` left out.
    pub bases: Vec<(String, u64)>,
    /// Names of its stages.
    pub stages: Vec<String>,
    /// TCP ports of `EXPOSE` in the last stage.
    pub ports: Vec<u16>,
    /// `ENTRYPOINT` and `CMD` of the last stage as one command line, with its line.
    pub start: Option<(String, u64)>,
    /// What only BuildKit can do, and is left out without harm: `line: what`.
    pub left_out: Vec<(u64, &'static str)>,
}

/// One instruction, continued lines joined.
struct Instruction {
    /// In upper case.
    word: String,
    rest: String,
    line: u64,
}

/// Reads the `text` of `file`.
pub fn read(text: &str, file: &str) -> Result<Dockerfile, Problem> {
    let mut found = Dockerfile { file: file.to_owned(), ..Dockerfile::default() };
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let (mut entry, mut command): (Option<Start>, Option<Start>) = (None, None);
    let mut has_stage = false;
    for instruction in instructions(text) {
        let Instruction { word, rest, line, .. } = &instruction;
        let at = format!("{file}:{line}");
        match word.as_str() {
            "FROM" => {
                let (image, name) = from(rest, &arguments)
                    .ok_or_else(|| Problem::user("FROM names no image").at(at.clone()).hint("write `FROM IMAGE`"))?;
                if image != "scratch" && !found.stages.contains(&image.to_lowercase()) {
                    found.bases.push((image, *line));
                }
                found.stages.extend(name.map(|name| name.to_lowercase()));
                (has_stage, entry, command) = (true, None, None);
                found.ports.clear();
            }
            // Before the first FROM they may stand in it; later ones are the build's own.
            "ARG" if !has_stage => {
                if let Some((name, value)) = rest.split_once('=') {
                    arguments.insert(name.trim().to_owned(), unquoted(value));
                }
            }
            "EXPOSE" => found.ports.extend(rest.split_whitespace().filter_map(port)),
            "ENTRYPOINT" => (entry, command) = (start(rest, *line), None),
            "CMD" => command = start(rest, *line),
            _ => {}
        }
        if let Some(what) = needs_buildkit(word, rest) {
            return Err(Problem::user(format!("{what} needs BuildKit; images are built by Docker's classic builder"))
                .at(at)
                .hint("write it without, or build the image elsewhere and deploy it by its name"));
        }
        if let Some(what) = left_out(word, rest) {
            found.left_out.push((*line, what));
        }
    }
    if !has_stage {
        return Err(Problem::user("it has no FROM, so it builds nothing").at(file.to_owned()).hint("begin it with `FROM IMAGE`"));
    }
    found.start = match (entry, command) {
        (Some(entry), Some(command)) => Some((format!("{} {}", entry.words, command.words), entry.line)),
        (one, other) => one.or(other).map(|start| (start.words, start.line)),
    };
    Ok(found)
}

/// The recipe of a source that nothing else than its Dockerfile explains.
pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let Some(text) = tree.text(FILE) else { return Ok(None) };
    Ok(Some(over(Recipe { language: "dockerfile".to_owned(), ..Recipe::default() }, &read(text, FILE)?)))
}

/// `recipe`, built and started as the Dockerfile says; its language stays.
pub fn over(mut recipe: Recipe, dockerfile: &Dockerfile) -> Recipe {
    let file = &dockerfile.file;
    "docker".clone_into(&mut recipe.runtime);
    recipe.install = None;
    recipe.build = None;
    recipe.output = None;
    recipe.processes.clear();
    recipe.env.clear();
    recipe.proof.retain(|proof| !proof.why.starts_with("starts ") && !proof.why.starts_with("static files in "));
    if let Some((base, line)) = dockerfile.bases.last() {
        recipe.proof.push(proof(format!("{file}:{line}"), format!("image from {base}")));
    } else {
        recipe.proof.push(proof(file.clone(), "builds the image"));
    }
    recipe.start = dockerfile.start.as_ref().map(|(words, line)| {
        recipe.proof.push(proof(format!("{file}:{line}"), format!("starts `{words}`")));
        words.clone()
    });
    recipe.port = dockerfile.ports.first().copied().or(recipe.port);
    recipe
}

struct Start {
    words: String,
    line: u64,
}

/// `["node", "server.js"]` or `node server.js` as one command line; an empty one takes back what stood before.
fn start(rest: &str, line: u64) -> Option<Start> {
    let words = match serde_json::from_str::<Vec<String>>(rest.trim()) {
        Ok(words) => words.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" "),
        Err(_) => rest.trim().to_owned(),
    };
    (!words.is_empty()).then_some(Start { words, line })
}

fn shown(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"$;|&<>()".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Image and stage name of `FROM [--platform=…] IMAGE [AS NAME]`.
fn from(rest: &str, arguments: &BTreeMap<String, String>) -> Option<(String, Option<String>)> {
    let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
    let image = filled(words.next()?, arguments);
    let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
    (!image.is_empty()).then(|| (image, name.map(str::to_owned)))
}

/// `text` with `$NAME`, `${NAME}` and `${NAME:-default}` filled in; unknown ones are left as they are.
fn filled(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, default, length) = if let Some(inner) = after.strip_prefix('{') {
            let Some(end) = inner.find('}') else { break };
            let (name, default) = inner[..end].split_once(":-").map_or((&inner[..end], None), |(name, word)| (name, Some(word)));
            (name, default, end + 2)
        } else {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            (&after[..end], None, end)
        };
        match arguments.get(name).map(String::as_str).or(default) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    out + rest
}

fn unquoted(value: &str) -> String {
    value.trim().trim_matches(['"', '\'']).to_owned()
}

/// `8080`, `8080/tcp`; others are not for the edge.
fn port(word: &str) -> Option<u16> {
    let (number, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    number.parse().ok().filter(|port| *port > 0 && protocol.eq_ignore_ascii_case("tcp"))
}

/// What the classic builder refuses and cannot be left out.
fn needs_buildkit(word: &str, rest: &str) -> Option<&'static str> {
    let mut options = rest.split_whitespace().take_while(|option| option.starts_with("--"));
    match word {
        "RUN" if options.any(|option| option.starts_with("--mount=") && !option.contains("type=cache")) => {
            Some("a mount of secrets or files")
        }
        "RUN" | "COPY" | "ADD" if here_document(rest).is_some() => Some("a here-document"),
        "COPY" | "ADD" if options.any(|option| option.starts_with("--parents") || option.starts_with("--exclude")) => {
            Some("`--parents` or `--exclude`")
        }
        _ => None,
    }
}

/// What changes only how fast a build is.
fn left_out(word: &str, rest: &str) -> Option<&'static str> {
    let mut options = rest.split_whitespace().take_while(|option| option.starts_with("--"));
    match word {
        "RUN" => options.any(|option| option.starts_with("--mount=")).then_some("cache mounts"),
        "COPY" | "ADD" => options.any(|option| option.starts_with("--link")).then_some("`--link`"),
        _ => None,
    }
}

/// The word that ends the here-document of `RUN <<EOF`.
fn here_document(rest: &str) -> Option<String> {
    let word = rest.split_whitespace().find_map(|word| word.strip_prefix("<<"))?;
    let word = word.strip_prefix('-').unwrap_or(word).trim_matches(['"', '\'']);
    (!word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then(|| word.to_owned())
}

/// The instructions in order; comments, directives and what a here-document holds left out.
fn instructions(text: &str) -> Vec<Instruction> {
    let escape = if text.lines().take(3).any(|line| directive(line, "escape") == Some("`")) { '`' } else { '\\' };
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let first = index;
        let mut joined = String::new();
        loop {
            let line = lines[index].trim_start_matches('\u{feff}').trim();
            index += 1;
            // Between continued lines, comments and empty lines do not count.
            if line.starts_with('#') || (line.is_empty() && index > first + 1) {
                if joined.is_empty() || index >= lines.len() {
                    break;
                }
                continue;
            }
            match line.strip_suffix(escape) {
                Some(more) if index < lines.len() => {
                    joined.push_str(more);
                    joined.push(' ');
                }
                _ => {
                    joined.push_str(line.strip_suffix(escape).unwrap_or(line));
                    break;
                }
            }
        }
        let Some((word, rest)) = split(&joined) else { continue };
        let instruction = Instruction { word, rest, line: first as u64 + 1 };
        if let Some(end) = here_document(&instruction.rest).filter(|_| instruction.word != "CMD") {
            let closes = lines[index..].iter().position(|line| line.trim() == end);
            index = closes.map_or(index, |at| index + at + 1);
        }
        found.push(instruction);
    }
    found
}

fn split(joined: &str) -> Option<(String, String)> {
    let joined = joined.trim();
    let (word, rest) = joined.split_once(char::is_whitespace).unwrap_or((joined, ""));
    (!word.is_empty()).then(|| (word.to_ascii_uppercase(), rest.trim().to_owned()))
}

/// Value of a parser directive: ``# escape=` ``.
fn directive<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: &str = "# syntax=docker/dockerfile:1\nARG NODE=22\nFROM node:${NODE}-slim AS build\nWORKDIR /app\n\
        RUN --mount=type=cache,target=/root/.npm \\\n    # fetch first\n    npm ci && \\\n    npm run build\nEXPOSE 9999\n\
        FROM build as Last\nFROM --platform=linux/amd64 docker.io/library/nginx:1\nCOPY --link --from=build /app/dist /srv\n\
        EXPOSE 53/udp 8080/tcp $PORT 443\nENTRYPOINT [\"/entry.sh\"]\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n";

    #[test]
    fn images_ports_and_start_are_those_of_the_last_stage() {
        let found = read(STAGES, "Dockerfile").unwrap();
        assert_eq!(found.bases, [("node:22-slim".to_owned(), 3), ("docker.io/library/nginx:1".to_owned(), 11)]);
        assert_eq!(
            (found.ports.as_slice(), found.stages.as_slice()),
            ([8080, 443].as_slice(), ["build".to_owned(), "last".to_owned()].as_slice())
        );
        assert_eq!(found.start, Some(("/entry.sh nginx -g 'daemon off;'".to_owned(), 14)));
        assert_eq!(found.left_out, [(5, "cache mounts"), (12, "`--link`")]);
    }

    #[test]
    fn a_shell_form_is_the_start_as_it_stands_and_an_entrypoint_drops_the_command_before_it() {
        let start = |text: &str| read(text, "f").unwrap().start.map(|(words, _)| words);
        assert_eq!(start("FROM a\nCMD exec node server.js"), Some("exec node server.js".to_owned()));
        assert_eq!(start("FROM a\nCMD [\"x\"]\nENTRYPOINT [\"y\"]"), Some("y".to_owned()));
        assert_eq!(start("from a\ncmd [\"x\"]\nFROM b"), None);
    }

    #[test]
    fn what_only_buildkit_does_is_refused_with_its_line() {
        for (text, line) in [
            ("FROM a\nRUN --mount=type=secret,id=k cat /k", 2),
            ("FROM a\nRUN <<EOF\necho CMD\nEOF\n", 2),
            ("FROM a\n\nCOPY --parents a b /x", 3),
        ] {
            let problem = read(text, "Dockerfile").unwrap_err();
            assert_eq!(problem.at.as_deref(), Some(format!("Dockerfile:{line}").as_str()), "{problem}");
            assert!(problem.what.contains("BuildKit") && problem.next.is_some());
        }
        assert!(read("FROM a\nCMD [\"sh\", \"-c\", \"cat <<EOF\"]", "f").is_ok());
    }

    #[test]
    fn without_an_image_it_is_refused() {
        assert_eq!(read("RUN x", "sub/Dockerfile").unwrap_err().at.as_deref(), Some("sub/Dockerfile"));
        assert_eq!(read("# c\nFROM --platform=x", "f").unwrap_err().at.as_deref(), Some("f:2"));
    }

    #[test]
    fn another_escape_keeps_backslashes() {
        let found = read("# escape=`\nFROM a\nCMD run `\n  C:\\x\\\n", "f").unwrap();
        assert_eq!(found.start, Some(("run  C:\\x\\".to_owned(), 3)));
    }
}
