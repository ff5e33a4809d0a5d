//! Commands in containers, and what is told of containers that were there before the engine.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::engine_support::{
    app::binary,
    docker::{self, BUSYBOX, ask},
    engine::Engine,
    terminal::Terminal,
    wait::{seconds, until, until_some},
};

/// A container that nobody but the test started; it goes with the test.
struct Foreign(String);

impl Foreign {
    fn run(name: &str, more: &[&str]) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let command = "head -c 300000 /dev/zero >/data/file; trap 'exit 0' TERM; sleep 1000 & wait";
        ask(&[&["run", "-d", "--name", &name], more, &[BUSYBOX, "sh", "-c", command]].concat());
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        ask(&["rm", "-f", "-v", &self.0]);
    }
}

#[test]
fn what_was_there_before_the_engine_has_its_start_and_its_size() {
    if !docker::is_there() {
        return;
    }
    let foreign = Foreign::run("early", &["-v", "/data"]);
    let engine = Engine::start();
    let told = || {
        let fleet = engine.snapshot();
        let all = fleet["containers"].as_object()?;
        all.values()
            .find(|one| one["name"] == foreign.0.as_str() && one["started_at"].is_i64())
            .map(|one| one["mounts"][0].clone())
    };
    let mount = until_some("its start is told", seconds(20), told, || engine.engine_output());
    let volume = mount.as_str().and_then(|mount| mount.split(':').next()).expect("a volume").to_owned();
    let size = || engine.snapshot()["volumes"][&volume]["size"].as_u64().filter(|size| *size >= 300_000);
    until_some("the size of its volume is told", seconds(30), size, || engine.engine_output());
}

#[test]
fn a_command_in_a_container_is_piped_and_gives_its_exit_code() {
    if !docker::is_there() {
        return;
    }
    let foreign = Foreign::run("piped", &["-v", "/data"]);
    let engine = Engine::start();
    let state = engine.state().to_str().expect("text");
    let exec = |command: &[&str], input: &str| {
        let mut child = Command::new(binary())
            .args(["--state", state, "container", "exec", &foreign.0, "--"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("its input is taken");
        let ran = child.wait_with_output().expect("its end");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (ran.status.code(), text(ran.stdout), text(ran.stderr))
    };
    let (code, out, err) = exec(&["sh", "-c", "cat; echo seen >&2; exit 7"], "hello\n");
    assert_eq!((code, out.as_str(), err.as_str()), (Some(7), "hello\n", "seen\n"));
    let (code, out, err) = exec(&["no-such-program"], "");
    assert!(matches!(code, Some(126 | 127)), "{code:?} {out} {err}");
    ask(&["stop", "-t", "1", &foreign.0]);
    until("it is seen to have ended", seconds(10), || engine.cli(&["containers"]).stdout.contains("exited"));
    let refused = engine.cli(&["container", "exec", &foreign.0]);
    assert!(refused.code == Some(1) && refused.stderr.contains("container start"), "{refused}");
}

#[test]
fn a_key_opens_a_shell_in_a_container_and_its_end_comes_back_to_the_console() {
    if !docker::is_there() {
        return;
    }
    let foreign = Foreign::run("shelled", &["-v", "/data"]);
    let engine = Engine::start();
    until("the container is seen", seconds(20), || engine.cli(&["containers"]).stdout.contains(&foreign.0));
    let mut terminal = Terminal::start(100, 30, &["--state", engine.state().to_str().expect("text")]);
    terminal.await_text("2 Apps");
    terminal.keys("5");
    terminal.await_text(&foreign.0);
    terminal.keys(&format!("/{}\r", foreign.0));
    terminal.keys("s");
    terminal.await_text("a shell in");
    terminal.await_text("/ #");
    terminal.keys("echo $((6*7)) of $(stty size) end\r");
    terminal.await_text("42 of 30 100 end");
    terminal.resize(90, 25);
    let size_is_told = || {
        terminal.keys("echo now $(stty size) end\r");
        terminal.text().contains("now 25 90 end").then_some(())
    };
    until_some("the size is that of the terminal", seconds(10), size_is_told, String::new);
    // An interrupt is the shell's, not the console's.
    terminal.keys("echo $((40+3)) begun; sleep 1000\r");
    terminal.await_text("43 begun");
    terminal.keys("\x03");
    terminal.keys("exit 3\r");
    terminal.await_text("it ended with 3");
    terminal.await_text("2 Apps");
    terminal.keys("q");
    until("the terminal is given back", seconds(5), || {
        let is_restored = terminal.is_restored();
        if !is_restored {
            terminal.keys("q");
        }
        is_restored
    });
}

#[test]
fn the_log_of_a_foreign_container_needs_no_docker_command() {
    if !docker::is_there() {
        return;
    }
    let name = format!("talks-{}", std::process::id());
    let script = r"printf 'one\n\033[2Jtwo\n'; echo three >&2; sleep 2; echo four";
    ask(&["run", "-d", "--name", &name, BUSYBOX, "sh", "-c", script]);
    let foreign = Foreign(name);
    let engine = Engine::start();
    let state = engine.state().to_str().expect("text");
    let logs = |more: &[&str]| {
        let ran = Command::new(binary())
            .args(["--state", state, "container", "logs", &foreign.0])
            .args(more)
            // No program at all is found there.
            .env("PATH", engine.home())
            .output()
            .expect("the binary runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    // Followed until it ends.
    let text = logs(&["--follow"]);
    let ends: Vec<&str> = text.lines().map(|line| line.rsplit(' ').next().unwrap_or_default()).collect();
    assert_eq!(ends.len(), 4, "{text}");
    assert!(["one", "two", "three", "four"].iter().all(|word| ends.contains(word)), "{text}");
    assert!(!text.contains('\u{1b}'), "no escape of it reaches the terminal: {text:?}");
    let text = logs(&["--tail", "1", "--json"]);
    let record: serde_json::Value = serde_json::from_str(text.trim()).expect("one record");
    assert_eq!(
        (&record["line"], &record["stream"], &record["container"]),
        (&"four".into(), &"out".into(), &foreign.0.as_str().into())
    );
    assert!(record["time"].is_string());
}
