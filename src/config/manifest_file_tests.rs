use proptest::prelude::*;

use super::*;
use crate::model::{
    recipe::Proof,
    units::{Bytes, Millis},
};

fn refused(text: &str) -> String {
    match read(text, FILE_NAME) {
        Ok(manifest) => format!("accepted: {manifest:?}"),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn a_whole_manifest_is_read() {
    let text = r#"
name = "shop"
x-owner = { team = "blue" }

[build]
install = "npm ci"
command = ""
limits = { time = "20m", memory = "2G" }

[env]
LOG = "info"

[process.web]
command = "node server.js"
replicas = 2
ready = { http = "/healthz", within = "90s" }
resources = { memory = "512M" }
x-note = 1

[process.worker]
command = "node worker.js"

[[route]]
host = "shop.example.org"

[[route]]
host = "jobs.example.org"
process = "worker"

[rollout]
strategy = "rolling"
keep = { releases = 3, warm = "5m" }
"#;
    let manifest = read(text, FILE_NAME).unwrap();
    assert_eq!(manifest.name.unwrap().as_str(), "shop");
    assert_eq!(manifest.build.command.as_deref(), Some(""));
    assert_eq!(manifest.build.limits.time, Millis::minutes(20));
    assert_eq!(manifest.process["web"].resources.memory, Some(Bytes::mib(512)));
    assert_eq!(manifest.process["web"].ready.within, Millis::seconds(90));
    assert_eq!(manifest.route[0].process, "web");
    assert_eq!(manifest.rollout.keep.releases, 3);
}

#[test]
fn an_empty_manifest_asks_for_nothing() {
    assert_eq!(read("", FILE_NAME).unwrap(), Manifest::default());
}

/// What is wrong, and all that the message must say.
const WRONG: &[(&str, &[&str])] = &[
    ("comand = 1", &["pilothouse.toml:1 comand", "no such key `comand`"]),
    ("[process.web]\ncomand = \"x\"", &["pilothouse.toml:2 process.web.comand", "did you mean `command`?"]),
    ("[bild]\ncommand = \"x\"", &["pilothouse.toml:1 bild", "did you mean `build`?"]),
    ("install = \"npm ci\"", &["pilothouse.toml:1 install", "did you mean `build.install`?"]),
    ("replicas = 2", &["did you mean `process.web.replicas`?"]),
    ("\n\n[process.web]\nreplicas = \"two\"", &["pilothouse.toml:4 process.web.replicas", "must be a whole number, not text"]),
    (
        "[process.web]\nreplicas = -1",
        &["pilothouse.toml:2 process.web.replicas", "must be a whole number from 0 to 100, not -1", "How many instances run"],
    ),
    ("[process.web]\nreplicas = 101", &["pilothouse.toml:2 process.web.replicas", "from 0 to 100, not 101"]),
    ("[process.web]\nreplicas = 1.5", &["pilothouse.toml:2 process.web.replicas", "from 0 to 100, not 1.5"]),
    ("[process.web]\nreplicas = 99999999999999999999", &["from 0 to 100, not 99999999999999999999"]),
    ("[process.web]\nport = 70000", &["pilothouse.toml:2 process.web.port", "from 1 to 65535, not 70000"]),
    ("[process.web]\nport = 0", &["pilothouse.toml:2 process.web.port", "from 1 to 65535, not 0", "a free port"]),
    ("[rollout.keep]\nreleases = -3", &["pilothouse.toml:2 rollout.keep.releases", "from 0 to 1000, not -3"]),
    ("[rollout.keep]\nwarm = \"-5s\"", &["pilothouse.toml:2 rollout.keep.warm", "from 0 to 36500d, not -5s"]),
    ("[build.limits]\ntime = \"99999999d\"", &["pilothouse.toml:2 build.limits.time", "from 0 to 36500d, not 99999999d"]),
    ("[build.limits]\ndisk = \"99999999T\"", &["pilothouse.toml:2 build.limits.disk", "from 0 to 8000000T, not 99999999T"]),
    ("[process.web.resources]\nmemory = \"-1G\"", &["pilothouse.toml:2", "from 0 to 8000000T, not -1G"]),
    ("[process.a]\ndepends_on = [\"a\"]", &["pilothouse.toml:2 process.a.depends_on", "`a` depends on itself"]),
    (
        "[process.a]\ndepends_on = [\"b\"]\n[process.b]\ndepends_on = [\"a\"]",
        &["pilothouse.toml:2 process.a.depends_on", "wait for each other: a → b → a"],
    ),
    ("[process.web]\ndepends_on = [\"dbs\"]\n[process.db]", &["pilothouse.toml:2 process.web.depends_on", "did you mean `db`?"]),
    ("[process.web]\nport = 3000\nreplicas = 2", &["pilothouse.toml:2 process.web.port", "cannot share the fixed port 3000"]),
    ("[build.limits]\ntime = \"12 parsecs\"", &["pilothouse.toml:2 build.limits.time", "`12 parsecs` is not a span", "30s"]),
    ("[build.limits]\ntime = 12", &["pilothouse.toml:2 build.limits.time", "text in quotes", "Default `15m`"]),
    ("[build.limits]\nmemory = \"0\"", &["pilothouse.toml:2 build.limits.memory", "limit of 0"]),
    ("[process.web]\nruntime = \"proces\"", &["pilothouse.toml:2 process.web.runtime", "did you mean `process`?"]),
    ("[rollout]\nstrategy = 7", &["pilothouse.toml:2 rollout.strategy", "must be text in quotes, not a bare number"]),
    ("name = \"My Shop\"", &["pilothouse.toml:1 name", "cannot be an app's name", "my-shop"]),
    ("[build]\noutput = \"../dist\"", &["pilothouse.toml:2 build.output", "inside the source"]),
    ("[[route]]\nhost = \"https://Shop.example.org/x\"", &["pilothouse.toml:2 route[0].host", "write `shop.example.org`"]),
    ("[[route]]\nhost = \"a\"\n[[route]]\nhost = \"a\"", &["pilothouse.toml:4 route[1].host", "two routes"]),
    ("[[route]]\nhost = \"a\"\npath = \"api\"", &["pilothouse.toml:3 route[0].path", "write `/api`"]),
    ("[[route]]\nhost = \"a\"\npath = \"/a/../b\"", &["pilothouse.toml:3 route[0].path", "`/a/../b` is not a path"]),
    ("[[route]]\nhost = \"a\"\nstrip = true", &["pilothouse.toml:3 route[0].strip", "no path to strip"]),
    (
        "[[route]]\nhost = \"a\"\npath = \"/x\"\n[[route]]\nhost = \"a\"\npath = \"/x/\"",
        &["pilothouse.toml:6 route[1].path", "two routes"],
    ),
    ("[process.api]\n[[route]]\nhost = \"a\"\nprocess = \"apy\"", &["pilothouse.toml:4 route[0].process", "did you mean `api`?"]),
    ("[[route]]\nprocess = \"web\"", &["pilothouse.toml:1 route[0]", "`host` is missing"]),
    ("[env]\nPORT = \"80\"", &["pilothouse.toml:2 env.PORT", "given to each instance"]),
    ("[env]\n\"A B\" = \"80\"", &["pilothouse.toml:2 env.A B", "variable's name"]),
    ("[env]\nN = 3", &["pilothouse.toml:2 env.N", "must be text in quotes, not a bare number"]),
    ("[process.Web]\n", &["pilothouse.toml:1 process.Web", "process's name"]),
    ("[process.web.ready]\nhttp = \"healthz\"", &["pilothouse.toml:2 process.web.ready.http", "not a path"]),
    ("[process.web]\ncommand = \"a\"\ncommand = \"b\"", &["pilothouse.toml:3", "not TOML", "duplicate"]),
    ("[process.web\n", &["pilothouse.toml:1", "not TOML"]),
    ("process = 3", &["pilothouse.toml:1 process", "must be a table"]),
];

#[test]
fn each_mistake_is_named_with_its_line_and_the_way_out() {
    for (text, said) in WRONG {
        let message = refused(text);
        for part in *said {
            assert!(message.contains(part), "{text:?}\n  said {message:?}\n  lacks {part:?}");
        }
    }
}

#[test]
fn further_mistakes_are_told_too() {
    let problem = read("nam = \"a\"\n[buld]\n", FILE_NAME).unwrap_err();
    assert_eq!(problem.at.as_deref(), Some("pilothouse.toml:1 nam"));
    assert_eq!(problem.evidence.len(), 1);
    assert!(problem.evidence[0].contains("pilothouse.toml:2 buld"), "{:?}", problem.evidence);
}

#[test]
fn what_init_writes_is_read_back() {
    let recipe = Recipe {
        install: Some("npm ci".to_owned()),
        build: Some("npm run \"build\"\\x".to_owned()),
        start: Some("node 'server.js' --port $PORT".to_owned()),
        processes: vec![("worker".to_owned(), "node worker.js".to_owned())],
        proof: vec![Proof { file: "package.json:3".to_owned(), why: "scripts.build\nnewline".to_owned() }],
        ..Recipe::default()
    };
    let text = write(&AppId::suggest("shop"), &recipe, RunBy::Commands);
    let manifest = read(&text, FILE_NAME).unwrap();
    assert_eq!(manifest.build.install, recipe.install);
    assert_eq!(manifest.build.command, recipe.build);
    assert_eq!(manifest.process["web"].command, recipe.start);
    assert_eq!(manifest.process["worker"].command.as_deref(), Some("node worker.js"));
}

#[test]
fn the_schema_tells_editors_every_key() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["build"].is_object());
    assert_eq!(schema["additionalProperties"], false);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        let _ = read(&text, FILE_NAME);
    }

    #[test]
    fn no_odd_table_breaks_the_reader(
        keys in prop::collection::vec((
            "(name|build|env|process|route|rollout|process\\.web|build\\.limits|rollout\\.keep|x-a|\"é\\.\"|[a-z]{1,6})",
            "(1|-5|1e400|\"\"|\"5m\"|\"é\"|true|\\[\\]|\\[1, \"a\"\\]|\\{\\}|\\{ web = 1 \\}|2020-01-01|99999999999999999999)",
        ), 0..6),
    ) {
        let text: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let _ = read(&text, FILE_NAME);
        let text: String = keys.iter().map(|(key, value)| format!("[[{key}]]\nhost = {value}\n")).collect();
        let _ = read(&text, FILE_NAME);
    }
}
