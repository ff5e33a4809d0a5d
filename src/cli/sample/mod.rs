//! The sample role: a small service with switches, for the demo and for tests of deployments that go wrong.
//!
//! It knows nothing of Pilothouse: it listens on `PORT`, logs to its output and ends on SIGTERM, as any app.

pub mod metrics;
pub mod service;
pub mod switches;
pub mod traffic;

use std::{process::ExitCode, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use service::Service;
use switches::Switches;

/// Runs the role; `arguments` are those after `pilothouse sample`: none for the service, `traffic …` for the load.
pub fn main(arguments: &[String]) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    if arguments.first().is_some_and(|word| word == "traffic") {
        return runtime.block_on(traffic::main(&arguments[1..]));
    }
    runtime.block_on(serve())
}

async fn serve() -> ExitCode {
    let switches = match Switches::from_environment(|name| std::env::var(name).ok()) {
        Ok(switches) => switches,
        Err(cause) => {
            service::log("error", &[("msg", cause.into())]);
            return ExitCode::from(2);
        }
    };
    tokio::time::sleep(Duration::from_millis(switches.boot_ms)).await;
    if switches.crash_after_ms == Some(0) {
        service::log("error", &[("msg", "told to crash at start".into())]);
        return ExitCode::FAILURE;
    }
    let address = (switches.host.as_str(), switches.wrong_port.unwrap_or(switches.port));
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            let cause = format!("cannot listen on {}:{}: {error}", address.0, address.1);
            service::log("error", &[("msg", cause.into())]);
            return ExitCode::FAILURE;
        }
    };
    let ignores_end = switches.ignore_term;
    let service = Arc::new(Service::new(switches));
    service.announce(&listener);
    let stop = CancellationToken::new();
    let serving = service.clone().serve(listener, stop.clone());
    tokio::pin!(serving);
    let upkeep = service.clone().upkeep();
    tokio::pin!(upkeep);
    tokio::select! {
        () = serving.as_mut() => {}
        code = upkeep.as_mut() => return code,
        () = end_asked(ignores_end) => {}
    }
    service::log("info", &[("msg", "told to end: requests in flight finish first".into())]);
    stop.cancel();
    serving.await;
    service::log("info", &[("msg", "ended".into())]);
    ExitCode::SUCCESS
}

/// Waits for SIGTERM or SIGINT; for ever when they are to be ignored.
async fn end_asked(ignored: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if !ignored {
            return;
        }
        service::log("warn", &[("msg", "told to end, and told to ignore that".into())]);
    }
}
