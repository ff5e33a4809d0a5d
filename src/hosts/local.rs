//! This machine.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread::available_parallelism,
};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Host, Ran};
use crate::{
    config::{Settings, clock},
    model::{
        ids::HostId,
        order::HostFacts,
        problem::Problem,
        sample::HostSample,
        units::{Millis, Timestamp},
    },
};

/// This machine, reached without any way.
#[derive(Clone, Copy, Debug)]
pub struct Local;

#[async_trait]
impl Host for Local {
    async fn run(&self, argv: &[String], limit: Millis) -> Result<Ran, Problem> {
        ask(argv, b"", limit).await
    }

    async fn put(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Problem> {
        let (path, content) = (path.to_owned(), content.to_owned());
        let place = path.display().to_string();
        let put = tokio::task::spawn_blocking(move || put(&path, &content, mode)).await;
        let put = put.unwrap_or_else(|_| Err(io::Error::other("the task broke")));
        put.map_err(|error| Problem::unavailable(format!("cannot write the file: {error}")).at(place))
    }
}

/// Runs a program to its end with `input` to read, at most for `limit`, then it is killed.
#[expect(clippy::disallowed_types, reason = "programs are run by hosts/")]
pub async fn ask(argv: &[String], input: &[u8], limit: Millis) -> Result<Ran, Problem> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Problem::internal("there is no program to run"));
    };
    let failed = |error: io::Error| Problem::unavailable(format!("cannot run {program}: {error}"));
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (given, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async move {
        if let Some(mut given) = given {
            // A program need not read all of it.
            let _ = given.write_all(input).await;
        }
    };
    let whole = async { tokio::join!(give, first_megabyte(out), first_megabyte(err), child.wait()) };
    match tokio::time::timeout(limit.duration(), whole).await {
        Ok(((), out, err, status)) => Ok(Ran { code: status.map_err(failed)?.code(), out, err }),
        Err(_) => Err(Problem::limit(format!("{program} has not ended within {limit}"))),
    }
}

fn put(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, content)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    fs::rename(fresh, path)
}

/// The rest is read too, so that the program can end, and dropped.
async fn first_megabyte(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut text = Vec::new();
    // What could be read before an error is better than nothing.
    let _ = (&mut stream).take(1 << 20).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Starts this program with `arguments` in a session of its own, without terminal or parent: it lives on when its starter
/// ends, and leaves no zombie. It keeps the environment. Returns when it was started, with what it writes to its standard
/// output, which ends when the program does; blocks some 10 ms.
#[expect(clippy::disallowed_types, reason = "programs are run by hosts/")]
pub fn spawn_detached(binary: &Path, arguments: &[String]) -> io::Result<io::PipeReader> {
    let (said, says) = io::pipe()?;
    let status = std::process::Command::new(binary)
        .args(["keep", "--detach"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(says)
        .stderr(Stdio::null())
        .status()?;
    if status.success() { Ok(said) } else { Err(io::Error::other("the program could not start itself again")) }
}

/// Starts a program on the terminal of this one, which waits for it; killed when dropped.
#[expect(clippy::disallowed_types, reason = "programs are run by hosts/")]
pub fn hand_over(argv: &[String]) -> io::Result<tokio::process::Child> {
    let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("there is no program to run"))?;
    tokio::process::Command::new(program).args(arguments).kill_on_drop(true).spawn()
}

/// What this machine is.
pub fn facts(settings: &Settings) -> HostFacts {
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    HostFacts {
        id: HostId::local(),
        name: text(system.nodename()),
        os: os_name().unwrap_or_else(|| text(system.sysname())),
        kernel: text(system.release()),
        arch: text(system.machine()),
        cores: available_parallelism().map_or(1, |cores| cores.get() as u32),
        boot_id: settings.boot_id.clone(),
        booted_at: booted_at().unwrap_or_default(),
        tools: Vec::new(),
    }
}

/// `PRETTY_NAME` of os-release(5).
fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches('"').to_owned())
}

fn booted_at() -> Option<Timestamp> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let seconds: i64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Timestamp(seconds * 1000))
}

/// Measures this machine; rates are over the span since the sample before.
#[derive(Debug)]
pub struct Sampler {
    folder: PathBuf,
    before: Option<Counters>,
}

/// What only grows.
#[derive(Clone, Copy, Debug)]
struct Counters {
    at_micros: i64,
    cpu: Option<Cpu>,
    network: Option<Network>,
}

/// Clock ticks since boot, of all cores together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cpu {
    busy: u64,
    all: u64,
}

/// Bytes since boot, over all interfaces but loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Network {
    received: u64,
    sent: u64,
}

impl Sampler {
    pub fn new(settings: &Settings) -> Self {
        Self { folder: settings.state.root().to_owned(), before: None }
    }

    /// Takes some 0.1 ms.
    pub fn sample(&mut self) -> HostSample {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let now =
            Counters { at_micros: clock::micros(), cpu: cpu(&read("/proc/stat")), network: network(&read("/proc/net/dev")) };
        let before = self.before.replace(now);
        let (memory_used, memory_total) = memory(&read("/proc/meminfo")).unwrap_or_default();
        let (disk_used, disk_total) = disk(&self.folder).unwrap_or_default();
        let rate = |of: fn(Network) -> u64| rate(before.as_ref()?, &now, of);
        HostSample {
            at: Timestamp(now.at_micros / 1000),
            cpu_percent: before.and_then(|before| cpu_percent(before.cpu?, now.cpu?)),
            memory_used,
            memory_total,
            disk_used,
            disk_total,
            received_per_s: rate(|network| network.received),
            sent_per_s: rate(|network| network.sent),
            load_1m: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        }
    }
}

fn cpu_percent(before: Cpu, now: Cpu) -> Option<f32> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    // The kernel's count of waiting for disks may go back.
    let busy = now.busy.saturating_sub(before.busy).min(all);
    Some(busy as f32 * 100.0 / all as f32)
}

fn rate(before: &Counters, now: &Counters, of: fn(Network) -> u64) -> Option<f64> {
    let seconds = (now.at_micros - before.at_micros) as f64 / 1e6;
    // An interface that was taken away takes its bytes with it.
    let bytes = of(now.network?).checked_sub(of(before.network?))?;
    (seconds > 0.0).then(|| bytes as f64 / seconds)
}

/// First line of `/proc/stat` (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal.
fn cpu(text: &str) -> Option<Cpu> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let all = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    Some(Cpu { busy: all - idle, all })
}

/// `/proc/net/dev` (proc_pid_net(5)): name, then received bytes in the first and sent bytes in the ninth column.
fn network(text: &str) -> Option<Network> {
    let mut sum = None::<Network>;
    for (name, figures) in text.lines().filter_map(|line| line.split_once(':')) {
        let figures: Vec<u64> = figures.split_ascii_whitespace().filter_map(|figure| figure.parse().ok()).collect();
        if let (Some(received), Some(sent)) = (figures.first(), figures.get(8))
            && name.trim() != "lo"
        {
            let sum = sum.get_or_insert_default();
            sum.received += received;
            sum.sent += sent;
        }
    }
    sum
}

/// Used and all memory; used is what a new program could not get.
fn memory(text: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    let total = field("MemTotal")?;
    Some((total.saturating_sub(field("MemAvailable")?), total))
}

/// Used, and used plus what this user may still use: the kernel keeps some blocks back for root, as df(1) tells it.
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let system = rustix::fs::statvfs(folder).ok()?;
    let used = system.f_blocks.saturating_sub(system.f_bfree);
    Some((used * system.f_frsize, used.saturating_add(system.f_bavail) * system.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let cpus = cpu("cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(cpus, Cpu { busy: 30, all: 100 });
        assert_eq!(cpu_percent(Cpu { busy: 10, all: 50 }, cpus), Some(40.0));
        assert_eq!(cpu_percent(cpus, cpus), None);
        let table = "Inter-|   Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9\n  eth0:100 1 0 0 0 0 0 0 7 1\n eth1: 1 1 0 0 0 0 0 0 1 1\n";
        assert_eq!(network(table), Some(Network { received: 101, sent: 8 }));
        assert_eq!(memory("MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   40 kB\n"), Some((60 * 1024, 100 * 1024)));
    }

    #[tokio::test]
    async fn a_program_is_run_to_its_end_or_to_its_limit() {
        let argv = |command: &str| ["sh", "-c", command].map(str::to_owned);
        let ran = Local.run(&argv("echo out; echo err >&2; exit 3"), Millis::seconds(10)).await.unwrap();
        assert_eq!(ran, Ran { code: Some(3), out: "out\n".to_owned(), err: "err\n".to_owned() });
        let problem = Local.run(&argv("exec sleep 100"), Millis(100)).await.unwrap_err();
        assert_eq!(problem.what, "sh has not ended within 100 ms");
    }

    #[tokio::test]
    async fn a_file_is_put_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        Local.put(&path, b"x", 0o750).await.unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o750);
    }
}
