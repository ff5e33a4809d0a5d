//! Apps to deploy: the sample service with its switches, static files, commands.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder with an app; each `write` is what the next deployment takes.
pub struct App {
    pub name: String,
    folder: PathBuf,
    pub command: String,
    pub build: Option<String>,
    /// More lines of the manifest's top level, such as `[build.limits]` with its keys.
    pub tables: String,
    pub env: Vec<(String, String)>,
    pub replicas: u32,
    pub ready: String,
    pub ready_within: String,
    pub port: Option<u16>,
    pub memory: Option<String>,
}

impl App {
    /// The sample service as app `name`; `home` is the folder of one test.
    pub fn sample(home: &Path, name: &str) -> Self {
        Self::of(home, name, &format!("exec {} sample", binary().display())).env("SAMPLE_VERSION", "v1").write()
    }

    /// An app that runs `command`.
    pub fn of(home: &Path, name: &str, command: &str) -> Self {
        let folder = home.join("apps").join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self {
            name: name.to_owned(),
            folder,
            command: command.to_owned(),
            build: None,
            tables: String::new(),
            env: Vec::new(),
            replicas: 1,
            ready: "/healthz".to_owned(),
            ready_within: "20s".to_owned(),
            port: None,
            memory: None,
        }
    }

    /// Sets a variable, such as one of the sample's switches.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self
    }

    pub fn version(self, version: &str) -> Self {
        self.env("SAMPLE_VERSION", version)
    }

    pub fn replicas(mut self, number: u32) -> Self {
        self.replicas = number;
        self
    }

    pub fn command(mut self, command: &str) -> Self {
        command.clone_into(&mut self.command);
        self
    }

    pub fn build(mut self, command: &str) -> Self {
        self.build = Some(command.to_owned());
        self
    }

    pub fn tables(mut self, text: &str) -> Self {
        text.clone_into(&mut self.tables);
        self
    }

    pub fn ready_within(mut self, span: &str) -> Self {
        span.clone_into(&mut self.ready_within);
        self
    }

    /// Writes a file of the app.
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
        self
    }

    /// Writes the manifest.
    pub fn write(self) -> Self {
        fs::write(self.folder.join("pilothouse.toml"), self.manifest()).expect("the manifest can be written");
        self
    }

    pub fn path(&self) -> &str {
        self.folder.to_str().expect("the folder's name is text")
    }

    pub fn manifest(&self) -> String {
        let quote = |text: &str| serde_json::to_string(text).expect("a string");
        let mut text = format!("name = {}\n", quote(&self.name));
        if let Some(build) = &self.build {
            text += &format!("[build]\ncommand = {}\n", quote(build));
        }
        text += "[env]\n";
        for (name, value) in &self.env {
            text += &format!("{name} = {}\n", quote(value));
        }
        text += &format!("[process.web]\ncommand = {}\nreplicas = {}\n", quote(&self.command), self.replicas);
        if let Some(port) = self.port {
            text += &format!("port = {port}\n");
        }
        if let Some(memory) = &self.memory {
            text += &format!("resources.memory = {}\n", quote(memory));
        }
        text += &format!("ready.http = {}\nready.within = {}\n", quote(&self.ready), quote(&self.ready_within));
        text += "stop.drain = \"3s\"\nstop.kill = \"3s\"\n";
        text + &self.tables
    }
}

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("PILOTHOUSE_TEST_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pilothouse")), PathBuf::from)
}
