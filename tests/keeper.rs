//! The keeper as the real binary: what becomes of a program, its tree, its output and its limits.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod kept;

use std::{os::unix::fs::PermissionsExt, time::Duration};

use kept::{World, eventually, labels};
use pilothouse::{
    keep::{
        Program, Restart, Spec,
        process::{self, Process},
    },
    model::{
        instance::InstanceState,
        units::{Bytes, Millis},
    },
    runtimes::keepers,
};
use rustix::process::Signal;

fn once(spec: Spec) -> Spec {
    Spec { restart: Restart::Never, ..spec }
}

/// Processes that carry the mark of this keeper.
fn marked(world: &World, name: &str) -> Vec<u32> {
    let mark = format!("PILOTHOUSE_KEEPER={}", world.settings.state.keeper(name).display());
    let running = process::all().into_iter().filter(|stat| stat.state != 'Z').map(|stat| stat.process.pid);
    running.filter(|pid| process::has_in_environment(*pid, &mark)).collect()
}

#[tokio::test]
async fn the_exit_status_and_the_output_stay_when_the_program_has_ended() {
    let world = World::new();
    world.launch("one", &once(world.spec("echo hello; echo oh >&2; printf unfinished; exit 3"))).await;
    let state = keepers::await_exit(&world.settings, "one").await.unwrap();
    assert_eq!((state.state, state.last_exit.unwrap().code), (InstanceState::Stopped, Some(3)));
    let mut log = world.log("one");
    assert!(log.remove(0).starts_with("k started pid "));
    log.sort();
    assert_eq!(log, ["e oh", "k exited with 3", "o hello", "o unfinished"]);
}

#[tokio::test]
async fn a_program_that_ends_is_started_again_after_growing_pauses() {
    let world = World::new();
    world.launch("one", &world.spec("exit 1")).await;
    world.state_that("one", |state| state.restarts >= 2).await;
    let pauses: Vec<String> = world.log("one").into_iter().filter(|line| line.starts_with("k restarts")).collect();
    assert_eq!(pauses[..2], ["k restarts in 0.2 s", "k restarts in 0.4 s"]);
    let state = world.state_that("one", |state| state.state == InstanceState::BackOff).await;
    assert!(state.restarts_at.is_some());
    let asked = std::time::Duration::from_secs(2);
    tokio::time::timeout(asked, keepers::stop(&world.settings, "one")).await.unwrap().unwrap();
    assert_eq!(keepers::state(&world.settings, "one").unwrap().state, InstanceState::Stopped);
}

#[tokio::test]
async fn a_program_that_says_that_it_is_not_needed_is_started_again_only_after_a_failure() {
    let world = World::new();
    let spec = world.spec("test -e been && exit 0; touch been; exit 1");
    world.launch("one", &Spec { restart: Restart::OnFailure, ..spec }).await;
    let state = keepers::await_exit(&world.settings, "one").await.unwrap();
    assert_eq!((state.state, state.restarts, state.last_exit.unwrap().code), (InstanceState::Stopped, 1, Some(0)));
}

#[tokio::test]
async fn the_whole_tree_ends_also_what_left_its_session_and_what_ignores_the_request() {
    let world = World::new();
    let command =
        "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 1000 & sleep 1000\" & sleep 1000 & echo up; sleep 1000; sleep 1000";
    world.launch("one", &world.spec(command)).await;
    eventually("the tree", || (marked(&world, "one").len() >= 5).then_some(())).await;
    let begun = tokio::time::Instant::now();
    keepers::stop(&world.settings, "one").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(marked(&world, "one"), Vec::<u32>::new());
}

#[tokio::test]
async fn a_program_that_ends_on_request_ends_at_once() {
    let world = World::new();
    let command = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    world.launch("one", &Spec { kill_after: Millis::seconds(30), ..world.spec(command) }).await;
    eventually("its start", || world.log("one").contains(&"o up".to_owned()).then_some(())).await;
    let exit = keepers::stop(&world.settings, "one").await.unwrap().unwrap();
    assert_eq!(exit.code, Some(0));
    let log: Vec<String> = world.log("one").into_iter().filter(|line| !line.starts_with('e')).collect();
    assert_eq!(log[2..], ["o bye", "k exited with 0"]);
}

#[tokio::test]
async fn too_much_memory_is_named_whoever_counts_it() {
    for control_group in [true, false] {
        let world = World::new();
        let hungry = "a=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 100";
        let spec = Spec { memory: Some(Bytes::mib(50)), control_group, ..once(world.spec(hungry)) };
        let started = world.launch("one", &spec).await;
        let state = keepers::await_exit(&world.settings, "one").await.unwrap();
        assert!(state.last_exit.unwrap().out_of_memory, "by group: {control_group}");
        assert!(world.log("one").contains(&"k out of memory at 50 MB".to_owned()), "{:?}", world.log("one"));
        assert!(started.control_group.is_none_or(|group| !group.exists()));
    }
}

#[tokio::test]
async fn too_long_a_run_is_ended_and_named() {
    let world = World::new();
    let spec = Spec { time_limit: Some(Millis(300)), ..once(world.spec("sleep 1000 & sleep 1000")) };
    world.launch("one", &spec).await;
    let state = keepers::await_exit(&world.settings, "one").await.unwrap();
    assert!(state.last_exit.unwrap().timed_out);
    assert_eq!(marked(&world, "one"), Vec::<u32>::new());
}

#[tokio::test]
async fn what_a_killed_keeper_left_is_found_and_ended_by_the_next_start() {
    let world = World::new();
    let spec = world.spec("setsid sleep 1000 & exec sleep 1000");
    let first = world.launch("one", &spec).await;
    eventually("the tree", || (marked(&world, "one").len() == 2).then_some(())).await;
    first.keeper.signal(Signal::KILL);
    let lost = world.state_that("one", |state| state.seen("this-boot") == InstanceState::Lost).await;
    assert!(lost.child.unwrap().is_running());
    let second = world.launch("one", &spec).await;
    assert!(!first.child.unwrap().is_running());
    assert_eq!(second.state, InstanceState::Running);
    second.keeper.signal(Signal::KILL);
    world.state_that("one", |state| state.seen("this-boot") == InstanceState::Lost).await;
    keepers::stop(&world.settings, "one").await.unwrap();
    assert_eq!(marked(&world, "one"), Vec::<u32>::new());
    assert_eq!(keepers::state(&world.settings, "one").unwrap().seen("this-boot"), InstanceState::Stopped);
}

#[tokio::test]
async fn starting_twice_is_starting_once_and_another_program_is_refused() {
    let world = World::new();
    let spec = world.spec("sleep 1000");
    let (first, second) = tokio::join!(world.launch("one", &spec), async {
        world.state_that("one", |_| true).await;
        world.launch("one", &spec).await
    });
    assert_eq!(first.keeper, second.keeper);
    let refused = keepers::launch(&world.settings, "one", &world.spec("sleep 2000"), &labels("one")).await;
    assert_eq!(refused.unwrap_err().what, "something else is kept here");
}

#[tokio::test]
async fn the_environment_is_its_own_and_nobody_else_can_read_it() {
    let world = World::new();
    let mut spec = Spec { port: Some(4321), ..once(world.spec("env; ls /proc/self/fd | tr '\\n' ' '")) };
    spec.env.0.insert("SECRET".to_owned(), "s3cret".to_owned());
    let inherited = std::fs::File::open("/dev/null").expect("null");
    // A descriptor that whoever started the engine forgot to close.
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).expect("inheritable");
    let state = world.launch("one", &Spec { restart: Restart::Always, ..spec }).await;
    let log = eventually("its output", || Some(world.log("one")).filter(|log| log.len() > 8)).await;
    let line = |start: &str| log.iter().find(|line| line.starts_with(start)).cloned().unwrap_or_default();
    assert_eq!([line("o SECRET"), line("o PORT"), line("o LANG")], ["o SECRET=s3cret", "o PORT=4321", "o LANG=C.UTF-8"]);
    assert!(!log.iter().any(|line| line.starts_with("o CARGO")), "{log:?}");
    // Standard streams, and the folder that `ls` reads.
    assert_eq!(line("o 0 1"), "o 0 1 2 3 ");
    let file = world.settings.state.keeper("one").join("spec.json");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    for process in process::all() {
        assert!(!process::command_line(process.process.pid).unwrap_or_default().contains("s3cret"));
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", state.keeper.pid)).unwrap();
    let inherited = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let foreign: Vec<_> = inherited.filter(|to| to.starts_with("/dev/null")).collect();
    assert_eq!(foreign.len(), 3, "only its standard streams");
}

#[tokio::test]
async fn a_keeper_is_nobodys_child_and_leads_a_session() {
    let world = World::new();
    let state = world.launch("one", &world.spec("exec sleep 1000")).await;
    let keeper = process::stat(state.keeper.pid).unwrap();
    assert_ne!(keeper.parent, std::process::id());
    assert_eq!(keeper.session, state.keeper.pid);
    let child = eventually("the session", || process::stat(state.child?.pid).filter(|stat| stat.session == stat.process.pid));
    assert_eq!(child.await.parent, state.keeper.pid);
    assert!(process::descendants(std::process::id()).is_empty(), "nothing is left of the launch");
}

#[tokio::test]
async fn junk_long_lines_and_floods_become_records_that_rotate() {
    let world = World::new();
    let command = "head -c 100000 /dev/urandom; echo; head -c 50000 /dev/zero | tr '\\0' y; echo; seq 300000";
    let spec = Spec { rotate_at: Bytes(1 << 20), keep_files: 9, ..once(world.spec(command)) };
    world.launch("one", &spec).await;
    keepers::await_exit(&world.settings, "one").await.unwrap();
    let log = world.log("one");
    assert!(log.contains(&"o 300000".to_owned()));
    assert!(log.iter().all(|line| line.len() <= 3 * 16 * 1024 + 2));
    let files = std::fs::read_dir(world.settings.state.keeper("one").join("log")).unwrap().count();
    assert!((4..=10).contains(&files), "{files} files");
    let numbers: Vec<u32> = log.iter().filter_map(|line| line.strip_prefix("o ")?.parse().ok()).collect();
    let first = 300_000 - numbers.len() as u32 + 1;
    assert!(numbers.iter().zip(first..).all(|(seen, expected)| *seen == expected), "lines are whole and in order");
}

#[tokio::test]
async fn the_beginning_of_a_line_is_seen_before_its_end() {
    let world = World::new();
    world.launch("one", &world.spec("printf 'password: '; sleep 1000")).await;
    eventually("the prompt", || world.log("one").contains(&"o password: ".to_owned()).then_some(())).await;
}

#[tokio::test]
async fn a_program_that_cannot_be_run_says_why() {
    let world = World::new();
    let spec = Spec { folder: "/no/such/folder".into(), ..once(world.spec("true")) };
    world.launch("one", &spec).await;
    let state = keepers::await_exit(&world.settings, "one").await.unwrap();
    assert_eq!(state.last_exit.unwrap().code, Some(127));
    assert!(world.log("one").contains(&"e there is no folder /no/such/folder".to_owned()));
    let spec = Spec { program: Program::Argv(vec!["/no/such".to_owned()]), ..once(world.spec("")) };
    world.launch("two", &spec).await;
    keepers::await_exit(&world.settings, "two").await.unwrap();
    assert!(world.log("two").iter().any(|line| line.starts_with("e cannot run /no/such: ")));
}

#[tokio::test]
async fn another_boot_makes_every_state_a_thing_of_the_past() {
    let world = World::new();
    let state = world.launch("one", &world.spec("sleep 1000")).await;
    assert_eq!(state.seen("next-boot"), InstanceState::Lost);
    assert!(Process { started: 1, ..state.keeper }.signal(Signal::TERM).is_none(), "a namesake is not signalled");
}
