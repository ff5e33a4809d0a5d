//! Runs a foreign program for the command line itself: to ask for its version, to make the demo's repositories.

use std::{path::Path, process::Stdio, time::Duration};

/// Longest run.
const LIMIT: Duration = Duration::from_secs(10);

/// What the program wrote to its output when it ended well; nothing when it is absent, fails or takes longer than 10 s.
///
/// It gets no input, and ends with this process.
pub async fn ask(program: &str, arguments: &[&str], folder: &Path, environment: &[(&str, &str)]) -> Option<String> {
    #[expect(clippy::disallowed_types, reason = "a short question to a tool of this machine, not a deed on a host")]
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(folder).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let said = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
