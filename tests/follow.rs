//! The command line against an engine's door that answers in every order there is: it never ends well without its
//! document, and never says what was not seen.

#![allow(clippy::expect_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_types, reason = "a test starts the program that it tests")]

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// One answer to `GET /v1/changes`: its lines, then the engine breaks off.
type Feed = Vec<Value>;

/// What the door says. The last answer of each list is given again and again.
struct Script {
    snapshots: VecDeque<String>,
    feeds: VecDeque<Feed>,
}

/// A state folder with a door in it and no engine behind.
struct Door {
    folder: tempfile::TempDir,
}

impl Door {
    fn says(snapshots: &[Value], feeds: &[Feed]) -> Self {
        Self::says_text(snapshots.iter().map(Value::to_string).collect(), feeds)
    }

    fn says_text(snapshots: Vec<String>, feeds: &[Feed]) -> Self {
        let folder = tempfile::Builder::new().prefix("ph-").tempdir_in("/tmp").expect("a folder");
        let listener = UnixListener::bind(folder.path().join("engine.sock")).expect("a socket");
        let script = Arc::new(Mutex::new(Script { snapshots: snapshots.into(), feeds: feeds.to_vec().into() }));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), script) = (stream, Arc::clone(&script)) else { break };
                std::thread::spawn(move || answer(stream, &script));
            }
        });
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pilothouse"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PILOTHOUSE_")) {
            command.env_remove(name);
        }
        command.arg("--state").arg(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// `rollback shop --json`: its exit code and its one document.
    fn rollback(&self) -> (Option<i32>, Value) {
        let ran = self.run(&["rollback", "shop", "--json"]);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("no document ({error}): {text:?}\n{said}"));
        (ran.status.code(), document)
    }
}

fn answer(stream: UnixStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut first = String::new();
    let _ = reader.read_line(&mut first);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let text = match path {
        "/v1/status" => json!(pilothouse::wire::engine::Status::default()).to_string(),
        "/v1/snapshot" => next(&mut script.lock().expect("no panic").snapshots),
        "/v1/commands" => json!({ "answer": "accepted", "deployment": 7, "app": "shop" }).to_string(),
        "/v1/changes" => {
            let lines = next(&mut script.lock().expect("no panic").feeds);
            lines.iter().map(|line| format!("{line}\n")).collect()
        }
        other => panic!("asked for {other}"),
    };
    let mut stream = stream;
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}");
}

fn next<T: Clone + Default>(list: &mut VecDeque<T>) -> T {
    if list.len() > 1 { list.pop_front().unwrap_or_default() } else { list.front().cloned().unwrap_or_default() }
}

fn deployment(phase: &str) -> Value {
    json!({
        "id": 7, "app": "shop", "aim": "rollback", "release": 1, "from": 2, "actor": "op", "origin": "cli", "phase": phase,
        "asked_at": 0, "phase_since": 0, "ended_at": 900, "remaining": "0s", "steps": [], "starts": [], "pool": [], "key": "k",
        "request": null, "plan": null, "asked_end": null, "cause": null
    })
}

fn app(serving: u32) -> Value {
    json!({
        "id": "shop", "desired": "running", "asked": 1, "routed": serving, "serving": { "release": serving, "since": 0 },
        "previous": 1, "url": "http://shop.localhost:8080", "next_release": 3, "created_at": 0
    })
}

fn fleet(seq: u64, phase: Option<&str>, serving: u32) -> Value {
    let deployments = phase.map_or(json!({}), |phase| json!({ "7": deployment(phase) }));
    json!({ "epoch": 1, "seq": seq, "apps": { "shop": app(serving) }, "deployments": deployments })
}

fn change(seq: u64, change: &str, of: Value) -> Value {
    json!({ "seq": seq, "at": 0, "change": change, "of": of })
}

fn live(door: &Door) {
    let (code, document) = door.rollback();
    assert_eq!((code, &document["state"], &document["serving"]), (Some(0), &json!("live"), &json!(1)), "{document:#}");
}

#[test]
fn a_deployment_that_is_over_before_it_is_followed_is_told() {
    live(&Door::says(&[fleet(1, None, 2), fleet(2, Some("live"), 1)], &[]));
}

#[test]
fn a_deployment_is_followed_to_its_end() {
    let feed = vec![
        change(3, "deployment", deployment("shifting")),
        change(4, "deployment", deployment("live")),
        change(5, "app", app(1)),
    ];
    live(&Door::says(&[fleet(1, None, 2), fleet(2, Some("queued"), 2)], &[feed]));
}

#[test]
fn after_a_gap_the_end_is_found_in_the_new_snapshot() {
    let feed = vec![json!({ "seq": 3, "at": 0, "change": "gap", "of": { "missed": 4000 } })];
    live(&Door::says(&[fleet(1, None, 2), fleet(2, Some("queued"), 2), fleet(9000, Some("live"), 1)], &[feed]));
}

#[test]
fn a_feed_that_breaks_off_is_taken_up_again() {
    let feed = vec![change(3, "deployment", deployment("staging"))];
    let snapshots = [fleet(1, None, 2), fleet(2, Some("queued"), 2), fleet(4, Some("staging"), 2), fleet(9, Some("live"), 1)];
    live(&Door::says(&snapshots, &[Vec::new(), feed, Vec::new()]));
}

#[test]
fn a_snapshot_that_breaks_off_is_asked_for_again() {
    let whole = fleet(2, Some("live"), 1).to_string();
    let snapshots = vec![fleet(1, None, 2).to_string(), whole[..whole.len() / 2].to_owned(), whole];
    let door = Door::says_text(snapshots, &[]);
    let (code, document) = door.rollback();
    // A half document is an engine of another version as far as anybody can tell: said, with exit 1.
    assert_eq!(code, Some(1), "{document:#}");
    assert!(document["problem"]["what"].as_str().is_some_and(|what| what.contains("engine")), "{document:#}");
}

#[test]
fn live_that_nothing_bears_out_is_not_a_success() {
    let (code, document) = Door::says(&[fleet(1, None, 2), fleet(2, Some("live"), 2)], &[vec![]]).rollback();
    assert_eq!(code, Some(1), "{document:#}");
    assert!(document["cause"].as_str().is_some_and(|cause| cause.contains("release 2 answers now")), "{document:#}");
}

#[test]
fn a_deployment_that_is_not_listed_is_not_a_success() {
    let (code, document) = Door::says(&[fleet(1, None, 2), fleet(2, None, 1)], &[]).rollback();
    assert_eq!(code, Some(1), "{document:#}");
    assert!(document["problem"]["what"].as_str().is_some_and(|what| what.contains("no deployment 7")), "{document:#}");
}

#[test]
fn a_document_that_cannot_be_written_is_not_a_success() {
    let door = Door::says(&[fleet(1, None, 2), fleet(2, Some("live"), 1)], &[]);
    let full = File::options().write(true).open("/dev/full").expect("/dev/full is there");
    let ran = door.command(&["rollback", "shop", "--json"]).stdout(full).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output cannot be written"), "{said}");
}

#[test]
fn a_pipe_that_is_full_for_a_while_loses_nothing() {
    use rustix::fs::{OFlags, fcntl_setfl};
    let mut big = fleet(2, Some("live"), 1);
    let word = "x".repeat(300 << 10);
    big["deployments"]["7"]["plan"] = Value::Null;
    big["apps"]["shop"]["url"] = json!(format!("http://{word}.localhost:8080"));
    let door = Door::says(&[big], &[]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("the pipe can be made non-blocking");
    let child = door.command(&["apps", "--json"]).stdout(writer).spawn().expect("the binary runs");
    let mut reader = BufReader::with_capacity(64, reader);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    let ran = child.wait_with_output().expect("it ends");
    assert!(ran.status.success() && text.contains(&word), "{} bytes", text.len());
    serde_json::from_str::<Value>(&text).expect("one whole document");
}
