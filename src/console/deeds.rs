//! What a verb does: in the whole console, in a card of its own, or in the pane that is shown.

use super::{
    action::{Effect, Goal},
    overlays::{Overlay, confirm::Confirm, help::Help, palette::Palette, prune::Prune, why::Why},
    panes::Reply,
    state::{State, Tab},
    theme::Role,
    update::send,
    wizards::deploy::Deploy,
};
use crate::model::{
    text::fit,
    verbs::{Verb, refusal},
};

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
        Verb::AppLogs | Verb::Shell if state.tab == Tab::Containers => return in_container(state, verb),
        Verb::Prune => {
            let card = Prune::default();
            let question = card.question();
            state.overlays.push(Overlay::Prune(card));
            return send(state, vec![question]);
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

pub(super) fn in_pane(state: &mut State, verb: Verb) -> Vec<Effect> {
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
pub(super) fn take_reply(state: &mut State, reply: Reply) -> Option<Vec<Effect>> {
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
        let shown = fit(&text, 48).into_owned();
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

/// The logs of the selected container, or a shell in it. Those of an app are kept; foreign ones are asked of Docker.
fn in_container(state: &mut State, verb: Verb) -> Vec<Effect> {
    let fleet = &state.world.fleet;
    let Some(it) = state.subject().container.and_then(|id| fleet.containers.get(&id)) else {
        return Vec::new();
    };
    if let (Verb::AppLogs, Some(app)) = (verb, &it.app) {
        let goal = Goal::Logs { app: app.clone(), instance: it.instance.clone() };
        go(state, goal);
        return Vec::new();
    }
    let words = match verb {
        Verb::Shell => ["container", "exec", it.id.0.as_str()].map(str::to_owned).to_vec(),
        _ => ["container", "logs", "--follow", "--tail", "200", it.id.0.as_str()].map(str::to_owned).to_vec(),
    };
    let argv = [state.program.clone(), words].concat();
    let what = match verb {
        Verb::Shell => format!("a shell in {}; exit or ctrl-d comes back to the console", it.name),
        _ => format!("logs of {}; ctrl-c comes back to the console", it.name),
    };
    vec![Effect::HandOver { argv, what }]
}

fn confirm(state: &mut State, verb: Verb) {
    let subject = state.subject();
    if let Some(id) = &subject.container {
        let world = &state.world;
        if let Some(card) = world.fleet.containers.get(id).and_then(|it| Confirm::of_container(verb, world, it)) {
            state.overlays.push(Overlay::Confirm(Box::new(card)));
        }
        return;
    }
    let mut apps: Vec<_> = subject.app.into_iter().collect();
    let bulk = matches!(verb, Verb::Restart | Verb::Stop | Verb::Start);
    if bulk && state.tab == Tab::Apps {
        let marked = state.panes.apps.list.targets();
        let fleet = &state.world.fleet;
        let fits = |app: &crate::model::ids::AppId| {
            refusal(verb, fleet, &crate::model::verbs::Subject { app: Some(app.clone()), ..Default::default() }).is_none()
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
