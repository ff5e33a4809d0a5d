//! Which place a setting comes from, and what is refused.

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
    assert_eq!((refused.what.as_str(), refused.at.as_deref()), ("`key` is missing", Some("config.toml:2 edge.certificates[0]")));
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
    let flags =
        Flags { set: vec!["edge.http=127.0.0.1:9000, [::1]:9000".to_owned(), "engine.grace=2m".to_owned()], ..Flags::default() };
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
    assert_eq!(load_from(&Flags::default(), &misspelt).unwrap_err().next.as_deref(), Some("did you mean PILOTHOUSE_EDGE_HTTP?"));
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
        set: ["edge.threads=0", "edge.http=127.0.0.1:9000", "console.theme=pilot-light", "engine.grace=90s", "logs.rotate_at=1M"]
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
fn a_setting_is_written_as_a_person_writes_it_and_reads_as_the_same() {
    let set = ["engine.grace=120s", "edge.idle_timeout=1500ms", "logs.rotate_at=2048K", "edge.threads=0"].map(str::to_owned);
    let config = load_from(&Flags { set: set.to_vec(), ..Flags::default() }, &world(&[])).unwrap().config;
    let written = written(&config);
    let named = |key: &str| written[key].as_str();
    assert_eq!((named("engine.grace"), named("edge.idle_timeout")), ("2m", "1500ms"));
    assert_eq!((named("logs.rotate_at"), named("edge.threads"), named("edge.hsts")), ("2M", "0", "0ms"));
    let set = written.iter().filter(|(key, _)| *key != "console.keys").map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(load_from(&Flags { set, ..Flags::default() }, &world(&[])).unwrap().config, config);
}

#[test]
fn a_setting_that_is_no_number_is_told_what_it_must_be() {
    for value in ["abc", "-1", "1.5"] {
        let problem = check_pair(&format!("edge.threads={value}")).unwrap_err();
        assert!(problem.what.starts_with("`edge.threads` must be a whole number"), "{}", problem.what);
        assert!(problem.what.ends_with(&format!("not `{value}`")), "{}", problem.what);
        assert_eq!(problem.at.as_deref(), Some("--set edge.threads (edge.threads)"));
    }
}

#[test]
fn a_named_file_that_is_absent_is_an_error() {
    let flags = Flags { config: Some("/nowhere/config.toml".into()), ..Flags::default() };
    assert_eq!(load_from(&flags, &world(&[])).unwrap_err().at.as_deref(), Some("/nowhere/config.toml"));
}
