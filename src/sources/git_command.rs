//! The `git` command: never a prompt, always an end, and no password in what it said.

use std::{path::Path, path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Progress, cancelled};
use crate::model::{Problem, units::Bytes};

/// Most that is kept of an output, in bytes.
const MOST_OUTPUT: usize = 32 << 20;
/// Wait for the ends of the pipes once git has ended: something it started may hold them.
const PIPES: Duration = Duration::from_millis(500);
/// How often the folder's size is looked at while git runs; a large folder less often, so that looking stays cheap.
const LOOK: Duration = Duration::from_millis(500);
/// Ways that git may reach a repository; `ext::` and its like run commands.
const PROTOCOLS: &str = "file:git:http:https:ssh";

/// When a command ends at the latest.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) within: Duration,
    pub(super) cancel: CancellationToken,
}

/// What git answered.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) ok: bool,
    pub(super) out: String,
    /// Lines of its messages, progress left out, passwords masked.
    pub(super) messages: Vec<String>,
}

/// Git in a folder.
#[derive(Clone)]
pub(super) struct Git {
    folder: PathBuf,
    stop: Stop,
    protocols: &'static str,
    ssh: Option<String>,
    /// What must not be shown: the part of the URL before `@`.
    secrets: Vec<String>,
    progress: Option<Progress>,
    /// Most that the folder may take while git works in it.
    most: Option<Bytes>,
}

impl Git {
    pub(super) fn here(folder: &Path, stop: Stop) -> Self {
        Self {
            folder: folder.to_path_buf(),
            stop,
            protocols: PROTOCOLS,
            ssh: None,
            secrets: Vec::new(),
            progress: None,
            most: None,
        }
    }

    /// Ends git once the folder takes more than `most`.
    pub(super) fn at_most(mut self, most: Bytes) -> Self {
        self.most = Some(most);
        self
    }

    pub(super) fn hiding(mut self, url: &str) -> Self {
        self.secrets = secrets(url);
        self
    }

    pub(super) fn telling(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Without access to other repositories of this machine.
    pub(super) fn remote_only(mut self) -> Self {
        self.protocols = "git:http:https:ssh";
        self
    }

    /// Uses `command` instead of `ssh`; it still never prompts.
    pub(super) fn by_ssh(mut self, command: String) -> Self {
        self.ssh = Some(command);
        self
    }

    /// The output when git succeeds; nothing when it refuses or is not installed.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<Option<String>, Problem> {
        match self.run(arguments).await {
            Ok(said) => Ok(said.ok.then_some(said.out)),
            Err(problem) if problem.what == NOT_INSTALLED => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Runs git to its end. Its process group is killed on cancellation, at the deadline, when the folder outgrows its
    /// limit, and when this future is dropped.
    #[expect(clippy::disallowed_types, reason = "sources may run the git command")]
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Said, Problem> {
        let mut command = tokio::process::Command::new("git");
        // No hook, template, watcher or background work of the user's takes part; credentials, proxies and keys do.
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "advice.detachedHead=false",
        ] {
            command.args(["-c", setting]);
        }
        command.args(arguments).current_dir(&self.folder);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if is_of_a_repository(&name) {
                command.env_remove(name.as_ref());
            }
        }
        let ssh = self.ssh.clone().or_else(|| std::env::var("GIT_SSH_COMMAND").ok()).unwrap_or_else(|| "ssh".to_owned());
        command.envs([
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "true"),
            ("SSH_ASKPASS", "true"),
            ("SSH_ASKPASS_REQUIRE", "never"),
            ("GCM_INTERACTIVE", "never"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_ALLOW_PROTOCOL", self.protocols),
            ("GIT_SSH_COMMAND", &format!("{ssh} -oBatchMode=yes -oConnectTimeout=10")),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let mut group = Group(child.id().and_then(|pid| Pid::from_raw(pid as i32)));
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let deadline = Instant::now() + self.stop.within;
        let mut texts = (Vec::new(), Vec::new());
        let ended = {
            let reading =
                async { tokio::join!(collect(out, &mut texts.0, None), collect(errors, &mut texts.1, self.progress.as_ref())) };
            tokio::pin!(reading);
            let waiting = async {
                let mut read = false;
                let status = loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        _ = &mut reading, if !read => read = true,
                    }
                };
                group.0 = None;
                if !read {
                    let _ = tokio::time::timeout(PIPES, &mut reading).await;
                }
                status
            };
            tokio::select! {
                biased;
                () = self.stop.cancel.cancelled() => Err(cancelled()),
                problem = self.outgrown() => Err(problem),
                ended = timeout_at(deadline, waiting) => ended.map_err(|_| self.too_long(arguments)),
            }
        }?;
        let status = ended.map_err(|error| Problem::internal(format!("cannot wait for git: {error}")))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { ok: status.success(), out: text(texts.0), messages: messages(&text(texts.1), &self.secrets) })
    }

    /// Ends once the folder takes more than it may; never without a limit.
    async fn outgrown(&self) -> Problem {
        let Some(most) = self.most else { return std::future::pending().await };
        loop {
            let (folder, began) = (self.folder.clone(), Instant::now());
            let taken = tokio::task::spawn_blocking(move || taken(&folder)).await.unwrap_or_default();
            if taken > most.0 {
                return Problem::limit(format!("the repository takes more than {most} of disk while it is fetched"))
                    .hint("keep large files out of it (git lfs, a release download), or deploy a folder of what is needed");
            }
            tokio::time::sleep(LOOK.max(began.elapsed() * 10)).await;
        }
    }

    fn not_started(&self, error: &std::io::Error) -> Problem {
        // The same error tells of a folder that is gone.
        if error.kind() == std::io::ErrorKind::NotFound && self.folder.is_dir() {
            return Problem::user(NOT_INSTALLED)
                .hint("install it: apt install git, dnf install git, apk add git, or brew install git");
        }
        Problem::unavailable(format!("cannot start git: {error}")).at(self.folder.display().to_string())
    }

    fn too_long(&self, arguments: &[&str]) -> Problem {
        let verb = arguments.first().copied().unwrap_or_default();
        Problem::limit(format!("git {verb} took longer than {} s", self.stop.within.as_secs()))
            .hint("check the network to the repository, or deploy a smaller one")
    }
}

const NOT_INSTALLED: &str = "git is not installed";

/// Space that the files below `path` take. Blocks.
fn taken(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    let below = if meta.is_dir() { std::fs::read_dir(path).ok() } else { None };
    meta.blocks() * 512 + below.into_iter().flatten().flatten().map(|entry| taken(&entry.path())).sum::<u64>()
}

/// Variables that would point git at another repository, or at our caller's settings for one.
fn is_of_a_repository(name: &str) -> bool {
    const KEPT: [&str; 9] = [
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_CERT",
        "GIT_SSL_KEY",
        "GIT_PROXY_COMMAND",
        "GIT_EXEC_PATH",
    ];
    name.starts_with("GIT_")
        && !KEPT.contains(&name)
        && !name.starts_with("GIT_CONFIG_GLOBAL")
        && !name.starts_with("GIT_CONFIG_SYSTEM")
        && !name.starts_with("GIT_HTTP_")
}

/// Ends a process group when it goes out of scope, unless its leader has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads to the end, keeping a bounded part; tells of progress line by line, at most once a second.
async fn collect(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, progress: Option<&Progress>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 8 << 10];
    let mut told: Option<Instant> = None;
    let mut line = Vec::new();
    while let Ok(read) = pipe.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        let room = MOST_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
        let Some(progress) = progress else { continue };
        for byte in &buffer[..read] {
            if !matches!(byte, b'\r' | b'\n') {
                line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            if is_progress(&text) && told.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                told = Some(Instant::now());
                progress(text);
            }
        }
    }
}

fn is_progress(line: &str) -> bool {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    ["Enumerating", "Counting", "Compressing", "Receiving", "Resolving", "Updating files", "Total "]
        .iter()
        .any(|word| line.starts_with(word))
}

/// What must not be shown of a URL: what stands before `@`, and the password in it.
fn secrets(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let host = rest.split('/').next().unwrap_or_default();
    let Some((user, _)) = host.rsplit_once('@') else {
        return Vec::new();
    };
    let mut secrets = vec![format!("{user}@")];
    // A user's name alone is often a token; a short one is a word that may stand anywhere.
    secrets.extend(user.split(':').filter(|part| part.len() >= 6).map(str::to_owned));
    secrets
}

/// The lines of git's messages, without progress and without secrets.
fn messages(text: &str, secrets: &[String]) -> Vec<String> {
    let lines = text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.trim().is_empty() && !is_progress(line));
    lines.map(|line| masked(&crate::model::log::safe(line), secrets)).collect()
}

fn masked(line: &str, secrets: &[String]) -> String {
    let mut line = line.to_owned();
    for secret in secrets {
        line = line.replace(secret, if secret.ends_with('@') { "" } else { "***" });
    }
    // Also in URLs that git met on its way: redirections, submodules.
    line.split_inclusive([' ', '\'', '"', '<', '>']).map(crate::model::source::without_password).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left_in_a_message() {
        let secrets = secrets("https://me:s3cret-token@git.example/a.git");
        let said = "fatal: unable to access 'https://me:s3cret-token@git.example/a.git/': token s3cret-token refused; see 'https://x:y@other/b'";
        let told = messages(said, &secrets).join("\n");
        assert_eq!(told, "fatal: unable to access 'https://git.example/a.git/': token *** refused; see 'https://other/b'");
    }

    #[tokio::test]
    async fn git_is_ended_while_it_outgrows_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let stop = Stop { within: Duration::from_secs(60), cancel: CancellationToken::new() };
        let git = Git::here(folder.path(), stop).at_most(Bytes(8 << 20));
        // A fetch that goes on for ever, as of a server that sends without end; its own child would outlive it.
        let fetch = "alias.endless=!head -c 30M /dev/zero > pack; echo $$ > pid; sleep 300 & wait";
        let began = Instant::now();
        let problem = git.run(&["-c", fetch, "endless"]).await.unwrap_err();
        assert!(problem.what.contains("8.0 MB") || problem.what.contains("8 MB"), "{problem}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let pid: i32 = std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default().trim().parse().unwrap_or(0);
        let is_alive =
            || pid > 0 && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        let limit = Instant::now() + Duration::from_secs(5);
        while is_alive() && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!is_alive(), "nothing of it is left");
    }
}
