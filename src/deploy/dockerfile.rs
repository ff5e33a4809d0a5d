//! A Dockerfile for a source that has none: the recipe's commands on the base image of its language.

use std::collections::BTreeMap;

use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
    source::Survey,
};

/// Port on which a generated image listens unless `PORT` says otherwise.
pub const PORT: u16 = 8080;
/// Base images by the words of detection. Others: setting `docker.base_images`, or `build.base` of one app.
pub const BASES: &[(&str, &str)] = &[
    ("bun", "oven/bun:1-debian"),
    ("cpp", "gcc:14"),
    ("deno", "denoland/deno:debian"),
    ("dotnet", "mcr.microsoft.com/dotnet/sdk:9.0"),
    ("elixir", "elixir:1.18"),
    ("gleam", "ghcr.io/gleam-lang/gleam:v1.12.0-erlang"),
    ("go", "golang:1-bookworm"),
    ("gradle", "gradle:8-jdk21"),
    ("java", "maven:3-eclipse-temurin-21"),
    ("node", "node:22-bookworm-slim"),
    ("php", "php:8.4-cli-bookworm"),
    ("python", "python:3.13-slim-bookworm"),
    ("ruby", "ruby:3.4-bookworm"),
    ("rust", "rust:1-bookworm"),
    ("shell", "debian:12-slim"),
    ("uv", "ghcr.io/astral-sh/uv:python3.13-bookworm-slim"),
];
/// User and group of the app inside: nobody of the host, and not root.
const USER: &str = "10001:10001";

/// What a Dockerfile is made from.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub recipe: &'a Recipe,
    pub survey: &'a Survey,
    /// (name, command line) of the build, in order; `install` is the one that is cached by its lock files.
    pub commands: &'a [(String, String)],
    pub start: Option<&'a str>,
    /// Names of the app's variables, which its build may read.
    pub env: &'a [String],
    /// `build.base`.
    pub base: Option<&'a str>,
    /// Setting `docker.base_images`: language or package manager to image.
    pub bases: &'a BTreeMap<String, String>,
}

/// A Dockerfile that was written for the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    pub base: String,
    pub text: String,
}

/// Writes it. Layers go from what changes least to what changes most; equal input gives equal text.
pub fn generate(wanted: &Wanted<'_>) -> Result<Generated, Problem> {
    let base = base(wanted)?;
    let mut text = format!(
        "FROM {base}\nUSER 0:0\nENV HOME=/home/app LANG=C.UTF-8 CI=1\nWORKDIR /app\n\
         RUN mkdir -p /home/app && chown {USER} /app /home/app\n"
    );
    if let Some(tool) = tool(wanted.recipe) {
        text.push_str(&format!("RUN {tool}\n"));
    }
    text.push_str(&format!("USER {USER}\n"));
    for name in wanted.env.iter().filter(|name| is_plain(name)) {
        text.push_str(&format!("ARG {name}\n"));
    }
    let mut commands = wanted.commands;
    if let Some(((name, install), rest)) = commands.split_first()
        && name == "install"
        && let Some(files) = lock_files(wanted)
    {
        text.push_str(&format!("COPY --chown={USER} {} ./\n{}", files.join(" "), run(install)));
        commands = rest;
    }
    text.push_str(&format!("COPY --chown={USER} . .\n"));
    for (_, command) in commands {
        text.push_str(&run(command));
    }
    // While it was built the tools of the build were wanted; from here on it is production.
    for (name, value) in wanted.recipe.env.iter().filter(|(name, _)| is_plain(name)) {
        text.push_str(&format!("ENV {name}={}\n", quoted(&reachable(value))));
    }
    text.push_str(&format!("ENV HOST=0.0.0.0 PORT={PORT}\nEXPOSE {PORT}\n"));
    if let Some(start) = wanted.start {
        text.push_str(&format!("CMD {}\n", exec_form(&start_line(start))));
    }
    Ok(Generated { base, text })
}

/// The command line inside: reachable from outside the container, and the process that gets the signals.
pub fn start_line(start: &str) -> String {
    let start = reachable(start);
    let first = start.split_whitespace().next().unwrap_or_default();
    let is_one = !start.contains(['|', '&', ';', '<', '>', '(', '\n']) && !first.contains('=');
    if is_one && first != "exec" { format!("exec {start}") } else { start }
}

/// What listens on loopback alone inside a container is reached by nobody.
fn reachable(text: &str) -> String {
    text.replace("127.0.0.1", "0.0.0.0")
}

fn base(wanted: &Wanted<'_>) -> Result<String, Problem> {
    if let Some(base) = wanted.base {
        return Ok(base.to_owned());
    }
    let recipe = wanted.recipe;
    let words = [recipe.package_manager.as_deref(), Some(recipe.language.as_str())];
    let of = |word: &str| {
        let known = || BASES.iter().find(|(known, _)| *known == word).map(|(_, image)| (*image).to_owned());
        wanted.bases.get(word).cloned().or_else(known)
    };
    words.into_iter().flatten().find_map(of).ok_or_else(|| {
        Problem::user(format!("no base image is known for {}", recipe.language))
            .at("build.base")
            .hint("name one: [build] base = \"IMAGE\" in pilothouse.toml, or add a Dockerfile")
    })
}

/// What a package manager needs that its language's image does not hold.
fn tool(recipe: &Recipe) -> Option<&'static str> {
    match (recipe.language.as_str(), recipe.package_manager.as_deref()?) {
        ("node", "pnpm") => Some("command -v pnpm || corepack enable"),
        ("node", "yarn") => Some("command -v yarn || corepack enable"),
        ("python", "poetry") => Some("command -v poetry || pip install --no-cache-dir poetry"),
        ("python", "pdm") => Some("command -v pdm || pip install --no-cache-dir pdm"),
        ("python", "pipenv") => Some("command -v pipenv || pip install --no-cache-dir pipenv"),
        _ => None,
    }
}

/// The files that decide what is installed, when nothing else does: then a change of code reuses the layer.
fn lock_files(wanted: &Wanted<'_>) -> Option<Vec<&'static str>> {
    const NODE: &[&str] =
        &["package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", ".yarnrc.yml", ".npmrc"];
    let survey = wanted.survey;
    let there = |file: &&&str| survey.listing.binary_search_by(|path| path.as_str().cmp(file)).is_ok();
    let text = |file: &str| survey.texts.get(file).map(String::as_str).unwrap_or_default();
    let files: Vec<&str> = match wanted.recipe.language.as_str() {
        "node" => {
            let package: serde_json::Value = serde_json::from_str(text("package.json")).ok()?;
            let script = |name: &str| package.get("scripts").and_then(|scripts| scripts.get(name)).is_some();
            // These run while dependencies are installed, and read whatever they like.
            let reads_more = ["preinstall", "install", "postinstall", "prepare"].into_iter().any(script)
                || package.get("workspaces").is_some()
                || package.to_string().contains("\"file:")
                || survey.listing.iter().any(|path| path == "patches/" || path == ".yarn/" || path == "pnpm-workspace.yaml");
            (!reads_more).then(|| NODE.iter().filter(there).copied().collect())?
        }
        "python" => {
            let requirements = text("requirements.txt");
            let is_plain = |line: &str| !line.trim_start().starts_with(['-', '.', '/']) && !line.contains("file:");
            let install = &wanted.commands.first()?.1;
            (install.contains("-r requirements.txt") && requirements.lines().all(is_plain)).then(|| vec!["requirements.txt"])?
        }
        "go" => vec!["go.mod", "go.sum"].into_iter().filter(|file| there(&file)).collect(),
        _ => return None,
    };
    (!files.is_empty()).then_some(files)
}

fn run(command: &str) -> String {
    format!("RUN {}\n", exec_form(command))
}

/// Exec form with a shell: nothing of the command is read by Docker itself.
fn exec_form(command: &str) -> String {
    serde_json::json!(["sh", "-c", command]).to_string()
}

fn quoted(value: &str) -> String {
    let escaped: String =
        value.chars().flat_map(|c| if "\"\\$".contains(c) { vec!['\\', c] } else { vec![c] }).filter(|c| *c != '\n').collect();
    format!("\"{escaped}\"")
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Why the plan shows a generated Dockerfile.
pub fn proof(base: &str) -> Proof {
    Proof { file: "Dockerfile".to_owned(), why: format!("there is none: generated on {base}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(recipe: &Recipe, survey: &Survey, commands: &[(&str, &str)], start: &str) -> String {
        let commands: Vec<(String, String)> =
            commands.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned())).collect();
        let wanted = Wanted {
            recipe,
            survey,
            commands: &commands,
            start: Some(start),
            env: &["API_URL".to_owned()],
            base: None,
            bases: &BTreeMap::new(),
        };
        generate(&wanted).unwrap().text
    }

    fn node() -> (Recipe, Survey) {
        let recipe = Recipe {
            language: "node".into(),
            package_manager: Some("npm".into()),
            env: vec![("NODE_ENV".into(), "production".into())],
            ..Recipe::default()
        };
        let survey = Survey {
            listing: vec!["package-lock.json".into(), "package.json".into(), "server.js".into()],
            texts: [("package.json".to_owned(), "{}".to_owned())].into(),
            ..Survey::default()
        };
        (recipe, survey)
    }

    #[test]
    fn code_changes_do_not_touch_the_layer_of_the_dependencies() {
        let (recipe, survey) = node();
        let text = written(&recipe, &survey, &[("install", "npm ci"), ("build", "npm run build")], "npm start");
        let order = [
            "FROM node:22-bookworm-slim\n",
            "USER 10001:10001\nARG API_URL\n",
            "COPY --chown=10001:10001 package.json package-lock.json ./\nRUN [\"sh\",\"-c\",\"npm ci\"]\n",
            "COPY --chown=10001:10001 . .\nRUN [\"sh\",\"-c\",\"npm run build\"]\n",
            "ENV NODE_ENV=\"production\"\n",
            "EXPOSE 8080\nCMD [\"sh\",\"-c\",\"exec npm start\"]\n",
        ];
        let places: Vec<usize> =
            order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in\n{text}"))).collect();
        assert!(places.is_sorted(), "{text}");
        let read = crate::model::dockerfile::read(&text, "Dockerfile").unwrap();
        assert_eq!((read.bases.len(), read.ports), (1, vec![8080]));
    }

    #[test]
    fn an_install_that_may_read_anything_sees_all_files() {
        let (recipe, mut survey) = node();
        survey.texts.insert("package.json".into(), r#"{"scripts": {"postinstall": "prisma generate"}}"#.into());
        let text = written(&recipe, &survey, &[("install", "npm ci")], "npm start");
        assert!(text.find("COPY --chown=10001:10001 . .").unwrap() < text.find("npm ci").unwrap(), "{text}");
    }

    #[test]
    fn it_listens_where_the_edge_can_reach_it() {
        let recipe = Recipe { language: "python".into(), package_manager: Some("uv".into()), ..Recipe::default() };
        let text = written(&recipe, &Survey::default(), &[], ".venv/bin/uvicorn a:b --host 127.0.0.1 --port $PORT");
        assert!(text.starts_with("FROM ghcr.io/astral-sh/uv:"), "{text}");
        assert!(text.contains("exec .venv/bin/uvicorn a:b --host 0.0.0.0 --port $PORT"), "{text}");
        assert_eq!(start_line("A=1 x && y"), "A=1 x && y");
    }

    #[test]
    fn the_base_is_the_manifests_then_the_settings_then_ours() {
        let recipe = Recipe { language: "cobol".into(), ..Recipe::default() };
        let bases = BTreeMap::from([("node".to_owned(), "mine/node:1".to_owned())]);
        let survey = Survey::default();
        let wanted = Wanted { recipe: &recipe, survey: &survey, commands: &[], start: None, env: &[], base: None, bases: &bases };
        let problem = generate(&wanted).unwrap_err();
        assert!(problem.to_string().contains("cobol") && problem.to_string().contains("base = "), "{problem}");
        assert_eq!(generate(&Wanted { base: Some("cobol:1"), ..wanted }).unwrap().base, "cobol:1");
        let node = Recipe { language: "node".into(), ..Recipe::default() };
        assert_eq!(generate(&Wanted { recipe: &node, ..wanted }).unwrap().base, "mine/node:1");
    }

    #[test]
    fn odd_commands_and_values_stay_one_instruction() {
        let recipe = Recipe {
            language: "shell".into(),
            env: vec![("A".into(), "x\"$Y\nRUN evil".into()), ("B\nRUN".into(), "y".into())],
            ..Recipe::default()
        };
        let text = written(&recipe, &Survey::default(), &[("build", "echo 'a'\nRUN evil \\\n")], "sh run.sh");
        let words: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(
            words.iter().all(|word| ["FROM", "USER", "ENV", "WORKDIR", "RUN", "COPY", "ARG", "EXPOSE", "CMD"].contains(word)),
            "{text}"
        );
        assert_eq!(words.iter().filter(|word| **word == "RUN").count(), 2, "{text}");
    }
}
