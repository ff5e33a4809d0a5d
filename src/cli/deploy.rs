//! `deploy [PATH or GIT_URL]`: from a source to a proved URL.

use std::path::Path;

use clap::Args;

use super::{
    Ended,
    context::{self, Context},
    output::{Output, Tone},
    report::Report,
    values, wait,
};
use crate::config::manifest_file;
use crate::deploy::name;
use crate::model::{
    command::{Answer, Command, DeployRequest, Overrides},
    ids::AppId,
    log,
    manifest::{Runtime, Strategy},
    plan::{Env, Plan, Sign},
    problem::Problem,
    source::Source,
};

#[derive(Debug, Args)]
pub struct Deploy {
    /// A folder, or any URL that git understands
    #[arg(default_value = ".", value_name = "PATH or GIT_URL")]
    source: String,
    /// An image instead, such as nginx:1.27: of a registry, or one that Docker has
    #[arg(long, value_name = "REF", value_parser = image_source, conflicts_with_all = ["source", "reference", "install", "build", "output"])]
    image: Option<Source>,
    /// Name of the app [default: from pilothouse.toml, else the folder's]
    #[arg(long, value_parser = context::app)]
    name: Option<AppId>,
    /// Branch, tag or commit
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Command that fetches dependencies; "" for none
    #[arg(long, value_name = "COMMAND")]
    install: Option<String>,
    /// Command that builds; "" for none
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Command that starts the web process
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
    /// Folder of static files that the edge serves itself
    #[arg(long, value_name = "FOLDER")]
    output: Option<String>,
    /// Dockerfile by which its image is built; it then runs as a container
    #[arg(long, value_name = "PATH")]
    dockerfile: Option<String>,
    /// Fixed port of the web process [default: a free one, told by PORT]
    #[arg(long, value_parser = values::port)]
    port: Option<u16>,
    /// What runs it: process or docker
    #[arg(long, value_parser = runtime)]
    runtime: Option<Runtime>,
    /// How many instances run
    #[arg(long, value_parser = values::replicas)]
    replicas: Option<u32>,
    /// How the new release takes over: rolling, or recreate (the old one stops first)
    #[arg(long, value_parser = strategy)]
    strategy: Option<Strategy>,
    /// A variable of the app's environment; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = values::variable)]
    env: Vec<(String, String)>,
    /// A secret of the app, by where its value comes from: store:NAME, env:NAME or file:/PATH; may be given several times
    #[arg(long = "secret", value_name = "NAME=REFERENCE", value_parser = values::SecretPair)]
    secrets: Vec<(String, String)>,
    /// Branch of the repository whose new commits are deployed by themselves from now on
    #[arg(long, value_name = "BRANCH", value_parser = branch)]
    watch: Option<String>,
    /// Show what would be done, and change nothing
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// Return as soon as it is accepted
    #[arg(long)]
    detach: bool,
}

impl Deploy {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let request = self.request()?;
        if self.plan {
            return show_plan(context, request).await;
        }
        context.output.progress(&format!("deploying {}", request.source));
        let (source, is_named) = (request.source.clone(), request.overrides.name.is_some());
        let (deployment, app) = match context.send(Command::Deploy(request)).await? {
            Answer::Accepted { deployment, app } => (deployment, app),
            other => return Err(odd(&other)),
        };
        if let Some(written) = name::made_from(&app, &source).filter(|_| !is_named) {
            context.output.progress(&format!("named {app}, from `{}`; --name gives another", log::safe(&written)));
        }
        if !self.detach {
            return wait::to_its_end(context, &app, deployment).await;
        }
        let fleet = context.client().snapshot().await?;
        let Some(accepted) = fleet.deployments.get(&deployment) else {
            return Err(Problem::internal(format!("the engine accepted deployment {deployment} and does not list it")));
        };
        Report::new(accepted, &fleet).show(context.output);
        Ok(Ended::Well)
    }

    fn request(&self) -> Result<DeployRequest, Problem> {
        let overrides = Overrides {
            name: self.name.clone(),
            install: self.install.clone(),
            build: self.build.clone(),
            start: self.start.clone(),
            output: self.output.clone(),
            dockerfile: self.dockerfile.clone(),
            port: self.port,
            runtime: self.runtime,
            replicas: self.replicas,
            strategy: self.strategy,
            env: Env(self.env.iter().cloned().collect()),
            secrets: self.secrets.iter().cloned().collect(),
            watch: self.watch.clone(),
        };
        let source = match &self.image {
            Some(image) => image.clone(),
            None => source(&self.source, self.reference.as_deref())?,
        };
        Ok(DeployRequest { source, overrides })
    }
}

/// An image by its name: `nginx:1.27`, `registry.example/team/shop@sha256:…`.
fn image_source(named: &str) -> Result<Source, Problem> {
    let named = named.trim();
    let shaped = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let begins = named.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !named.chars().all(shaped) || named.ends_with(['/', ':', '@']) {
        return Err(Problem::user(format!("`{}` cannot be an image", named.escape_debug()))
            .at("--image")
            .hint("write it as docker pull takes it: nginx:1.27 or registry.example/team/shop:v7"));
    }
    Ok(Source::Image { reference: named.to_owned() })
}

fn branch(name: &str) -> Result<String, Problem> {
    manifest_file::check_branch(name).map(|()| name.to_owned())
}

/// What a person named: a folder as it is; a git URL, or a folder at a ref, by git.
pub fn source(named: &str, reference: Option<&str>) -> Result<Source, Problem> {
    let path = Path::new(named);
    if path.is_dir() {
        let path =
            path.canonicalize().map_err(|error| Problem::user(format!("cannot use the folder: {error}")).at(named.to_owned()))?;
        let bare = !path.join(".git").exists() && path.join("HEAD").is_file() && path.join("objects").is_dir();
        if reference.is_none() && !bare {
            return Ok(Source::Folder { path });
        }
        return Ok(Source::Git { url: path.display().to_string(), reference: reference.map(str::to_owned) });
    }
    if is_git_url(named) {
        return Ok(Source::Git { url: named.to_owned(), reference: reference.map(str::to_owned) });
    }
    let what = if path.exists() { "is a file, not a folder" } else { "is neither a folder here nor a git URL" };
    Err(Problem::user(format!("`{}` {what}", named.escape_debug()))
        .hint("name a folder, or a URL such as https://… , ssh://… , git@host:path or file:///…"))
}

/// `https://…`, `file:///…`, `git@host:path`: what git takes for a URL.
fn is_git_url(named: &str) -> bool {
    if named.starts_with('-') {
        return false;
    }
    if let Some((scheme, rest)) = named.split_once("://") {
        return !rest.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    }
    // scp's way: no slash before the first colon.
    named.split_once(':').is_some_and(|(host, path)| !host.is_empty() && !host.contains('/') && !path.is_empty())
}

fn runtime(word: &str) -> Result<Runtime, Problem> {
    one_of("runtime", word, "there are `process` and `docker`")
}

fn strategy(word: &str) -> Result<Strategy, Problem> {
    one_of("strategy", word, "there are `rolling` and `recreate`")
}

/// Reads a word as the manifest does.
fn one_of<T: serde::de::DeserializeOwned>(kind: &str, word: &str, known: &str) -> Result<T, Problem> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|_| Problem::user(format!("there is no {kind} `{word}`")).hint(known))
}

async fn show_plan(context: &Context<'_>, request: DeployRequest) -> Result<Ended, Problem> {
    match context.send(Command::Plan(request)).await? {
        Answer::Planned(plan) => {
            if context.output.json {
                context.output.document(&plan);
            } else {
                tell_plan(&plan, context.output);
            }
            Ok(Ended::Well)
        }
        other => Err(odd(&other)),
    }
}

fn tell_plan(plan: &Plan, output: &Output) {
    output.line(&output.paint(Tone::Bold, &format!("plan for {} release {} ({})", plan.app, plan.release, plan.version)));
    let wide = plan.lines.iter().map(|line| line.what.chars().count()).max().unwrap_or(0).min(48);
    for line in &plan.lines {
        let tone = match line.sign {
            Sign::Add | Sign::Note => Tone::Plain,
            Sign::Change => Tone::Warn,
            Sign::Remove => Tone::Danger,
        };
        let what = format!("{} {:<wide$}", line.sign.symbol(), line.what);
        output.line(format!("  {}  {}", output.paint(tone, &what), output.paint(Tone::Muted, &line.why)).trim_end());
    }
    output.line(&format!("  checks: {}", plan.checks));
    output.line(&format!("  undo:   {}", plan.undo));
    output.line(&format!("  same:   {}", plan.command));
    output.line("nothing was changed");
}

/// An answer that does not belong to the command.
pub fn odd(answer: &Answer) -> Problem {
    Problem::internal(format!("the engine gave an answer that does not fit: {answer:?}"))
        .hint("compare `pilothouse --version` with `pilothouse engine status`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_as_it_is_and_a_url_by_git() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().to_str().unwrap();
        assert!(matches!(source(named, None), Ok(Source::Folder { .. })));
        assert!(matches!(source(named, Some("v1")), Ok(Source::Git { .. })));
        for url in ["https://git.example/a.git", "file:///srv/a", "git@git.example:a/b.git", "ssh://git@h/a"] {
            assert!(matches!(source(url, None), Ok(Source::Git { .. })), "{url}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_the_way() {
        for named in ["/nowhere/at/all", "-x://y", "--upload-pack=x:y"] {
            let refused = source(named, None).unwrap_err();
            assert!(refused.next.is_some(), "{named}");
        }
    }
}
