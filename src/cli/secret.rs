//! `secret set|list|remove`: values that apps are given and that nothing shows.

use std::{
    io::{self, IsTerminal, Read},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use serde::Serialize;

use super::{Ended, context::Context, deploy::odd, output::Output, table::Table, time};
use crate::model::{
    command::{Answer, Command},
    ids::AppId,
    problem::Problem,
    secret::{self, LONGEST, StoredSecret},
};

#[derive(Debug, Args)]
pub struct Secret {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Keep a value under a name, sealed; it is read from standard input, or asked for without being shown
    Set(Set),
    /// The names of stored secrets, when they were set, and which apps use them; never a value
    List,
    /// Remove a stored secret
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Set {
    /// Name by which store:NAME refers to it
    #[arg(value_parser = name)]
    name: String,
    /// Read the value from a file; a line end at its end is left out
    #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
    from_file: Option<PathBuf>,
    /// Read the value from a variable of this command's environment
    #[arg(long, value_name = "VARIABLE")]
    from_env: Option<String>,
}

#[derive(Debug, Args)]
struct Remove {
    #[arg(value_parser = name)]
    name: String,
}

/// A stored secret as it is told.
#[derive(Serialize)]
struct Document<'a> {
    name: &'a str,
    /// Absent, as who set it, when the value cannot be opened.
    set_at: Option<String>,
    set_by: Option<&'a str>,
    used_by: &'a [AppId],
}

impl<'a> Document<'a> {
    fn of(secret: &'a StoredSecret) -> Self {
        let opens = !secret.lost;
        Self {
            name: &secret.name,
            set_at: opens.then(|| time::rfc3339(secret.set_at)),
            set_by: opens.then_some(secret.set_by.as_str()),
            used_by: &secret.used_by,
        }
    }
}

/// What was done.
#[derive(Serialize)]
struct Deed {
    secret: String,
    outcome: String,
    next: String,
}

impl Secret {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        match self.word {
            Word::Set(set) => set.run(context).await,
            Word::List => list(context).await,
            Word::Remove(remove) => remove.run(context).await,
        }
    }
}

impl Set {
    async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let value = secret::Secret(self.value()?);
        value.check().map_err(|problem| problem.at(format!("secret {}", self.name)))?;
        tell(context, &self.name, context.send(Command::SecretSet { name: self.name.clone(), value }).await?)
    }

    fn value(&self) -> Result<String, Problem> {
        if let Some(variable) = &self.from_env {
            return std::env::var(variable).map_err(|_| {
                Problem::user(format!("this command's environment has no text in {variable}"))
                    .at("--from-env")
                    .hint("export it first")
            });
        }
        let bytes = match &self.from_file {
            Some(path) => std::fs::File::open(path)
                .and_then(read)
                .map_err(|error| Problem::user(format!("the file cannot be read: {error}")).at(path.display().to_string()))?,
            None if io::stdin().is_terminal() => return prompt(&self.name),
            None => read(io::stdin().lock()).map_err(|error| Problem::user(format!("standard input cannot be read: {error}")))?,
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Problem::user("the value is not text").hint("encode it, as base64, and have the app decode it"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

/// At most a little more than what is accepted: the refusal then names the limit.
fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks for the value without showing it.
fn prompt(name: &str) -> Result<String, Problem> {
    let failed = |error: io::Error| {
        Problem::user(format!("the value cannot be asked for: {error}")).hint("pipe it in, or say --from-file")
    };
    eprint(&format!("value of {name} (it is not shown): "));
    enable_raw_mode().map_err(failed)?;
    let _shown_again = Raw;
    let mut bytes = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte.map_err(failed)? {
            b'\r' | b'\n' => break,
            // Ctrl-C, and Ctrl-D on nothing.
            3 => return Err(Problem::user("not given: nothing was done")),
            4 if bytes.is_empty() => return Err(Problem::user("not given: nothing was done")),
            8 | 127 => {
                // A whole character.
                while bytes.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            // Ctrl-U
            21 => bytes.clear(),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::user("the value is not text"))
}

/// The terminal as it was, however the prompt ends.
struct Raw;

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done when even this fails.
        let _ = disable_raw_mode();
        eprint("\n");
    }
}

fn eprint(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
}

async fn secrets(context: &Context<'_>) -> Result<Vec<StoredSecret>, Problem> {
    match context.send(Command::SecretList).await? {
        Answer::Secrets { secrets } => Ok(secrets),
        other => Err(odd(&other)),
    }
}

async fn list(context: &Context<'_>) -> Result<Ended, Problem> {
    let secrets = secrets(context).await?;
    if context.output.json {
        context.output.document(&secrets.iter().map(Document::of).collect::<Vec<_>>());
        return Ok(Ended::Well);
    }
    if secrets.is_empty() {
        context.output.line("no secret is stored; `pilothouse secret set NAME` keeps one");
        return Ok(Ended::Well);
    }
    let mut table = Table::new(&["secret", "set", "by", "used by"]);
    for secret in &secrets {
        let users = if secret.used_by.is_empty() { "nothing".to_owned() } else { words(&secret.used_by) };
        let set = if secret.lost { "cannot be opened: set it anew".to_owned() } else { time::ago(secret.set_at) };
        table.row([secret.name.clone().into(), set.into(), secret.set_by.clone().into(), users.into()]);
    }
    table.show(context.output);
    Ok(Ended::Well)
}

impl Remove {
    async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let stored = secrets(context).await?;
        let Some(secret) = stored.iter().find(|secret| secret.name == self.name) else {
            return Err(Problem::not_found(format!("there is no secret `{}`", self.name)).hint("pilothouse secret list"));
        };
        let set = if secret.lost {
            "which cannot be opened".to_owned()
        } else {
            format!("set by {} {}", secret.set_by, time::ago(secret.set_at))
        };
        let mut what = vec![format!("  − the secret {}, {set}", secret.name)];
        if !secret.used_by.is_empty() {
            what.push(format!(
                "  ! {} cannot start an instance any more until it is set again; what runs goes on",
                words(&secret.used_by)
            ));
        }
        if !context.confirm(&what, &format!("remove the secret {}?", self.name), true)? {
            return Err(Problem::conflict("not agreed to: nothing was done").hint("answer y, or say --yes"));
        }
        // Whoever agreed has seen who uses it.
        let command = Command::SecretRemove { name: self.name.clone(), used_too: !secret.used_by.is_empty() };
        tell(context, &self.name, context.send(command).await?)
    }
}

fn words(apps: &[AppId]) -> String {
    apps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn tell(context: &Context<'_>, secret: &str, answer: Answer) -> Result<Ended, Problem> {
    let Answer::Done { what, next } = answer else { return Err(odd(&answer)) };
    told(context.output, Deed { secret: secret.to_owned(), outcome: what, next });
    Ok(Ended::Well)
}

fn told(output: &Output, deed: Deed) {
    if output.json {
        output.document(&deed);
    }
    output.line(&format!("✓ {}", deed.outcome));
    output.line(&format!("  next: {}", deed.next));
}

/// Reads the name of a stored secret as an argument.
fn name(name: &str) -> Result<String, Problem> {
    secret::store_name(name).map(|()| name.to_owned())
}
