//! `containers`: every container of Docker, ours and foreign ones.

use clap::Args;
use serde::Serialize;

use super::{
    Ended,
    container::await_docker,
    context::Context,
    output::Tone,
    table::{Cell, Table},
};
use crate::model::{
    container::{Container, ContainerSample, ContainerState, DockerStatus},
    fleet::Fleet,
    problem::Problem,
    units::{Bytes, many},
};

#[derive(Debug, Args)]
pub struct Containers {}

/// The document of `containers`. Fields may be added, never renamed.
#[derive(Serialize)]
struct Document<'a> {
    docker: Option<&'a DockerStatus>,
    containers: Vec<Row<'a>>,
    images: Vec<&'a crate::model::container::Image>,
    volumes: Vec<&'a crate::model::container::Volume>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    container: &'a Container,
    sample: Option<&'a ContainerSample>,
}

impl Containers {
    pub async fn run(self, context: &Context<'_>) -> Result<Ended, Problem> {
        let fleet = await_docker(context).await?;
        if context.output.json {
            context.output.document(&document(&fleet));
            return Ok(Ended::Well);
        }
        if let Some(problem) = fleet.docker.as_ref().and_then(|docker| docker.problem.clone()) {
            return Err(problem);
        }
        if fleet.containers.is_empty() {
            context.output.line("Docker has no containers: `pilothouse deploy --image REF` makes one");
            return Ok(Ended::Well);
        }
        let mut table = Table::new(&["container", "state", "app", "image", "ports", "cpu", "memory"]);
        for row in rows(&fleet) {
            let container = row.container;
            table.row([
                Cell::toned(Tone::Bold, container.name.clone()),
                state(container),
                match &container.app {
                    Some(app) => app.to_string().into(),
                    None => Cell::toned(Tone::Muted, "foreign"),
                },
                container.image.clone().into(),
                container.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into(),
                Cell::number(
                    row.sample.and_then(|sample| sample.cpu_percent).map(|cpu| format!("{cpu:.1} %")).unwrap_or_default(),
                ),
                Cell::number(row.sample.map(|sample| Bytes(sample.memory).to_string()).unwrap_or_default()),
            ]);
        }
        table.show(context.output);
        let images = Bytes(fleet.images.values().map(|image| image.size.0).sum());
        context.output.line(&format!(
            "{} ({images} with shared layers), {}",
            many(fleet.images.len(), "image"),
            many(fleet.volumes.len(), "volume")
        ));
        Ok(Ended::Well)
    }
}

fn document(fleet: &Fleet) -> Document<'_> {
    Document {
        docker: fleet.docker.as_ref(),
        containers: rows(fleet),
        images: fleet.images.values().collect(),
        volumes: fleet.volumes.values().collect(),
    }
}

/// Ours first, then by name.
fn rows(fleet: &Fleet) -> Vec<Row<'_>> {
    let newest = |container: &Container| fleet.container_history.get(&container.id)?.back();
    let mut rows: Vec<Row<'_>> =
        fleet.containers.values().map(|container| Row { container, sample: newest(container) }).collect();
    rows.sort_by_key(|row| (!row.container.is_ours(), row.container.name.as_str()));
    rows
}

fn state(container: &Container) -> Cell {
    let health = container.health.map(|health| format!(", {}", health.word())).unwrap_or_default();
    let code = container.exit_code.map(|code| format!(" ({code})")).unwrap_or_default();
    let tone = match container.state {
        ContainerState::Running => Tone::Plain,
        ContainerState::Restarting | ContainerState::Dead => Tone::Danger,
        _ => Tone::Muted,
    };
    Cell::toned(tone, format!("{}{code}{health}", container.state.word()))
}
