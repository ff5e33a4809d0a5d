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
        config = with_pair(&config, pair)?;
    }
    Ok(config)
}

/// `config` with the setting that `--set` names.
fn with_pair(config: &ConfigFile, pair: &str) -> Result<ConfigFile, Problem> {
    let Some((key, value)) = pair.split_once('=') else {
        return Err(Problem::user(format!("`{pair}` is not KEY=VALUE")).at("--set").hint("write --set edge.threads=2"));
    };
    set(config, key.trim(), value.trim(), &format!("--set {key}"))
}

/// Whether a `KEY=VALUE` names a setting with a value that it can have.
pub fn check_pair(pair: &str) -> Result<(), Problem> {
    with_pair(&ConfigFile::default(), pair).map(|_| ())
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
        let kind = expected(key).filter(|_| error.message().starts_with("invalid "));
        if let Some(kind) = kind {
            let what = format!("`{key}` must be {kind}, not `{}`", text.escape_debug());
            return Problem::user(what).at(format!("{place} ({key})")).hint("see docs/operations.md");
        }
        let (what, next) = error.message().split_once("; try: ").unwrap_or((error.message(), "see docs/operations.md"));
        Problem::user(what).at(format!("{place} ({key})")).hint(next)
    })
}

/// Whether a setting is written as text: also sizes and spans are, so that none lacks its unit.
fn is_text(key: &str) -> bool {
    schema_of(key).is_some_and(|schema| schema.get("type").is_some_and(|kind| kind == "string"))
}

/// What a number or a switch must be: `a whole number from 0 to 65535`; absent for what is text.
fn expected(key: &str) -> Option<String> {
    let schema = schema_of(key)?;
    let bound = |name: &str| schema.get(name).and_then(serde_json::Value::as_i64);
    match schema.get("type")?.as_str()? {
        "integer" => Some(match (bound("minimum").unwrap_or(0), bound("maximum")) {
            (least, Some(most)) => format!("a whole number from {least} to {most}"),
            (least, None) => format!("a whole number of at least {least}"),
        }),
        "boolean" => Some("true or false".to_owned()),
        _ => None,
    }
}

/// The JSON Schema of one setting.
fn schema_of(key: &str) -> Option<serde_json::Value> {
    let schema = schemars::schema_for!(ConfigFile).to_value();
    let (section, field) = key.split_once('.').unwrap_or(("", key));
    let section = schema.pointer(&format!("/properties/{section}/$ref"))?.as_str()?.strip_prefix('#')?;
    let field = schema.pointer(&format!("{section}/properties/{field}"))?;
    let named = field.get("$ref").and_then(|name| schema.pointer(name.as_str()?.strip_prefix('#')?));
    Some(named.unwrap_or(field).clone())
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

/// Every setting by its dotted key, as text that is read again as the same.
pub fn written(config: &ConfigFile) -> BTreeMap<String, String> {
    flat(config).into_iter().map(|(key, value)| (key.clone(), with_unit(&key, &value))).collect()
}

/// `value` as it is read again and as a person writes it: spans and sizes, which are held as numbers, with their units.
fn with_unit(key: &str, value: &toml::Value) -> String {
    let text = as_text(value);
    let toml::Value::Integer(number) = value else { return text };
    if !is_text(key) {
        return text;
    }
    let is_size = set(&ConfigFile::default(), key, &text, "").is_ok();
    let units = if is_size {
        [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("", 1)]
    } else {
        [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
    };
    let whole = units.iter().find(|(_, unit)| *number >= *unit && number % unit == 0);
    let (unit, worth) = whole.unwrap_or(&units[3]);
    format!("{}{unit}", number / worth)
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
#[path = "load_tests.rs"]
mod tests;
