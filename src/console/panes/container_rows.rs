//! Containers as rows: state, name, whose it is, figures, image, ports.

use std::cmp::Ordering;

use ratatui::style::Modifier;

use crate::{
    console::{
        filter::{Filter, Value},
        marks,
        theme::Role,
        widgets::{sparkline::sparkline, strip::Strip, table::Column},
        words::ago,
        world::Scene,
    },
    model::{
        container::{Container, ContainerHealth, ContainerId, ContainerSample, ContainerState},
        units::Bytes,
    },
};

pub(super) const STATE: usize = 0;
pub(super) const COLUMNS: &[Column] = &[
    Column::left("state", 12),
    Column::left("container", 18).grow(28),
    Column::left("app", 10).grow(14),
    Column::right("cpu", 5),
    Column::right("mem", 7),
    Column::right("up", 4),
    Column::left("image", 17).from(82).grow(30),
    Column::left("cpu, last 10 min", 16).from(112).unsorted(),
    Column::right("in/s", 7).from(130),
    Column::right("out/s", 7).from(130),
    Column::left("ports", 20).from(152).grow(36).unsorted(),
];

/// The newest sample while the container runs and the sample is fresh.
pub(super) fn sample<'a>(scene: &Scene<'a>, it: &Container) -> Option<&'a ContainerSample> {
    let sample = scene.world.fleet.container_history.get(&it.id)?.back()?;
    let fresh = sample.at.age(scene.world.last_seen()).as_secs() < 60;
    (it.state.is_alive() && fresh).then_some(sample)
}

/// `shop 41`; what is nobody's app is foreign.
pub(super) fn owner(it: &Container) -> String {
    match (&it.app, it.release) {
        (Some(app), Some(release)) => format!("{app} {release}"),
        (Some(app), None) => app.to_string(),
        (None, _) => "foreign".to_owned(),
    }
}

pub(super) fn passes(filter: &Filter, scene: &Scene<'_>, it: &Container) -> bool {
    if filter.is_empty() {
        return true;
    }
    let word = marks::container(it).word;
    let ports: Vec<String> = it.ports.iter().map(ToString::to_string).collect();
    let text = format!("{} {} {word} {} {} {}", it.name, it.id, owner(it), it.image, ports.join(" "));
    filter.passes(&text, &|name| match name {
        "name" | "container" => Some(Value::Text(it.name.clone())),
        "state" => Some(Value::Text(word.to_owned())),
        "app" => Some(Value::Text(owner(it))),
        "image" => Some(Value::Text(it.image.clone())),
        "project" => it.project.clone().map(Value::Text),
        "cpu" => sample(scene, it)?.cpu_percent.map(|cpu| Value::Number(f64::from(cpu))),
        "mem" => Some(Value::Number(sample(scene, it)?.memory as f64 / f64::from(1 << 20))),
        _ => None,
    })
}

/// The worst first.
fn rank(it: &Container) -> u8 {
    match (it.state, it.health) {
        (ContainerState::Restarting | ContainerState::Dead, _) => 0,
        (ContainerState::Running, Some(ContainerHealth::Unhealthy)) => 1,
        (ContainerState::Exited, _) if it.is_ours() && it.exit_code != Some(0) => 2,
        (ContainerState::Running, Some(ContainerHealth::Starting)) | (ContainerState::Removing, _) => 3,
        (ContainerState::Running, _) => 4,
        (ContainerState::Paused, _) => 5,
        (ContainerState::Created | ContainerState::Unknown, _) => 6,
        (ContainerState::Exited, _) => 7,
    }
}

/// Figures the largest first, names from a to z, states the worst first.
pub(super) fn compare(scene: &Scene<'_>, column: usize, one: &str, other: &str) -> Ordering {
    let get = |id: &str| scene.world.fleet.containers.get(&ContainerId(id.to_owned()));
    let (Some(a), Some(b)) = (get(one), get(other)) else {
        return one.cmp(other);
    };
    let largest = |figure: &dyn Fn(&ContainerSample) -> Option<f64>| {
        let of = |it: &Container| sample(scene, it).and_then(figure).unwrap_or(-1.0);
        of(b).total_cmp(&of(a))
    };
    let order = match column {
        STATE => rank(a).cmp(&rank(b)),
        // Ours before foreign ones.
        2 => (a.app.is_none(), owner(a)).cmp(&(b.app.is_none(), owner(b))),
        3 => largest(&|it| it.cpu_percent.map(f64::from)),
        4 => largest(&|it| Some(it.memory as f64)),
        5 => b.started_at.cmp(&a.started_at),
        6 => a.image.cmp(&b.image),
        8 => largest(&|it| it.received_per_s),
        9 => largest(&|it| it.sent_per_s),
        _ => Ordering::Equal,
    };
    order.then_with(|| a.name.cmp(&b.name))
}

/// Bytes with their unit in muted, to the right.
pub(super) fn bytes(strip: Strip<'_>, bytes: Option<u64>, columns: usize) -> Strip<'_> {
    let Some(bytes) = bytes else {
        return strip.right("–", columns, Role::Muted);
    };
    let text = Bytes(bytes).to_string();
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    strip.figure(number, &format!(" {unit}"), columns, Role::Text)
}

pub(super) fn cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, it: &Container, column: usize, columns: usize) -> Strip<'t> {
    let mark = marks::container(it);
    let now = sample(scene, it);
    let rate = |strip, rate: Option<f64>| bytes(strip, rate.map(|rate| rate as u64), columns);
    match column {
        STATE => {
            let quiet = matches!(mark.role, Role::Ok | Role::Text);
            strip.put(mark.symbol, mark.role).gap(1).cell(mark.word, columns - 2, if quiet { Role::Muted } else { mark.role })
        }
        1 => strip.cell_styled(&it.name, columns, scene.theme.style(Role::Text).add_modifier(Modifier::BOLD)),
        2 => strip.cell(&owner(it), columns, if it.is_ours() { Role::Text } else { Role::Muted }),
        3 => match now.and_then(|now| now.cpu_percent) {
            Some(cpu) => strip.figure(&format!("{cpu:.0}"), "%", columns, Role::Text),
            None => strip.right("–", columns, Role::Muted),
        },
        4 => bytes(strip, now.map(|now| now.memory), columns),
        5 => match it.started_at.filter(|_| it.state.is_alive()) {
            Some(at) => strip.right(&ago(at, scene.now()), columns, Role::Muted),
            None => strip.right("–", columns, Role::Muted),
        },
        6 => strip.cell(short_image(it), columns, Role::Muted),
        7 => match scene.world.fleet.container_history.get(&it.id) {
            Some(history) => {
                strip.put(sparkline(history.iter().map(|one| one.cpu_percent.map(f64::from)), columns), Role::Series(0))
            }
            None => strip,
        },
        8 => rate(strip, now.and_then(|now| now.received_per_s)),
        9 => rate(strip, now.and_then(|now| now.sent_per_s)),
        _ => strip.cell(&published(it), columns, Role::Muted),
    }
}

/// The image without its registry and path, which the details tell: `busybox:1`; an id is cut to twelve digits.
fn short_image(it: &Container) -> &str {
    match it.image.strip_prefix("sha256:") {
        Some(digits) => digits.get(..12).unwrap_or(digits),
        None => it.image.rsplit('/').next().unwrap_or(&it.image),
    }
}

/// Where the host listens, without the address where that is loopback or everywhere: `20001→80`.
fn published(it: &Container) -> String {
    let ports: Vec<String> = it
        .ports
        .iter()
        .map(|port| match port.outside {
            Some((address, outside)) if address.is_loopback() => format!("{outside}→{}", port.inside),
            _ => port.to_string(),
        })
        .collect();
    ports.join(" ")
}
