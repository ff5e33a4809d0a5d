//! A host by itself: what it is, how it does, and a chart of its cpu.

use ratatui::text::Line;

use super::{
    hosts::{booted, loaded, name, part, rate},
    labelled,
};
use crate::{
    console::{
        theme::Role,
        widgets::{
            chart::{Chart, chart},
            sparkline::{sparkline, sparkline_of},
            strip::{Strip, bar, heading},
        },
        words::{clock, count, span},
        world::Scene,
    },
    model::{
        fleet::Host,
        sample::HostSample,
        units::{Bytes, Timestamp, many},
    },
};

/// Facts, bars with sparklines, and a chart of the cpu where there is room.
pub(super) fn lines(scene: &Scene<'_>, host: &Host, columns: usize, high: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let since = booted(scene, &host.id).map(|at| format!("up {}", span(at, scene.now()))).unwrap_or_default();
    let mut lines = vec![heading(scene.theme, &name(host).to_uppercase(), strip().muted(since), columns)];
    if let Some(facts) = &host.facts {
        let about = format!("{} · {} · {} · {}", facts.os, facts.kernel, facts.arch, many(facts.cores as usize, "core"));
        lines.extend(labelled(scene, "system", &about, Role::Text, columns));
    }
    if !host.reachable {
        lines.extend(labelled(
            scene,
            "reach",
            &format!("no answer for {}; last seen {}", span(host.last_seen, scene.now()), scene.clock(host.last_seen)),
            Role::Danger,
            columns,
        ));
    }
    let Some(history) = scene.fleet().host_history.get(&host.id) else {
        lines.push(strip().muted("no figures yet").line());
        return lines;
    };
    let Some(last) = history.back() else {
        return lines;
    };
    let wide = columns.saturating_sub(46).clamp(8, 60);
    let meter = |label: &str, percent: Option<f64>, spark: String, about: String| {
        let value = percent.map_or("–".to_owned(), |percent| format!("{percent:.0}"));
        let role = loaded(percent.unwrap_or(0.0));
        let begin = strip().cell(label, 10, Role::Muted).figure(&value, "%", 5, role).gap(2);
        let begin =
            bar(begin, percent.unwrap_or(0.0) / 100.0, 10, if role == Role::Warn { Role::Warn } else { Role::Accent }).gap(2);
        begin.put(spark, Role::Series(0)).gap(2).muted(about).line()
    };
    let of = |figure: fn(&HostSample) -> Option<f64>| sparkline_of(history.iter().map(figure), 100.0, wide);
    lines.push(Line::default());
    lines.push(meter(
        "cpu",
        last.cpu_percent.map(f64::from),
        of(|it| it.cpu_percent.map(f64::from)),
        format!("load {:.2}", last.load_1m),
    ));
    let memory = format!("{} of {}", Bytes(last.memory_used), Bytes(last.memory_total));
    lines.push(meter(
        "memory",
        Some(part(last.memory_used, last.memory_total)),
        of(|it| Some(part(it.memory_used, it.memory_total))),
        memory,
    ));
    let disk = format!("{} free", Bytes(last.disk_total.saturating_sub(last.disk_used)));
    lines.push(meter(
        "disk",
        Some(part(last.disk_used, last.disk_total)),
        of(|it| Some(part(it.disk_used, it.disk_total))),
        disk,
    ));
    let flow = |label: &str, now: Option<f64>, spark: String| {
        let text = rate(now);
        let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
        strip()
            .cell(label, 10, Role::Muted)
            .figure(number, &format!(" {unit}/s"), 17, Role::Text)
            .gap(2)
            .put(spark, Role::Series(1))
            .line()
    };
    lines.push(flow("received", last.received_per_s, sparkline(history.iter().map(|it| it.received_per_s), wide)));
    lines.push(flow("sent", last.sent_per_s, sparkline(history.iter().map(|it| it.sent_per_s), wide)));
    let load = sparkline(history.iter().map(|it| Some(f64::from(it.load_1m))), wide);
    lines.push(
        strip()
            .cell("load", 10, Role::Muted)
            .figure(&format!("{:.2}", last.load_1m), "  1 min", 17, Role::Text)
            .gap(2)
            .put(load, Role::Series(2))
            .line(),
    );
    let room = high.saturating_sub(lines.len() + 2);
    lines.extend(cpu_chart(scene, history.iter(), columns, room.min(18)));
    lines
}

fn cpu_chart<'a>(
    scene: &Scene<'_>,
    history: impl Iterator<Item = &'a HostSample>,
    columns: usize,
    rows: usize,
) -> Vec<Line<'static>> {
    let samples: Vec<(Timestamp, f64)> = history.filter_map(|it| Some((it.at, f64::from(it.cpu_percent?)))).collect();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Vec::new();
    };
    let length = (last.0.0 - first.0.0) as f64;
    if rows < 8 || samples.len() < 10 || length <= 0.0 {
        return Vec::new();
    }
    let points: Vec<(f64, f64)> = samples.iter().map(|(at, cpu)| ((at.0 - first.0.0) as f64 / length, *cpu)).collect();
    let digits = if length < 600_000.0 { 8 } else { 5 };
    let tick =
        |part: f64| (part, clock(Timestamp(first.0.0 + (part * length) as i64), scene.world.offset_s)[..digits].to_owned());
    let ticks = [tick(0.0), tick(0.25), tick(0.5), tick(0.75), (1.0, "now".to_owned())];
    let top = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let asked = Chart {
        points: &points,
        reach: 10_000.0 / length,
        top: Some(if top > 50.0 {
            100.0
        } else if top > 25.0 {
            50.0
        } else {
            25.0
        }),
        show: |value| format!("{}%", count(value.round())),
        markers: &[],
        ticks: &ticks,
        role: Role::Series(0),
    };
    let mut lines =
        vec![Line::default(), heading(scene.theme, "CPU", Strip::new(scene.theme).muted("of all cores together"), columns)];
    lines.extend(chart(scene.theme, &asked, columns, rows - 2));
    lines
}
