//! The command line that a plan stands for.

use super::Asked;
use crate::model::source::{Source, without_password};

/// The command that asks for the same; values of the environment are not in it.
pub(super) fn of(asked: &Asked<'_>) -> String {
    let mut words = vec!["pilothouse deploy".to_owned()];
    match &asked.request.source {
        Source::Folder { path } => words.push(quoted(&path.display().to_string())),
        Source::Git { url, reference } => {
            words.push(quoted(&without_password(url)));
            if let Some(reference) = reference {
                words.push(format!("--ref {}", quoted(reference)));
            }
        }
        Source::Image { reference } => words.push(format!("--image {}", quoted(reference))),
    }
    words.push(format!("--name {}", asked.app));
    let overrides = &asked.request.overrides;
    let texts = [
        ("install", &overrides.install),
        ("build", &overrides.build),
        ("start", &overrides.start),
        ("output", &overrides.output),
        ("dockerfile", &overrides.dockerfile),
    ];
    for (flag, value) in texts {
        if let Some(value) = value {
            words.push(format!("--{flag} {}", quoted(value)));
        }
    }
    if let Some(port) = overrides.port {
        words.push(format!("--port {port}"));
    }
    if let Some(runtime) = overrides.runtime {
        words.push(format!("--runtime {}", runtime.word()));
    }
    if let Some(replicas) = overrides.replicas {
        words.push(format!("--replicas {replicas}"));
    }
    words.extend(overrides.strategy.map(|strategy| format!("--strategy {}", strategy.word())));
    words.extend(overrides.env.0.keys().map(|name| format!("--env {name}=…")));
    words
        .extend(overrides.secrets.iter().map(|(name, reference)| format!("--secret {}", quoted(&format!("{name}={reference}")))));
    words.extend(overrides.watch.iter().map(|branch| format!("--watch {}", quoted(branch))));
    words.join(" ")
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
