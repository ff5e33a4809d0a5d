//! Why an image was not built, with the next step.

use super::builder::Builder;
use crate::model::{Problem, problem::ProblemKind};

/// Exit code of what was killed: the kernel does so at the limit of memory.
const KILLED: i64 = 137;

/// The problem of an image that is not here and was not pulled. `place` is where a Dockerfile of the source names it.
pub(super) fn of_base(mut problem: Problem, image: &str, place: Option<(&String, u64)>) -> Problem {
    // A Docker that is away is another matter.
    if problem.at != Some(format!("image {image}")) {
        return problem;
    }
    // It was asked for long enough.
    if problem.is_transient() {
        problem.kind = ProblemKind::App;
    }
    match place {
        Some((file, line)) => problem.at(format!("{file}:{line}")),
        None => problem.hint("name another one: [build] base = \"IMAGE\", or the setting docker.base_images"),
    }
}

/// The problem of a build that ended with `message` at `step`.
pub(super) fn of_message(code: Option<i64>, message: &str, step: &str, file: &str, by: Builder, lines: Vec<String>) -> Problem {
    let message = plain(message.trim());
    // BuildKit tells it in its words.
    let code = code.or_else(|| message.rsplit_once("exit code: ")?.1.trim().parse().ok());
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let place = if step.is_empty() { file.to_owned() } else { format!("{file}: {step}") };
    let image = step.split_whitespace().skip(1).find(|word| !word.starts_with("--")).unwrap_or("the base image");
    let problem = if code == Some(KILLED) || has(&["returned a non-zero code: 137"]) {
        match by.memory() {
            Some(limit) => Problem::limit(format!("a step of the build took more memory than {limit}"))
                .hint("raise build.limits.memory in pilothouse.toml, or have the build take less"),
            None => Problem::limit("a step of the build was killed, as the kernel does when memory is short")
                .hint("stop something, or have the build take less, then deploy again"),
        }
    } else if code.is_some() || has(&["returned a non-zero code"]) {
        let code = code.map_or_else(String::new, |code| format!(" with {code}"));
        Problem::app(format!("a step of the build ended{code}"))
            .hint("pilothouse logs APP --build shows all of it; mend the step")
    } else if has(&["no space left on device"]) {
        Problem::limit("the disk is full").hint("free some space (docker system df shows what images take), then deploy again")
    } else if has(&[
        "COPY failed",
        "ADD failed",
        "not found in build context",
        "failed to compute cache key",
        "failed to calculate checksum",
    ]) {
        Problem::app(format!("a file that it copies is not there: {message}"))
            .hint("correct its path, or take it out of .dockerignore")
    } else if has(&[
        "pull access denied",
        "manifest unknown",
        "manifest for",
        "repository does not exist",
        "unauthorized",
        "not found: manifest",
    ]) {
        Problem::user(format!("the base image {image} is not there, or this machine may not pull it"))
            .hint("correct its name, or docker login; another one for written Dockerfiles: [build] base = \"IMAGE\", setting docker.base_images")
    } else if has(&[
        "dial tcp",
        "no such host",
        "i/o timeout",
        "connection refused",
        "TLS handshake",
        "Client.Timeout",
        "network is unreachable",
        "server misbehaving",
    ]) {
        Problem::app(format!("the base image {image} is not here, and its registry does not answer"))
            .hint("try again once the registry answers, or name an image that this machine has: [build] base = \"IMAGE\"")
            .evidence([message.to_owned()])
    } else if has(&[
        "dockerfile parse error",
        "unknown instruction",
        "unknown flag",
        "failed to process",
        "Dockerfile parse error",
    ]) {
        let problem = Problem::user(format!("the Dockerfile cannot be read: {message}"));
        match by {
            Builder::Classic { .. } => problem.hint("mend the line that it names"),
            Builder::BuildKit => problem.hint(
                "mend the line that it names; what Docker's own frontend does not know yet comes with \
                 `# syntax=docker/dockerfile:1` as the first line",
            ),
        }
    } else {
        Problem::app(format!("the image was not built: {message}")).hint("pilothouse logs APP --build shows all of it")
    };
    problem.at(place).evidence(lines)
}

/// What a builder said, without the names of its own parts.
fn plain(message: &str) -> &str {
    const PARTS: &[(&str, &str)] = &[
        ("failed to solve with frontend ", ": "),
        ("failed to solve", ": "),
        ("failed to build LLB", ": "),
        ("failed to create LLB definition", ": "),
        ("rpc error: code = ", " desc = "),
    ];
    let inner = PARTS.iter().find_map(|(part, end)| Some(message.strip_prefix(part)?.split_once(end)?.1));
    inner.map_or(message, plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Bytes;

    fn of(code: Option<i64>, message: &str) -> Problem {
        of_message(
            code,
            message,
            "FROM registry.example/node:22 AS build",
            "Dockerfile",
            Builder::Classic { memory: Bytes::gib(1) },
            Vec::new(),
        )
    }

    #[test]
    fn each_cause_has_its_next_step() {
        for (code, message, kind, word) in [
            (Some(137), "killed", ProblemKind::Limit, "memory"),
            (Some(1), "The command '/bin/sh -c false' returned a non-zero code: 1", ProblemKind::App, "ended with 1"),
            (
                None,
                "pull access denied for registry.example/node, repository does not exist",
                ProblemKind::User,
                "registry.example/node:22",
            ),
            (
                None,
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                ProblemKind::App,
                "does not answer",
            ),
            (
                None,
                "COPY failed: file not found in build context or excluded by .dockerignore: stat x",
                ProblemKind::App,
                "not there",
            ),
            (
                None,
                "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed running [/bin/sh -c false]: \
                 exit code: 3",
                ProblemKind::App,
                "ended with 3",
            ),
            (
                None,
                "failed to solve: process \"/bin/sh -c x\" did not complete successfully: exit code: 137",
                ProblemKind::Limit,
                "memory",
            ),
            (
                None,
                "failed to solve with frontend dockerfile.v0: failed to build LLB: failed to compute cache key: \"/a\" not found",
                ProblemKind::App,
                "not there: failed to compute",
            ),
            (None, "write /x: no space left on device", ProblemKind::Limit, "disk"),
            (None, "something else", ProblemKind::App, "something else"),
        ] {
            let problem = of(code, message);
            assert_eq!(problem.kind, kind, "{problem}");
            assert!(problem.what.contains(word) && problem.next.is_some() && problem.at.is_some(), "{problem}");
        }
    }
}
