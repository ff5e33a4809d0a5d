//! A command inside a container, with the terminal or the pipes of this process.

use std::{
    io::{self, IsTerminal, Read, Write},
    time::Duration,
};

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use bytes::Bytes;
use futures_util::StreamExt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::{
    io::AsyncWriteExt,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep},
};

use super::client::{Client, is_not_found};
use crate::model::{container::ContainerId, problem::Problem};

/// The shell of a container: the better one that is there.
const SHELL: [&str; 3] = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"];
/// Pieces of what is typed on their way; a full queue holds the reading back.
const TYPED: usize = 16;
/// Longest wait for Docker to know how a command ended whose output has ended.
const ENDED: Duration = Duration::from_secs(5);

/// Runs `argv` in a running container, a shell when it is empty, and gives its exit code.
///
/// On a terminal it has one of the same size, which follows this one's; this one is raw meanwhile, and as before afterwards,
/// however it ends. Without one, what is piped in goes in, and its two outputs come out apart.
pub async fn run(client: &Client, id: &ContainerId, argv: &[String]) -> Result<i64, Problem> {
    let docker = client.docker().await?;
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let command = if argv.is_empty() { SHELL.map(str::to_owned).to_vec() } else { argv.to_vec() };
    let term = std::env::var("TERM").ok().filter(|_| has_terminal);
    let wanted = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(has_terminal),
        env: term.map(|term| vec![format!("TERM={term}")]),
        cmd: Some(command),
        ..CreateExecOptions::default()
    };
    let made = docker.create_exec(&id.0, wanted).await.map_err(|error| refused(client, id, error))?.id;
    let options = StartExecOptions { detach: false, tty: has_terminal, output_capacity: None };
    match docker.start_exec(&made, Some(options)).await {
        Ok(StartExecResults::Attached { output, input }) => {
            let _raw = if has_terminal { Some(Raw::begin().map_err(|error| no_terminal(&error))?) } else { None };
            talk(client, &docker, &made, has_terminal, output, input).await?;
        }
        Ok(StartExecResults::Detached) => return Err(Problem::internal("Docker ran the command without its output")),
        Err(error) => return Err(refused(client, id, error)),
    }
    exit_code(client, &docker, &made).await
}

fn refused(client: &Client, id: &ContainerId, error: Error) -> Problem {
    if is_not_found(&error) {
        return Problem::not_found(format!("there is no container {id} any more")).hint("pilothouse containers lists them");
    }
    client.problem(&format!("run a command in container {id}"), error)
}

fn no_terminal(error: &io::Error) -> Problem {
    Problem::unavailable(format!("this terminal cannot be handed over: {error}")).hint("pipe the command's input instead")
}

/// Passes everything both ways until the command's output ends.
async fn talk(
    client: &Client,
    docker: &Docker,
    exec: &str,
    has_terminal: bool,
    mut output: impl futures_util::Stream<Item = Result<LogOutput, Error>> + Unpin,
    mut input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>,
) -> Result<(), Problem> {
    let no_signal = |error| Problem::internal(format!("cannot wait for signals: {error}"));
    let mut resized = signal(SignalKind::window_change()).map_err(no_signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(no_signal)?;
    let mut typed = read_input();
    let mut is_open = true;
    if has_terminal {
        resize(docker, exec).await;
    }
    loop {
        tokio::select! {
            said = output.next() => match said {
                Some(Ok(said)) => write(&said).map_err(|error| Problem::unavailable(format!("the output cannot be written: {error}")))?,
                Some(Err(error)) => return Err(client.problem("follow a command in a container", error)),
                None => return Ok(()),
            },
            piece = typed.recv(), if is_open => {
                // A command that has ended reads no more; how it ended is told by its output's end.
                is_open = if let Some(piece) = piece {
                    input.write_all(&piece).await.is_ok() && input.flush().await.is_ok()
                } else {
                    let _ = input.shutdown().await;
                    false
                };
            }
            _ = resized.recv(), if has_terminal => resize(docker, exec).await,
            _ = terminate.recv() => return Err(told_to_end()),
            _ = hangup.recv() => return Err(told_to_end()),
        }
    }
}

fn told_to_end() -> Problem {
    Problem::conflict("this command was told to end; what runs in the container may go on")
}

fn write(said: &LogOutput) -> io::Result<()> {
    match said {
        LogOutput::StdErr { message } => {
            let mut err = io::stderr().lock();
            err.write_all(message).and_then(|()| err.flush())
        }
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
            let mut out = io::stdout().lock();
            out.write_all(message).and_then(|()| out.flush())
        }
    }
}

/// What is typed or piped in. Its thread ends with the input, at the latest with this process.
fn read_input() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(TYPED);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = io::stdin().lock().read(&mut buffer) {
            if length == 0 || sender.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Tells the container's terminal this one's size. One that has ended has none.
async fn resize(docker: &Docker, exec: &str) {
    if let Ok(size) = tcgetwinsize(io::stdout()) {
        let options = ResizeExecOptions { height: size.ws_row, width: size.ws_col };
        let _ = docker.resize_exec(exec, options).await;
    }
}

async fn exit_code(client: &Client, docker: &Docker, exec: &str) -> Result<i64, Problem> {
    let begun = Instant::now();
    loop {
        let seen = docker.inspect_exec(exec).await.map_err(|error| client.problem("ask how a command ended", error))?;
        match seen.exit_code {
            Some(code) if seen.running != Some(true) => return Ok(code),
            _ if begun.elapsed() > ENDED => return Err(Problem::unavailable("Docker does not say how the command ended")),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The terminal without line editing and signals of its own, while this value lives.
struct Raw(Termios);

impl Raw {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
