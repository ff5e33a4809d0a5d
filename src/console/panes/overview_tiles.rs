//! The overview's tiles: each a heading and lines; empty when nothing was observed for it.

mod fleet;

pub use fleet::fleet;
use ratatui::text::Line;

use super::overview::Item;
use crate::{
    console::{
        marks,
        needs::{Grade, Need},
        theme::Role,
        widgets::{
            chart::{Chart, chart},
            sparkline::sparkline,
            strip::{Strip, bar, cut, fold, heading},
        },
        words::{clock, count, latency, share, span},
        world::Scene,
    },
    model::{
        deployment::{Aim, Deployment},
        fleet::Level,
        text::fit,
        units::many,
        verbs::Scope,
    },
};

type Lines = Vec<(Option<Item>, Line<'static>)>;

/// What is wrong, since when, what changed before it, and the keys that help.
pub fn needs(scene: &Scene<'_>, needs: &[Need], columns: usize) -> Lines {
    if needs.is_empty() {
        return Vec::new();
    }
    let strip = || Strip::new(scene.theme);
    let mut lines: Lines =
        vec![(None, heading(scene.theme, "NEEDS YOU", strip().bold(needs.len().to_string(), Role::Text), columns))];
    let name_wide = needs.iter().map(|need| need.name().len()).max().unwrap_or(0).clamp(8, 18);
    for need in needs {
        let item = Some(Item::Need(need.clone()));
        let (symbol, role) = match need.grade {
            Grade::Danger => ("✖", Role::Danger),
            Grade::Warn => ("▲", Role::Warn),
        };
        let since = need.since.map(|since| {
            if scene.absolute { format!("since {}", scene.clock(since)) } else { format!("for {}", span(since, scene.now())) }
        });
        let indent = name_wide + 4;
        let mut told = need.what.clone();
        for more in since.iter().chain(&need.before) {
            told.push_str("; ");
            told.push_str(more);
        }
        for (at, text) in fold(&told, columns.saturating_sub(indent + 1)).into_iter().enumerate() {
            let begin = if at == 0 {
                let name = fit(&need.name(), name_wide).into_owned();
                strip().gap(1).put(symbol, role).gap(1).bold(name, Role::Text).tab(indent)
            } else {
                strip().gap(indent)
            };
            lines.push((item.clone(), begin.text(text).line()));
        }
        let mut keys = strip().gap(indent);
        for (verb, what) in &need.help {
            let key = scene.keys.key(Scope::Overview, *verb).map_or_else(|| ":".to_owned(), |key| key.to_string());
            keys = keys.key(&key, what).gap(3);
        }
        if keys.used() > indent {
            lines.push((item.clone(), cut(keys.line(), columns)));
        }
    }
    lines
}

/// Running ones first, then today's.
pub fn deployments(scene: &Scene<'_>, columns: usize) -> Lines {
    let fleet = scene.fleet();
    let mut shown: Vec<&Deployment> = fleet.deployments.values().collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let running = shown.iter().filter(|it| !it.is_over()).count();
    let today = shown.iter().filter(|it| it.asked_at.age(scene.now()).as_secs() < 86_400).count();
    shown.sort_by_key(|it| (it.is_over(), std::cmp::Reverse(it.id)));
    let right = Strip::new(scene.theme).muted(if running > 0 {
        format!("{running} running, {today} in a day")
    } else {
        format!("{today} in a day")
    });
    let mut lines: Lines = vec![(None, heading(scene.theme, "DEPLOYMENTS", right, columns))];
    for deployment in shown.into_iter().take(running.max(2) + 4) {
        let item = Some(Item::Deployment(deployment.id, deployment.app.clone()));
        let mark = marks::deployment(deployment);
        let strip = Strip::new(scene.theme).gap(1).put(mark.symbol, mark.role).gap(1);
        let strip = strip.cell_styled(
            deployment.app.as_str(),
            14,
            scene.theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD),
        );
        let version = deployment.plan.as_ref().map(|plan| plan.version.clone());
        let what = match (deployment.aim, version) {
            (Aim::Deploy, Some(version)) => format!("{} {version}", deployment.release),
            (Aim::Deploy, None) => deployment.release.to_string(),
            (aim, _) => format!("{} {}", aim.word(), deployment.release),
        };
        let strip = strip.gap(1).cell(&what, 16, Role::Muted).gap(1);
        let role = if mark.role == Role::Ok { Role::Muted } else { mark.role };
        let strip = strip.cell(mark.word, 11, role).gap(1);
        let line = if deployment.is_over() {
            let when = scene.time(deployment.ended_at.unwrap_or(deployment.asked_at));
            let strip = strip.right(&when, if scene.absolute { 8 } else { 4 }, Role::Muted).gap(2);
            match &deployment.cause {
                Some(cause) => strip.text(cause.what.clone()),
                None => strip.muted(format!("took {}", deployment.took(scene.now()))),
            }
        } else {
            let wide = columns.saturating_sub(strip.used() + 12).min(30);
            let part = progress(deployment);
            let strip = bar(strip, part, wide, Role::Accent).gap(1);
            strip.muted(deployment.took(scene.now()).to_string())
        };
        lines.push((item, cut(line.line(), columns)));
    }
    lines
}

/// How far a deployment is, from its phase: never goes back while it goes forth.
pub fn progress(deployment: &Deployment) -> f64 {
    use crate::model::deployment::Phase::{
        Admitting, Attesting, Building, Fetching, Finalising, Holding, Queued, Releasing, Shifting, Staging,
    };
    let order = [Queued, Fetching, Admitting, Building, Attesting, Staging, Releasing, Shifting, Holding, Finalising];
    let at = order.iter().position(|phase| *phase == deployment.phase);
    at.map_or(1.0, |at| (at as f64 + 0.5) / order.len() as f64)
}

/// Hosts, the one under the most pressure first.
pub fn hosts(scene: &Scene<'_>, columns: usize) -> Lines {
    let fleet = scene.fleet();
    if fleet.hosts.is_empty() {
        return Vec::new();
    }
    let strip = || Strip::new(scene.theme);
    let mut lines: Lines = vec![(None, heading(scene.theme, "HOSTS BY PRESSURE", strip().muted("cpu   mem  disk"), columns))];
    let part = |used: u64, total: u64| if total == 0 { 0.0 } else { used as f64 / total as f64 * 100.0 };
    let mut hosts: Vec<_> =
        fleet.hosts.values().map(|host| (host, fleet.host_history.get(&host.id).and_then(|history| history.back()))).collect();
    hosts.sort_by(|one, other| {
        let pressure = |sample: Option<&crate::model::sample::HostSample>| {
            sample.map_or(-1.0, |sample| {
                f64::from(sample.cpu_percent.unwrap_or(0.0)).max(part(sample.memory_used, sample.memory_total))
            })
        };
        (!other.0.reachable).cmp(&!one.0.reachable).then(pressure(other.1).total_cmp(&pressure(one.1)))
    });
    for (host, sample) in hosts.into_iter().take(6) {
        let mark = marks::host(host);
        let name = host
            .facts
            .as_ref()
            .map_or(host.id.to_string(), |facts| if facts.name.is_empty() { host.id.to_string() } else { facts.name.clone() });
        let line = strip().gap(1).put(mark.symbol, mark.role).gap(1).text(fit(&name, 18).into_owned()).tab(20);
        let line = match sample.filter(|_| host.reachable) {
            Some(sample) => {
                let figures = [
                    sample.cpu_percent.map(f64::from),
                    Some(part(sample.memory_used, sample.memory_total)),
                    Some(part(sample.disk_used, sample.disk_total)),
                ];
                let mut right = strip();
                for figure in figures {
                    let text = figure.map_or("–".to_owned(), |figure| format!("{figure:.0}%"));
                    let role = if figure.is_some_and(|figure| figure >= 90.0) { Role::Warn } else { Role::Text };
                    right = right.right(&text, 6, role);
                }
                let wide = columns.saturating_sub(line.used() + right.used() + 1).min(30);
                let cpu = figures[0].unwrap_or(0.0);
                bar(line, cpu / 100.0, wide, if cpu >= 90.0 { Role::Warn } else { Role::Accent }).with_right(right, columns)
            }
            None if host.reachable => line.muted("no figures yet").line(),
            None => line.put(format!("unreachable since {}", scene.clock(host.last_seen)), Role::Danger).line(),
        };
        lines.push((Some(Item::Host(host.id.clone())), line));
    }
    lines
}

/// Apps by p95, the slowest first.
pub fn slowest(scene: &Scene<'_>, columns: usize) -> Lines {
    let fleet = scene.fleet();
    let mut apps: Vec<_> = fleet
        .apps
        .keys()
        .filter_map(|app| {
            let sample = scene.world.app_sample(app)?;
            Some((app, sample, sample.p95_ms?))
        })
        .collect();
    if apps.is_empty() {
        return Vec::new();
    }
    apps.sort_by(|one, other| other.2.total_cmp(&one.2));
    let strip = || Strip::new(scene.theme);
    let mut lines: Lines = vec![(None, heading(scene.theme, "SLOWEST", strip().muted("    p95   errors"), columns))];
    for (app, sample, p95) in apps.into_iter().take(5) {
        let (number, unit) = latency(p95);
        let mut right = strip().figure(&number, unit, 9, Role::Text);
        right = match sample.error_share {
            Some(part) => right.figure(&share(part), " %", 9, if part > 0.01 { Role::Danger } else { Role::Muted }),
            None => right.right("–", 9, Role::Muted),
        };
        let line = strip().gap(1).text(fit(app.as_str(), 18).into_owned()).tab(20);
        let wide = columns.saturating_sub(20 + right.used() + 1).min(34);
        let history = fleet.app_history.get(app).map(|history| sparkline(history.iter().map(|sample| sample.p95_ms), wide));
        let line = line.put(history.unwrap_or_default(), Role::Series(1)).with_right(right, columns);
        lines.push((Some(Item::App(app.clone())), line));
    }
    lines
}

/// The newest events first, at most `rows` lines with the heading.
pub fn latest(scene: &Scene<'_>, columns: usize, rows: usize) -> Lines {
    let events = &scene.fleet().events;
    if events.is_empty() || rows < 2 {
        return Vec::new();
    }
    let strip = || Strip::new(scene.theme);
    let mut lines: Lines = vec![(None, heading(scene.theme, "LATEST", strip().muted("newest first"), columns))];
    for event in events.iter().rev().take(rows - 1) {
        let role = if event.level == Level::Good { Role::Text } else { marks::level(event.level) };
        let when = if scene.absolute || columns >= 50 { clock(event.at, scene.world.offset_s) } else { scene.time(event.at) };
        let line = strip().gap(1).cell(&when, 10, Role::Muted);
        let line = line.cell_styled(
            &event.subject,
            14,
            scene.theme.style(marks::level(event.level)).add_modifier(ratatui::style::Modifier::BOLD),
        );
        lines.push((None, cut(line.gap(1).put(event.what.clone(), role).line(), columns)));
    }
    lines
}

/// Requests of all apps as a chart with the deployments that went live.
pub fn traffic(scene: &Scene<'_>, columns: usize, rows: usize) -> Lines {
    let traffic = scene.world.traffic();
    let (Some(first), Some(last)) = (traffic.first(), traffic.last()) else {
        return Vec::new();
    };
    let length = (last.0.0 - first.0.0) as f64;
    if rows < 7 || traffic.len() < 10 || length <= 0.0 {
        return Vec::new();
    }
    let place = |at: i64| (at - first.0.0) as f64 / length;
    let points: Vec<(f64, f64)> = traffic.iter().map(|(at, rate)| (place(at.0), *rate)).collect();
    let mut markers: Vec<(f64, String)> = scene
        .fleet()
        .deployments
        .values()
        .filter_map(|it| Some((it.ended_at.filter(|_| it.phase == crate::model::deployment::Phase::Live)?, it)))
        .filter(|(at, _)| *at > first.0 && *at < last.0)
        .map(|(at, it)| (place(at.0), format!("{} {}", it.app, it.release)))
        .collect();
    markers.truncate(6);
    let ticks: Vec<(f64, String)> = (0..4)
        .map(|n| {
            let at = f64::from(n) / 4.0;
            let time = crate::model::units::Timestamp(first.0.0 + (at * length) as i64);
            (at, clock(time, scene.world.offset_s)[..if length < 600_000.0 { 8 } else { 5 }].to_owned())
        })
        .chain([(1.0, "now".to_owned())])
        .collect();
    let drawn = chart(
        scene.theme,
        &Chart {
            points: &points,
            reach: 10_000.0 / length,
            top: None,
            show: count,
            markers: &markers,
            ticks: &ticks,
            role: Role::Series(0),
        },
        columns,
        rows - 1,
    );
    if drawn.is_empty() {
        return Vec::new();
    }
    let apps = many(scene.fleet().app_history.len(), "app");
    let right = Strip::new(scene.theme).muted(format!("edge, {apps}, {} req/s", count(last.1)));
    let mut lines: Lines = vec![(None, heading(scene.theme, "TRAFFIC", right, columns))];
    lines.extend(drawn.into_iter().map(|line| (None, line)));
    lines
}
