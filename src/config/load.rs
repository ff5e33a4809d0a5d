//! Reads the settings, each from the strongest place that names it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use super::{
    settings::{ConfigFile, Settings},
    state_dir::StateDir,
    strict::{self, nearest},
};
use crate::model::problem::Problem;

/// What the command line says of the settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--set KEY=VALUE`, in order.
    pub set: Vec<String>,
}

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "PILOTHOUSE_";

/// The settings of this process: default < file < environment < flag.
///
/// The file is `--config`, else `PILOTHOUSE_CONFIG`, else `$XDG_CONFIG_HOME/pilothouse/config.toml` where there is one.
pub fn load(flags: &Flags) -> Result<Settings, Problem> {
    load_from(flags, &environment())
}

/// This process's environment; what is not UTF-8 is shown with replacement characters.
pub fn environment() -> Environment {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// As `load`, in a given environment.
pub fn load_from(flags: &Flags, environment: &Environment) -> Result<Settings, Problem> {
    let mut config = config(flags, environment)?;
    // The edge reads them in a folder of its own.
    for files in &mut config.edge.certificates {
        files.cert = absolute(&files.cert)?;
        files.key = absolute(&files.key)?;
    }
    let root = match flags.state.clone().or_else(|| variable(environment, "PILOTHOUSE_STATE").map(PathBuf::from)) {
        Some(root) => root,
        None => state_home(environment)?.join("pilothouse"),
    };
    let boot_id = variable(environment, "PILOTHOUSE_BOOT_ID").map_or_else(boot_id, str::to_owned);
    Ok(Settings { state: StateDir::new(absolute(&root)?), config, binary: binary()?, boot_id })
}

/// `$XDG_STATE_HOME`, by default `~/.local/state`.
pub fn state_home(environment: &Environment) -> Result<PathBuf, Problem> {
    if let Some(home) = xdg(environment, "XDG_STATE_HOME") {
        return Ok(home);
    }
    base(environment).map(|home| home.join(".local/state"))
}

/// Flags with which another process of this program gets the same settings in the same environment.
pub fn as_arguments(settings: &Settings, environment: &Environment) -> Vec<String> {
    let mut arguments = vec!["--state".to_owned(), settings.state.root().display().to_string()];
    arguments.extend(["--config".to_owned(), "/dev/null".to_owned()]);
    let bare = Flags { config: Some("/dev/null".into()), ..Flags::default() };
    let inherited = flat(&config(&bare, environment).unwrap_or_default());
    for (key, value) in flat(&settings.config) {
        // Only consoles read it, and no flag can hold it.
        if key == "console.keys" {
            continue;
        }
        if inherited.get(&key) != Some(&value) {
            arguments.extend(["--set".to_owned(), format!("{key}={}", with_unit(&key, &value))]);
        }
    }
    arguments
}

fn config(flags: &Flags, environment: &Environment) -> Result<ConfigFile, Problem> {
    let named = flags.config.clone().or_else(|| variable(environment, "PILOTHOUSE_CONFIG").map(PathBuf::from));
    let mut config = match named {
        Some(path) => read_file(&path, true)?,
        None => read_file(&config_home(environment)?.join("pilothouse/config.toml"), false)?,
    };
    for (name, value) in environment {
        if let Some(key) = setting_of(name)? {
            config = set(&config, &key, value, name)?;
        }
    }
    if config.docker.host.is_empty()
        && let Some(host) = variable(environment, "DOCKER_HOST")
    {
        host.clone_into(&mut config.docker.host);
    }
    for pair in &flags.set {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Problem::user(format!("`{pair}` is not KEY=VALUE")).at("--set").hint("write --set edge.threads=2"));
        };
        config = set(&config, key.trim(), value.trim(), &format!("--set {key}"))?;
    }
    Ok(config)
}

fn read_file(path: &Path, needed: bool) -> Result<ConfigFile, Problem> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !needed => return Ok(ConfigFile::default()),
        Err(error) => {
            return Err(Problem::user(format!("cannot read the configuration: {error}"))
                .at(path.display().to_string())
                .hint("name a readable file with --config, or leave it out"));
        }
    };
    parse(&text, &path.display().to_string())
}

/// Reads the text of a `config.toml`; `name` is how messages call it.
fn parse(text: &str, name: &str) -> Result<ConfigFile, Problem> {
    strict::read(text, name).map(|(config, _)| config).map_err(|problem| match problem.next.as_deref() {
        Some("see docs/manifest.md") => problem.hint("see docs/operations.md"),
        _ => problem,
    })
}

fn unknown(key: &str, known: &BTreeMap<String, toml::Value>) -> Problem {
    let problem = Problem::user(format!("there is no setting `{key}`"));
    match nearest(key, known.keys().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("known settings: {}", known.keys().cloned().collect::<Vec<_>>().join(", "))),
    }
}

/// The setting that a variable names: `PILOTHOUSE_EDGE_HTTP` is `edge.http`. Other variables of ours, such as
/// `PILOTHOUSE_STATE`, name none; one with a section's prefix must name a setting.
fn setting_of(variable: &str) -> Result<Option<String>, Problem> {
    let Some(rest) = variable.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let known = flat(&ConfigFile::default());
    if let Some(key) = known.keys().find(|key| variable_of(key) == variable) {
        return Ok(Some(key.clone()));
    }
    let section = rest.split('_').next().unwrap_or_default().to_ascii_lowercase();
    if !known.keys().any(|key| key.starts_with(&format!("{section}."))) {
        return Ok(None);
    }
    let names: Vec<String> = known.keys().map(|key| variable_of(key)).collect();
    let problem = Problem::user(format!("the environment variable {variable} names no setting")).at(variable);
    Err(match nearest(variable, names.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem.hint("unset it; docs/operations.md lists the settings"),
    })
}

/// The environment variable of a setting.
pub fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Every setting by its dotted key.
pub fn known() -> Vec<String> {
    flat(&ConfigFile::default()).into_keys().collect()
}

/// `config` with one setting from text; `place` is where it was said.
fn set(config: &ConfigFile, key: &str, text: &str, place: &str) -> Result<ConfigFile, Problem> {
    let known = flat(&ConfigFile::default());
    let Some(default) = known.get(key) else {
        return Err(unknown(key, &known).at(place));
    };
    let mut table = as_table(config);
    let (section, field) = key.split_once('.').unwrap_or(("", key));
    if let Some(section) = table.get_mut(section).and_then(toml::Value::as_table_mut) {
        section.insert(
            field.to_owned(),
            if is_text(key) { toml::Value::String(text.to_owned()) } else { value_like(default, text) },
        );
    }
    table.try_into().map_err(|error: toml::de::Error| {
        let (what, next) = error.message().split_once("; try: ").unwrap_or((error.message(), "see docs/operations.md"));
        Problem::user(what).at(format!("{place} ({key})")).hint(next)
    })
}

/// Whether a setting is written as text: also sizes and spans are, so that none lacks its unit.
fn is_text(key: &str) -> bool {
    let schema = schemars::schema_for!(ConfigFile).to_value();
    let (section, field) = key.split_once('.').unwrap_or(("", key));
    let kind = || {
        let section = schema.pointer(&format!("/properties/{section}/$ref"))?.as_str()?.strip_prefix('#')?;
        let field = schema.pointer(&format!("{section}/properties/{field}"))?;
        let named = field.get("$ref").and_then(|name| schema.pointer(name.as_str()?.strip_prefix('#')?));
        named.unwrap_or(field).get("type")
    };
    kind().is_some_and(|kind| kind == "string")
}

/// `text` as a value of the kind that `default` has; what does not fit stays text, so that the type's own reader judges it.
fn value_like(default: &toml::Value, text: &str) -> toml::Value {
    let plain = || toml::Value::String(text.to_owned());
    match default {
        toml::Value::Integer(_) => text.parse().map_or_else(|_| plain(), toml::Value::Integer),
        toml::Value::Boolean(_) => text.parse().map_or_else(|_| plain(), toml::Value::Boolean),
        toml::Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
        }
        _ => plain(),
    }
}

fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `value` as it is read again: a span, which is held as a number, with its unit.
fn with_unit(key: &str, value: &toml::Value) -> String {
    let text = as_text(value);
    if set(&ConfigFile::default(), key, &text, "").is_ok() { text } else { format!("{text}ms") }
}

fn as_table(config: &ConfigFile) -> toml::Table {
    toml::Table::try_from(config).unwrap_or_default()
}

/// Every setting by its dotted key.
fn flat(config: &ConfigFile) -> BTreeMap<String, toml::Value> {
    let mut settings = BTreeMap::new();
    for (section, fields) in as_table(config) {
        for (field, value) in fields.as_table().into_iter().flatten() {
            settings.insert(format!("{section}.{field}"), value.clone());
        }
    }
    settings
}

fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A base folder of the XDG specification: a relative path in it is to be ignored.
fn xdg(environment: &Environment, name: &str) -> Option<PathBuf> {
    variable(environment, name).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn config_home(environment: &Environment) -> Result<PathBuf, Problem> {
    xdg(environment, "XDG_CONFIG_HOME").map_or_else(|| base(environment).map(|home| home.join(".config")), Ok)
}

fn base(environment: &Environment) -> Result<PathBuf, Problem> {
    if let Some(home) = variable(environment, "HOME") {
        return Ok(PathBuf::from(home));
    }
    etcetera::base_strategy::Xdg::new()
        .map(|dirs| dirs.home_dir().to_path_buf())
        .map_err(|error| Problem::user(format!("cannot tell the home folder: {error}")).hint("name a folder with --state DIR"))
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::user(format!("cannot use the state folder: {error}")).at("--state"))
}

/// This program's file. Linux marks one that was replaced since it was started: the new one stands at the same path.
fn binary() -> Result<PathBuf, Problem> {
    let path = std::env::current_exe().map_err(|error| Problem::internal(format!("cannot tell this program's file: {error}")))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map(PathBuf::from).unwrap_or(path))
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Millis;

    fn world(pairs: &[(&str, &str)]) -> Environment {
        let mut environment: Environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.insert("HOME".to_owned(), "/nowhere/home".to_owned());
        environment
    }

    #[test]
    fn a_certificate_is_written_as_a_table_or_as_text() {
        let text = "[edge]\ncertificates = [{ cert = \"a.pem\", key = \"a.key\" }, \"b.pem:b.key\"]\n";
        let read = parse(text, "config.toml").unwrap().edge.certificates;
        let written: Vec<String> = read.into_iter().map(Into::into).collect();
        assert_eq!(written, ["a.pem:a.key", "b.pem:b.key"]);
        let refused = parse("[edge]\ncertificates = [{ cert = \"a.pem\" }]\n", "config.toml").unwrap_err();
        assert_eq!(
            (refused.what.as_str(), refused.at.as_deref()),
            ("`key` is missing", Some("config.toml:2 edge.certificates[0]"))
        );
    }

    #[test]
    fn the_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[edge]\nthreads = 1\nconnections = 11\nidle_timeout = \"9s\"\n").unwrap();
        let environment = world(&[("PILOTHOUSE_EDGE_CONNECTIONS", "22"), ("PILOTHOUSE_EDGE_THREADS", "2")]);
        let flags = Flags { config: Some(file), set: vec!["edge.threads=3".to_owned()], ..Flags::default() };
        let edge = load_from(&flags, &environment).unwrap().config.edge;
        assert_eq!((edge.threads, edge.connections, edge.idle_timeout), (3, 22, Millis::seconds(9)));
        assert_eq!(edge.answer_timeout, Millis::seconds(60));
    }

    #[test]
    fn lists_and_spans_are_read_from_text() {
        let flags = Flags {
            set: vec!["edge.http=127.0.0.1:9000, [::1]:9000".to_owned(), "engine.grace=2m".to_owned()],
            ..Flags::default()
        };
        let config = load_from(&flags, &world(&[])).unwrap().config;
        assert_eq!(config.edge.http, ["127.0.0.1:9000".parse().unwrap(), "[::1]:9000".parse().unwrap()]);
        assert_eq!(config.engine.grace, Millis::minutes(2));
    }

    #[test]
    fn an_unknown_key_names_its_place_and_its_nearest() {
        let refused = parse("[edge]\nthreads = 2\nhtpp = []\n", "config.toml").unwrap_err();
        assert_eq!(refused.at.as_deref(), Some("config.toml:3 edge.htpp"));
        assert_eq!(refused.next.as_deref(), Some("did you mean `http`?"));

        let flags = Flags { set: vec!["edge.thread=2".to_owned()], ..Flags::default() };
        assert_eq!(load_from(&flags, &world(&[])).unwrap_err().next.as_deref(), Some("did you mean `edge.threads`?"));

        let misspelt = world(&[("PILOTHOUSE_EDGE_HTPP", "x")]);
        assert_eq!(
            load_from(&Flags::default(), &misspelt).unwrap_err().next.as_deref(),
            Some("did you mean PILOTHOUSE_EDGE_HTTP?")
        );
    }

    #[test]
    fn a_wrong_value_names_its_place() {
        let refused = parse("[logs]\nkeep = 4\nrotate_at = \"8 parsecs\"\n", "config.toml").unwrap_err();
        assert_eq!(refused.at.as_deref(), Some("config.toml:3 logs.rotate_at"));
        let wrong = world(&[("PILOTHOUSE_EDGE_THREADS", "many")]);
        let refused = load_from(&Flags::default(), &wrong).unwrap_err();
        assert_eq!(refused.at.as_deref(), Some("PILOTHOUSE_EDGE_THREADS (edge.threads)"));
        let flags = Flags { set: vec!["engine.grace=10".to_owned()], ..Flags::default() };
        assert!(load_from(&flags, &world(&[])).unwrap_err().to_string().contains("not a span of time"));
    }

    #[test]
    fn the_state_folder_is_flag_then_variable_then_xdg_and_always_absolute() {
        let root = |flags: &Flags, environment: &Environment| load_from(flags, environment).unwrap().state.root().to_path_buf();
        let none = Flags::default();
        assert_eq!(root(&none, &world(&[])), Path::new("/nowhere/home/.local/state/pilothouse"));
        assert_eq!(root(&none, &world(&[("XDG_STATE_HOME", "/x")])), Path::new("/x/pilothouse"));
        let named = world(&[("PILOTHOUSE_STATE", "/v"), ("XDG_STATE_HOME", "/x")]);
        assert_eq!(root(&none, &named), Path::new("/v"));
        let flag = Flags { state: Some("here".into()), ..Flags::default() };
        let found = root(&flag, &named);
        assert!(found.is_absolute() && found.ends_with("here"), "{}", found.display());
    }

    #[test]
    fn a_started_engine_gets_the_same_settings() {
        let environment = world(&[("PILOTHOUSE_EDGE_THREADS", "2")]);
        let flags = Flags {
            state: Some("/s".into()),
            set: [
                "edge.threads=0",
                "edge.http=127.0.0.1:9000",
                "console.theme=pilot-light",
                "engine.grace=90s",
                "logs.rotate_at=1M",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Flags::default()
        };
        let first = load_from(&flags, &environment).unwrap();
        let arguments = as_arguments(&first, &environment);
        let set = arguments.iter().zip(&arguments[1..]).filter(|(flag, _)| *flag == "--set").map(|(_, value)| value.clone());
        let again = Flags { state: Some("/s".into()), config: Some("/dev/null".into()), set: set.collect() };
        assert_eq!(load_from(&again, &environment).unwrap(), first);
    }

    #[test]
    fn a_named_file_that_is_absent_is_an_error() {
        let flags = Flags { config: Some("/nowhere/config.toml".into()), ..Flags::default() };
        assert_eq!(load_from(&flags, &world(&[])).unwrap_err().at.as_deref(), Some("/nowhere/config.toml"));
    }
}
