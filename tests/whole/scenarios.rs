//! The pages of `tests/scenarios/`, done line by line. Its README says what a line may be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    docker,
    engine::Engine,
    git::{self, Repository},
    http::{self, Poll},
    postgres::Postgres,
    processes,
    wait::{has, is_installed, seconds, until_some},
};

#[test]
fn a_site_built_by_vite() {
    tell("site", STATIC);
}

#[test]
fn a_site_in_containers() {
    let flags = "--dockerfile Dockerfile --env NODE_IMAGE={image.node} --env SERVER_IMAGE={image.busybox}";
    tell("site", &In { images: &["node"], flags, ..CONTAINERS });
}

#[test]
fn a_small_social_network() {
    tell("tweet", PROCESSES);
}

#[test]
fn a_small_social_network_in_containers() {
    tell("social", &In { images: &["node", "postgres"], flags: "", ..CONTAINERS });
}

#[test]
fn a_python_service() {
    tell("words", PROCESSES);
}

#[test]
fn a_python_service_in_containers() {
    tell("words", &In { images: &["python"], ..CONTAINERS });
}

#[test]
fn a_rust_service() {
    tell("ferry", PROCESSES);
}

#[test]
fn a_php_page() {
    tell("moon", PROCESSES);
}

#[test]
fn a_php_page_in_containers() {
    tell("moon", &In { images: &["php"], ..CONTAINERS });
}

#[test]
fn a_procfile() {
    tell("queue", PROCESSES);
}

#[test]
fn a_procfile_in_containers() {
    tell("queue", &In { images: &["python"], ..CONTAINERS });
}

#[test]
fn a_plain_folder() {
    tell("leaflet", STATIC);
}

/// What a page's apps run in.
struct In {
    runtime: &'static str,
    /// Base images that its builds begin with.
    images: &'static [&'static str],
    /// What each `deploy` of the page says besides.
    flags: &'static str,
}

const STATIC: &In = &In { runtime: "static", images: &[], flags: "" };
const PROCESSES: &In = &In { runtime: "process", ..*STATIC };
const CONTAINERS: In = In { runtime: "container", flags: "--runtime docker", ..*STATIC };

#[test]
fn every_page_is_told() {
    let own = include_str!("scenarios.rs");
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let page = name.trim_end_matches(".md");
        assert!(page == "README" || own.contains(&format!("tell(\"{page}\",")), "{name} has no test");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// One thing that is done, and what it is to give.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    does: String,
    gives: Vec<String>,
}

fn tell(page: &str, within: &In) {
    let file = folder().join(format!("{page}.md"));
    let text = fs::read_to_string(&file).expect("the page is there");
    let mut told = Told::of(within.runtime, page);
    if within.runtime == "container" && !docker::is_there() {
        return told.end("skipped");
    }
    let mut story = Story::new(page, within);
    for step in steps(&text) {
        let from = Instant::now();
        let done = story.act(&step);
        eprintln!("{page}.md:{}: {:.1} s", step.line, from.elapsed().as_secs_f64());
        match done {
            Ok(true) => {}
            Ok(false) => return told.end("skipped"),
            Err(why) => panic!("{page}.md:{}: `{}`: {why}\n{}", step.line, step.does, story.engine.engine_output()),
        }
    }
    told.end("passed");
}

/// A line of the table that `tests/run` prints at its end: runtime, page, what came of it, seconds.
struct Told {
    file: PathBuf,
    what: String,
    from: Instant,
    came_of_it: &'static str,
}

impl Told {
    fn of(runtime: &str, page: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/told");
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{page}.{runtime}"));
        Self { file, what: format!("{runtime} {page}"), from: Instant::now(), came_of_it: "failed" }
    }

    fn end(&mut self, came_of_it: &'static str) {
        self.came_of_it = came_of_it;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = fs::write(&self.file, format!("{} {} {}\n", self.what, self.came_of_it, self.from.elapsed().as_secs()));
    }
}

/// The lines of the fenced blocks, each with the indented lines below it.
fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut inside): (Vec<Step>, bool) = (Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && line.starts_with("  ") {
            steps.last_mut().expect("an indented line follows another").gives.push(line.trim().to_owned());
        } else if inside && !line.trim().is_empty() {
            steps.push(Step { line: index + 1, does: line.to_owned(), gives: Vec::new() });
        }
    }
    steps
}

/// What is known while a page is told.
struct Story {
    engine: Engine,
    in_containers: bool,
    /// What each `deploy` says besides.
    flags: String,
    postgres: Option<Postgres>,
    repositories: BTreeMap<String, Repository>,
    words: BTreeMap<String, String>,
    headers: Vec<(String, String)>,
    polls: Vec<(String, Poll)>,
    boots: u32,
    patient: bool,
}

/// What a line gave: an exit code or status, a text, and the document in it.
struct Gave {
    number: i64,
    text: String,
}

impl Story {
    fn new(page: &str, within: &In) -> Self {
        let mut words = BTreeMap::from([("page".to_owned(), page.to_owned())]);
        words.insert("image.busybox".to_owned(), docker::BUSYBOX.to_owned());
        for name in within.images {
            words.insert(format!("image.{name}"), docker::image(name));
        }
        let engine = Engine::with(&environment(0).each_ref().map(|(name, value)| (*name, value.as_str())));
        words.insert("port".to_owned(), edge_port(&engine));
        Self {
            engine,
            in_containers: within.runtime == "container",
            flags: within.flags.to_owned(),
            postgres: None,
            repositories: BTreeMap::new(),
            words,
            headers: Vec::new(),
            polls: Vec::new(),
            boots: 0,
            patient: false,
        }
    }

    /// Does a step; false when the page cannot be told here.
    fn act(&mut self, step: &Step) -> Result<bool, String> {
        let line = self.fill(&step.does);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "needs" => return Ok(rest.split(' ').all(|peer| self.has(peer))),
            "repository" => self.repository(rest),
            "commit" => self.commit(rest)?,
            "with" => {
                let (name, value) = rest.split_once(": ").ok_or("a header is `NAME: VALUE`")?;
                self.headers.push((name.to_owned(), value.to_owned()));
            }
            "meanwhile" => {
                let url = rest.trim_start_matches("GET ").to_owned();
                self.polls.push((url.clone(), Poll::start(&url)));
            }
            "all" => self.end_polls()?,
            "soon" => self.patient = true,
            "kill" if rest == "engine" => self.engine.kill_engine(),
            "kill" if rest == "edge" => self.kill_edge()?,
            "start" if rest == "engine" => self.engine.run_engine(),
            "reboot" => self.reboot(),
            _ => self.ask(&line, &step.gives)?,
        }
        Ok(true)
    }

    /// Runs a command or request until it gives what is said: once, or with patience for a while.
    fn ask(&mut self, line: &str, gives: &[String]) -> Result<(), String> {
        let headers = std::mem::take(&mut self.headers);
        let patient = std::mem::take(&mut self.patient);
        let gives: Vec<String> = gives.iter().map(|give| self.fill(give)).collect();
        let from = Instant::now();
        loop {
            let gave = self.run(line, &headers);
            let met = gave.and_then(|gave| self.check(&gave, line, &gives));
            if met.is_ok() || !patient || from.elapsed() > seconds(30) {
                return met;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    fn run(&self, line: &str, headers: &[(String, String)]) -> Result<Gave, String> {
        let mut parts = line.splitn(3, ' ');
        if let Some(method @ ("GET" | "POST")) = parts.next() {
            let url = parts.next().ok_or("a request has a URL")?;
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer = http::request(method, url, &headers, parts.next().unwrap_or_default());
            let answer = answer.map_err(|error| error.to_string())?;
            return Ok(Gave { number: i64::from(answer.status), text: answer.body });
        }
        let flags = if line.starts_with("deploy ") { self.fill(&self.flags) } else { String::new() };
        let ran = self.engine.json(&line.split(' ').chain(flags.split_whitespace()).collect::<Vec<_>>());
        let number = ran.code.map_or(-1, i64::from);
        let text = if number == 0 || ran.stdout.starts_with('{') { ran.stdout.clone() } else { ran.to_string() };
        Ok(Gave { number, text })
    }

    fn check(&mut self, gave: &Gave, line: &str, gives: &[String]) -> Result<(), String> {
        let usual = if line.starts_with("GET ") || line.starts_with("POST ") { 200 } else { 0 };
        let number = gives.iter().find_map(|give| give.trim_start_matches("exit ").parse().ok()).unwrap_or(usual);
        if gave.number != number {
            return Err(format!("gave {} instead of {number}: {}", gave.number, gave.text));
        }
        for give in gives {
            if let Some(text) = give.strip_prefix("holds ") {
                if !gave.text.contains(text) {
                    return Err(format!("does not hold `{text}`: {}", gave.text));
                }
            } else if let Some((path, wanted)) = give.split_once(" = ") {
                let document: Value = serde_json::from_str(&gave.text).map_err(|error| format!("{error}: {}", gave.text))?;
                if let Some(word) = path.strip_prefix("keep ") {
                    let found = field(&document, wanted);
                    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                    self.words.insert(word.to_owned(), text);
                } else {
                    let wanted: Value = serde_json::from_str(wanted).map_err(|error| format!("`{wanted}`: {error}"))?;
                    if field(&document, path) != wanted {
                        return Err(format!("{path} is {} instead of {wanted}: {document:#}", field(&document, path)));
                    }
                }
            }
        }
        Ok(())
    }

    fn has(&mut self, peer: &str) -> bool {
        if peer != "postgres" {
            return has(peer, &format!("apt-get install {peer}"), is_installed(peer));
        }
        self.postgres = Postgres::start();
        if let Some(server) = &self.postgres {
            self.words.insert("database".to_owned(), server.url());
        }
        self.postgres.is_some()
    }

    fn repository(&mut self, rest: &str) {
        let (name, system) = rest.split_once(" from ").expect("repository NAME from SYSTEM");
        let repository = Repository::from(self.engine.home().join("git").join(name), &git::system(system));
        self.words.insert(name.to_owned(), repository.url());
        self.words.insert(format!("{name}.folder"), repository.folder().display().to_string());
        self.repositories.insert(name.to_owned(), repository);
    }

    /// `NAME FILE: OLD => NEW`
    fn commit(&mut self, rest: &str) -> Result<(), String> {
        let (place, change) = rest.split_once(": ").ok_or("commit NAME FILE: OLD => NEW")?;
        let (name, file) = place.split_once(' ').ok_or("commit NAME FILE: OLD => NEW")?;
        let (old, new) = change.split_once(" => ").ok_or("commit NAME FILE: OLD => NEW")?;
        let repository = self.repositories.get(name).ok_or("no such repository")?;
        let path = repository.folder().join(file);
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        if !text.contains(old) {
            return Err(format!("{file} does not hold `{old}`"));
        }
        let commit = repository.commit(change, &[(file, &text.replace(old, new))]);
        self.words.insert("commit".to_owned(), commit);
        Ok(())
    }

    fn end_polls(&mut self) -> Result<(), String> {
        for (url, poll) in std::mem::take(&mut self.polls) {
            let seen = poll.stop();
            if !seen.bad.is_empty() || seen.answers() == 0 {
                return Err(format!("{url}: {} answered, {} failed: {:?}", seen.answers(), seen.bad.len(), seen.bad));
            }
        }
        Ok(())
    }

    fn kill_edge(&mut self) -> Result<(), String> {
        let found = self.engine.processes();
        let edge = found.iter().find(|found| found.command.split(' ').nth(1) == Some("edge")).ok_or("no edge runs")?;
        processes::signal(edge.pid, Signal::KILL);
        Ok(())
    }

    fn reboot(&mut self) {
        self.engine.power_off();
        if self.in_containers {
            docker::power_off(self.engine.state());
        }
        self.boots += 1;
        self.engine.set(&environment(self.boots).each_ref().map(|(name, value)| (*name, value.as_str())));
        self.engine.run_engine();
        self.words.insert("port".to_owned(), edge_port(&self.engine));
    }

    fn fill(&self, line: &str) -> String {
        self.words.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("{{{name}}}"), value))
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.in_containers {
            // Else it would start again what is removed.
            self.engine.kill_engine();
            docker::forget(self.engine.state());
        }
    }
}

/// Environment of the engine after so many boots; images of languages are the tests' own.
fn environment(boots: u32) -> [(&'static str, String); 2] {
    let images = ["node", "php", "python"].map(|name| format!("{name}=pilothouse-test/{name}:1"));
    [("PILOTHOUSE_BOOT_ID", format!("boot-{boots}")), ("PILOTHOUSE_DOCKER_BASE_IMAGES", images.join(","))]
}

/// The port of the edge's first plain listener.
fn edge_port(engine: &Engine) -> String {
    let address = until_some(
        "the edge tells its address",
        seconds(20),
        || engine.json(&["engine", "status"]).document()["edge"]["http"][0].as_str().map(str::to_owned),
        || engine.engine_output(),
    );
    address.rsplit(':').next().expect("a port").trim_end_matches('/').to_owned()
}

/// `running.0.instances` of a document; null when it is not there.
fn field(document: &Value, path: &str) -> Value {
    let mut at = document;
    for part in path.split('.') {
        at = match part.parse::<usize>() {
            Ok(index) => &at[index],
            Err(_) => &at[part],
        };
    }
    at.clone()
}
