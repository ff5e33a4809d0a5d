//! The frame: header, tabs, pane, footer, and cards above them. Drawing reads the state and changes nothing.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier, text::Line};

use super::{
    keymap::Keymap,
    needs::{Grade, needs},
    overlays::dim,
    state::{Mode, State, Tab},
    theme::{Ground, Role},
    widgets::strip::{Strip, cut, draw, draw_line},
    words::{clock, span},
    world::Link,
};
use crate::model::{fleet::TaskState, text::width, units::many, verbs::refusal};

/// Below this there is no use in panes.
const LEAST: (u16, u16) = (36, 9);
/// Below this names are short.
const ROOMY: u16 = 100;

fn is_low(area: Rect) -> bool {
    area.height < 16
}

/// Where the pane is drawn.
pub fn body(screen: Rect) -> Rect {
    let top = if is_low(screen) { 2 } else { 3 };
    Rect {
        x: screen.x + 1.min(screen.width),
        y: (screen.y + top).min(screen.bottom()),
        width: screen.width.saturating_sub(2),
        height: screen.height.saturating_sub(top + 1),
    }
}

/// Draws the whole screen.
pub fn view(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = &state.theme;
    buf.set_style(area, theme.ground(Ground::Base));
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(state, area, buf);
        return;
    }
    let scene = state.scene();
    let within = body(area);
    state.pane().draw(&scene, within, buf);
    if state.world.is_lost() {
        dim(theme, within, buf);
    }
    tabs(state, area, buf);
    if !state.overlays.is_empty() {
        dim(theme, Rect { y: area.y + 1, height: area.height - 2, ..area }, buf);
    }
    header(state, area, buf);
    footer(state, area, buf);
    for overlay in &state.overlays {
        overlay.draw(&scene, &state.keys, &state.panes.deployments.build, area, buf);
    }
}

/// Says what matters most in whatever room there is.
fn too_small(state: &State, area: Rect, buf: &mut Buffer) {
    let strip = || Strip::new(&state.theme);
    let needs = needs(&state.world);
    let mut lines = vec![strip().put("◆", Role::Accent).gap(1).bold("pilothouse", Role::Text).line()];
    if let Link::Lost { since, .. } = &state.world.link {
        lines.push(strip().put(format!("no answer {}", span(*since, state.world.now)), Role::Danger).line());
    }
    if needs.is_empty() {
        lines.push(strip().muted(format!("{}, nothing needs you", many(state.world.fleet.apps.len(), "app"))).line());
    }
    for need in needs.iter().take(area.height.saturating_sub(3) as usize) {
        let role = if need.grade == Grade::Danger { Role::Danger } else { Role::Warn };
        lines.push(
            strip()
                .put(if need.grade == Grade::Danger { "✖" } else { "▲" }, role)
                .gap(1)
                .text(need.name())
                .gap(1)
                .muted(need.what.clone())
                .line(),
        );
    }
    lines.push(strip().muted(format!("{}×{}: {}×{} shows more", area.width, area.height, LEAST.0, LEAST.1)).line());
    lines.push(strip().key("q", "quit").line());
    let lines: Vec<Line<'static>> = lines.into_iter().map(|line| cut(line, area.width as usize)).collect();
    draw(buf, area, &lines, 0);
}

fn header(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = &state.theme;
    let bar = Rect { height: 1, ..area };
    buf.set_style(bar, theme.ground(Ground::Raised));
    let strip = || Strip::new(theme);
    let fleet = &state.world.fleet;
    let roomy = area.width >= ROOMY;
    let tag = match state.mode {
        Mode::Own => theme.style(Role::Text).patch(theme.ground(Ground::Selected)).add_modifier(Modifier::BOLD),
        Mode::Demo => theme.tag(Role::Info),
    };
    let mut left = strip().gap(1).put("◆", Role::Accent).gap(1).bold("pilothouse", Role::Text).gap(2);
    left = left.styled(format!(" {} ", state.mode.word()), tag).gap(1).muted("open");
    if roomy {
        let instances = fleet.instances.values().filter(|it| it.state.is_alive()).count();
        left = left.gap(3).muted(many(fleet.hosts.len(), "host")).gap(2).muted(many(fleet.apps.len(), "app"));
        left = left.gap(2).muted(many(instances, "instance"));
    }
    let needs = needs(&state.world);
    let tasks = fleet.tasks.values().filter(|task| task.state == TaskState::Running && task.deployment.is_some()).count();
    let mut right = strip();
    if !needs.is_empty() {
        let worst = needs.iter().map(|need| need.grade).min();
        let (symbol, role) = if worst == Some(Grade::Danger) { ("✖", Role::Danger) } else { ("▲", Role::Warn) };
        let text = if roomy { format!("{symbol} {}", many(needs.len(), "alert")) } else { format!("{symbol} {}", needs.len()) };
        right = right.put(text, role).gap(3);
    }
    if tasks > 0 {
        right = right.put(if roomy { format!("◐ {}", many(tasks, "task")) } else { format!("◐ {tasks}") }, Role::Accent).gap(3);
    }
    right = match &state.world.link {
        Link::Connecting => right.muted("connecting").gap(3),
        Link::Up { round_trip } if roomy => right.muted(format!("engine {round_trip}")).gap(3),
        Link::Up { .. } => right,
        Link::Lost { since, .. } => right.put(format!("✖ no answer {}", span(*since, state.world.now)), Role::Danger).gap(3),
    };
    let time = clock(state.world.now, state.world.offset_s);
    right = right.text(if roomy { time } else { time[..5].to_owned() }).gap(1);
    draw_line(buf, bar, bar.y, &left.with_right(right, area.width as usize));
}

/// (tab, first column, columns).
fn tab_places(wide: u16) -> Vec<(Tab, u16, u16)> {
    let short = wide < ROOMY;
    let gap = if wide < 60 { 1 } else { 3 };
    let mut x = if wide < 60 { 1 } else { 2 };
    Tab::ALL
        .into_iter()
        .map(|tab| {
            let columns = width(tab.word(short)) as u16 + 2;
            let place = (tab, x, columns);
            x += columns + gap;
            place
        })
        .collect()
}

/// The tab at a cell.
pub fn tab_at(size: (u16, u16), x: u16, y: u16) -> Option<Tab> {
    if size.0 < LEAST.0 || size.1 < LEAST.1 || y != 1 {
        return None;
    }
    tab_places(size.0).into_iter().find(|(_, from, columns)| (*from..from + columns).contains(&x)).map(|(tab, ..)| tab)
}

fn tabs(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = &state.theme;
    let y = area.y + 1;
    let short = area.width < ROOMY;
    if !is_low(area) {
        buf.set_stringn(area.x, y + 1, "─".repeat(area.width as usize), area.width as usize, theme.style(Role::Faint));
    }
    for (tab, x, columns) in tab_places(area.width) {
        if x + columns > area.width {
            break;
        }
        let active = tab == state.tab;
        let mut line = Strip::new(theme).put(tab.digit().to_string(), if active { Role::Accent } else { Role::Muted }).gap(1);
        line = if active { line.bold(tab.word(short), Role::Text) } else { line.muted(tab.word(short)) };
        let mut line = line.line();
        if active && is_low(area) {
            line = line.patch_style(ratatui::style::Style::new().add_modifier(Modifier::UNDERLINED));
        }
        buf.set_line(area.x + x, y, &line, columns);
        if active && !is_low(area) {
            buf.set_stringn(area.x + x, y + 1, "━".repeat(columns as usize), columns as usize, theme.style(Role::Accent));
        }
    }
}

fn footer(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = &state.theme;
    let bar = Rect { y: area.bottom() - 1, height: 1, ..area };
    buf.set_style(bar, theme.ground(Ground::Raised));
    let columns = area.width as usize;
    if let Some(notice) = &state.notice {
        let symbol = match notice.role {
            Role::Danger => "✖",
            Role::Warn => "▲",
            Role::Ok => "✓",
            _ => "◆",
        };
        let line = Strip::new(theme).gap(1).put(symbol, notice.role).gap(1).put(notice.text.clone(), notice.role);
        draw_line(buf, bar, bar.y, &cut(line.line(), columns));
        return;
    }
    if !state.overlays.is_empty() {
        return;
    }
    let scope = state.scope();
    let subject = state.subject();
    let mut rows: Vec<_> = Keymap::rows(scope)
        .filter(|row| row.footer.is_some() && refusal(row.verb, &state.world.fleet, &subject).is_none())
        .filter_map(|row| Some((row, state.keys.key(scope, row.verb)?)))
        .collect();
    rows.sort_by_key(|(row, _)| row.footer);
    // Help and the way out are always in sight.
    let wide = |(row, key): &(&crate::model::verbs::Row, super::keymap::Key)| width(&key.to_string()) + width(row.word) + 3;
    let (mut kept, last): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(row, _)| row.footer < Some(20));
    let last_wide: usize = last.iter().map(wide).sum();
    while kept.iter().map(wide).sum::<usize>() + last_wide + 1 > columns && kept.pop().is_some() {}
    let mut line = Strip::new(theme).gap(1);
    for (row, key) in kept.iter().chain(&last) {
        line = line.key(&key.to_string(), row.word).gap(2);
    }
    draw_line(buf, bar, bar.y, &cut(line.line(), columns));
}
