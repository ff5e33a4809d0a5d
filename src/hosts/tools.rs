//! What else is on this machine: programs that Pilothouse works with, looked for in `PATH` and asked for their versions.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::{Host, local::Local};
use crate::model::{tool::Tool, units::Millis};

/// A program and how it is asked for its version; without arguments it is only looked for, since its answer costs seconds.
const KNOWN: [(&str, &[&str]); 7] = [
    ("docker", &["--version"]),
    ("git", &["--version"]),
    ("node", &["--version"]),
    ("python3", &["--version"]),
    ("ssh", &["-V"]),
    ("consul", &["version"]),
    ("vagrant", &[]),
];
const PATIENCE: Millis = Millis::seconds(3);

/// Looks for all of them; takes some 50 ms, at most 3 s for each program that hangs.
pub async fn look(path: Option<&OsStr>, home: Option<&Path>) -> Vec<Tool> {
    let mut tools = Vec::new();
    for (name, arguments) in KNOWN {
        let found = find(name, path);
        let version = match &found {
            Some(program) if !arguments.is_empty() => version_of(program, arguments).await,
            _ => None,
        };
        let path = found.map(|program| program.display().to_string());
        let note = if name == "ssh" { ssh_hosts(home) } else { String::new() };
        tools.push(Tool { name: name.to_owned(), path, version, note });
    }
    tools
}

/// The first file of that name in `path` that can be executed.
fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let can_run = |file: &PathBuf| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(path?).map(|folder| folder.join(name)).find(can_run)
}

async fn version_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut argv = vec![program.to_str()?.to_owned()];
    argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let ran = Local.run(&argv, PATIENCE).await.ok()?;
    // ssh answers on standard error.
    read_version(&ran.out).or_else(|| read_version(&ran.err))
}

/// The first word that begins with a number and has a dot: `2.39.5` of `git version 2.39.5`.
fn read_version(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let numbered = words.map(|word| word.trim_start_matches("OpenSSH_").trim_start_matches('v'));
    numbered.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')).map(str::to_owned)
}

/// Names that ssh_config(5) in the home folder gives to hosts; patterns are not counted.
fn ssh_hosts(home: Option<&Path>) -> String {
    let text = home.and_then(|home| std::fs::read_to_string(home.join(".ssh/config")).ok()).unwrap_or_default();
    let count = count_hosts(&text);
    match count {
        0 => String::new(),
        1 => "1 host in ~/.ssh/config".to_owned(),
        more => format!("{more} hosts in ~/.ssh/config"),
    }
}

fn count_hosts(config: &str) -> usize {
    let mut names = 0;
    for line in config.lines() {
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("host")) {
            names += words.filter(|name| !name.contains(['*', '?', '!'])).count();
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        let version = |text: &str| read_version(text).unwrap_or_default();
        assert_eq!(version("git version 2.39.5\n"), "2.39.5");
        assert_eq!(version("Docker version 20.10.24+dfsg1, build 297e128"), "20.10.24+dfsg1");
        assert_eq!(version("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17 1 Jul 2025"), "9.2p1");
        assert_eq!(version("v20.11.1\n"), "20.11.1");
        assert_eq!(version("Consul v1.8.7\nProtocol 2 spoken by default"), "1.8.7");
        assert_eq!(read_version("no such command"), None);
    }

    #[test]
    fn hosts_of_an_ssh_config_are_counted_without_patterns() {
        assert_eq!(count_hosts("Host bastion core-*\n  User ops\nhost=web1\nHost *\nMatch host x\n#Host no\n"), 2);
    }

    #[tokio::test]
    async fn what_is_not_in_the_path_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("git");
        std::fs::write(&program, "#!/bin/sh\necho git version 9.1.2\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let tools = look(Some(folder.path().as_os_str()), None).await;
        let git = tools.iter().find(|tool| tool.name == "git").unwrap();
        assert_eq!((git.version.as_deref(), git.path.as_deref()), (Some("9.1.2"), program.to_str()));
        assert!(tools.iter().filter(|tool| tool.name != "git").all(|tool| tool.path.is_none()));
    }
}
