//! The generated parts of `docs/` are fresh: `UPDATE_DOCS=1 cargo test --test docs` writes them anew.
#![allow(clippy::expect_used, reason = "helpers of tests fail loudly")]

use std::{fs, path::PathBuf};

use pilothouse::{cli, config::load, config::manifest_file, config::settings::ConfigFile};
use serde_json::Value;

#[test]
fn the_manifests_keys_are_documented() {
    let schema = manifest_file::schema();
    is_fresh("manifest.md", &keys(&schema));
}

#[test]
fn the_settings_are_documented() {
    let schema = schemars::schema_for!(ConfigFile).to_value();
    let mut table = String::from("| setting | environment | what it is |\n| --- | --- | --- |\n");
    for key in load::known() {
        let meaning = describe(&schema, &key.split('.').collect::<Vec<_>>());
        table.push_str(&format!("| `{key}` | `{}` | {meaning} |\n", load::variable_of(&key)));
    }
    is_fresh("operations.md", &table);
}

#[test]
fn the_commands_are_documented() {
    let mut text = String::new();
    let definition = cli::definition();
    for command in definition.get_subcommands() {
        text.push_str(&section(command, &format!("pilothouse {}", command.get_name())));
        for inner in command.get_subcommands() {
            text.push_str(&section(inner, &format!("pilothouse {} {}", command.get_name(), inner.get_name())));
        }
    }
    is_fresh("commands.md", &text);
}

/// A command with its own arguments; those of every command stand at the top of the page.
fn section(command: &clap::Command, name: &str) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let positional = |argument: &clap::Arg| {
        let word = argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
        match (argument.is_required_set(), argument.is_last_set()) {
            (true, _) => format!(" {word}"),
            (_, true) => format!(" [-- {word}…]"),
            _ => format!(" [{word}]"),
        }
    };
    let usage: String = command.get_positionals().map(positional).collect();
    let mut text = format!("### `{name}{usage}`\n\n{about}.\n\n");
    let options: Vec<_> = command.get_opts().filter(|option| option.get_long() != Some("help")).collect();
    for option in &options {
        let value = option.get_action().takes_values();
        let value = if value {
            option.get_value_names().map(|names| format!(" {}", names.join(" "))).unwrap_or_default()
        } else {
            String::new()
        };
        let long = option.get_long().unwrap_or_default();
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("- `--{long}{value}` {help}\n"));
    }
    if !options.is_empty() {
        text.push('\n');
    }
    text
}

/// A table of every key that a schema allows.
fn keys(root: &Value) -> String {
    let mut table = String::from("| key | what it is |\n| --- | --- |\n");
    rows(root, root, "", &mut table);
    table
}

fn rows(root: &Value, schema: &Value, path: &str, table: &mut String) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let inner = resolve(root, below);
        let (inner, key) = match &inner["additionalProperties"] {
            each if each.is_object() => (resolve(root, each), format!("{key}.NAME")),
            _ => match &inner["items"] {
                item if item.is_object() && !resolve(root, item)["properties"].is_null() => {
                    (resolve(root, item), format!("{key}[]"))
                }
                _ => (inner, key),
            },
        };
        let text = below["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
        if inner["properties"].is_object() {
            rows(root, inner, &key, table);
        } else {
            table.push_str(&format!("| `{key}` | {} |\n", line(text)));
        }
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let choice = schema["anyOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
    let schema = choice.unwrap_or(schema);
    let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
    name.and_then(|name| root.pointer(name)).unwrap_or(schema)
}

fn describe(root: &Value, path: &[&str]) -> String {
    let mut schema = root;
    let mut text = "";
    for part in path {
        let below = &resolve(root, schema)["properties"][*part];
        text = below["description"].as_str().unwrap_or_default();
        schema = below;
    }
    line(text)
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The part of a page between its marks is `text`.
fn is_fresh(page: &str, text: &str) {
    const BEGIN: &str = "<!-- generated: UPDATE_DOCS=1 cargo test --test docs -->\n";
    const END: &str = "<!-- end -->";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let found = fs::read_to_string(&path).expect("the page is there");
    let (head, rest) = found.split_once(BEGIN).expect("the page has its first mark");
    let (_, tail) = rest.split_once(END).expect("the page has its last mark");
    let fresh = format!("{head}{BEGIN}\n{}\n\n{END}{tail}", text.trim_end());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &fresh).expect("the page can be written");
    }
    assert!(
        found == fresh || std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/{page} is stale: UPDATE_DOCS=1 cargo test --test docs"
    );
}
