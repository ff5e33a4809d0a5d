//! What an action does to the state, and what it causes; no clock, no I/O.

use super::{
    action::{Action, Effect, Goal, Mouse, Slot},
    keymap::Key,
    overlays::{Around, Overlay, Turn, confirm::Confirm, deploy::Deploy, help::Help, palette::Palette, why::Why},
    panes::Reply,
    state::{State, Tab},
    theme::Role,
    view,
    world::Link,
};
use crate::model::{
    change::{Change, Numbered},
    command::{Answer, Command, Request},
    problem::Problem,
    verbs::{Verb, refusal},
};

/// Takes in `action`; the effects are to be carried out in their order.
pub fn update(state: &mut State, action: Action) -> Vec<Effect> {
    let mut effects = take(state, action);
    effects.extend(state.settle());
    effects
}

/// As `update`, but the panes are not brought in line yet: for many actions at once, with one `settle` after them. Keys and
/// the mouse need `update`: what they meet is what was settled before.
pub fn take(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Key(key) => key_pressed(state, key),
        Action::Paste(text) => {
            pasted(state, &text);
            Vec::new()
        }
        Action::Mouse(mouse) => mouse_used(state, mouse),
        Action::Resize(wide, high) => {
            state.size = (wide, high);
            Vec::new()
        }
        Action::Snapshot(fleet, round_trip) => {
            if state.world.is_lost() {
                state.say("the engine answers again", Role::Ok);
                state.follow_anew();
            }
            state.world.fleet = *fleet;
            state.world.link = Link::Up { round_trip };
            Vec::new()
        }
        Action::Changed(changes) => {
            changed(state, changes);
            Vec::new()
        }
        Action::Alive(round_trip) => {
            if !state.world.is_lost() {
                state.world.link = Link::Up { round_trip };
            }
            Vec::new()
        }
        Action::Lost(problem) => {
            let since = match &state.world.link {
                Link::Lost { since, .. } => *since,
                _ => state.world.now,
            };
            state.world.link = Link::Lost { since, problem };
            Vec::new()
        }
        Action::Answered(ticket, answer) => answered(state, ticket, &answer),
        Action::Lines(slot, generation, lines) => {
            if state.generations[slot as usize] == generation {
                match slot {
                    Slot::Logs => state.panes.logs.take(lines),
                    Slot::Build => lines.into_iter().for_each(|line| {
                        state.panes.deployments.build.push(line);
                    }),
                }
            }
            Vec::new()
        }
        Action::LinesEnded(slot, generation, problem) => {
            if slot == Slot::Logs && state.generations[slot as usize] == generation {
                state.panes.logs.ended = Some(problem);
            }
            Vec::new()
        }
        Action::Tick(now) => {
            state.world.now = now;
            if state.notice.as_ref().is_some_and(|notice| notice.until <= now) {
                state.notice = None;
            }
            Vec::new()
        }
    }
}

fn changed(state: &mut State, changes: Vec<Numbered>) {
    for numbered in changes {
        if let Change::Gap { missed } = numbered.change {
            state.world.missed += missed;
            state.say(format!("{missed} changes were missed; the whole state is read anew"), Role::Warn);
        }
        state.world.fleet.take(numbered);
    }
}

fn pasted(state: &mut State, text: &str) {
    if let Some(overlay) = state.overlays.last_mut() {
        overlay.paste(text);
    } else if state.tab == Tab::Logs && state.panes.logs.is_finding() {
        state.panes.logs.paste(text);
    } else if let Some(filter) = state.parts().0.filter().filter(|filter| filter.editing) {
        filter.paste(text);
    }
}

fn key_pressed(state: &mut State, key: Key) -> Vec<Effect> {
    // These mean the same everywhere, also in a card.
    match key {
        Key::Ctrl('z') => return vec![Effect::Suspend],
        Key::Ctrl('l') => return vec![Effect::Redraw],
        _ => {}
    }
    if let Some(top) = state.overlays.last_mut() {
        let around = Around { world: &state.world, keys: &state.keys, scope: state.panes.get(state.tab).scope() };
        let turn = top.key(key, &around);
        return take_turn(state, turn);
    }
    if state.tab == Tab::Logs && state.panes.logs.is_finding() && key != Key::Ctrl('c') {
        let reply = state.panes.logs.find_key(key);
        return take_reply(state, reply).unwrap_or_default();
    }
    let editing = state.parts().0.filter().is_some_and(|filter| filter.editing);
    if editing && key != Key::Ctrl('c') {
        // The list is still walked while its filter is written.
        let verb = match key {
            Key::Down => Some(Verb::Down),
            Key::Up => Some(Verb::Up),
            _ => None,
        };
        let (pane, scene) = state.parts();
        match (verb, pane.filter()) {
            (Some(verb), _) => {
                pane.act(verb, &scene);
            }
            (None, Some(filter)) => filter.key(key),
            (None, None) => {}
        }
        return Vec::new();
    }
    match state.keys.verb(state.scope(), key) {
        Some(verb) => act(state, verb),
        None => Vec::new(),
    }
}

/// Does a verb: what concerns the whole console here, everything else in the pane.
pub fn act(state: &mut State, verb: Verb) -> Vec<Effect> {
    if let Some(why) = refusal(verb, &state.world.fleet, &state.subject()) {
        state.say(why, Role::Warn);
        return Vec::new();
    }
    if let Some(tab) = Tab::of(verb) {
        state.trail.clear();
        state.tab = tab;
        return Vec::new();
    }
    match verb {
        Verb::Quit => return state.leave(),
        Verb::Suspend => return vec![Effect::Suspend],
        Verb::Redraw => return vec![Effect::Redraw],
        Verb::Help => state.overlays.push(Overlay::Help(Help::of(state.scope()))),
        Verb::Palette => {
            let palette = Palette::of(&state.world, state.scope(), &state.subject(), &state.recent);
            state.overlays.push(Overlay::Palette(palette));
        }
        Verb::Deploy => {
            let card = Deploy::with(state.draft.clone(), state.folder.clone());
            state.overlays.push(Overlay::Deploy(Box::new(card)));
        }
        Verb::Theme => state.theme = state.theme.turned(),
        Verb::Mouse => {
            state.mouse = !state.mouse;
            state.say(
                if state.mouse {
                    "the mouse is the console's"
                } else {
                    "the mouse is the terminal's: select text; M takes it back"
                },
                Role::Info,
            );
        }
        Verb::Times if state.tab != Tab::Logs => state.absolute = !state.absolute,
        Verb::Filter => {
            if let Some(filter) = state.parts().0.filter() {
                filter.edit();
            }
        }
        Verb::Copy | Verb::CopyName => return copy(state, verb),
        Verb::Why => {
            if let Some(app) = state.subject().app {
                state.overlays.push(Overlay::Why(Why::of(app)));
            }
        }
        Verb::AppLogs => {
            if let Some(app) = state.subject().app {
                go(state, Goal::Logs { app, instance: None });
            }
        }
        Verb::BuildLog => build_log(state),
        Verb::Rollback | Verb::Restart | Verb::Scale | Verb::Stop | Verb::Start | Verb::Remove | Verb::Cancel => {
            confirm(state, verb);
        }
        _ => return in_pane(state, verb),
    }
    Vec::new()
}

fn in_pane(state: &mut State, verb: Verb) -> Vec<Effect> {
    let (pane, scene) = state.parts();
    let reply = pane.act(verb, &scene);
    if let Some(effects) = take_reply(state, reply) {
        return effects;
    }
    // The pane has nothing to go back from.
    match verb {
        Verb::Back | Verb::Leave => match state.trail.pop() {
            Some(tab) => state.tab = tab,
            None if verb == Verb::Leave => return state.leave(),
            None => state.notice = None,
        },
        _ => {}
    }
    Vec::new()
}

/// Absent when the pane ignored the verb.
fn take_reply(state: &mut State, reply: Reply) -> Option<Vec<Effect>> {
    match reply {
        Reply::Ignored => return None,
        Reply::Taken => {}
        Reply::Say(text) => state.say(text, Role::Info),
        Reply::Go(goal) => go(state, goal),
    }
    Some(Vec::new())
}

fn copy(state: &mut State, verb: Verb) -> Vec<Effect> {
    if let Some((what, text)) = state.pane().copy(&state.scene(), verb) {
        let shown = super::widgets::strip::fit(&text, 48).into_owned();
        state.say(format!("copied {what}: {shown}"), Role::Info);
        vec![Effect::Copy(text)]
    } else {
        state.say("nothing to copy is selected", Role::Warn);
        Vec::new()
    }
}

fn build_log(state: &mut State) {
    let subject = state.subject();
    let fleet = &state.world.fleet;
    let of_deployment = subject.deployment.and_then(|id| fleet.deployments.get(&id)).filter(|it| it.has_build_log());
    let found = of_deployment.map(|it| (it.app.clone(), it.release)).or_else(|| {
        let app = subject.app?;
        let release = *fleet.releases.get(&app)?.keys().next_back()?;
        Some((app, release))
    });
    if let Some((app, release)) = found {
        go(state, Goal::BuildLog { app, release });
    }
}

fn confirm(state: &mut State, verb: Verb) {
    let subject = state.subject();
    let mut apps: Vec<_> = subject.app.into_iter().collect();
    let bulk = matches!(verb, Verb::Restart | Verb::Stop | Verb::Start);
    if bulk && state.tab == Tab::Apps {
        let marked = state.panes.apps.list.targets();
        let fleet = &state.world.fleet;
        let fits = |app: &crate::model::ids::AppId| {
            refusal(verb, fleet, &crate::model::verbs::Subject { app: Some(app.clone()), deployment: None }).is_none()
        };
        apps = marked.into_iter().filter(fits).collect();
    }
    if let Some(card) = Confirm::of(verb, &state.world, &apps, subject.deployment) {
        state.overlays.push(Overlay::Confirm(Box::new(card)));
    }
}

/// Goes to a place; Esc comes back.
pub fn go(state: &mut State, goal: Goal) {
    let from = state.tab;
    let panes = &mut state.panes;
    state.tab = match goal {
        Goal::App(app) => {
            panes.apps.enter(app);
            Tab::Apps
        }
        Goal::Host(host) => {
            panes.hosts.enter(host);
            Tab::Hosts
        }
        Goal::Deployment(id) => {
            panes.deployments.enter(id);
            Tab::Deployments
        }
        Goal::Logs { app, instance } => {
            panes.logs.enter(app, instance);
            Tab::Logs
        }
        Goal::BuildLog { app, release } => {
            panes.logs.enter_build(app, release);
            Tab::Logs
        }
        Goal::Tasks => Tab::Tasks,
    };
    if from != state.tab {
        state.trail.push(from);
        state.trail.drain(..state.trail.len().saturating_sub(20));
    }
}

fn take_turn(state: &mut State, turn: Turn) -> Vec<Effect> {
    match turn {
        Turn::Stay => Vec::new(),
        Turn::Close => {
            close(state);
            Vec::new()
        }
        Turn::Do(verb) => {
            close(state);
            act(state, verb)
        }
        Turn::Go(goal) => {
            if let Goal::Deployment(_) = goal
                && let Some(Overlay::Deploy(card)) = state.overlays.last_mut()
            {
                // What was typed is done with.
                card.draft = super::overlays::deploy::Draft::default();
            }
            close(state);
            go(state, goal);
            Vec::new()
        }
        Turn::Send(commands) => send(state, commands),
        Turn::Leave(left) => vec![Effect::Quit(left)],
    }
}

/// Takes the top card away; what was typed for a deploy is kept for the next time.
fn close(state: &mut State) {
    match state.overlays.pop() {
        Some(Overlay::Deploy(card)) => state.draft = card.draft,
        Some(Overlay::Palette(Palette { chosen: Some(word), .. })) => {
            state.recent.retain(|known| *known != word);
            state.recent.insert(0, word);
            state.recent.truncate(12);
        }
        _ => {}
    }
}

fn send(state: &mut State, commands: Vec<Command>) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut tickets = Vec::new();
    for command in commands {
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        tickets.push(ticket);
        let request = Request {
            actor: state.actor.clone(),
            origin: "console".to_owned(),
            idempotency_key: format!("console-{}-{ticket}", state.session),
            command,
        };
        effects.push(Effect::Send { ticket, request: Box::new(request) });
    }
    if let Some(top) = state.overlays.last_mut() {
        top.sent(&tickets, &state.world);
    }
    effects
}

fn answered(state: &mut State, ticket: u64, answer: &Result<Answer, Problem>) -> Vec<Effect> {
    for at in (0..state.overlays.len()).rev() {
        if let Some(turn) = state.overlays[at].answered(ticket, answer) {
            if turn != Turn::Stay {
                state.overlays.truncate(at + 1);
                tell(state, answer);
                state.panes.apps.list.marks.clear();
            }
            return take_turn(state, turn);
        }
    }
    // Its card was closed before the answer came.
    tell(state, answer);
    Vec::new()
}

fn tell(state: &mut State, answer: &Result<Answer, Problem>) {
    match answer {
        Ok(Answer::Accepted { deployment, app }) => {
            state.say(format!("{app}: deployment #{deployment} is under way"), Role::Info);
        }
        Ok(Answer::Done { what, .. }) => state.say(what.clone(), Role::Ok),
        Ok(Answer::Planned(_) | Answer::PrunePlanned(_)) => {}
        Ok(Answer::Refused(problem)) | Err(problem) => state.say(problem.to_string(), Role::Danger),
    }
}

fn mouse_used(state: &mut State, mouse: Mouse) -> Vec<Effect> {
    let screen = ratatui::layout::Rect::new(0, 0, state.size.0, state.size.1);
    if let Some(top) = state.overlays.last_mut() {
        match mouse {
            Mouse::WheelUp(..) => top.scroll(false),
            Mouse::WheelDown(..) => top.scroll(true),
            Mouse::Press(..) => {}
        }
        return Vec::new();
    }
    let verb = match mouse {
        Mouse::Press(x, y) => {
            if let Some(tab) = view::tab_at(state.size, x, y) {
                state.trail.clear();
                state.tab = tab;
            } else {
                state.parts().0.press(x, y, view::body(screen));
            }
            return Vec::new();
        }
        Mouse::WheelUp(..) => Verb::Up,
        Mouse::WheelDown(..) => Verb::Down,
    };
    let mut effects = Vec::new();
    for _ in 0..3 {
        effects.extend(in_pane(state, verb));
    }
    effects
}
