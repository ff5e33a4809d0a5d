//! The kill matrix: the engine is killed at every point that the journal of an uninterrupted run names, and each append
//! fails once stored and once not stored. Every run ends as the uninterrupted one, with no manual step.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    os::unix::process::ExitStatusExt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    app::App,
    docker,
    engine::Engine,
    processes,
    wait::{seconds, until_some},
};

/// Only faults that hold what this variable says; for a look at one of them.
const ONLY: &str = "FAULTS";
/// How often the engines look at what runs; the fleet is at rest when it stayed the same over several looks of theirs.
const OBSERVED: &str = "400ms";
const REST: Duration = Duration::from_millis(1200);
/// Runs that go on at once: one per core of a small machine.
const AT_ONCE: usize = 2;

/// What is left to see when a story is over: all that a person could tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    /// (deployment, phase)
    deployments: BTreeMap<String, String>,
    asked: Value,
    serving: Value,
    running: Value,
    /// (instance, state, wanted)
    instances: BTreeSet<(String, String, bool)>,
    /// What the public address answers.
    version: String,
    /// Processes by role: how many keepers, samples and edges.
    processes: BTreeMap<String, usize>,
    releases: usize,
    scratch: usize,
    /// Containers of this engine that run, by Docker's own word.
    containers: usize,
}

/// One command of a story.
type Deed = fn(&Engine) -> Vec<String>;

/// A deployment over nothing, one over it, a return, another number of instances, a restart, the end and the new start.
const STORY: &[(&str, Deed)] = &[
    ("deploy v1", |engine| deploy(engine, "v1")),
    ("deploy v2", |engine| deploy(engine, "v2")),
    ("rollback", |_| words("rollback shop")),
    ("scale", |_| words("scale shop 2")),
    ("restart", |_| words("restart shop")),
    ("stop", |_| words("stop shop")),
    ("start", |_| words("start shop")),
];

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn deploy(engine: &Engine, version: &str) -> Vec<String> {
    let app = App::sample(engine.home(), "shop").version(version).build("echo building > built").write();
    words(&format!("deploy {}", app.path()))
}

/// Does the story; an engine that dies is started again, without its fault.
fn tell(environment: &[(&str, &str)], story: &[(&str, Deed)]) -> Result<(End, Told), String> {
    let mut engine = Engine::absent();
    let observed = [("PILOTHOUSE_ENGINE_SAMPLE_EVERY", OBSERVED)];
    engine.set(&[environment, &observed].concat());
    engine.spawn_engine();
    let mut told = Told::default();
    revive_or_await(&mut engine, &mut told);
    for (number, (deed, arguments)) in story.iter().enumerate() {
        let arguments = arguments(&engine);
        let arguments: Vec<&str> = [&["--json"], arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat();
        let mut command = engine.begin(&arguments);
        let from = Instant::now();
        let known = loop {
            revive(&mut engine, &mut told);
            let known = deployments(&engine);
            if command.runs() {
                // It follows its deployment.
            } else if known.len() > number && known.values().all(|phase| is_over(phase)) {
                break known;
            } else if known.len() == number && engine.answers() {
                // It was not accepted before the engine died.
                command = engine.begin(&arguments);
            }
            if from.elapsed() > seconds(60) {
                return Err(format!("{deed} does not end: {known:?}\n{}\n{}", command.said(), engine.engine_output()));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if known.len() != number + 1 {
            return Err(format!("{deed}: {known:?}"));
        }
        // The next deed begins when the upkeep after this one is done: else its steps depend on luck.
        while !is_at_rest(&engine) {
            if engine.ended().is_some() {
                told.deaths += 1;
                engine.set(&[]);
                engine.run_engine();
            }
            if from.elapsed() > seconds(60) {
                return Err(format!("{deed}: no rest\n{}", engine.engine_output()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // Killed after the last outcome that anybody waits for: what follows is the engine's own upkeep.
    revive(&mut engine, &mut told);
    let mut end = end(&engine);
    if revive(&mut engine, &mut told) {
        end = self::end(&engine);
    }
    told.journal = journal(&engine);
    if end.containers > 0 {
        // What keeps processes ends with their engine; what keeps containers does not.
        engine.cli(&["--yes", "remove", "shop"]);
    }
    Ok((end, told))
}

/// Starts a killed engine again, without its fault.
fn revive(engine: &mut Engine, told: &mut Told) -> bool {
    let Some(status) = engine.ended() else { return false };
    // Any other end is that of one too many: a command that found none has started one before this.
    told.deaths += usize::from(status.signal() == Some(9));
    engine.set(&[]);
    if !engine.answers() {
        engine.run_engine();
    }
    true
}

/// Waits until the engine answers; one that dies at its start is started again.
fn revive_or_await(engine: &mut Engine, told: &mut Told) {
    until_some(
        "the engine answers",
        seconds(20),
        || {
            revive(engine, told);
            (engine.cli(&["engine", "status"]).code == Some(0)).then_some(())
        },
        || "it does not".to_owned(),
    );
}

/// What happened besides.
#[derive(Default)]
struct Told {
    deaths: usize,
    /// (kind, key) of each record with a key, in order, and the number of all records.
    journal: (Vec<(String, String)>, usize),
}

fn deployments(engine: &Engine) -> BTreeMap<String, String> {
    let fleet = engine.snapshot();
    let list = fleet["deployments"].as_object().cloned().unwrap_or_default();
    list.into_iter().map(|(id, deployment)| (id, deployment["phase"].as_str().unwrap_or_default().to_owned())).collect()
}

/// Whether every instance serves or is kept warm.
fn is_at_rest(engine: &Engine) -> bool {
    let fleet = engine.snapshot();
    let app = &fleet["apps"]["shop"];
    let (pool, warm) = (&app["pool"], &app["warm"][0]);
    fleet["instances"].as_object().is_some_and(|instances| {
        instances.iter().all(|(id, one)| {
            let is_pooled = pool.as_array().is_some_and(|pool| pool.iter().any(|pooled| pooled == id.as_str()));
            is_pooled || (!warm.is_null() && one["release"] == *warm && one["wanted"] == true)
        })
    })
}

fn is_over(phase: &str) -> bool {
    ["live", "done", "failed", "cancelled", "reverted", "stuck", "superseded"].contains(&phase)
}

/// Looks until it stays the same: upkeep, such as ending what is no longer wanted, goes on after a deployment is over.
fn end(engine: &Engine) -> End {
    let mut last = None;
    let mut since = Instant::now();
    until_some(
        "the fleet comes to rest",
        seconds(60),
        || {
            let now = look(engine);
            if last.as_ref() != Some(&now) {
                since = Instant::now();
            }
            last = Some(now);
            (since.elapsed() >= REST).then(|| last.clone()).flatten()
        },
        || engine.engine_output(),
    )
}

fn look(engine: &Engine) -> End {
    let fleet = engine.snapshot();
    let status = engine.status("shop");
    let instances = fleet["instances"].as_object().cloned().unwrap_or_default();
    let has_containers = instances.values().any(|one| one["runtime"] == "docker");
    let instances = instances
        .into_iter()
        .map(|(id, one)| (id, one["state"].as_str().unwrap_or_default().to_owned(), one["wanted"].as_bool().unwrap_or_default()));
    let mut roles: BTreeMap<String, usize> = BTreeMap::new();
    for found in engine.processes() {
        let role = found.command.split(' ').nth(1).unwrap_or_default().to_owned();
        if ["keep", "edge", "sample"].contains(&role.as_str()) {
            *roles.entry(role).or_default() += 1;
        }
    }
    let entries = |folder: &str| std::fs::read_dir(engine.state().join(folder)).map_or(0, Iterator::count);
    let url = status["url"].as_str().unwrap_or_default();
    let answer = crate::support::http::get(&format!("{url}/version"));
    End {
        deployments: deployments(engine),
        asked: status["asked"].clone(),
        serving: status["serving"]["release"].clone(),
        running: status["running"].clone(),
        instances: instances.collect(),
        version: answer.map_or_else(|error| error.to_string(), |answer| answer.json()["version"].to_string()),
        processes: roles,
        releases: entries("releases/shop"),
        scratch: entries("scratch"),
        containers: if has_containers { docker::running(engine.state()).len() } else { 0 },
    }
}

/// (kind, key) of every record with a key, and how many records there are.
fn journal(engine: &Engine) -> (Vec<(String, String)>, usize) {
    let database = rusqlite::Connection::open(engine.state().join("journal.db")).expect("the journal is SQLite");
    let count: i64 = database.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).expect("a count");
    let mut select = database.prepare("SELECT kind, key FROM records WHERE key IS NOT NULL ORDER BY seq").expect("a query");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    (rows.map(|row| row.expect("a row")).collect(), usize::try_from(count).expect("a count"))
}

/// Tells the story once for each fault, some at once; panics with every run that ends otherwise than `wanted`.
fn each_ends_as(wanted: &End, story: &[(&str, Deed)], faults: &[(String, String)], kills: bool) {
    let only = std::env::var(ONLY).unwrap_or_default();
    let faults: Vec<_> = faults.iter().filter(|(_, value)| value.contains(&only)).collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(String::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, value)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = std::panic::catch_unwind(|| tell(&[(name.as_str(), value.as_str())], story));
                    // An instance that is seen late is started again, which finds it running: not every run comes by that point.
                    let must_die = kills && !value.starts_with("0/start/");
                    let why = match run {
                        Ok(Ok((end, told))) if end == *wanted && (told.deaths == 1 || !must_die) => continue,
                        Ok(Ok((end, told))) if end == *wanted => format!("the engine died {} times", told.deaths),
                        Ok(Ok((end, _))) => difference(wanted, &end),
                        Ok(Err(why)) => why,
                        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned()),
                    };
                    let mut wrong = wrong.lock().expect("nobody panics with the lock");
                    let _ = writeln!(wrong, "\n=== {name}={value}\n{why}");
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics with the lock");
    let number = wrong.matches("\n=== ").count();
    assert!(wrong.is_empty(), "{number} of {} runs end otherwise:\n{wrong}", faults.len());
}

fn difference(wanted: &End, got: &End) -> String {
    let lines = |end: &End| -> Vec<String> { format!("{end:#?}").lines().map(str::to_owned).collect() };
    let (wanted, got) = (lines(wanted), lines(got));
    let only = |a: &[String], b: &[String], sign: &str| -> String {
        a.iter().filter(|line| !b.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    only(&wanted, &got, "-") + &only(&got, &wanted, "+")
}

#[test]
fn an_engine_killed_anywhere_ends_as_if_it_had_not_been() {
    let (wanted, told) = tell(&[], STORY).unwrap_or_else(|why| panic!("the uninterrupted run: {why}"));
    assert_eq!((told.deaths, wanted.version.as_str()), (0, "\"v1\""), "{wanted:#?}");
    let keys = told.journal.0;
    assert!(keys.len() > 20, "every effect is journaled: {keys:?}");
    each_ends_as(&wanted, STORY, &kills(keys), true);
}

/// The same for containers: a deployment over nothing, and one over it.
const IN_CONTAINERS: &[(&str, Deed)] = &[
    ("deploy v1", |_| words("deploy --image pilothouse-test/version:v1 --name shop")),
    ("deploy v2", |_| words("deploy --image pilothouse-test/version:v2 --name shop")),
];

/// An image whose `/version` names it, ended by its first signal.
fn make_image(version: &str) {
    let serve = r#"["sh","-c","trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"]"#;
    let page = format!(r#"RUN echo '{{"version":"{version}"}}' > /www/version"#);
    let lines = format!("FROM {}\n{page}\nRUN echo {version} > /www/index.html\nEXPOSE 80\nCMD {serve}\n", docker::BUSYBOX);
    docker::build(&format!("pilothouse-test/version:{version}"), &lines);
}

#[test]
fn containers_of_an_engine_killed_anywhere_are_as_if_it_had_not_been() {
    if !docker::is_there() {
        return;
    }
    make_image("v1");
    make_image("v2");
    let (wanted, told) = tell(&[], IN_CONTAINERS).unwrap_or_else(|why| panic!("the uninterrupted run: {why}"));
    assert_eq!((told.deaths, wanted.version.as_str(), wanted.containers), (0, "\"v2\"", 2), "{wanted:#?}");
    each_ends_as(&wanted, IN_CONTAINERS, &kills(told.journal.0), true);
}

/// A kill between intent and effect, and between effect and outcome, of every record.
fn kills(keys: Vec<(String, String)>) -> Vec<(String, String)> {
    let at = |(kind, key)| format!("{key}:{}", if kind == "intent" { "after-intent" } else { "before-outcome" });
    let faults: BTreeSet<String> = keys.into_iter().map(at).collect();
    eprintln!("{} points", faults.len());
    faults.into_iter().map(|at| ("PILOTHOUSE_DIE_AT".to_owned(), at)).collect()
}

/// On a fixed port: a release, one that fails in its place, one that takes its place.
const FIXED_PORT: &[(&str, Deed)] = &[
    ("deploy v1", |engine| deploy_fixed(engine, "v1", false)),
    ("deploy broken", |engine| deploy_fixed(engine, "v2", true)),
    ("deploy v3", |engine| deploy_fixed(engine, "v3", false)),
];

fn deploy_fixed(engine: &Engine, version: &str, is_broken: bool) -> Vec<String> {
    let known = engine.home().join("port");
    let port = std::fs::read_to_string(&known).ok().and_then(|port| port.parse().ok()).unwrap_or_else(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        std::fs::write(&known, port.to_string()).expect("a file");
        port
    });
    let app = App::sample(engine.home(), "shop").version(version).ready_within("2s");
    let mut app = if is_broken { app.env("SAMPLE_UNHEALTHY", "1") } else { app };
    app.port = Some(port);
    words(&format!("deploy {}", app.write().path()))
}

#[test]
fn an_engine_killed_while_a_fixed_port_changes_hands_ends_as_if_it_had_not_been() {
    let (wanted, told) = tell(&[], FIXED_PORT).unwrap_or_else(|why| panic!("the uninterrupted run: {why}"));
    assert_eq!((told.deaths, wanted.version.as_str()), (0, "\"v3\""), "{wanted:#?}");
    // The other steps are as in the story of all.
    let is_new = |key: &str| ["/halt/", "undo/", "/start/", "/retire/"].iter().any(|step| key.contains(step));
    let faults = kills(told.journal.0.into_iter().filter(|(_, key)| !key.starts_with("1/") && is_new(key)).collect());
    let has = |step: &str| faults.iter().any(|(_, at)| at.contains(step));
    assert!(has("/halt/") && has("undo/halt/"), "{faults:?}");
    each_ends_as(&wanted, FIXED_PORT, &faults, true);
}

#[test]
fn an_append_that_fails_stored_or_lost_changes_nothing() {
    let story = &STORY[..3];
    let (wanted, told) = tell(&[], story).unwrap_or_else(|why| panic!("the uninterrupted run: {why}"));
    let appends = told.journal.1;
    let faults: Vec<(String, String)> = (1..=appends)
        .flat_map(|number| ["stored", "lost"].map(|how| ("PILOTHOUSE_JOURNAL_FAULT".to_owned(), format!("{number}:{how}"))))
        .collect();
    println!("{} faults", faults.len());
    each_ends_as(&wanted, story, &faults, false);
}

#[test]
fn nothing_of_a_story_outlives_its_engine() {
    let engine = Engine::start();
    let folder = engine.state().to_owned();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    drop(engine);
    assert_eq!(processes::of(&folder), Vec::new());
}
