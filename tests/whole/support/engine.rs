//! An engine of a test's own, in a short temporary folder; nothing of it outlives the test.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    app::{App, binary},
    http::{self, Answer, Poll},
    processes,
    wait::{seconds, until, until_some},
};

/// Longest time that a command may take before it counts as hung.
const COMMAND: Duration = Duration::from_secs(120);

/// An engine and the folder of its test.
pub struct Engine {
    home: tempfile::TempDir,
    /// In `home`, so that a test's own commands, which carry it too, can be told from the engine's processes.
    state: PathBuf,
    child: Option<Child>,
    environment: Vec<(String, String)>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub arguments: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// A command that goes on.
pub struct Running {
    child: Child,
    arguments: String,
    out: PathBuf,
    err: PathBuf,
    from: Instant,
}

impl Engine {
    /// A folder without an engine yet.
    pub fn absent() -> Self {
        let home = tempfile::Builder::new().prefix("ph-").tempdir_in("/tmp").expect("a temporary folder");
        let state = home.path().join("s");
        Self { home, state, child: None, environment: Vec::new() }
    }

    /// A running engine.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A running engine with more environment.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let mut engine = Self::absent();
        engine.set(environment);
        engine.run_engine();
        engine
    }

    /// Environment of the engine from its next start on.
    pub fn set(&mut self, environment: &[(&str, &str)]) {
        self.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Starts the engine and waits until it answers.
    pub fn run_engine(&mut self) {
        self.spawn_engine();
        self.await_engine();
    }

    /// Starts the engine without waiting.
    pub fn spawn_engine(&mut self) {
        assert!(self.child.is_none(), "an engine of this test runs already");
        let log = File::options().create(true).append(true).open(self.home().join("engine.out")).expect("a log file");
        let errors = log.try_clone().expect("a second handle");
        let mut command = self.command(&["engine", "run"]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdout(log).stderr(errors);
        self.child = Some(command.spawn().expect("the binary runs"));
    }

    pub fn await_engine(&mut self) {
        let from = Instant::now();
        loop {
            if self.cli(&["engine", "status"]).code == Some(0) {
                return;
            }
            if let Some(status) = self.ended() {
                panic!("the engine ended with {status} at its start\n{}", self.engine_output());
            }
            assert!(from.elapsed() < seconds(20), "the engine does not answer within 20 s\n{}", self.engine_output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the engine answers now.
    pub fn answers(&self) -> bool {
        self.snapshot().is_object()
    }

    /// How the engine ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("a child can be waited for");
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// SIGKILL to the engine alone: keepers, apps and edge go on.
    pub fn kill_engine(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the engine can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Ends the engine as an operator does: keepers, apps and edge go on.
    pub fn stop_engine(&mut self) {
        self.end_engine(&["engine", "stop"]);
    }

    /// Ends the engine and all that it runs.
    pub fn stop_everything(&mut self) {
        self.end_engine(&["engine", "stop", "--everything"]);
    }

    fn end_engine(&mut self, arguments: &[&str]) {
        let ran = self.cli(arguments);
        assert_eq!(ran.code, Some(0), "{ran}");
        let status = self.child.take().expect("an engine of this test").wait().expect("a child can be waited for");
        assert!(status.success(), "the engine ended with {status}\n{}", self.engine_output());
    }

    /// Every process of the state folder is gone at once, as when the machine loses power.
    pub fn power_off(&mut self) {
        self.kill_engine();
        processes::end_all(self.state());
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("the engine runs").id().cast_signed()
    }

    /// What engine and keepers wrote, for messages of failed tests.
    pub fn engine_output(&self) -> String {
        let tail = |path: PathBuf| {
            let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            format!("--- {}\n{last}\n", path.display())
        };
        tail(self.home().join("engine.out")) + &tail(self.state().join("engine.log"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PILOTHOUSE_")) {
            command.env_remove(name);
        }
        command.args(["--state", self.state().to_str().expect("text")]).args(arguments);
        command.env("NO_COLOR", "1").current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// Begins a command.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        let folder = tempfile::Builder::new().prefix("out-").tempdir_in(self.home()).expect("a folder").keep();
        let (out, err) = (folder.join("out"), folder.join("err"));
        let mut command = self.command(arguments);
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("the binary runs");
        Running { child, arguments: arguments.join(" "), out, err, from: Instant::now() }
    }

    /// Runs a command to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        self.begin(arguments).end()
    }

    /// Runs a command with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Ran {
        self.cli(&[&["--json"], arguments].concat())
    }

    /// Deploys an app's folder.
    pub fn deploy(&self, app: &App) -> Ran {
        self.json(&["deploy", app.path()])
    }

    /// Deploys and wants it live.
    pub fn deploy_live(&self, app: &App) -> Value {
        self.live(self.deploy(app))
    }

    /// Wants a deployment to have ended live with exit code 0; gives its document.
    pub fn live(&self, ran: Ran) -> Value {
        let document = ran.document();
        let live = ran.code == Some(0) && document["state"] == "live";
        assert!(live, "not live: {ran}\n{}", self.engine_output());
        document
    }

    /// Wants a deployment to have ended in `state` with exit code 1, with a cause and a next step; gives its document.
    pub fn not_live(&self, ran: Ran, state: &str) -> Value {
        let document = ran.document();
        let told = |field: &str| document[field].as_str().is_some_and(|text| !text.is_empty()) || document[field].is_object();
        let as_wanted = ran.code == Some(1) && document["state"] == state && told("cause") && told("next");
        assert!(as_wanted, "not {state} with exit code 1, cause and next step: {ran}\n{}", self.engine_output());
        document
    }

    /// `status APP --json`.
    pub fn status(&self, app: &str) -> Value {
        let ran = self.json(&["status", app]);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.document()
    }

    /// The whole fleet as the engine's API tells it: `GET /v1/snapshot`.
    pub fn snapshot(&self) -> Value {
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.state().join("engine.sock"))?;
            stream.set_read_timeout(Some(seconds(10)))?;
            stream.write_all(b"GET /v1/snapshot HTTP/1.0\r\nHost: pilothouse\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let body = |text: String| text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        // An engine that is just being killed or started gives nothing.
        ask().ok().and_then(body).and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    /// The number of the release that serves, if one does.
    pub fn serving(&self, app: &str) -> Option<u64> {
        self.status(app)["serving"]["release"].as_u64()
    }

    /// The public address of an app.
    pub fn url(&self, app: &str) -> String {
        self.status(app)["url"].as_str().unwrap_or_else(|| panic!("{app} has a URL")).to_owned()
    }

    /// `GET` of a path of an app through the edge.
    pub fn get(&self, app: &str, path: &str) -> Answer {
        let url = self.url(app) + path;
        http::get(&url).unwrap_or_else(|error| panic!("GET {url}: {error}\n{}", self.engine_output()))
    }

    /// What the sample says it is: `v1`, `v2`.
    pub fn version(&self, app: &str) -> String {
        let answer = self.get(app, "/version");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["version"].as_str().expect("the sample says its version").to_owned()
    }

    /// Asks `/version` of an app again and again.
    pub fn poll(&self, app: &str) -> Poll {
        Poll::start(&(self.url(app) + "/version"))
    }

    /// Waits until an app's status is as wanted.
    pub fn await_status(&self, app: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until_some(
            what,
            seconds(30),
            || Some(self.status(app)).filter(&wanted),
            || format!("{:#}\n{}", self.status(app), self.engine_output()),
        )
    }

    /// Commands of the processes that run instances or keepers now.
    pub fn processes(&self) -> Vec<processes::Found> {
        processes::of(self.state())
    }

    /// Wants nothing of an app to be there: no process, no file, no answer.
    pub fn leaves_nothing_of(&self, app: &str) {
        let name = format!("{app}-");
        let own = |found: &processes::Found| found.command.contains(&format!("keepers/{name}"));
        until(&format!("no keeper of {app} runs"), seconds(15), || !self.processes().iter().any(own));
        for folder in ["releases", "cache", "scratch"] {
            let path = self.state().join(folder).join(app);
            until(&format!("{} is gone", path.display()), seconds(10), || !path.exists());
        }
        let keepers = fs::read_dir(self.state().join("keepers")).map(|entries| {
            entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|entry| entry.starts_with(&name))
                .count()
        });
        assert_eq!(keepers.unwrap_or(0), 0, "folders of keepers of {app} are left");
    }

    /// Wants no scratch of builds to be left.
    pub fn has_no_scratch(&self) {
        let scratch = self.state().join("scratch");
        let left = || fs::read_dir(&scratch).map_or(0, Iterator::count);
        until("the scratch folder is empty", seconds(5), || left() == 0);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill_engine();
        processes::end_all(self.home.path());
        if std::thread::panicking() && std::env::var_os("KEEP_STATE").is_some() {
            self.home.disable_cleanup(true);
            eprintln!("kept: {}", self.home.path().display());
        }
    }
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// What it has printed so far.
    pub fn so_far(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it has said on standard error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if self.from.elapsed() > COMMAND {
                self.child.kill().expect("a child can be killed");
                self.child.wait().expect("a child can be waited for");
                panic!("`pilothouse {}` did not end in {COMMAND:?}\n{}\n{}", self.arguments, self.so_far(), self.said());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = self.from.elapsed();
        let lossy = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        Ran { arguments: self.arguments, code: status.code(), stdout: lossy(&self.out), stderr: lossy(&self.err), took }
    }
}

impl Ran {
    /// The one document on standard output.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("standard output is not one document ({error}): {self}"))
    }

    /// Everything that a person reads.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, code, stdout, stderr, took } = self;
        write!(f, "`pilothouse {arguments}` ended with {code:?} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
