//! A git repository by its URL: the asked branch, tag or commit, shallow, with its submodules.

use std::{
    fs,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{
    Source, Visit,
    git_command::{Git, Said, Stop},
    listing::{self, Which},
};
use crate::model::{
    Problem,
    source::{Survey, Tip, without_password},
    units::Bytes,
};

/// Least digits of a commit that is asked for by its beginning.
const SHORTEST_COMMIT: usize = 7;

/// A repository and what of it.
pub(super) struct Repository {
    url: String,
    reference: Option<String>,
}

/// What a remote has.
struct Remote {
    /// Branch that its HEAD names.
    default: Option<String>,
    /// Whether its HEAD is a commit, by a branch or without one.
    has_head: bool,
    /// Commit and full name of each branch and tag; an annotated tag's commit has no line of its own.
    references: Vec<(String, String)>,
}

/// What will be fetched.
enum Wanted {
    /// A full name, and the branch or tag as people say it.
    Named { full: String, short: String },
    /// A whole commit id.
    Commit(String),
    /// The beginning of a commit id, which only the whole history can complete.
    Beginning(String),
}

impl Repository {
    pub(super) fn new(url: String, reference: Option<String>) -> Self {
        Self { url, reference }
    }

    fn shown(&self) -> String {
        without_password(&self.url)
    }

    fn check(&self) -> Result<(), Problem> {
        let odd = |text: &str| text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control);
        if odd(&self.url) || self.url.trim() != self.url {
            return Err(Problem::user(format!("`{}` is not a repository's URL", self.shown().escape_debug()))
                .hint("write https://HOST/OWNER/NAME.git, git@HOST:OWNER/NAME.git, or file:///PATH"));
        }
        if is_local(&self.url) && !self.url.starts_with("file://") && !self.url.starts_with('/') {
            return Err(Problem::user(format!("`{}` is a relative path, which the engine cannot know", self.shown()))
                .hint("give the whole path, or the folder itself as a source"));
        }
        let Some(reference) = &self.reference else { return Ok(()) };
        // Rules of `git check-ref-format`, as far as they keep a name from meaning something else.
        let bad = odd(reference)
            || reference.contains("..")
            || reference.contains("@{")
            || reference.contains([' ', '~', '^', ':', '?', '*', '[', '\\']);
        if bad {
            return Err(Problem::user(format!("`{}` is not a branch, tag or commit", reference.escape_debug()))
                .at("--ref")
                .hint("name a branch, a tag, or a commit by at least 7 digits"));
        }
        Ok(())
    }

    /// Fetches into `folder`, which then holds the checked-out files and `.git`.
    async fn fetch_into(&self, folder: &Path, visit: &Visit) -> Result<Survey, Problem> {
        self.check()?;
        fs::create_dir_all(folder).map_err(|error| listing::unreadable(folder, &error))?;
        let stop = Stop { within: visit.within, cancel: visit.cancel.clone() };
        // What it may hold, and its history as much again.
        let most = Bytes(visit.limits.bytes.0.saturating_mul(2));
        let git = Git::here(folder, stop).at_most(most).hiding(&self.url).telling(visit.progress.clone());
        let git = Self::by_ssh(git).await?;
        (visit.progress)(format!("asking {}", self.shown()));
        let remote = self.ask_remote(&git).await?;
        let wanted = self.choose(&remote)?;
        self.done(git.run(&["init", "--quiet", "--template=", "--initial-branch=fetched"]).await?, "init")?;
        self.done(git.run(&["remote", "add", "origin", "--", &self.url]).await?, "remote")?;
        let reference = self.check_out(&git, wanted, &remote).await?;
        if folder.join(".gitmodules").exists() {
            self.fetch_submodules(&git, visit).await?;
        }
        let head = self.done(git.run(&["log", "-1", "--format=%H%n%s"]).await?, "log")?;
        let mut lines = head.lines().map(str::to_owned);
        Ok(Survey { commit: lines.next(), subject: lines.next(), reference, ..Survey::default() })
    }

    /// Where `branch` is, without fetching any file.
    pub(super) async fn tip(&self, branch: &str, known: Option<&str>, visit: &Visit) -> Result<Tip, Problem> {
        self.check()?;
        let folder = Temporary(visit.scratch.clone());
        fs::create_dir_all(&folder.0).map_err(|error| listing::unreadable(&folder.0, &error))?;
        let stop = Stop { within: visit.within, cancel: visit.cancel.clone() };
        let git = Self::by_ssh(Git::here(&folder.0, stop).hiding(&self.url)).await?;
        let full = format!("refs/heads/{branch}");
        let said = self.done(git.run(&["ls-remote", "--", &self.url, &full]).await?, "ls-remote")?;
        let line = said.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == full);
        let commit = line.map(|(commit, _)| commit.to_owned());
        let rewritten = match (&commit, known) {
            (Some(commit), Some(known)) if commit != known => self.is_rewritten(&git, &full, known).await,
            _ => Some(false),
        };
        Ok(Tip { commit, rewritten })
    }

    /// Whether `known` is no ancestor of the branch. Looks at its last commits, without their files where the server can.
    async fn is_rewritten(&self, git: &Git, branch: &str, known: &str) -> Option<bool> {
        const DEPTH: &str = "--depth=200";
        git.run(&["init", "--quiet", "--bare", "--template=", "--initial-branch=fetched"]).await.ok().filter(|said| said.ok)?;
        let fetch = ["fetch", "--quiet", "--no-tags", DEPTH, "--filter=tree:0", "--no-recurse-submodules", "--"];
        git.run(&[&fetch[..], &[&self.url, branch]].concat()).await.ok().filter(|said| said.ok)?;
        let commits = git.run(&["rev-list", "FETCH_HEAD"]).await.ok().filter(|said| said.ok)?;
        if commits.out.lines().any(|commit| commit == known) {
            return Some(false);
        }
        let shallow = git.run(&["rev-parse", "--is-shallow-repository"]).await.ok().filter(|said| said.ok)?;
        (shallow.out.trim() == "false").then_some(true)
    }

    /// By the ssh command that the user configured, if any.
    async fn by_ssh(git: Git) -> Result<Git, Problem> {
        let configured = git.ask(&["config", "--get", "core.sshCommand"]).await?;
        Ok(match configured.filter(|_| std::env::var_os("GIT_SSH_COMMAND").is_none()) {
            Some(ssh) => git.by_ssh(ssh.trim().to_owned()),
            None => git,
        })
    }

    async fn ask_remote(&self, git: &Git) -> Result<Remote, Problem> {
        let said = git.run(&["ls-remote", "--symref", "--", &self.url, "HEAD", "refs/heads/*", "refs/tags/*"]).await?;
        let text = self.done(said, "ls-remote")?;
        let mut remote = Remote { default: None, has_head: false, references: Vec::new() };
        for line in text.lines() {
            match line.split_once('\t') {
                Some((target, "HEAD")) => match target.strip_prefix("ref: refs/heads/") {
                    Some(branch) => remote.default = Some(branch.to_owned()),
                    None => remote.has_head = true,
                },
                // `^{}` gives the commit that an annotated tag stands for.
                Some((commit, name)) if name.ends_with("^{}") => {
                    let name = name.trim_end_matches("^{}");
                    remote.references.retain(|(_, other)| other != name);
                    remote.references.push((commit.to_owned(), name.to_owned()));
                }
                Some((commit, name)) => remote.references.push((commit.to_owned(), name.to_owned())),
                None => {}
            }
        }
        Ok(remote)
    }

    fn choose(&self, remote: &Remote) -> Result<Wanted, Problem> {
        let Some(asked) = self.reference.as_ref().filter(|asked| *asked != "HEAD") else {
            if remote.references.is_empty() {
                return Err(Problem::not_found("the repository is empty").at(self.shown()).hint("push a commit first"));
            }
            return match &remote.default {
                Some(branch) if remote.has(&format!("refs/heads/{branch}")) => {
                    Ok(Wanted::Named { full: format!("refs/heads/{branch}"), short: branch.clone() })
                }
                _ if remote.has_head => Ok(Wanted::Named { full: "HEAD".to_owned(), short: "HEAD".to_owned() }),
                _ => Err(self.unknown("HEAD", remote)),
            };
        };
        // A branch before a tag, as `git clone --branch` does.
        let full = [asked.clone(), format!("refs/heads/{asked}"), format!("refs/tags/{asked}")];
        if let Some(full) = full.into_iter().find(|name| remote.has(name)) {
            let short = full.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
            return Ok(Wanted::Named { full, short });
        }
        let commit = asked.to_ascii_lowercase();
        if commit.len() < SHORTEST_COMMIT || commit.len() > 64 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(self.unknown(asked, remote));
        }
        if commit.len() >= 40 {
            return Ok(Wanted::Commit(commit));
        }
        let mut tips = remote.references.iter().filter(|(tip, _)| tip.starts_with(&commit)).map(|(tip, _)| tip);
        match (tips.next(), tips.next()) {
            (Some(tip), None) => Ok(Wanted::Commit(tip.clone())),
            _ => Ok(Wanted::Beginning(commit)),
        }
    }

    /// Fetches as little as the remote allows and checks it out; gives the branch or tag.
    async fn check_out(&self, git: &Git, wanted: Wanted, remote: &Remote) -> Result<Option<String>, Problem> {
        const SHALLOW: [&str; 5] = ["fetch", "--progress", "--no-tags", "--depth=1", "--no-recurse-submodules"];
        let shallow =
            |what: &str| [&SHALLOW[..], &["--", "origin", what]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let run = async |arguments: Vec<String>| git.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        match wanted {
            Wanted::Named { full, short } => {
                self.done(run(shallow(&full)).await?, "fetch")?;
                self.done(git.run(&["checkout", "--quiet", "--detach", "--force", "FETCH_HEAD"]).await?, "checkout")?;
                Ok(Some(short))
            }
            Wanted::Commit(commit) => {
                // Servers may refuse to give what no branch points at: then the history is searched.
                if run(shallow(&commit)).await?.ok {
                    self.done(git.run(&["checkout", "--quiet", "--detach", "--force", "FETCH_HEAD"]).await?, "checkout")?;
                } else {
                    self.check_out_from_history(git, &commit, remote).await?;
                }
                Ok(None)
            }
            Wanted::Beginning(commit) => self.check_out_from_history(git, &commit, remote).await.map(|()| None),
        }
    }

    async fn check_out_from_history(&self, git: &Git, commit: &str, remote: &Remote) -> Result<(), Problem> {
        let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        let fetch = ["fetch", "--progress", "--no-recurse-submodules", "--", "origin"];
        self.done(git.run(&[&fetch[..], &all[..]].concat()).await?, "fetch")?;
        let found = git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{commit}}")]).await?;
        if !found.ok {
            return Err(self.unknown(commit, remote));
        }
        self.done(git.run(&["checkout", "--quiet", "--detach", "--force", found.out.trim()]).await?, "checkout").map(drop)
    }

    async fn fetch_submodules(&self, git: &Git, visit: &Visit) -> Result<(), Problem> {
        (visit.progress)("fetching submodules".to_owned());
        // A repository from the network must not read repositories of this machine through its submodules.
        let git = if is_local(&self.url) { git.clone() } else { git.clone().remote_only() };
        const UPDATE: [&str; 5] = ["submodule", "update", "--init", "--recursive", "--force"];
        let shallow = git.run(&[&UPDATE[..], &["--depth=1", "--jobs=4"]].concat()).await?;
        if shallow.ok {
            return Ok(());
        }
        self.done(git.run(&UPDATE).await?, "submodule").map(drop)
    }

    /// The output of a command that succeeded, else what its failure means.
    fn done(&self, said: Said, verb: &str) -> Result<String, Problem> {
        if said.ok { Ok(said.out) } else { Err(self.failed(&said.messages, verb)) }
    }

    fn failed(&self, messages: &[String], verb: &str) -> Problem {
        let shown = self.shown();
        let all = messages.join("\n");
        let has = |words: &[&str]| words.iter().any(|word| all.contains(word));
        let said = messages.iter().find(|line| line.starts_with("fatal:") || line.starts_with("error:")).or(messages.last());
        let said = said.map_or("nothing", |line| line.trim_start_matches("fatal: ").trim_start_matches("error: "));
        let evidence = messages.iter().rev().take(8).rev().cloned();
        let problem = if has(&[
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "terminal prompts disabled",
            "error: 401",
            "error: 403",
        ]) {
            Problem::user(format!("git may not read {shown}: {said}")).hint(format!(
                "if it is private, store a token once with a credential helper (git config --global credential.helper store; git ls-remote {shown}), or use its SSH URL with a key in your ssh-agent"
            ))
        } else if has(&["Permission denied (", "Permission denied, please"]) {
            Problem::user(format!("git may not read {shown}: {said}")).hint(
                "add an SSH key to the repository's host and load it (ssh-add), or use its https URL with a credential helper",
            )
        } else if has(&["Host key verification failed"]) {
            Problem::user(format!("the host of {shown} is not known to ssh: {said}"))
                .hint("connect to it once by hand (ssh -T git@HOST) and compare its fingerprint")
        } else if has(&["not allowed", "dubious ownership", "Too many redirects"]) {
            Problem::user(format!("git refuses {shown}: {said}"))
                .hint("use an https, ssh, git or file URL of a repository that you own")
        } else if has(&[
            "Repository not found",
            "does not appear to be a git repository",
            "not found",
            "does not exist",
            "not a git repository",
            "No such file",
        ]) {
            Problem::not_found(format!("there is no repository at {shown}: {said}")).hint(format!(
                "check the URL (git ls-remote {shown}); if it is private, use its SSH URL with a key in your ssh-agent"
            ))
        } else if has(&["No space left"]) {
            Problem::limit("the disk is full").hint("free some space, then deploy again")
        } else {
            Problem::unavailable(format!("git {verb} of {shown} failed: {said}"))
                .hint(format!("try it by hand: git ls-remote {shown}"))
        };
        problem.evidence(evidence)
    }

    fn unknown(&self, asked: &str, remote: &Remote) -> Problem {
        let names = remote.nearest(asked);
        let next =
            if names.is_empty() { "push a branch first".to_owned() } else { format!("did you mean {}?", names.join(", ")) };
        Problem::not_found(format!("there is no branch, tag or commit `{asked}`")).at(self.shown()).hint(next)
    }
}

impl Remote {
    fn has(&self, full: &str) -> bool {
        self.references.iter().any(|(_, name)| name == full)
    }

    /// Up to three names most like `asked`; the default branch when none is like it.
    fn nearest(&self, asked: &str) -> Vec<String> {
        let names =
            self.references.iter().map(|(_, name)| name.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/"));
        let mut scored: Vec<(f64, &str)> =
            names.map(|name| (strsim::jaro_winkler(asked, name), name)).filter(|(score, _)| *score > 0.6).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.dedup_by(|a, b| a.1 == b.1);
        let default = self.default.as_deref().filter(|_| scored.is_empty());
        scored.iter().take(3).map(|(_, name)| *name).chain(default).map(|name| format!("`{name}`")).collect()
    }
}

/// Whether git would read it from this machine's disk.
fn is_local(url: &str) -> bool {
    if let Some((scheme, _)) = url.split_once("://") {
        return scheme == "file";
    }
    // `host:path` is SSH unless a slash comes first.
    match (url.find(':'), url.find('/')) {
        (Some(colon), Some(slash)) => slash < colon,
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// Removes the repository's own records, also those of its submodules.
fn forget_git(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name() == ".git" {
            if kind.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        } else if kind.is_dir() {
            forget_git(&entry.path())?;
        }
    }
    Ok(())
}

#[async_trait]
impl Source for Repository {
    async fn survey(&self, visit: &Visit) -> Result<Survey, Problem> {
        let folder = Temporary(visit.scratch.clone());
        self.fetch(&folder.0.join("tree"), visit).await
    }

    async fn fetch(&self, into: &Path, visit: &Visit) -> Result<Survey, Problem> {
        let fetched = self.fetch_into(into, visit).await?;
        let (folder, limits, cancel) = (into.to_path_buf(), visit.limits, visit.cancel.clone());
        let listed = tokio::task::spawn_blocking(move || {
            forget_git(&folder).map_err(|error| listing::unreadable(&folder, &error))?;
            let entries = listing::walk(&folder, Which::All, &[], limits, &cancel)?;
            Ok::<_, Problem>(listing::survey(&folder, &entries))
        });
        let listed = listed.await.map_err(|error| Problem::internal(format!("listing the files broke off: {error}")))??;
        Ok(Survey { commit: fetched.commit, subject: fetched.subject, reference: fetched.reference, ..listed })
    }
}

/// A folder that goes with its owner.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is swept at the agent's next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}
