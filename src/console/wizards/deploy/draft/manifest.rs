//! A draft as the manifest that stands for it.

use super::{Draft, Kind, Prefilled};
use crate::{
    console::widgets::form::Field,
    model::{
        manifest::{Runtime, Strategy},
        secret::Reference,
    },
};

impl Draft {
    /// The manifest that says the same, as text.
    pub fn manifest(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let line = |key: &str, field: &Field| match field.text().trim() {
            "" => String::new(),
            text => format!("{key} = {}\n", quoted(text)),
        };
        let mut text = line("name", &self.name);
        if self.kind() == Kind::Git {
            text.push_str(&line("watch", &self.watch));
        }
        let build = [line("install", &self.install), line("command", &self.build), line("output", &self.output)].concat();
        if !build.is_empty() {
            text.push_str(&format!("\n[build]\n{build}"));
        }
        let (secrets, plain): (Vec<_>, Vec<_>) = self.variables.iter().partition(|(_, value)| Reference::parse(value).is_ok());
        for (section, pairs) in [("env", plain), ("secrets", secrets)] {
            if !pairs.is_empty() {
                text.push_str(&format!("\n[{section}]\n"));
            }
            for (name, value) in pairs {
                text.push_str(&format!("{name} = {}\n", quoted(value)));
            }
        }
        let mut web = line("command", &self.start);
        let fixed = self.found.as_ref().map(|(_, plan)| Prefilled::of(plan).port).unwrap_or_default();
        if !self.port.text().trim().is_empty() && self.port.text().trim() != fixed {
            web.push_str(&format!("port = {}\n", self.port.text().trim()));
        }
        if !matches!(self.replicas.text().trim(), "" | "1") {
            web.push_str(&format!("replicas = {}\n", self.replicas.text().trim()));
        }
        if self.runtime() == Runtime::Docker {
            web.push_str("runtime = \"docker\"\n");
        }
        if !web.is_empty() {
            text.push_str(&format!("\n[process.web]\n{web}"));
        }
        if self.strategy() != Strategy::default() {
            text.push_str(&format!("\n[rollout]\nstrategy = {}\n", quoted(self.strategy().word())));
        }
        text.trim_start().to_owned()
    }
}
