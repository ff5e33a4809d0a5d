//! The program that is kept: how it is spawned, and what it is given.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{ExitCode, Stdio},
};

use rustix::process::setsid;

use super::{
    handed::Handed,
    spec::{Program, Spec},
};
use crate::model::plan::Env;

/// Name of the variable that marks every process of a keeper: its value is the keeper's folder.
pub const MARK: &str = "PILOTHOUSE_KEEPER";

/// Starts the program of the folder's spec with pipes for its output, by way of `become_program`.
#[expect(clippy::disallowed_types, reason = "programs are run by hosts/, sources/ and keep/")]
pub(super) fn spawn(dir: &Path, control_group: Option<&Path>, handed: &Handed) -> io::Result<std::process::Child> {
    // This very program, also when its file was replaced since.
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0("pilothouse").args(["keep", "--exec"]).arg(dir).args(control_group);
    command.env_clear().current_dir("/").stdin(handed.stdin()?).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Makes this process a session of its own, puts it into its control group, and turns it into the spec's program.
///
/// Returns only when that is impossible, after a line on standard error.
pub(super) fn become_program(dir: &Path, control_group: Option<&Path>) -> ExitCode {
    let error = match prepare(control_group).and_then(|env| Ok(Spec { env, ..Spec::read(dir)? })) {
        Ok(spec) => exec(dir, &spec),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::from(127)
}

/// Gives the environment that was handed on standard input, which the program finds empty.
fn prepare(control_group: Option<&Path>) -> io::Result<Env> {
    let _ = setsid();
    let env = Handed::inherited()?.read()?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    if let Some(group) = control_group {
        std::fs::write(group.join("cgroup.procs"), "0")?;
    }
    Ok(env)
}

#[expect(clippy::disallowed_types, reason = "programs are run by hosts/, sources/ and keep/")]
fn exec(dir: &Path, spec: &Spec) -> String {
    let words = match &spec.program {
        Program::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        Program::Argv(words) => words.clone(),
    };
    let Some((program, arguments)) = words.split_first() else {
        return "there is no command to run".to_owned();
    };
    if !spec.folder.is_dir() {
        return format!("there is no folder {}", spec.folder.display());
    }
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(&spec.folder).env_clear().envs(environment(dir, spec));
    format!("cannot run {program}: {}", command.exec())
}

/// The environment of the program: the spec's, and what every program may expect to find.
fn environment(dir: &Path, spec: &Spec) -> BTreeMap<String, String> {
    let mut all = spec.env.0.clone();
    let mut default = |name: &str, value: String| {
        all.entry(name.to_owned()).or_insert(value);
    };
    default("HOME", spec.folder.display().to_string());
    default("LANG", "C.UTF-8".to_owned());
    default("PATH", spec.search_path.clone());
    if let Some(port) = spec.port {
        default("PORT", port.to_string());
    }
    all.insert(MARK.to_owned(), dir.display().to_string());
    all
}
