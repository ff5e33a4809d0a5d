//! An app in full: asked, running and serving as three lines, then what is wrong, instances, releases, the last deployment.

use std::collections::BTreeMap;

use ratatui::text::Line;

use super::{
    deployments::{cause_lines, step_lines},
    labelled,
};
use crate::{
    console::{
        marks,
        needs::{Need, needs},
        theme::Role,
        widgets::{
            sparkline::sparkline,
            strip::{Strip, cut, fold, heading},
        },
        words::{count, latency, share, span},
        world::Scene,
    },
    model::{
        fleet::{App, AppStatus, Desired, Release},
        ids::{AppId, ReleaseId},
        instance::Instance,
        units::{Bytes, many},
        verbs::{earlier_releases, is_static},
    },
};

/// Lines of the details, `columns` wide.
pub fn lines(scene: &Scene<'_>, id: &AppId, columns: usize) -> Vec<Line<'static>> {
    let fleet = scene.fleet();
    let Some(app) = fleet.apps.get(id) else {
        return Vec::new();
    };
    let mut lines = head(scene, app, columns);
    lines.push(Line::default());
    lines.extend(three_truths(scene, app, columns));
    lines.extend(trouble(scene, app, columns));
    lines.extend(figures(scene, app, columns));
    lines.extend(instances(scene, app, columns));
    lines.extend(releases(scene, app, columns));
    lines.extend(last_deployment(scene, app, columns));
    lines
}

fn head(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let status = scene.fleet().app_status(&app.id);
    let mark = marks::app(status);
    let name = Strip::new(scene.theme)
        .put(mark.symbol, mark.role)
        .gap(1)
        .bold(app.id.as_str(), Role::Text)
        .gap(2)
        .put(mark.word, mark.role);
    let url = app.url.clone().unwrap_or_else(|| "no route leads to it".to_owned());
    vec![
        cut(name.line(), columns),
        cut(Strip::new(scene.theme).gap(2).put(url, if app.url.is_some() { Role::Info } else { Role::Muted }).line(), columns),
    ]
}

/// Asked, running and serving are three different things.
fn three_truths(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let fleet = scene.fleet();
    let strip = || Strip::new(scene.theme);
    let mut lines = vec![heading(scene.theme, "ASKED · RUNNING · SERVING", strip(), columns)];
    let label = |text: &str| strip().cell(text, 10, Role::Muted);

    let asked = match (app.desired, app.asked) {
        (Desired::Stopped, _) => label("asked").text("stopped"),
        (_, None) => label("asked").muted("nothing yet"),
        (_, Some(asked)) => {
            let about = fleet.release(&app.id, asked).map(|release| describe(scene, release)).unwrap_or_default();
            label("asked").bold(format!("{asked:<4}"), Role::Text).gap(1).muted(about)
        }
    };
    lines.push(cut(asked.line(), columns));

    let mut running: BTreeMap<ReleaseId, (usize, usize)> = BTreeMap::new();
    for instance in fleet.instances_of(&app.id).filter(|it| it.state.is_alive()) {
        let counted = running.entry(instance.release).or_default();
        counted.0 += usize::from(instance.state == crate::model::instance::InstanceState::Running);
        counted.1 += 1;
    }
    let mut strip_running = label("running");
    if running.is_empty() {
        strip_running = strip_running.muted(if is_static(fleet, &app.id) { "files, by the edge" } else { "nothing" });
    }
    for (release, (up, all)) in &running {
        let text = match fleet.blind(&app.id) {
            Some(_) if up == &0 => "not known: Docker does not answer".to_owned(),
            _ if up == all => format!("×{all}"),
            _ => format!("×{up} of {all}"),
        };
        strip_running =
            strip_running.text(format!("{release} ")).put(text, if up == all { Role::Muted } else { Role::Warn }).gap(3);
    }
    if let Some((release, until)) = app.warm.filter(|(_, until)| *until > scene.now()) {
        let left = crate::model::units::Millis((until.0 - scene.now().0).max(0) as u64);
        strip_running = strip_running.muted(format!("{release} warm for {left} more"));
    }
    lines.push(cut(strip_running.line(), columns));

    let serving = match app.serving {
        Some(serving) => {
            let proved = if scene.absolute { scene.clock(serving.since) } else { format!("{} ago", scene.time(serving.since)) };
            label("serving")
                .bold(format!("{:<4}", serving.release), Role::Ok)
                .gap(1)
                .muted(format!("proved through the edge {proved}"))
        }
        None if app.url.is_none() => label("serving").muted("no route, so nothing can prove it"),
        None => label("serving")
            .put("nothing answers through the edge", if app.desired == Desired::Stopped { Role::Muted } else { Role::Danger }),
    };
    lines.push(cut(serving.line(), columns));
    if let Some(watch) = &app.watch {
        let seen = watch.checked_at.map(|at| match scene.time(at) {
            now if now == "now" => "looked just now".to_owned(),
            ago => format!("looked {ago} ago"),
        });
        let line = label("watch").text(watch.words()).gap(2);
        let line = match &watch.error {
            Some(problem) => line.put(problem.what.clone(), Role::Warn),
            None => line.muted(seen.unwrap_or_default()),
        };
        lines.push(cut(line.line(), columns));
    }
    lines
}

/// `9c1f02e · ops-2 · 3m  Add like counter`.
fn describe(scene: &Scene<'_>, release: &Release) -> String {
    let subject = release.subject.as_deref().map(|subject| format!("  {subject}")).unwrap_or_default();
    format!("{} · {} · {}{subject}", release.version, release.actor, scene.time(release.created_at))
}

fn trouble(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let found: Vec<Need> = needs(scene.world).into_iter().filter(|need| need.app() == Some(&app.id)).collect();
    let mut lines = Vec::new();
    for need in found {
        lines.push(Line::default());
        let since = need.since.map(|since| format!("since {}", span(since, scene.now()))).unwrap_or_default();
        lines.push(heading(scene.theme, "NEEDS YOU", Strip::new(scene.theme).muted(since), columns));
        let role = if need.grade == crate::console::needs::Grade::Danger { Role::Danger } else { Role::Warn };
        lines.extend(fold(&need.what, columns).into_iter().map(|line| Strip::new(scene.theme).put(line, role).line()));
        lines.extend(
            need.before.iter().flat_map(|before| fold(before, columns)).map(|line| Strip::new(scene.theme).muted(line).line()),
        );
    }
    lines
}

fn figures(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let Some(history) = scene.fleet().app_history.get(&app.id).filter(|history| history.len() > 1) else {
        return Vec::new();
    };
    let strip = || Strip::new(scene.theme);
    let since = history.front().map(|first| format!("last {}", span(first.at, scene.now()))).unwrap_or_default();
    let mut lines = vec![Line::default(), heading(scene.theme, "TRAFFIC", strip().muted(since), columns)];
    let wide = columns.saturating_sub(24).min(60);
    let last = scene.world.app_sample(&app.id);
    let requests = sparkline(history.iter().map(|sample| Some(sample.requests_per_s)), wide);
    let now = last.map_or_else(|| "–".to_owned(), |last| count(last.requests_per_s));
    lines.push(
        strip().cell("requests", 10, Role::Muted).put(requests, Role::Series(0)).gap(2).figure(&now, " /s", 9, Role::Text).line(),
    );
    let p95 = sparkline(history.iter().map(|sample| sample.p95_ms), wide);
    let (now, unit) = last.and_then(|last| last.p95_ms).map_or(("–".to_owned(), ""), latency);
    lines.push(strip().cell("p95", 10, Role::Muted).put(p95, Role::Series(1)).gap(2).figure(&now, unit, 9, Role::Text).line());
    if history.iter().any(|sample| sample.error_share.is_some_and(|share| share > 0.0)) {
        let errors = sparkline(history.iter().map(|sample| sample.error_share), wide);
        let now = last.and_then(|last| last.error_share).map_or("–".to_owned(), share);
        lines.push(
            strip().cell("errors", 10, Role::Muted).put(errors, Role::Danger).gap(2).figure(&now, " % ", 9, Role::Text).line(),
        );
    }
    lines
}

fn instances(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let all: Vec<&Instance> = scene.fleet().instances_of(&app.id).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let strip = || Strip::new(scene.theme);
    let addressed = columns >= 58;
    let begin = if addressed { strip().cell("address", 17, Role::Muted) } else { strip() };
    let right = begin.right("cpu", 5, Role::Muted).right("mem", 8, Role::Muted);
    let mut lines = vec![Line::default(), heading(scene.theme, "INSTANCES", right, columns)];
    for instance in all {
        let mark = marks::instance(instance);
        let sample = scene.fleet().instance_samples.get(&instance.id).filter(|_| instance.state.is_alive());
        let name = strip()
            .put(mark.symbol, mark.role)
            .gap(1)
            .text(instance.id.to_string())
            .gap(2)
            .put(mark.word, if mark.role == Role::Ok { Role::Muted } else { mark.role });
        let name = match instance.health {
            crate::model::instance::Health::Unknown => name,
            health => name.gap(1).put(health.word(), marks::health(health)),
        };
        let mut right = strip();
        if addressed {
            let address = instance.address.map(|address| address.to_string()).unwrap_or_default();
            right = right.cell(&address, 17, Role::Muted);
        }
        right = match sample.and_then(|sample| sample.cpu_percent) {
            Some(cpu) => right.figure(&format!("{cpu:.0}"), "%", 5, Role::Text),
            None => right.right("–", 5, Role::Muted),
        };
        right = match sample {
            Some(sample) => {
                let text = Bytes(sample.memory).to_string();
                let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
                right.figure(number, &format!(" {unit}"), 8, Role::Text)
            }
            None => right.right("–", 8, Role::Muted),
        };
        lines.push(name.with_right(right, columns));
        if let Some(exit) = instance.last_exit.as_ref().filter(|exit| instance.restarts > 0 || !exit.is_success()) {
            let text = format!(
                "{} {}",
                exit.words(),
                if scene.absolute { scene.clock(exit.at) } else { format!("{} ago", scene.time(exit.at)) }
            );
            let text = match instance.restarts {
                0 => text,
                count => format!("{text}, {}", many(count as usize, "restart")),
            };
            let role = if instance.state.is_alive() && instance.wanted { Role::Warn } else { Role::Muted };
            lines.push(cut(strip().gap(2).put(text, role).line(), columns));
        }
    }
    lines
}

fn releases(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let Some(releases) = scene.fleet().releases.get(&app.id).filter(|releases| !releases.is_empty()) else {
        return Vec::new();
    };
    let strip = || Strip::new(scene.theme);
    let back = earlier_releases(scene.fleet(), &app.id).count();
    let right = if back > 0 { strip().key("R", "returns to an earlier one") } else { strip() };
    let mut lines = vec![Line::default(), heading(scene.theme, "RELEASES", right, columns)];
    for release in releases.values().rev().take(8) {
        let serves = app.serving.is_some_and(|serving| serving.release == release.id);
        let (word, role) = match (serves, release.proved_at) {
            (true, _) => ("serving", Role::Ok),
            (_, Some(_)) if app.warm.is_some_and(|(warm, until)| warm == release.id && until > scene.now()) => {
                ("warm", Role::Text)
            }
            (_, Some(_)) => ("proved", Role::Muted),
            (_, None) => ("not proved", Role::Muted),
        };
        let line = strip().cell(&release.id.to_string(), 5, Role::Text).cell(word, 11, role).muted(describe(scene, release));
        lines.push(cut(line.line(), columns));
    }
    lines
}

fn last_deployment(scene: &Scene<'_>, app: &App, columns: usize) -> Vec<Line<'static>> {
    let Some(last) = scene.fleet().last_deployment(&app.id) else {
        return Vec::new();
    };
    let strip = || Strip::new(scene.theme);
    let mark = marks::deployment(last);
    let took = last.took(scene.now());
    let right = strip().status(mark.symbol, mark.word, mark.role).muted(format!("  {took}"));
    let title = if last.is_over() { "LAST DEPLOYMENT" } else { "DEPLOYMENT" };
    let mut lines = vec![Line::default(), heading(scene.theme, title, right, columns)];
    let what = format!("#{} {} of {} by {}, {}", last.id, last.aim.word(), last.release, last.actor, scene.time(last.asked_at));
    lines.extend(labelled(scene, "", &what, Role::Muted, columns));
    lines.extend(step_lines(scene, last, columns));
    lines.extend(cause_lines(scene, last, columns));
    if scene.fleet().app_status(&app.id) == AppStatus::Stopped {
        lines.push(strip().key("U", "starts it again").line());
    }
    lines
}
