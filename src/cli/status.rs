//! `status APP`: asked, running and serving are three things; and its instances.

use clap::Args;
use serde::Serialize;

use super::{
    Ended, absent,
    context::{self, Context},
    deployments,
    output::{Output, Tone},
    report::Report,
    table::{Cell, Table},
    time, watch,
};
use crate::{
    config::clock,
    model::{
        deployment::Deployment,
        fleet::{AppStatus, Fleet},
        ids::{AppId, HostId, InstanceId, ReleaseId},
        instance::{Exit, Health, Instance, InstanceState},
        problem::Problem,
    },
};

#[derive(Debug, Args)]
pub struct Status {
    #[arg(value_parser = context::app)]
    app: AppId,
}

/// The document of an app. Fields may be added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub app: AppId,
    /// `serving`, `running` (without a route), `deploying`, `degraded`, `down`, `stopped`, `not deployed`.
    pub state: &'static str,
    pub asked: Option<Asked>,
    pub running: Vec<Running>,
    pub serving: Option<Serving>,
    /// Why it is not known whether instances run.
    pub trouble: Option<Problem>,
    pub url: Option<String>,
    pub instances: Vec<One>,
    /// The branch whose new commits are deployed by themselves.
    pub watch: Option<watch::Document>,
    /// Deployment under way, by its number.
    pub deployment: Option<u64>,
    /// The last one, under way or over: how far it is, or how it ended and why.
    pub last_deployment: Option<Report>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub release: ReleaseId,
}

#[derive(Clone, Debug, Serialize)]
pub struct Running {
    pub release: ReleaseId,
    pub instances: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct Serving {
    pub release: ReleaseId,
    pub since: String,
}

/// An instance.
#[derive(Clone, Debug, Serialize)]
pub struct One {
    pub id: InstanceId,
    pub release: ReleaseId,
    pub process: String,
    pub state: &'static str,
    pub health: &'static str,
    pub runtime: &'static str,
    pub host: HostId,
    pub restarts: u32,
    pub address: Option<String>,
    pub pid: Option<u32>,
    pub last_exit: Option<String>,
}

impl Document {
    /// Absent when there is no such app.
    pub fn of(fleet: &Fleet, id: &AppId) -> Option<Self> {
        let app = fleet.apps.get(id)?;
        Some(Self {
            app: id.clone(),
            state: fleet.app_status(id).word(),
            asked: app.asked.map(|release| Asked { release }),
            running: fleet.running(id).into_iter().map(|(release, instances)| Running { release, instances }).collect(),
            serving: app.serving.map(|serving| Serving { release: serving.release, since: time::rfc3339(serving.since) }),
            trouble: fleet.blind(id).or_else(|| fleet.shut(id)),
            url: app.url.clone(),
            instances: present(fleet, id).map(one).collect(),
            watch: app.watch.as_deref().map(watch::Document::of),
            deployment: fleet.active_deployment(id).map(|deployment| deployment.id.0),
            last_deployment: fleet.last_deployment(id).map(|last| Report::new(last, fleet)),
        })
    }
}

/// Instances that are wanted, or not wanted and still there.
fn present<'a>(fleet: &'a Fleet, id: &'a AppId) -> impl Iterator<Item = &'a Instance> {
    fleet.instances_of(id).filter(|instance| instance.wanted || instance.state.is_alive())
}

fn one(instance: &Instance) -> One {
    One {
        id: instance.id.clone(),
        release: instance.release,
        process: instance.process.clone(),
        state: instance.state.word(),
        health: instance.health.word(),
        runtime: instance.runtime.word(),
        host: instance.host.clone(),
        restarts: instance.restarts,
        address: instance.address.map(|address| address.to_string()),
        pid: instance.pid,
        last_exit: instance.last_exit.as_ref().map(Exit::words),
    }
}

impl Status {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = context.engine().await?.snapshot().await?;
        let Some(document) = Document::of(&fleet, &self.app) else {
            return Err(absent::app(&self.app, &fleet));
        };
        if context.output.json {
            context.output.document(&document);
        } else {
            tell(&document, &fleet, context.output);
        }
        Ok(Ended::Well)
    }
}

fn tell(document: &Document, fleet: &Fleet, output: &Output) {
    let (tone, state) = state_tone(fleet.app_status(&document.app));
    output.line(&format!("{}  {}", output.paint(Tone::Bold, document.app.as_str()), output.paint(tone, &state)));
    let label = |word: &str| output.paint(Tone::Muted, &format!("  {word:<8}"));
    let asked = document.asked.as_ref().map_or_else(|| "nothing yet".to_owned(), |asked| format!("release {}", asked.release));
    output.line(&format!("{}{asked}", label("asked")));
    output.line(&format!("{}{}", label("running"), running_words(document)));
    let app = fleet.apps.get(&document.app);
    let has_instances = document.instances.iter().any(|instance| instance.address.is_some());
    let nothing = if has_instances { "nothing: no instance answers the edge" } else { "nothing" };
    let serving = app
        .and_then(|app| app.serving)
        .map_or_else(|| nothing.to_owned(), |serving| format!("release {}, since {}", serving.release, time::ago(serving.since)));
    output.line(&format!("{}{serving}", label("serving")));
    if let Some(trouble) = &document.trouble {
        output.line(&format!("{}{}", label("cause"), output.paint(Tone::Danger, &trouble.what)));
        output.line(&format!("          next: {}", trouble.next.as_deref().unwrap_or("pilothouse doctor")));
    }
    if let Some(url) = &document.url {
        output.line(&format!("{}{}", label("url"), output.paint(Tone::Accent, url)));
    }
    if let Some(watch) = app.and_then(|app| app.watch.as_deref()) {
        output.line(&format!("{}{}", label("watch"), watch::words(watch)));
    }
    if let Some(last) = fleet.last_deployment(&document.app) {
        tell_last(last, document.last_deployment.as_ref(), output);
    }
    if !document.instances.is_empty() {
        output.line("");
        instances(document, fleet).show(output);
    }
}

fn tell_last(last: &Deployment, report: Option<&Report>, output: &Output) {
    let (tone, symbol) = deployments::mark(last.phase);
    let when = last.ended_at.map_or_else(|| format!("since {}", last.took(clock::now())), time::ago);
    let told = format!("{symbol} deployment {}, {} of release {}: {}", last.id, last.aim.word(), last.release, last.phase.word());
    output.line(&format!("{}{}, {when}", output.paint(Tone::Muted, "  last    "), output.paint(tone, &told)));
    let Some(report) = report.filter(|_| tone == Tone::Danger) else { return };
    if let Some(cause) = &report.cause {
        output.line(&format!("          {cause}"));
    }
    output.line(&format!("          next: {}", report.next));
}

fn instances(document: &Document, fleet: &Fleet) -> Table {
    let mut table =
        Table::new(&["instance", "release", "process", "state", "health", "host", "address", "restarts", "last exit"]);
    for instance in present(fleet, &document.app) {
        table.row([
            instance.id.to_string().into(),
            Cell::number(instance.release),
            instance.process.clone().into(),
            state_cell(instance.state),
            health_cell(instance.health),
            instance.host.to_string().into(),
            instance.address.map(|address| address.to_string()).unwrap_or_default().into(),
            Cell::number(instance.restarts),
            instance.last_exit.as_ref().map(Exit::words).unwrap_or_default().into(),
        ]);
    }
    table
}

/// `release 7 ×2, release 6 ×1`
pub fn running_words(document: &Document) -> String {
    let mut words: Vec<String> =
        document.running.iter().map(|one| format!("release {} ×{}", one.release, one.instances)).collect();
    let unknown = document.instances.iter().filter(|one| one.state == InstanceState::Unknown.word()).count();
    if unknown > 0 {
        words.push(format!("{unknown} not known"));
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// `● serving` with its tone; only serving is green.
pub fn state_tone(status: AppStatus) -> (Tone, String) {
    let (symbol, tone) = match status {
        AppStatus::Serving => ("●", Tone::Good),
        AppStatus::Running => ("●", Tone::Plain),
        AppStatus::UnderWay => ("◐", Tone::Accent),
        AppStatus::Degraded => ("▲", Tone::Warn),
        AppStatus::Down => ("✖", Tone::Danger),
        AppStatus::Stopped | AppStatus::Empty => ("○", Tone::Muted),
    };
    (tone, format!("{symbol} {}", status.word()))
}

fn state_cell(state: InstanceState) -> Cell {
    let (symbol, tone) = match state {
        InstanceState::Running => ("●", Tone::Plain),
        InstanceState::Starting | InstanceState::Stopping => ("◐", Tone::Plain),
        InstanceState::BackOff | InstanceState::Unknown => ("▲", Tone::Warn),
        InstanceState::Lost => ("✖", Tone::Danger),
        InstanceState::Stopped => ("○", Tone::Muted),
    };
    Cell::toned(tone, format!("{symbol} {}", state.word()))
}

fn health_cell(health: Health) -> Cell {
    let (symbol, tone) = match health {
        Health::Passing => ("✓", Tone::Good),
        Health::Unknown => ("○", Tone::Muted),
        Health::Draining => ("◐", Tone::Plain),
        Health::Failing | Health::Ejected => ("✖", Tone::Danger),
    };
    Cell::toned(tone, format!("{symbol} {}", health.word()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fleet;

    fn fleet() -> (Fleet, AppId) {
        let id = AppId::parse("shop").unwrap();
        let app: fleet::App = serde_json::from_value(serde_json::json!({
            "id": "shop", "desired": "running", "asked": 7, "routed": 7,
            "serving": {"release": 6, "since": 1_790_000_000_204_i64}, "previous": 6, "replicas": null,
            "url": "http://shop.localhost:8080", "next_release": 8, "created_at": 0, "warm": null
        }))
        .unwrap();
        let mut fleet = Fleet::default();
        fleet.apps.insert(id.clone(), app);
        (fleet, id)
    }

    #[test]
    fn the_document_keeps_its_names() {
        let (fleet, id) = fleet();
        let document = serde_json::to_value(Document::of(&fleet, &id)).unwrap();
        for field in ["app", "asked", "running", "serving", "url", "instances"] {
            assert!(document.get(field).is_some(), "{field}");
        }
        assert_eq!(document["asked"]["release"], 7);
        assert_eq!(document["serving"]["since"], "2026-09-21T14:13:20.204Z");
    }

    #[test]
    fn nothing_is_said_to_serve_that_is_not_proved() {
        let (mut fleet, id) = fleet();
        fleet.apps.get_mut(&id).unwrap().serving = None;
        let document = serde_json::to_value(Document::of(&fleet, &id)).unwrap();
        assert!(document["serving"].is_null());
        assert_eq!(document["state"], "down");
    }

    #[test]
    fn a_docker_that_is_away_is_told_with_the_next_step() {
        let (mut fleet, id) = fleet();
        fleet.apps.get_mut(&id).unwrap().serving = None;
        let instance: Instance = serde_json::from_value(serde_json::json!({
            "id": "shop-7-a", "app": "shop", "release": 7, "process": "web", "runtime": "docker", "host": "local",
            "state": "unknown", "health": "failing", "address": "127.0.0.1:20000", "pid": 7, "restarts": 0, "started_at": null,
            "last_exit": null, "wanted": true
        }))
        .unwrap();
        fleet.instances.insert(instance.id.clone(), instance);
        fleet.docker = serde_json::from_value(serde_json::json!({
            "host": "local", "address": "unix:///d.sock", "up": false, "version": null, "api": null,
            "problem": {"kind": "unavailable", "what": "Docker does not answer: nobody listens there", "next": "start Docker"}
        }))
        .unwrap();
        let document = Document::of(&fleet, &id).unwrap();
        assert_eq!((document.state, running_words(&document).as_str()), ("down", "1 not known"));
        let trouble = document.trouble.unwrap();
        assert_eq!(trouble.what, "Docker does not answer: nobody listens there; whether 1 instance runs is not known");
        assert_eq!(trouble.next.as_deref(), Some("start Docker"));
    }

    #[test]
    fn an_app_is_green_only_when_it_serves() {
        for status in [AppStatus::Running, AppStatus::Degraded, AppStatus::Down, AppStatus::UnderWay, AppStatus::Stopped] {
            assert_ne!(state_tone(status).0, Tone::Good, "{status:?}");
        }
        assert_eq!(state_tone(AppStatus::Serving).0, Tone::Good);
    }
}
