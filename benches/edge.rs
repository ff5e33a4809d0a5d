//! The edge beside HAProxy and nginx in one run, and requests that must not be lost: bars 1 to 3 of its design.
//!
//! `cargo bench --bench edge [-- PART…]`, parts `small`, `big`, `replaces`, `idle`; all take about six minutes. `ROUNDS` and
//! `SECONDS` change how often and how long each proxy is measured. Needs `wrk`, `haproxy`, `nginx`; what is missing is said.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench reports, and fails loudly"
)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "it stands outside: it runs programs and measures"
)]
#![allow(dead_code, reason = "each bench uses a part of the common modules")]

#[path = "support/load.rs"]
mod load;
#[path = "support/origin.rs"]
mod origin;
#[path = "support/page.rs"]
mod page;
#[path = "../tests/whole/support/processes.rs"]
mod processes;
#[path = "support/proxies.rs"]
mod proxies;
#[path = "../tests/edge/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use load::Load;
use origin::{BIG, Deeds, Manner, Origin, SMALL};
use page::{middle, row};
use pilothouse::{
    config::settings::EdgeSettings,
    model::{
        ids::{AppId, InstanceId, ReleaseId},
        route::{Backend, Match, Route, Split, Target},
        units::{Millis, Weight},
    },
};
use proxies::Proxy;
use tokio::task::JoinSet;
use world::{World, settings, shop, split};

/// Routes of every proxy; one of them is asked for.
const ROUTES: usize = 1000;
/// Keep-alive connections of the load.
const CONNECTIONS: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let wants = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let mut is_met = true;
    if wants("small") || wants("big") {
        is_met &= beside_peers(wants("small"), wants("big"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if wants("replaces") {
        is_met &= runtime.block_on(replaces());
    }
    if wants("idle") {
        is_met &= runtime.block_on(idle_limits());
    }
    assert!(is_met, "a bar is missed");
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !is_there {
        eprintln!("{program} is not installed: what it is measured by stays open");
    }
    is_there
}

fn host(number: usize) -> String {
    format!("app-{number}.localhost")
}

/// A thousand apps, each with one instance, all at the same address.
fn many_routes(origin: std::net::SocketAddr) -> Vec<Route> {
    (0..ROUTES).map(|number| route(number, origin)).collect()
}

fn route(number: usize, origin: std::net::SocketAddr) -> Route {
    let app = AppId::suggest(&format!("app-{number}"));
    let backend = Backend { instance: InstanceId::of(&app, ReleaseId(1), 0), address: origin };
    let whole = Weight::new(100).expect("a weight");
    Route {
        process: "web".to_owned(),
        matches: vec![Match::host(host(number))],
        splits: vec![Split { release: ReleaseId(1), weight: whole, target: Target::Pool { backends: vec![backend] } }],
        ready_path: "/".to_owned(),
        check_every: Millis::minutes(60),
        app,
    }
}

/// What one round showed of one proxy.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Processor seconds per 10,000 requests.
    cpu: f64,
    rate: f64,
    p99_ms: f64,
}

fn beside_peers(small: bool, big: bool) -> bool {
    if !is_installed("wrk") {
        let unmeasured = |what| row(what, "HAProxy", "not measured: needs `wrk`", "–", false);
        return (!small || unmeasured("edge, small bodies: CPU per request"))
            && (!big || unmeasured("edge, bodies of 1 MB: CPU per request"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let origin = runtime.block_on(Origin::start(Manner::default(), Arc::default()));
    let mut world = runtime.block_on(World::with(EdgeSettings { threads: 1, ..settings() }));
    runtime.block_on(world.put(many_routes(origin.address)));
    let folder = tempfile::tempdir().expect("a folder");
    let hosts: Vec<String> = (0..ROUTES).map(host).collect();
    let mut proxies = vec![Proxy::of("edge", world.public(), world.pid())];
    if is_installed("haproxy") {
        proxies.push(proxies::haproxy(folder.path(), &hosts, origin.address, true));
        proxies.push(proxies::haproxy(folder.path(), &hosts, origin.address, false));
    }
    if is_installed("nginx") {
        proxies.push(proxies::nginx(folder.path(), &hosts, origin.address));
    }
    // The first check of each of the thousand instances is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let mut is_met = true;
    if small {
        is_met &= compare(&format!("edge, bodies of {SMALL} bytes"), "/", 1.05, &proxies);
    }
    if big {
        is_met &= compare(&format!("edge, bodies of {} MB", BIG >> 20), "/big", 0.55, &proxies);
    }
    is_met
}

/// Measures the proxies in turn, round by round, and compares the medians of each round's ratio.
fn compare(what: &str, path: &str, bar: f64, proxies: &[Proxy]) -> bool {
    for proxy in proxies {
        measure(proxy, path, 1);
    }
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); proxies.len()];
    for number_of_round in 0..number("ROUNDS", 9) {
        for (proxy, rounds) in proxies.iter().zip(&mut rounds) {
            let round = measure(proxy, path, number("SECONDS", 2));
            eprintln!(
                "{what}, round {}, {}: {:.3} s per 10,000; {:.0}/s, p99 {:.1} ms",
                number_of_round + 1,
                proxy.name,
                round.cpu,
                round.rate,
                round.p99_ms
            );
            rounds.push(round);
        }
    }
    let median = |of: usize, value: fn(&Round) -> f64| middle(rounds[of].iter().map(value).collect());
    let ratio = |of: usize, value: fn(&Round) -> f64| {
        middle(rounds[0].iter().zip(&rounds[of]).map(|(ours, theirs)| value(ours) / value(theirs)).collect())
    };
    let cpu = |round: &Round| round.cpu;
    let seconds = |of: usize| format!("{:.3} s", median(of, cpu));
    let peers: Vec<usize> = (1..proxies.len()).collect();
    let ratios: Vec<String> = peers.iter().map(|of| format!("{:.2} × {}", ratio(*of, cpu), proxies[*of].name)).collect();
    let measured = if peers.is_empty() { "no peer is installed".to_owned() } else { ratios.join(", ") };
    let figures: Vec<String> = peers.iter().map(|of| format!("{} {}", proxies[*of].name, seconds(*of))).collect();
    for of in &peers {
        eprintln!(
            "{what}: requests per second {:.2} × {name}, p99 {:.2} × {name}",
            ratio(*of, |round| round.rate),
            ratio(*of, |round| round.p99_ms),
            name = proxies[*of].name
        );
    }
    row(
        &format!("{what}: CPU per request, 1 thread, {ROUTES} routes, access log (`wrk`, {CONNECTIONS} connections)"),
        &format!("{bar:.2} × HAProxy"),
        &format!("{measured}; {} per 10,000", seconds(0)),
        &if figures.is_empty() { "not installed".to_owned() } else { figures.join(", ") },
        proxies.get(1).is_some_and(|peer| peer.name == "HAProxy") && ratio(1, cpu) <= bar,
    )
}

fn measure(proxy: &Proxy, path: &str, seconds: u64) -> Round {
    let before = proxy.cpu_seconds();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency", "-H"])
        .arg(format!("Host: {}", host(7)))
        .arg(format!("http://{}{path}", proxy.address))
        .output()
        .expect("wrk runs");
    let spent = proxy.cpu_seconds() - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{} did not answer well:\n{text}", proxy.name);
    let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_default().trim().to_owned();
    let requests: f64 = line(" requests in ").split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
    let rate = line("Requests/sec:").trim_start_matches("Requests/sec:").trim().parse().expect("a rate");
    Round { cpu: spent / requests * 10_000.0, rate, p99_ms: milliseconds(line("99%").trim_start_matches("99%").trim()) }
}

/// `812.00us`, `3.42ms`, `1.02s`.
fn milliseconds(text: &str) -> f64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (value, unit) = text.split_at(split);
    let value: f64 = value.parse().unwrap_or(f64::NAN);
    match unit {
        "us" => value / 1000.0,
        "s" => value * 1000.0,
        _ => value,
    }
}

/// Instances that die at once, replaced under load: the table, then a drain, then the end.
async fn replaces() -> bool {
    const REPLACES: u32 = 20;
    const REQUESTS: u64 = 40_000;
    const RATE: u32 = 800;
    let deeds = Arc::new(Deeds::default());
    let slow = Manner { work: Duration::from_millis(5), ..Manner::default() };
    let mut world = World::start().await;
    let mut now = Origin::start(slow.clone(), Arc::clone(&deeds)).await;
    world.put(vec![shop(vec![split(1, 100, &[now.address])])]).await;
    let posts = Load {
        address: world.public(),
        host: "shop.localhost".to_owned(),
        method: Method::POST,
        path: "/".to_owned(),
        body: bytes::Bytes::new(),
        rate: RATE / 2,
        connections: 32,
        keeps: true,
        numbers: Some(Arc::default()),
    };
    // Half of the requests come over kept connections, half each over one of its own.
    let kept = posts.start();
    let single = Load { keeps: false, ..posts }.start();
    let span = Duration::from_secs(REQUESTS / u64::from(RATE) + 1);
    let from = Instant::now();
    let mut took = Vec::new();
    for replace in 1..=REPLACES {
        tokio::time::sleep((span * (replace - 1) / REPLACES).saturating_sub(from.elapsed())).await;
        let next = Origin::start(slow.clone(), Arc::clone(&deeds)).await;
        let switch = Instant::now();
        world.put(vec![shop(vec![split(replace + 1, 100, &[next.address])])]).await;
        let old = InstanceId::of(&AppId::suggest("shop"), ReleaseId(replace), 0);
        let drained = world.client.drain(&[old], Millis::seconds(10)).await.expect("a drain");
        took.push(switch.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(drained.left, 0, "in flight after 10 s");
        drop(std::mem::replace(&mut now, next));
    }
    tokio::time::sleep(span.saturating_sub(from.elapsed())).await;
    let (kept, single) = (kept.stop().await, single.stop().await);
    let (sent, lost) = (kept.sent + single.sent, kept.failures() + single.failures());
    for (what, count) in kept.failed.iter().chain(&single.failed) {
        eprintln!("  {count} × {what}");
    }
    let took = middle(took);
    row(
        &format!("edge: {REPLACES} replaces of an instance that dies at once, under {RATE} POST/s, keep-alive on and off"),
        &format!("0 lost of {REQUESTS}, 0 applied twice; a switch 20 ms and what is in flight (5 ms)"),
        &format!("{lost} lost of {sent}, {} applied twice; a switch takes {took:.0} ms in the middle", deeds.doubled()),
        "–",
        lost == 0 && deeds.doubled() == 0 && sent >= REQUESTS && took <= 25.0,
    )
}

/// POSTs to back ends that close connections after 5 ms to 5 s, sent around that time; some also read and then reset.
async fn idle_limits() -> bool {
    const REQUESTS: u64 = 50_000;
    /// Limit in milliseconds, and how many apps have it: each gets about 150 requests per second in all.
    const LIMITS: [(u64, usize); 4] = [(5, 1), (50, 8), (500, 75), (5000, 750)];
    let deeds = Arc::new(Deeds::default());
    let mut origins = Vec::new();
    let mut routes = Vec::new();
    for (limit, apps) in LIMITS {
        for _ in 0..apps {
            let number = origins.len();
            // Every fifth app also resets one of twenty POSTs after it was read.
            let resets_every = if number % 5 == 4 { 20 } else { 0 };
            let manner = Manner { idle: Duration::from_millis(limit), resets_every, ..Manner::default() };
            let origin = Origin::start(manner, Arc::clone(&deeds)).await;
            routes.push(route(number, origin.address));
            origins.push((origin, limit));
        }
    }
    let mut world = World::start().await;
    world.put(routes).await;
    let (address, sent) = (world.public(), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for (number, (_, limit)) in origins.iter().enumerate() {
        clients.spawn(pester(address, number, *limit, Arc::clone(&sent), Arc::clone(&deeds), REQUESTS));
    }
    let mut lost: BTreeMap<String, u64> = BTreeMap::new();
    let mut refused = 0;
    for outcome in clients.join_all().await {
        refused += outcome.refused;
        for (what, count) in outcome.lost {
            *lost.entry(what).or_default() += count;
        }
    }
    for (what, count) in &lost {
        eprintln!("  {count} × {what}");
    }
    let (lost, sent, resets) = (lost.values().sum::<u64>(), sent.load(Relaxed), deeds.resets.load(Relaxed));
    row(
        "edge: POSTs to back ends that close idle connections after 5 ms to 5 s, sent around that moment",
        &format!("0 lost of {REQUESTS}, 0 applied twice"),
        &format!(
            "{lost} lost of {sent}, {} applied twice; {resets} that the back end read and then reset: {refused} answered 502",
            deeds.doubled()
        ),
        "–",
        lost == 0 && deeds.doubled() == 0 && sent >= REQUESTS && refused == resets,
    )
}

#[derive(Debug, Default)]
struct Outcome {
    /// By the idle limit and what was seen.
    lost: BTreeMap<String, u64>,
    /// Answered 502, after the back end had applied it and reset the connection.
    refused: u64,
}

/// One client of one app: the pauses between its requests lie around the app's limit.
async fn pester(
    address: std::net::SocketAddr,
    number: usize,
    limit_ms: u64,
    sent: Arc<AtomicU64>,
    deeds: Arc<Deeds>,
    requests: u64,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut connection = None;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // From half the limit to one and a half of it.
        let pause = limit_ms * 500 + random % (limit_ms * 1000);
        tokio::time::sleep(Duration::from_micros(pause)).await;
        let turn = sent.fetch_add(1, Relaxed);
        if turn >= requests {
            sent.fetch_sub(1, Relaxed);
            return outcome;
        }
        let body = format!("{number}-{turn}");
        let load = Load {
            address,
            host: host(number),
            method: Method::POST,
            path: "/".to_owned(),
            body: body.clone().into(),
            rate: 1,
            connections: 1,
            keeps: true,
            numbers: None,
        };
        if connection.is_none() {
            connection = load::connect(address).await;
        }
        let asked = match connection.as_mut() {
            Some(open) => load::ask(open, &load).await,
            None => Err("no connection".to_owned()),
        };
        match asked {
            Ok(true) => {}
            Ok(false) => connection = None,
            Err(what) => {
                connection = None;
                // Applied, then reset without an answer: to say 502 is right, to send it again would double it.
                if what.contains("502") && number % 5 == 4 && deeds.has(body.as_bytes()) {
                    outcome.refused += 1;
                } else {
                    *outcome.lost.entry(format!("{what}, idle limit {limit_ms} ms")).or_default() += 1;
                }
            }
        }
    }
}
