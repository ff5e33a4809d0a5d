//! What every runtime keeps to; each runtime's tests call it.

use std::time::Duration;

use pilothouse::{
    model::{
        ids::InstanceId,
        instance::{InstanceSpec, InstanceState},
        order::Report,
        problem::Problem,
        units::Millis,
    },
    runtimes::{Runtime, RuntimeError},
};
use tokio::sync::mpsc;

/// `serves`: an instance that listens on its `PORT`; `fails`: one that says `no such table` and exits with 3;
/// `soon`: how long after its start that may take to be told.
pub async fn contract(runtime: &dyn Runtime, serves: &InstanceSpec, fails: &InstanceSpec, soon: Duration) {
    let (sender, mut reports) = mpsc::channel(256);
    let story = async {
        starting_twice_is_starting_once(runtime, serves).await;
        one_that_fails_says_so_with_its_last_lines(runtime, fails, soon).await;
        stopping_is_final_and_may_be_repeated(runtime, serves, fails, soon).await;
    };
    tokio::select! {
        () = runtime.watch(sender) => panic!("the watch ended while its reports were read"),
        () = story => {}
    }
    each_change_was_told_once(&mut reports, &serves.id);
}

async fn starting_twice_is_starting_once(runtime: &dyn Runtime, serves: &InstanceSpec) {
    let first = runtime.start(serves).await.expect("a start");
    runtime.await_ready(&serves.id, true, Millis::seconds(20)).await.expect("it listens");
    assert_eq!(runtime.start(serves).await, Ok(first));
    let address = first.address.expect("an address");
    tokio::net::TcpStream::connect(address).await.expect("it listens where it was said");
    runtime.await_ready(&serves.id, true, Millis::seconds(20)).await.expect("it is still ready");
    let listed = runtime.list().await.expect("a list");
    let listed = listed.iter().find(|report| report.id == serves.id).expect("it is listed");
    assert_eq!((listed.state, listed.address, listed.pid), (InstanceState::Running, Some(address), Some(first.pid)));
}

async fn one_that_fails_says_so_with_its_last_lines(runtime: &dyn Runtime, fails: &InstanceSpec, soon: Duration) {
    runtime.start(fails).await.expect("a start says nothing about what follows");
    let begun = tokio::time::Instant::now();
    let problem = problem(runtime.await_ready(&fails.id, true, Millis::seconds(20)).await);
    assert!(begun.elapsed() < soon, "{:?}", begun.elapsed());
    assert!(problem.what.starts_with(&format!("{} exited with 3, ", fails.id)), "{problem}");
    assert!(problem.evidence.contains(&"no such table".to_owned()), "{:?}", problem.evidence);
    assert!(problem.next.expect("a next step").starts_with("pilothouse logs "));
}

async fn stopping_is_final_and_may_be_repeated(
    runtime: &dyn Runtime,
    serves: &InstanceSpec,
    fails: &InstanceSpec,
    soon: Duration,
) {
    for id in [&serves.id, &fails.id, &serves.id, &InstanceId("never-1-a".to_owned())] {
        runtime.stop(id).await.expect("a stop");
    }
    let all = runtime.list().await.expect("a list");
    assert!(all.iter().all(|report| report.state == InstanceState::Stopped && report.pid.is_none()), "{all:?}");
    // Until the watch has told it.
    tokio::time::sleep(soon / 3).await;
}

fn each_change_was_told_once(reports: &mut mpsc::Receiver<Report>, id: &InstanceId) {
    let mut told = Vec::new();
    while let Ok(report) = reports.try_recv() {
        if let Report::Instance(report) = report
            && report.id == *id
        {
            told.push(report);
        }
    }
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
    let states: Vec<InstanceState> = told.iter().map(|report| report.state).collect();
    assert!(states.contains(&InstanceState::Running), "{states:?}");
    assert_eq!(states.last(), Some(&InstanceState::Stopped));
}

pub fn problem<T: std::fmt::Debug>(answer: Result<T, RuntimeError>) -> Problem {
    match answer.expect_err("a problem") {
        RuntimeError::Failed(problem) | RuntimeError::Transient(problem) | RuntimeError::Unknown(problem) => problem,
    }
}
