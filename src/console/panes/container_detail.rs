//! A container by itself: what it is, whose it is, how it does.

use ratatui::text::Line;

use super::{
    container_rows::{owner, sample},
    labelled,
};
use crate::{
    console::{
        marks,
        theme::Role,
        widgets::{
            sparkline::{sparkline, sparkline_of},
            strip::{Strip, heading},
        },
        words::span,
        world::Scene,
    },
    model::{
        container::{Container, ContainerId, ContainerSample},
        log::safe,
        units::Bytes,
    },
};

pub(super) fn lines(scene: &Scene<'_>, id: &ContainerId, columns: usize) -> Vec<Line<'static>> {
    let Some(it) = scene.world.fleet.containers.get(id) else {
        return Vec::new();
    };
    let strip = || Strip::new(scene.theme);
    let mark = marks::container(it);
    let name = strip().put(mark.symbol, mark.role).gap(1).bold(it.name.clone(), Role::Text).gap(2).put(mark.word, mark.role);
    let mut lines = vec![name.line(), Line::default()];
    let mut say = |label: &str, value: &str, role: Role| {
        if !value.is_empty() {
            lines.extend(labelled(scene, label, &safe(value), role, columns));
        }
    };
    if it.is_ours() {
        let instance = it.instance.as_ref().map(|instance| format!(" · instance {instance}")).unwrap_or_default();
        say("app", &format!("{}{instance}", owner(it)), Role::Text);
    } else {
        say("app", "foreign: never touched, unless you type its name", Role::Muted);
        say("project", it.project.as_deref().unwrap_or_default(), Role::Text);
    }
    say("state", &state(scene, it), Role::Text);
    say("image", &it.image, Role::Text);
    say("command", &it.command, Role::Text);
    for (at, port) in it.ports.iter().enumerate() {
        let word = if at == 0 { "ports" } else { "" };
        say(word, &port.to_string(), if port.outside.is_some() { Role::Text } else { Role::Muted });
    }
    for (at, mount) in it.mounts.iter().enumerate() {
        say(if at == 0 { "mounts" } else { "" }, mount, Role::Text);
    }
    say("created", &format!("{} · {}", scene.time(it.created_at), scene.clock(it.created_at)), Role::Text);
    say("id", &it.id.to_string(), Role::Muted);
    lines.push(Line::default());
    lines.extend(figures(scene, it, columns));
    lines
}

/// One figure of a sample.
type Rate = fn(&ContainerSample) -> Option<f64>;

fn state(scene: &Scene<'_>, it: &Container) -> String {
    let health = it.health.map(|health| format!(", its own check says {}", health.word())).unwrap_or_default();
    let since = match it.started_at.filter(|_| it.state.is_alive()) {
        Some(at) => format!(" for {}", span(at, scene.now())),
        None => it.exit_code.map(|code| format!(", ended with {code}")).unwrap_or_default(),
    };
    format!("{}{since}{health}", it.state.word())
}

/// Now, and the last ten minutes.
fn figures(scene: &Scene<'_>, it: &Container, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let Some(history) = scene.world.fleet.container_history.get(&it.id).filter(|history| !history.is_empty()) else {
        let why = if it.state.is_alive() { "no figures yet" } else { "it does not run: no figures" };
        return vec![strip().muted(why).line()];
    };
    let mut lines = vec![heading(scene.theme, "FIGURES", strip().muted("last 10 min"), columns)];
    let now = sample(scene, it);
    // Label and number before it, the note after it.
    let wide = columns.saturating_sub(37).clamp(8, 48);
    let row = |label: &str, number: &str, unit: &str, spark: String, series: usize, about: String| {
        let begin = strip().cell(label, 10, Role::Muted).figure(number, unit, 10, Role::Text).gap(2);
        begin.put(spark, Role::Series(series)).gap(2).muted(about).line()
    };
    let split = |bytes: Option<u64>| {
        let text = bytes.map_or("–".to_owned(), |bytes| Bytes(bytes).to_string());
        let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
        (number.to_owned(), unit.to_owned())
    };
    let cpu = now.and_then(|now| now.cpu_percent).map_or("–".to_owned(), |cpu| format!("{cpu:.1}"));
    lines.push(row(
        "cpu",
        &cpu,
        "%",
        sparkline(history.iter().map(|it| it.cpu_percent.map(f64::from)), wide),
        0,
        "of one core".to_owned(),
    ));
    let (number, unit) = split(now.map(|now| now.memory));
    let limit = history.back().and_then(|last| last.memory_limit);
    let memory = history.iter().map(|it| Some(it.memory as f64));
    let spark = match limit {
        Some(limit) => sparkline_of(memory, limit as f64, wide),
        None => sparkline(memory, wide),
    };
    let about = limit.map(|limit| format!("of {}", Bytes(limit))).unwrap_or_default();
    lines.push(row("memory", &number, &format!(" {unit}"), spark, 1, about));
    let of: [(&str, Rate, usize); 2] = [("received", |it| it.received_per_s, 2), ("sent", |it| it.sent_per_s, 3)];
    for (label, rate, series) in of {
        let (number, unit) = split(now.and_then(rate).map(|rate| rate as u64));
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}/s") };
        lines.push(row(label, &number, &unit, sparkline(history.iter().map(rate), wide), series, String::new()));
    }
    lines
}
