//! What a Dockerfile says: which images it stands on, what it starts, where it listens, and which builder it needs.
//!
//! Format: <https://docs.docker.com/reference/dockerfile/>.

use std::collections::BTreeMap;

use super::Problem;

/// Variables that only BuildKit fills in.
const PLATFORMS: &[&str] =
    &["BUILDARCH", "BUILDOS", "BUILDPLATFORM", "BUILDVARIANT", "TARGETARCH", "TARGETOS", "TARGETPLATFORM", "TARGETVARIANT"];

/// What a Dockerfile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// Path relative to the source's root.
    pub file: String,
    /// Images that it stands on, in order, each with its line; stages of its own and `scratch` left out.
    pub bases: Vec<(String, u64)>,
    /// Images that it takes files from, each with its line.
    pub others: Vec<(String, u64)>,
    /// Names of its arguments, in order.
    pub arguments: Vec<String>,
    /// Image of the frontend that is to read it (`# syntax=`), with its line.
    pub syntax: Option<(String, u64)>,
    /// Its stages in order: line of `FROM`, and name.
    pub stages: Vec<(u64, Option<String>)>,
    /// TCP ports of `EXPOSE` in the last stage.
    pub ports: Vec<u16>,
    /// `ENTRYPOINT` and `CMD` of the last stage as one command line, with its line.
    pub start: Option<(String, u64)>,
    /// What only BuildKit can do, each with its line; empty for one that the classic builder takes.
    pub buildkit: Vec<(u64, &'static str)>,
}

impl Dockerfile {
    /// Whether `name` is one of its stages, by name or number.
    fn has_stage(&self, name: &str) -> bool {
        let named = name.to_lowercase();
        name.chars().all(|c| c.is_ascii_digit()) || self.stages.iter().any(|(_, stage)| stage.as_ref() == Some(&named))
    }

    /// Whether BuildKit has to build it.
    pub fn needs_buildkit(&self) -> bool {
        !self.buildkit.is_empty()
    }

    /// Images that have to be here before it is built up to the stage `target`, each with its line; those that only the
    /// builder can name left out.
    pub fn needed(&self, target: Option<&str>) -> impl Iterator<Item = (&str, u64)> {
        let target = target.map(str::to_lowercase);
        let at = self.stages.iter().position(|(_, name)| target.is_some() && *name == target);
        let end = at.and_then(|at| self.stages.get(at + 1)).map_or(u64::MAX, |(line, _)| *line);
        let all = self.bases.iter().chain(&self.others);
        all.map(|(image, line)| (image.as_str(), *line)).filter(move |(image, line)| !image.contains('$') && *line < end)
    }
}

/// One instruction, continued lines joined.
struct Instruction {
    /// In upper case.
    word: String,
    rest: String,
    line: u64,
}

/// Reads the `text` of `file`, its arguments as they stand there.
pub fn read(text: &str, file: &str) -> Result<Dockerfile, Problem> {
    read_with(text, file, &BTreeMap::new())
}

/// Reads the `text` of `file`; `given` are values of its arguments.
pub fn read_with(text: &str, file: &str, given: &BTreeMap<String, String>) -> Result<Dockerfile, Problem> {
    let mut found = Dockerfile { file: file.to_owned(), syntax: syntax(text), ..Dockerfile::default() };
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
                // A number is an image here, not a stage.
                let is_stage = found.stages.iter().any(|(_, stage)| stage.as_deref() == Some(&image.to_lowercase()));
                if image != "scratch" && !is_stage {
                    found.bases.push((image, *line));
                }
                found.stages.push((*line, name.map(|name| name.to_lowercase())));
                (has_stage, entry, command) = (true, None, None);
                found.ports.clear();
            }
            "ARG" => {
                for word in rest.split_whitespace() {
                    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
                    found.arguments.push(name.to_owned());
                    // Before the first FROM they may stand in it; later ones are the build's own.
                    if let Some(value) = given.get(name).cloned().or(value.map(unquoted)).filter(|_| !has_stage) {
                        arguments.insert(name.to_owned(), value);
                    }
                }
            }
            "COPY" | "ADD" | "RUN" => {
                if let Some(image) = source(rest).filter(|name| !found.has_stage(name)) {
                    found.others.push((filled(image, &arguments), *line));
                }
            }
            "EXPOSE" => found.ports.extend(rest.split_whitespace().filter_map(port)),
            "ENTRYPOINT" => (entry, command) = (start(rest, *line), None),
            "CMD" => command = start(rest, *line),
            _ => {}
        }
        if word == "RUN" && options(rest).any(|option| mount(option).is_some_and(|kind| kind == "secret" || kind == "ssh")) {
            return Err(Problem::user("a mount of secrets is not given to builds")
                .at(at)
                .hint("write it without, or build the image elsewhere and deploy it by its name"));
        }
        found.buildkit.extend(needs_buildkit(word, rest).map(|what| (*line, what)));
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

/// The options before what an instruction is about.
fn options(rest: &str) -> impl Iterator<Item = &str> {
    rest.split_whitespace().take_while(|word| word.starts_with("--"))
}

/// Kind of the mount that an option of `RUN` asks for.
fn mount(option: &str) -> Option<&str> {
    let keys = option.strip_prefix("--mount=")?;
    Some(keys.split(',').find_map(|key| key.strip_prefix("type=")).unwrap_or("bind"))
}

/// The stage or image that an instruction takes files from.
fn source(rest: &str) -> Option<&str> {
    options(rest).find_map(|option| match option.strip_prefix("--mount=") {
        Some(keys) => keys.split(',').find_map(|key| key.strip_prefix("from=")),
        None => option.strip_prefix("--from="),
    })
}

/// What only BuildKit makes of an instruction.
fn needs_buildkit(word: &str, rest: &str) -> Option<&'static str> {
    let has = |names: &[&str]| {
        options(rest).any(|option| names.contains(&option.split('=').next().unwrap_or_default().trim_start_matches("--")))
    };
    let is_platform = |name: &str| PLATFORMS.contains(&name);
    match word {
        "FROM" if options(rest).any(|option| option.starts_with("--platform=$")) => Some("a variable of the platform"),
        "ARG" if rest.split_whitespace().any(|word| is_platform(word.split('=').next().unwrap_or(word))) => {
            Some("a variable of the platform")
        }
        "RUN" if options(rest).any(|option| mount(option) == Some("cache")) => Some("a cache mount"),
        "RUN" if has(&["mount"]) => Some("a mount"),
        "RUN" if has(&["network", "security", "device"]) => Some("an option of RUN"),
        "RUN" | "COPY" | "ADD" if here_document(rest).is_some() => Some("a here-document"),
        "COPY" | "ADD" if has(&["parents", "exclude"]) => Some("`--parents` or `--exclude`"),
        "COPY" | "ADD" if has(&["chmod", "checksum", "keep-git-dir", "unpack"]) => Some("an option of COPY or ADD"),
        _ => None,
    }
}

/// The value of `# syntax=`, with its line.
fn syntax(text: &str) -> Option<(String, u64)> {
    let directives = text.lines().take_while(|line| line.trim_start_matches('\u{feff}').trim().starts_with('#'));
    let mut directives = directives.zip(1..);
    directives.find_map(|(line, number)| Some((directive(line, "syntax")?.to_owned(), number)))
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
            ([8080, 443].as_slice(), [(3, Some("build".to_owned())), (10, Some("last".to_owned())), (11, None)].as_slice())
        );
        assert_eq!(found.start, Some(("/entry.sh nginx -g 'daemon off;'".to_owned(), 14)));
        assert_eq!(found.buildkit, [(5, "a cache mount")]);
        assert_eq!((found.syntax, found.arguments), (Some(("docker/dockerfile:1".to_owned(), 1)), vec!["NODE".to_owned()]));
    }

    #[test]
    fn a_shell_form_is_the_start_as_it_stands_and_an_entrypoint_drops_the_command_before_it() {
        let start = |text: &str| read(text, "f").unwrap().start.map(|(words, _)| words);
        assert_eq!(start("FROM a\nCMD exec node server.js"), Some("exec node server.js".to_owned()));
        assert_eq!(start("FROM a\nCMD [\"x\"]\nENTRYPOINT [\"y\"]"), Some("y".to_owned()));
        assert_eq!(start("from a\ncmd [\"x\"]\nFROM b"), None);
    }

    #[test]
    fn what_only_buildkit_does_is_known_by_its_line() {
        for (text, line) in [
            ("FROM a\nRUN <<EOF\necho CMD\nEOF\n", 2),
            ("FROM a\n\nCOPY --parents a b /x", 3),
            ("FROM a\nCOPY --chmod=755 a /x", 2),
            ("FROM --platform=$BUILDPLATFORM a", 1),
            ("FROM a\nARG TARGETARCH", 2),
            ("FROM a\nRUN --mount=target=/x,source=. ls /x", 2),
        ] {
            let found = read(text, "Dockerfile").unwrap();
            assert_eq!(found.buildkit.first().map(|(line, _)| *line), Some(line), "{text}");
        }
        for text in
            ["FROM a\nCMD [\"sh\", \"-c\", \"cat <<EOF\"]", "# syntax=docker/dockerfile:1\nFROM a\nRUN echo x\nCOPY --link a /a"]
        {
            assert!(!read(text, "f").unwrap().needs_buildkit(), "{text}");
        }
    }

    #[test]
    fn a_mount_of_secrets_is_refused_with_its_line() {
        let problem = read("FROM a\nRUN --mount=type=secret,id=k cat /k", "Dockerfile").unwrap_err();
        assert_eq!(problem.at.as_deref(), Some("Dockerfile:2"), "{problem}");
        assert!(problem.next.is_some());
    }

    #[test]
    fn images_that_have_to_be_here_are_known() {
        let text = "ARG V=1 W\nFROM node:${V} AS build\nFROM x:$W\nCOPY --from=build /a /a\nCOPY --from=0 /b /b\n\
            COPY --from=tools:2 /c /c\nRUN --mount=type=bind,from=cli:3,target=/d /d/run\n";
        let needed = |given: &[(&str, &str)], target| {
            let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let found = read_with(text, "f", &given).unwrap();
            found.needed(target).map(|(image, line)| format!("{line} {image}")).collect::<Vec<_>>()
        };
        assert_eq!(needed(&[], None), ["2 node:1", "6 tools:2", "7 cli:3"]);
        assert_eq!(needed(&[("V", "2"), ("W", "9")], None), ["2 node:2", "3 x:9", "6 tools:2", "7 cli:3"]);
        assert_eq!(needed(&[("W", "9")], Some("Build")), ["2 node:1"]);
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
