//! The machine: folders, space, ports, limits, what the kernel offers, the terminal.

use std::{
    io::IsTerminal,
    net::{TcpListener, ToSocketAddrs},
    path::Path,
};

use super::{Finding, edge};
use crate::{
    cli::context::Context,
    model::{edge::EdgeStatus, problem::Problem, units::Bytes},
};

/// Less free space than this is worth a word.
const LITTLE_SPACE: u64 = 2 << 30;
/// Fewer open files than this limit a busy edge.
const FEW_FILES: u64 = 4096;

pub(super) async fn look(context: &Context<'_>) -> Vec<Finding> {
    let root = context.settings.state.root();
    let engine = context.client().status().await;
    let listeners = edge::look(&context.settings.config.edge, engine.as_ref().ok().map(|status| &status.edge));
    let port = port(engine.as_ref().ok().map(|status| &status.edge));
    let journal = match &engine {
        Err(problem) if problem.is_transient() => Some(journal(context)),
        Err(_) => None,
        Ok(status) => status.engine.degraded.as_ref().map(degraded),
    };
    let engine = match engine {
        Ok(status) => Finding::good("engine", format!("runs, pid {}", status.engine.pid)).version(status.engine.version),
        Err(problem) if problem.is_transient() => Finding::good("engine", "does not run; it is started when needed"),
        Err(problem) => Finding::bad("engine", problem.what, problem.next.unwrap_or_default()),
    };
    let mut findings = vec![state_folder(root), space(root), processes(), engine, port, names(), files(), cgroup(), terminal()];
    findings.extend(journal);
    findings.extend(listeners);
    findings
}

/// The nearest folder above that exists: the state folder itself is made at the first start.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn state_folder(root: &Path) -> Finding {
    let there = existing(root);
    let writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok() && there.is_dir();
    let shown = root.display();
    if writable {
        Finding::good("state folder", shown.to_string()).needed()
    } else {
        Finding::bad("state folder", format!("{} cannot be written", there.display()), "name another with --state DIR").needed()
    }
}

/// Of an engine that runs it is known to be sound.
fn journal(context: &Context<'_>) -> Finding {
    match (context.roles.look_at_journal)(&context.settings) {
        Ok(()) if context.settings.state.journal().exists() => Finding::good("journal", "sound").needed(),
        Ok(()) => Finding::good("journal", "none yet; the first start makes one").needed(),
        Err(problem) => Finding::bad("journal", problem.what, problem.next.unwrap_or_default()).needed(),
    }
}

fn degraded(problem: &Problem) -> Finding {
    Finding::bad("journal", format!("the engine is degraded: {}", problem.what), problem.next.clone().unwrap_or_default())
        .needed()
}

fn space(root: &Path) -> Finding {
    match rustix::fs::statvfs(existing(root)) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let note = format!("{} free", Bytes(free));
            if free < LITTLE_SPACE {
                Finding::bad("disk", note, "make room, or name a folder on another disk with --state DIR")
            } else {
                Finding::good("disk", note)
            }
        }
        Err(error) => Finding::bad("disk", format!("cannot be measured: {error}"), "look at it with df"),
    }
}

fn processes() -> Finding {
    let readable = std::fs::read_to_string("/proc/self/stat").is_ok() && Path::new("/bin/sh").exists();
    if readable {
        Finding::good("/proc and sh", "instances can be started and found again").needed()
    } else {
        Finding::bad("/proc and sh", "/proc or /bin/sh is missing", "mount /proc; install a POSIX shell").needed()
    }
}

fn port(edge: Option<&EdgeStatus>) -> Finding {
    if let Some((edge, port)) = edge.and_then(|edge| Some((edge, edge.http.first()?.port()))) {
        let good = Finding::good("edge port", format!("this engine's edge listens on {port}"));
        return match edge.moved() {
            Some(moved) => Finding { note: format!("{}; {}", good.note, moved.what), mend: moved.next, ..good },
            None => good,
        };
    }
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    match (8080..8180).find(free) {
        Some(8080) => Finding::good("edge port", "8080 is free"),
        Some(port) => Finding::good("edge port", format!("8080 is taken; the first free one is {port}")),
        None => Finding::bad("edge port", "none is free from 8080 to 8179", "choose one: --set edge.http=127.0.0.1:9000"),
    }
}

fn names() -> Finding {
    let resolved =
        ("demo.localhost", 80).to_socket_addrs().is_ok_and(|found| found.into_iter().any(|one| one.ip().is_loopback()));
    if resolved {
        Finding::good("NAME.localhost", "resolves to this machine")
    } else {
        let mend = "curl and browsers find it by themselves; for other programs send a Host header, or add it to /etc/hosts";
        Finding::bad("NAME.localhost", "this system's resolver does not know it", mend)
    }
}

fn files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match (limit.current, limit.maximum) {
        (Some(now), most) if now < FEW_FILES && most.is_none_or(|most| most < FEW_FILES) => {
            Finding::bad("open files", format!("at most {now}"), "raise the hard limit for a busy edge: ulimit -Hn 65536")
        }
        (Some(now), _) => Finding::good("open files", format!("at most {now}")),
        (None, _) => Finding::good("open files", "without limit"),
    }
}

fn cgroup() -> Finding {
    let root = Path::new("/sys/fs/cgroup");
    if !root.join("cgroup.controllers").exists() {
        return Finding::bad("cgroup", "no cgroup v2", "nothing to do: memory limits are kept by watching the instances");
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    if rustix::fs::access(root.join(own), rustix::fs::Access::WRITE_OK).is_ok() {
        Finding::good("cgroup", "v2, own groups allowed: memory limits are kept by the kernel")
    } else {
        let mend = "nothing to do: memory limits are kept by watching the instances; a systemd user session allows groups";
        Finding::bad("cgroup", "v2, own groups not allowed", mend)
    }
}

fn terminal() -> Finding {
    if !std::io::stdout().is_terminal() {
        return Finding::good("terminal", "standard output is not one");
    }
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
    let colours = match (text("COLORTERM").as_str(), text("TERM").as_str()) {
        ("truecolor" | "24bit", _) => "true colour",
        (_, term) if term.contains("256") => "256 colours",
        _ => "16 colours",
    };
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"].iter().map(|name| text(name)).find(|value| !value.is_empty()).unwrap_or_default();
    let note = format!("{columns}×{rows}, {colours}");
    if utf8.to_ascii_lowercase().replace('-', "").contains("utf8") || utf8.is_empty() {
        Finding::good("terminal", note)
    } else {
        Finding::bad("terminal", format!("{note}, locale {utf8}"), "set LANG to a UTF-8 locale, such as C.UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_moved_is_told_with_the_way_to_one_that_stays() {
        let mut edge = EdgeStatus { http: vec!["127.0.0.1:8081".parse().unwrap()], ..EdgeStatus::default() };
        assert_eq!(port(Some(&edge)).mend, None);
        edge.moved_from = Some(8080);
        let found = port(Some(&edge));
        assert!(found.usable && found.note.contains("from port 8080 to 8081"), "{}", found.note);
        assert!(found.mend.is_some_and(|mend| mend.contains("edge.http")));
    }
}
