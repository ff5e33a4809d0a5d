//! Twenty rolling deployments under 200 POST/s with keep-alive: not one of at least 40,000 requests may fail.
//!
//! `cargo bench --bench rolling`; takes about four minutes. `DEPLOYS` and `RATE` change the numbers.
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

#[allow(dead_code, reason = "each bench uses a part")]
#[path = "support/load.rs"]
mod load;
#[path = "../tests/whole/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use load::Load;
use support::{app::App, engine::Engine};

/// Requests at least.
const REQUESTS: u64 = 40_000;

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let number = |name: &str, default: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (deploys, rate) = (number("DEPLOYS", 20), number("RATE", 200));
    let requests = if deploys == 20 { REQUESTS } else { u64::from(deploys) * 2000 };

    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").replicas(2).write();
    engine.deploy_live(&app);
    let url = engine.url("shop");
    let load = Load::echo(&url, rate);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let from = Instant::now();
    let running = {
        let _inside = runtime.enter();
        load.start()
    };
    let span = Duration::from_secs(requests / u64::from(rate) + 1);
    let mut app = app;
    let mut took = Vec::new();
    for deploy in 1..=deploys {
        app = app.version(&format!("v{}", deploy + 1)).write();
        took.push(engine.deploy_live(&app)["took_ms"].as_u64().unwrap_or_default());
        eprintln!("deployment {deploy} of {deploys}: {} ms", took.last().copied().unwrap_or_default());
        // Spread over the whole time, so that each release serves for a while.
        let due = span * deploy / deploys;
        std::thread::sleep(due.saturating_sub(from.elapsed()));
    }
    std::thread::sleep(span.saturating_sub(from.elapsed()));
    let tally = runtime.block_on(running.stop());
    took.sort_unstable();
    let is_met = tally.failures() == 0 && tally.sent >= requests;
    println!(
        "| {deploys} rolling deployments under {rate} POST/s with keep-alive | 0 failed of at least {requests} | {} failed of {}; latency p50 \
         {:.1} ms, p99 {:.1} ms, longest {:.0} ms; a deployment takes {} ms in the middle | – | {} |",
        tally.failures(),
        tally.sent,
        tally.latency_ms(50.0),
        tally.latency_ms(99.0),
        tally.latency_ms(100.0),
        took[took.len() / 2],
        if is_met { "met" } else { "**MISSED**" },
    );
    eprintln!("{} connections opened by 32 clients", tally.connected);
    for (what, count) in &tally.failed {
        eprintln!("  {count} × {what}");
    }
    assert!(is_met, "the bar is 0 failed of at least {requests}");
}
