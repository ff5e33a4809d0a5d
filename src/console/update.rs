//! What an action does to the state, and what it causes; no clock, no I/O. What verbs do stands in `deeds`.

use super::{
    action::{Action, Effect, Mouse, Slot},
    deeds::{act, go, in_pane, take_reply},
    flash::Thing,
    keymap::Key,
    overlays::{Around, Overlay, Turn, palette::Palette},
    state::{State, Tab},
    theme::Role,
    view,
    world::Link,
};
use crate::model::{
    change::{Change, Numbered},
    command::{Answer, Command, Request},
    problem::Problem,
    units::many,
    verbs::Verb,
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
            state.take_removal_back();
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
            lost(state, problem);
            Vec::new()
        }
        Action::Removed(problem) => {
            lost(state, problem);
            state.tell_removal();
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
        Action::HandedBack(what, role) => {
            state.say(what, role);
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
            state.world.flashes.end(now);
            if state.notice.as_ref().is_some_and(|notice| notice.until <= now) {
                state.notice = None;
            }
            Vec::new()
        }
    }
}

fn lost(state: &mut State, problem: Problem) {
    let since = match &state.world.link {
        Link::Lost { since, .. } => *since,
        _ => state.world.now,
    };
    state.world.link = Link::Lost { since, problem };
}

fn changed(state: &mut State, changes: Vec<Numbered>) {
    for numbered in changes {
        if let Change::Gap { missed } = numbered.change {
            state.world.missed += missed;
            let missed = many(usize::try_from(missed).unwrap_or(usize::MAX), "change");
            state.say(format!("missed {missed}; the whole state is read anew"), Role::Warn);
        }
        let thing = if state.reduced_motion { None } else { Thing::of(&numbered.change) };
        let before = thing.as_ref().and_then(|thing| thing.word(&state.world.fleet));
        state.world.fleet.take(numbered);
        if let Some(thing) = thing
            && before != thing.word(&state.world.fleet)
        {
            state.world.flashes.begin(thing, state.world.now);
        }
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
            close(state);
            go(state, goal);
            Vec::new()
        }
        Turn::Send(commands) => send(state, commands),
        Turn::Copy(what, text) => {
            state.say(format!("copied {what}"), Role::Info);
            vec![Effect::Copy(text)]
        }
        Turn::Leave(left) => vec![Effect::Quit(left)],
    }
}

/// Takes the top card away; what was typed for a deploy is kept for the next time.
fn close(state: &mut State) {
    match state.overlays.pop() {
        Some(Overlay::Deploy(card)) => state.draft = card.kept(),
        Some(Overlay::Palette(Palette { chosen: Some(word), .. })) => {
            state.recent.retain(|known| *known != word);
            state.recent.insert(0, word);
            state.recent.truncate(12);
        }
        _ => {}
    }
}

pub(super) fn send(state: &mut State, commands: Vec<Command>) -> Vec<Effect> {
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
        Ok(Answer::Planned(_) | Answer::PrunePlanned(_) | Answer::Secrets { .. }) => {}
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
