//! `completions SHELL`: prints what makes a shell complete our words.

use clap::Args;
use clap_complete::Shell;

use super::{Ended, output::Output};

#[derive(Debug, Args)]
pub struct Completions {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

impl Completions {
    pub fn run(self, output: &Output) -> Ended {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::definition(), "pilothouse", &mut text);
        let text = String::from_utf8_lossy(&text);
        if output.json {
            output.document(&serde_json::json!({ "shell": self.shell.to_string(), "completions": text }));
        } else {
            output.text(&text);
        }
        Ended::Well
    }
}
