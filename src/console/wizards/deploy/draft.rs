//! What the operator wrote: fields with their rules, and the request, command and manifest that they stand for.

mod manifest;

use std::path::{Path, PathBuf};

use crate::{
    console::widgets::form::Field,
    model::{
        command::{DeployRequest, Overrides},
        ids::AppId,
        manifest::{MOST_REPLICAS, Runtime, Strategy},
        plan::Plan,
        problem::Problem,
        secret::Reference,
        source::Source,
    },
};

/// One thing that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Kind,
    Source,
    Reference,
    Name,
    Install,
    Build,
    Start,
    Output,
    Port,
    Runtime,
    Variable,
    Replicas,
    Strategy,
    Watch,
}

impl Input {
    pub fn label(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Source => "source",
            Self::Reference => "ref",
            Self::Name => "name",
            Self::Install => "install",
            Self::Build => "build",
            Self::Start => "start",
            Self::Output => "output",
            Self::Port => "port",
            Self::Runtime => "runtime",
            Self::Variable => "add",
            Self::Replicas => "replicas",
            Self::Strategy => "strategy",
            Self::Watch => "watch",
        }
    }

    /// Whether it is chosen from a few, with ← and →.
    pub fn is_choice(self) -> bool {
        matches!(self, Self::Kind | Self::Runtime | Self::Strategy)
    }
}

/// What a source is, as the operator says or as it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    AsItLooks,
    Folder,
    Git,
    Image,
}

impl Kind {
    const ALL: [Self; 4] = [Self::AsItLooks, Self::Folder, Self::Git, Self::Image];

    pub fn word(self) -> &'static str {
        match self {
            Self::AsItLooks => "as it looks",
            Self::Folder => "folder",
            Self::Git => "git repository",
            Self::Image => "image",
        }
    }
}

/// Everything written. It outlives its card.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub kind: Kind,
    pub source: Field,
    pub reference: Field,
    pub name: Field,
    pub install: Field,
    pub build: Field,
    pub start: Field,
    pub output: Field,
    pub port: Field,
    pub runtime: Option<Runtime>,
    pub variable: Field,
    /// Name and value, or name and reference to a secret, in the order they were added.
    pub variables: Vec<(String, String)>,
    pub replicas: Field,
    pub strategy: Option<Strategy>,
    pub watch: Field,
    /// What the engine found in the source, and in which.
    pub found: Option<(Source, Box<Plan>)>,
}

impl Draft {
    pub fn field(&mut self, input: Input) -> Option<&mut Field> {
        Some(match input {
            Input::Source => &mut self.source,
            Input::Reference => &mut self.reference,
            Input::Name => &mut self.name,
            Input::Install => &mut self.install,
            Input::Build => &mut self.build,
            Input::Start => &mut self.start,
            Input::Output => &mut self.output,
            Input::Port => &mut self.port,
            Input::Variable => &mut self.variable,
            Input::Replicas => &mut self.replicas,
            Input::Watch => &mut self.watch,
            Input::Kind | Input::Runtime | Input::Strategy => return None,
        })
    }

    pub fn shown(&self, input: Input) -> Option<&Field> {
        Some(match input {
            Input::Source => &self.source,
            Input::Reference => &self.reference,
            Input::Name => &self.name,
            Input::Install => &self.install,
            Input::Build => &self.build,
            Input::Start => &self.start,
            Input::Output => &self.output,
            Input::Port => &self.port,
            Input::Variable => &self.variable,
            Input::Replicas => &self.replicas,
            Input::Watch => &self.watch,
            Input::Kind | Input::Runtime | Input::Strategy => return None,
        })
    }

    /// The next or the one before of a choice.
    pub fn turn(&mut self, input: Input, forward: bool) {
        match input {
            Input::Kind => {
                let at = Kind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or(0);
                let step = if forward { 1 } else { Kind::ALL.len() - 1 };
                self.kind = Kind::ALL[(at + step) % Kind::ALL.len()];
            }
            Input::Runtime => {
                self.runtime = Some(match self.runtime() {
                    Runtime::Process => Runtime::Docker,
                    Runtime::Docker => Runtime::Process,
                });
            }
            Input::Strategy => {
                self.strategy = Some(match self.strategy() {
                    Strategy::Rolling => Strategy::Recreate,
                    Strategy::Recreate => Strategy::Rolling,
                });
            }
            _ => {}
        }
    }

    /// How a new release takes over: as chosen, else as the manifest says.
    pub fn strategy(&self) -> Strategy {
        let found = || self.found.as_ref().map(|(_, plan)| plan.blueprint.strategy);
        self.strategy.or_else(found).unwrap_or_default()
    }

    /// What runs it: as chosen, else as found.
    pub fn runtime(&self) -> Runtime {
        let found = || self.found.as_ref().and_then(|(_, plan)| plan.blueprint.processes.first()).map(|process| process.runtime);
        match self.kind() {
            Kind::Image => Runtime::Docker,
            _ => self.runtime.or_else(found).unwrap_or_default(),
        }
    }

    /// Whether nothing runs: the edge serves the files.
    pub fn is_static(&self) -> bool {
        let is_empty = |input: Input| self.shown(input).is_some_and(|field| field.text().trim().is_empty());
        self.runtime.is_none() && self.kind() != Kind::Image && is_empty(Input::Start) && !is_empty(Input::Output)
    }

    /// What the source is: as said, else as it looks.
    pub fn kind(&self) -> Kind {
        match self.kind {
            Kind::AsItLooks => looks_like(self.written(), !self.reference.text().trim().is_empty()),
            said => said,
        }
    }

    /// What names the source; nothing is the working folder, as for `pilothouse deploy`.
    fn written(&self) -> &str {
        match self.source.text().trim() {
            "" if self.kind != Kind::Image => ".",
            text => text,
        }
    }

    /// The source, with relative paths beginning at `folder`.
    pub fn source(&self, folder: &Path) -> Result<Source, Problem> {
        let text = self.written();
        if text.is_empty() {
            return Err(Problem::user("no image is named").hint("write one such as nginx:1.27"));
        }
        let reference = Some(self.reference.text().trim().to_owned()).filter(|reference| !reference.is_empty());
        Ok(match self.kind() {
            Kind::Image => Source::Image { reference: text.to_owned() },
            Kind::Git if is_url(text) => Source::Git { url: text.to_owned(), reference },
            Kind::Git => Source::Git { url: absolute(folder, text).display().to_string(), reference },
            Kind::Folder | Kind::AsItLooks => Source::Folder { path: absolute(folder, text) },
        })
    }

    /// Takes over what the engine found, without touching what was written by hand.
    pub fn prefill(&mut self, source: Source, plan: Box<Plan>) {
        let before = self.found.take().map(|(_, plan)| Prefilled::of(&plan)).unwrap_or_default();
        let now = Prefilled::of(&plan);
        let fields = [
            (&mut self.name, before.name, now.name),
            (&mut self.install, before.install, now.install),
            (&mut self.build, before.build, now.build),
            (&mut self.start, before.start, now.start),
            (&mut self.output, before.output, now.output),
            (&mut self.port, before.port, now.port),
            (&mut self.replicas, before.replicas, now.replicas),
        ];
        for (field, before, now) in fields {
            if field.text() == before {
                *field = Field::with(&now);
            }
        }
        self.found = Some((source, plan));
    }

    /// What is wrong with an input, in words for below it.
    pub fn trouble(&self, input: Input) -> Option<String> {
        let text = self.shown(input).map(|field| field.text().trim()).unwrap_or_default();
        match input {
            Input::Reference if text.contains(char::is_whitespace) => Some("a ref has no blanks".to_owned()),
            Input::Watch if text.contains(char::is_whitespace) => Some("a branch has no blanks".to_owned()),
            Input::Watch if !text.is_empty() && !["", text].contains(&self.reference.text().trim()) => {
                Some(format!("`{}` is the ref to deploy: a watched branch is deployed itself", self.reference.text().trim()))
            }
            Input::Name if !text.is_empty() => AppId::parse(text).err().map(|problem| problem.what),
            Input::Port if !text.is_empty() && text.parse::<u16>().map_or(true, |port| port == 0) => {
                Some("a port is a number from 1 to 65535".to_owned())
            }
            Input::Replicas
                if !text.is_empty() && !text.parse::<u32>().is_ok_and(|count| (1..=MOST_REPLICAS).contains(&count)) =>
            {
                Some(format!("a number from 1 to {MOST_REPLICAS}"))
            }
            Input::Variable if !text.is_empty() => self.pair().err().map(|problem| problem.what),
            _ => None,
        }
    }

    /// The variable that is being written.
    fn pair(&self) -> Result<(String, String), Problem> {
        Overrides::read_variable(self.variable.text().trim())
    }

    /// Takes the variable that is being written into the list; a second one of its name replaces the first.
    pub fn add_variable(&mut self) {
        if let Ok((name, value)) = self.pair() {
            self.variables.retain(|(known, _)| *known != name);
            self.variables.push((name, value));
            self.variable.clear();
        }
    }

    /// Takes the last variable out of the list to be written again.
    pub fn edit_last_variable(&mut self) {
        if let Some((name, value)) = self.variables.pop() {
            self.variable = Field::with(&format!("{name}={value}"));
        }
    }

    /// What to ask of the engine: the source alone while it is only looked at, with a name when one was written.
    pub fn request(&self, folder: &Path, whole: bool) -> Result<DeployRequest, Problem> {
        let source = self.source(folder)?;
        let name = self.name.text().trim();
        // The name that another source brought with it is not this one's.
        let is_brought = self.found.as_ref().is_some_and(|(_, plan)| plan.app.as_str() == name);
        let name = if name.is_empty() || (is_brought && !whole) { None } else { Some(AppId::parse(name)?) };
        let overrides = if whole { Overrides { name, ..self.overrides() } } else { Overrides { name, ..Overrides::default() } };
        Ok(DeployRequest { source, overrides })
    }

    /// What was changed against what was found.
    fn overrides(&self) -> Overrides {
        let found = self.found.as_ref().map(|(_, plan)| Prefilled::of(plan)).unwrap_or_default();
        let changed = |field: &Field, found: &str| {
            let text = field.text().trim();
            (text != found).then(|| text.to_owned())
        };
        let is_renamed = self.found.is_some() && found.output.is_empty() && self.name.text().trim() != found.name;
        let mut overrides = Overrides {
            install: changed(&self.install, &found.install),
            build: changed(&self.build, &found.build),
            start: changed(&self.start, &found.start),
            output: changed(&self.output, &found.output),
            port: changed(&self.port, &found.port).and_then(|port| port.parse().ok()),
            // Of another app than the one that was looked at: what is kept of that one is not kept of this.
            replicas: changed(&self.replicas, if is_renamed { "" } else { &found.replicas }).and_then(|count| count.parse().ok()),
            runtime: self.runtime,
            strategy: self.strategy,
            watch: Some(self.watch.text().trim().to_owned()).filter(|branch| !branch.is_empty() && self.kind() == Kind::Git),
            ..Overrides::default()
        };
        for (name, value) in &self.variables {
            match Reference::parse(value) {
                Ok(reference) => drop(overrides.secrets.insert(name.clone(), reference.to_string())),
                Err(_) => drop(overrides.env.0.insert(name.clone(), value.clone())),
            }
        }
        overrides
    }
}

/// What fields hold before anybody writes into them.
#[derive(Default)]
struct Prefilled {
    name: String,
    install: String,
    build: String,
    start: String,
    output: String,
    port: String,
    replicas: String,
}

impl Prefilled {
    fn of(plan: &Plan) -> Self {
        let blueprint = &plan.blueprint;
        let step = |name: &str| {
            blueprint.build.iter().find(|(step, _)| step == name).map(|(_, command)| command.clone()).unwrap_or_default()
        };
        let web = blueprint.web().or_else(|| blueprint.processes.first());
        Self {
            name: plan.app.to_string(),
            install: step("install"),
            build: step("build"),
            start: web.map(|process| process.command.clone()).unwrap_or_default(),
            output: blueprint.output.clone().unwrap_or_default(),
            port: web.and_then(|process| process.port).map(|port| port.to_string()).unwrap_or_default(),
            replicas: web.map_or(1, |process| process.replicas).to_string(),
        }
    }
}

fn absolute(folder: &Path, text: &str) -> PathBuf {
    let path = PathBuf::from(text);
    if text == "." {
        return folder.to_owned();
    }
    if path.is_absolute() { path } else { folder.join(path) }
}

/// A text that git takes as a URL rather than a path.
fn is_url(text: &str) -> bool {
    let scp = text.split_once(':').is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty());
    text.contains("://") || scp
}

/// `nginx:1.27`, `registry.example/shop@sha256:…`: a name with a tag or a digest, and nothing that only a path has.
fn is_image(text: &str) -> bool {
    let shaped = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let tag = text.rsplit('/').next().is_some_and(|last| last.contains(':') || last.contains('@'));
    starts_well && tag && text.chars().all(shaped)
}

fn looks_like(text: &str, has_reference: bool) -> Kind {
    if is_url(text) || (has_reference && !text.is_empty()) {
        Kind::Git
    } else if is_image(text) {
        Kind::Image
    } else {
        Kind::Folder
    }
}

#[cfg(test)]
mod tests;
