//! The pulse of the fleet: what there is of each kind, and how it is.

use ratatui::text::Line;

use super::Lines;
use crate::{
    console::{
        marks,
        theme::Role,
        widgets::{
            sparkline::{sparkline, sparkline_of},
            strip::{Strip, cut, heading},
        },
        words::count,
        world::Scene,
    },
    model::{container::Container, fleet::AppStatus, instance::InstanceState, units::Bytes},
};

/// Counts by state per kind, with a sparkline where there is history.
pub fn fleet(scene: &Scene<'_>, calm: bool, columns: usize) -> Lines {
    let fleet = scene.fleet();
    if fleet.hosts.is_empty() && fleet.apps.is_empty() {
        return Vec::new();
    }
    let strip = || Strip::new(scene.theme);
    let right = if calm && !fleet.apps.is_empty() { strip().muted("nothing needs you") } else { strip() };
    let mut lines: Lines = vec![(None, heading(scene.theme, "FLEET", right, columns))];
    let mut push = |name: &str, all: usize, states: Vec<(&str, usize, &str, Role)>, spark: Option<(String, String, &str)>| {
        let mut line = strip().cell_styled(name, 10, scene.theme.style(Role::Text).add_modifier(ratatui::style::Modifier::BOLD));
        line = line.right(&all.to_string(), 4, Role::Text).gap(3);
        for (symbol, count, word, role) in states.into_iter().filter(|state| state.1 > 0) {
            let quiet = matches!(role, Role::Ok | Role::Text | Role::Muted);
            line = line.put(symbol, role).gap(1).put(count.to_string(), if quiet { Role::Text } else { role }).gap(1);
            line = line.put(word.to_owned(), if quiet { Role::Muted } else { role }).gap(2);
        }
        let line = match spark {
            Some((spark, number, unit)) if columns >= 60 => {
                let right = if columns >= 76 { strip().put(spark, Role::Series(0)) } else { strip() };
                line.with_right(right.gap(1).figure(&number, unit, 12, Role::Text), columns)
            }
            _ => cut(line.line(), columns),
        };
        lines.push((None, line));
    };

    let counted = |wanted: AppStatus| fleet.apps.keys().filter(|app| fleet.app_status(app) == wanted).count();
    if !fleet.apps.is_empty() {
        let order = [
            AppStatus::Serving,
            AppStatus::Running,
            AppStatus::UnderWay,
            AppStatus::Degraded,
            AppStatus::Down,
            AppStatus::Stopped,
            AppStatus::Empty,
        ];
        let states = order.map(|status| {
            let mark = marks::app(status);
            (mark.symbol, counted(status), mark.word, mark.role)
        });
        let traffic = scene.world.traffic();
        let spark =
            traffic.last().map(|(_, rate)| (sparkline(traffic.iter().map(|point| Some(point.1)), 20), count(*rate), " req/s"));
        push("Apps", fleet.apps.len(), states.to_vec(), spark);
    }
    let alive: Vec<_> = fleet.instances.values().filter(|it| it.state.is_alive()).collect();
    if !alive.is_empty() {
        let of = |state: InstanceState| alive.iter().filter(|it| it.state == state).count();
        let states = vec![
            ("●", of(InstanceState::Running), "running", Role::Text),
            ("◐", of(InstanceState::Starting), "starting", Role::Accent),
            ("◐", of(InstanceState::Stopping), "stopping", Role::Accent),
            ("✖", of(InstanceState::BackOff), "restarting", Role::Danger),
            ("▲", of(InstanceState::Unknown), "not known", Role::Warn),
        ];
        let memory: u64 = alive.iter().filter_map(|it| fleet.instance_samples.get(&it.id)).map(|sample| sample.memory).sum();
        let text = Bytes(memory).to_string();
        let spark = (memory > 0).then(|| {
            let (number, _) = text.split_once(' ').unwrap_or((&text, ""));
            (" ".repeat(20), number.to_owned(), if text.ends_with("GB") { " GB mem" } else { " MB mem" })
        });
        push("Instances", alive.len(), states, spark);
    }
    if !fleet.containers.is_empty() {
        let of = |symbol: &str, word: &str, role| {
            let is = |it: &&Container| marks::container(it).role == role;
            (symbol.to_owned(), fleet.containers.values().filter(is).count(), word.to_owned(), role)
        };
        let running = fleet.containers.values().filter(|it| matches!(marks::container(it).role, Role::Ok | Role::Text)).count();
        let states = [of("✖", "failing", Role::Danger), of("▲", "unhealthy", Role::Warn), of("◐", "under way", Role::Accent)];
        let mut shown = vec![("●", running, "running", Role::Text)];
        shown.extend(states.iter().map(|(symbol, count, word, role)| (symbol.as_str(), *count, word.as_str(), *role)));
        shown.push((
            "○",
            fleet.containers.values().filter(|it| marks::container(it).role == Role::Muted).count(),
            "ended",
            Role::Muted,
        ));
        let memory: u64 = fleet.container_history.values().filter_map(|history| history.back()).map(|sample| sample.memory).sum();
        let text = Bytes(memory).to_string();
        let spark = (memory > 0).then(|| {
            let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
            (" ".repeat(20), number.to_owned(), if unit == "GB" { " GB mem" } else { " MB mem" })
        });
        push("Containers", fleet.containers.len(), shown, spark);
    }
    let reachable = fleet.hosts.values().filter(|host| host.reachable).count();
    if !fleet.hosts.is_empty() {
        let states =
            vec![("●", reachable, "reachable", Role::Ok), ("○", fleet.hosts.len() - reachable, "unreachable", Role::Danger)];
        let history = fleet.host_history.values().next().filter(|_| fleet.hosts.len() == 1);
        let cpu = history.and_then(|history| history.back()).and_then(|sample| sample.cpu_percent);
        let spark = history.zip(cpu).map(|(history, cpu)| {
            let spark = sparkline_of(history.iter().map(|sample| sample.cpu_percent.map(f64::from)), 100.0, 20);
            (spark, format!("{cpu:.0}"), "% cpu")
        });
        push("Hosts", fleet.hosts.len(), states, spark);
    }
    if fleet.edge.generation.0 > 0 || fleet.edge.up {
        let states = vec![
            ("●", usize::from(fleet.edge.up), "answering", Role::Ok),
            ("✖", usize::from(!fleet.edge.up), "does not answer", Role::Danger),
        ];
        let at = fleet.edge.http.first().map(|address| (String::new(), address.to_string(), ""));
        let wide = at.map(|(_, address, _)| address).unwrap_or_default();
        push("Edge", 1, states, None);
        if let Some((_, line)) = lines.last_mut()
            && !wide.is_empty()
        {
            let left = std::mem::take(line);
            let gap = columns.saturating_sub(left.width() + wide.len());
            let mut spans = left.spans;
            if gap > 0 {
                spans.extend(strip().gap(gap).muted(wide).line().spans);
            }
            *line = Line::from(spans);
        }
    }
    lines
}
