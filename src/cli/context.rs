//! What every command has at hand: settings, output, and the way to the engine.

use std::{
    fs::{File, TryLockError},
    io::PipeReader,
    pin::pin,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    time::{Instant, sleep},
};

use super::{Roles, output::Output};
use crate::{
    config::Settings,
    model::{
        command::{Answer, Command, Request},
        ids::AppId,
        log,
        problem::Problem,
    },
    wire::engine::Client,
};

/// Longest wait for an engine that was started to answer.
const START: Duration = Duration::from_secs(10);
/// How long a killed engine may take to come back by itself before another is started.
const PATIENCE: Duration = Duration::from_secs(3);
/// Lines of the engine's log that are shown when it does not start.
const EVIDENCE: usize = 10;

/// At hand for a command.
pub struct Context<'a> {
    pub settings: Settings,
    pub output: &'a Output,
    pub roles: Roles,
    /// `--yes`
    pub yes: bool,
}

impl Context<'_> {
    /// A client of this state folder's engine, whether one runs or not.
    pub fn client(&self) -> Client {
        Client::new(self.settings.state.engine_socket())
    }

    /// A client of the engine, which is started in the background when none runs.
    pub async fn engine(&self) -> Result<Client, Problem> {
        let client = self.client();
        match client.status().await {
            Ok(status) => {
                self.compare_versions(&status.engine.version);
                return Ok(client);
            }
            Err(problem) if !problem.is_transient() => return Err(problem),
            Err(_) => {}
        }
        let mut ended = pin!(last_words((self.roles.launch_engine)(&self.settings)?));
        let (deadline, mut refused) = (Instant::now() + START, None);
        loop {
            match client.status().await {
                Ok(_) => return Ok(client),
                // Another one holds the state folder, and it is not about to begin.
                Err(_) if Instant::now() >= deadline && refused.is_some() => return Err(self.does_not_answer()),
                Err(problem) if Instant::now() >= deadline => return Err(self.did_not_start(&problem)),
                Err(_) => {}
            }
            // One that another engine was faster than is no loss: that one answers soon.
            if let Some(said) = refused.take_if(|_| !self.is_held()) {
                return Err(said);
            }
            tokio::select! {
                said = &mut ended, if refused.is_none() => {
                    refused = Some(said.unwrap_or_else(|| self.did_not_start(&Problem::unavailable("it ended at once"))));
                }
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    /// Whether an engine holds the state folder.
    pub fn is_held(&self) -> bool {
        let held = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        File::open(self.settings.state.lock()).is_ok_and(held)
    }

    /// Of an engine that runs and is not to be spoken with: it hangs, or its socket was taken away.
    pub fn does_not_answer(&self) -> Problem {
        let pid = std::fs::read_to_string(self.settings.state.lock()).ok().and_then(|text| text.trim().parse::<u32>().ok());
        let who = pid.map_or_else(|| "an engine".to_owned(), |pid| format!("the engine (pid {pid})"));
        let next = pid
            .map_or_else(|| "find it with ps".to_owned(), |pid| format!("kill {pid}, or kill -9 {pid} when that does not help"));
        Problem::unavailable(format!("{who} runs and does not answer"))
            .at(self.settings.state.engine_socket().display().to_string())
            .hint(format!("{next}; what serves goes on, and pilothouse engine start takes it over"))
    }

    /// A client of the engine after it broke off: waits for it to come back, starts it again when it was killed.
    ///
    /// An engine that was told to end takes its socket with it, and is left at rest.
    pub async fn engine_again(&self) -> Result<Client, Problem> {
        let (client, deadline) = (self.client(), Instant::now() + PATIENCE);
        while Instant::now() < deadline {
            if client.status().await.is_ok() {
                return Ok(client);
            }
            sleep(Duration::from_millis(100)).await;
        }
        if client.socket().exists() {
            return self.engine().await;
        }
        Err(Problem::unavailable("the engine was told to end meanwhile")
            .at(client.socket().display().to_string())
            .hint("`pilothouse engine start` goes on with what was under way"))
    }

    /// Sends a command, again under the same key when the engine breaks off: it is taken once.
    pub async fn send(&self, command: Command) -> Result<Answer, Problem> {
        let request = Request { actor: actor(), origin: "cli".to_owned(), idempotency_key: key()?, command };
        let mut client = self.engine().await?;
        let mut tries = 0;
        loop {
            tries += 1;
            match client.command(&request).await {
                Ok(Answer::Refused(problem)) => return Err(problem),
                Ok(answer) => return Ok(answer),
                Err(problem) if problem.is_transient() && tries < 3 => client = self.engine_again().await.map_err(|_| problem)?,
                Err(problem) => return Err(problem),
            }
        }
    }

    /// Asks before something that cannot be undone. Without a terminal the answer must be given by `--yes`.
    pub fn confirm(&self, what: &[String], question: &str, needs_yes: bool) -> Result<bool, Problem> {
        if self.yes {
            return Ok(true);
        }
        if !Output::can_ask() || self.output.json {
            return if needs_yes {
                let problem = Problem::user(format!("{question} Nobody can be asked here, so nothing was done"));
                Err(problem.hint("say --yes").evidence(what.iter().cloned()))
            } else {
                Ok(true)
            };
        }
        for line in what {
            self.output.ask_about(line);
        }
        self.output.error_text(&format!("{question} [y/N] "));
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Problem::user(format!("no answer can be read: {error}")).hint("say --yes"))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn compare_versions(&self, engine: &str) {
        let ours = env!("CARGO_PKG_VERSION");
        if engine != ours {
            self.output.progress(&format!(
                "this is version {ours}, the engine is {engine}: `pilothouse engine stop` and `start` renew it; apps go on"
            ));
        }
    }

    fn did_not_start(&self, last: &Problem) -> Problem {
        let path = self.settings.state.engine_log();
        let text = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.iter().skip(lines.len().saturating_sub(EVIDENCE)).map(|line| log::safe(line));
        Problem::unavailable(format!("the engine does not answer {} s after its start: {}", START.as_secs(), last.what))
            .at(path.display().to_string())
            .evidence(tail)
            .hint("`pilothouse engine run` shows what it says; `pilothouse doctor` looks at the machine")
    }
}

/// What an engine in the background had to say when it ended: the problem of its document.
async fn last_words(said: PipeReader) -> Option<Problem> {
    #[derive(Deserialize)]
    struct Document {
        problem: Problem,
    }
    let mut text = String::new();
    pipe::Receiver::from_owned_fd(said.into()).ok()?.read_to_string(&mut text).await.ok()?;
    serde_json::from_str(&text).ok().map(|document: Document| document.problem)
}

/// Who sends commands: the login name.
pub fn actor() -> String {
    let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// A key that no other request has.
fn key() -> Result<String, Problem> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(format!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads an app's name as an argument.
pub fn app(name: &str) -> Result<AppId, Problem> {
    AppId::parse(name)
}
