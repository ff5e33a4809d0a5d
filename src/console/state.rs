//! The console's whole state: a copy of the world, and what the operator did.

use std::path::PathBuf;

use ratatui::layout::Rect;

use super::{
    action::{Effect, Left, Slot},
    keymap::Keymap,
    overlays::{Overlay, leave::Leave},
    panes::{
        Pane, apps::Apps, containers::Containers, deployments::Deployments, hosts::Hosts, logs::Logs, overview::Overview,
        tasks::Tasks,
    },
    theme::{Role, Theme},
    view,
    wizards::deploy::draft::Draft,
    world::{Scene, World},
};
use crate::model::{
    log::LogQuery,
    units::Timestamp,
    verbs::{Scope, Subject, Verb},
};

/// Whose engine this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The machine's own.
    #[default]
    Own,
    /// A demo: leaving asks whether to keep it.
    Demo,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "local",
            Self::Demo => "demo",
        }
    }
}

/// The tabs, with the digits of the whole design; panes that do not exist yet are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    Overview,
    Apps,
    Containers,
    Hosts,
    Deployments,
    Logs,
    Tasks,
}

impl Tab {
    pub const ALL: [Self; 7] =
        [Self::Overview, Self::Apps, Self::Containers, Self::Hosts, Self::Deployments, Self::Logs, Self::Tasks];

    pub fn digit(self) -> char {
        match self {
            Self::Overview => '1',
            Self::Apps => '2',
            Self::Containers => '5',
            Self::Hosts => '6',
            Self::Deployments => '7',
            Self::Logs => '8',
            Self::Tasks => '0',
        }
    }

    pub fn word(self, short: bool) -> &'static str {
        match (self, short) {
            (Self::Overview, false) => "Overview",
            (Self::Overview, true) => "Home",
            (Self::Apps, _) => "Apps",
            (Self::Containers, false) => "Containers",
            (Self::Containers, true) => "Ctr",
            (Self::Hosts, _) => "Hosts",
            (Self::Deployments, false) => "Deployments",
            (Self::Deployments, true) => "Ship",
            (Self::Logs, _) => "Logs",
            (Self::Tasks, _) => "Tasks",
        }
    }

    pub fn of(verb: Verb) -> Option<Self> {
        Some(match verb {
            Verb::Overview => Self::Overview,
            Verb::Apps => Self::Apps,
            Verb::Containers => Self::Containers,
            Verb::Hosts => Self::Hosts,
            Verb::Deployments => Self::Deployments,
            Verb::Logs => Self::Logs,
            Verb::Tasks => Self::Tasks,
            _ => return None,
        })
    }
}

/// The panes, one of each.
#[derive(Clone, Debug, Default)]
pub struct Panes {
    pub overview: Overview,
    pub apps: Apps,
    pub containers: Containers,
    pub hosts: Hosts,
    pub deployments: Deployments,
    pub logs: Logs,
    pub tasks: Tasks,
}

impl Panes {
    pub fn get(&self, tab: Tab) -> &dyn Pane {
        match tab {
            Tab::Overview => &self.overview,
            Tab::Apps => &self.apps,
            Tab::Containers => &self.containers,
            Tab::Hosts => &self.hosts,
            Tab::Deployments => &self.deployments,
            Tab::Logs => &self.logs,
            Tab::Tasks => &self.tasks,
        }
    }

    pub fn get_mut(&mut self, tab: Tab) -> &mut dyn Pane {
        match tab {
            Tab::Overview => &mut self.overview,
            Tab::Apps => &mut self.apps,
            Tab::Containers => &mut self.containers,
            Tab::Hosts => &mut self.hosts,
            Tab::Deployments => &mut self.deployments,
            Tab::Logs => &mut self.logs,
            Tab::Tasks => &mut self.tasks,
        }
    }
}

/// A word for the operator, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub text: String,
    pub role: Role,
    pub until: Timestamp,
}

/// What a console begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub mode: Mode,
    pub tab: Tab,
    pub theme: Theme,
    /// Who sends commands.
    pub actor: String,
    /// Different for each console: part of its requests' keys.
    pub session: String,
    /// Where relative paths begin.
    pub folder: PathBuf,
    /// This program with the flags that lead to this engine.
    pub program: Vec<String>,
    pub reduced_motion: bool,
    pub keys: Keymap,
}

#[derive(Clone, Debug)]
pub struct State {
    pub world: World,
    pub size: (u16, u16),
    pub tab: Tab,
    /// Where Esc returns to.
    pub trail: Vec<Tab>,
    pub panes: Panes,
    pub overlays: Vec<Overlay>,
    pub notice: Option<Notice>,
    /// Words chosen in the palette, the newest first.
    pub recent: Vec<String>,
    /// The deploy card's fields while it is closed.
    pub draft: Draft,
    pub keys: Keymap,
    pub theme: Theme,
    pub mode: Mode,
    pub absolute: bool,
    /// The console has the mouse.
    pub mouse: bool,
    pub actor: String,
    pub session: String,
    pub folder: PathBuf,
    pub program: Vec<String>,
    pub reduced_motion: bool,
    pub next_ticket: u64,
    /// Generation of what each slot follows.
    pub generations: [u64; 2],
    followed_logs: Option<LogQuery>,
    /// The demo was removed from outside, and that was told.
    removed: bool,
}

impl State {
    pub fn new(beginning: Beginning) -> Self {
        Self {
            world: World::default(),
            size: (80, 24),
            tab: beginning.tab,
            trail: Vec::new(),
            panes: Panes::default(),
            overlays: Vec::new(),
            notice: None,
            recent: Vec::new(),
            draft: Draft::default(),
            keys: beginning.keys,
            theme: beginning.theme,
            mode: beginning.mode,
            absolute: false,
            mouse: true,
            actor: beginning.actor,
            session: beginning.session,
            folder: beginning.folder,
            program: beginning.program,
            reduced_motion: beginning.reduced_motion,
            next_ticket: 1,
            generations: [0; 2],
            followed_logs: None,
            removed: false,
        }
    }

    pub fn scene(&self) -> Scene<'_> {
        Scene { world: &self.world, theme: &self.theme, keys: &self.keys, absolute: self.absolute }
    }

    pub fn pane(&self) -> &dyn Pane {
        self.panes.get(self.tab)
    }

    pub fn scope(&self) -> Scope {
        self.pane().scope()
    }

    pub fn subject(&self) -> Subject {
        self.pane().subject(&self.scene())
    }

    /// The pane and what it needs to act, at once.
    pub fn parts(&mut self) -> (&mut dyn Pane, Scene<'_>) {
        let scene = Scene { world: &self.world, theme: &self.theme, keys: &self.keys, absolute: self.absolute };
        (self.panes.get_mut(self.tab), scene)
    }

    pub fn say(&mut self, text: impl Into<String>, role: Role) {
        let until = self.world.now.plus(std::time::Duration::from_secs(if role == Role::Danger { 10 } else { 5 }));
        self.notice = Some(Notice { text: text.into(), role, until });
    }

    /// Leaving, with the question in a demo that is there.
    pub fn leave(&mut self) -> Vec<Effect> {
        if self.mode == Mode::Own || self.removed {
            return vec![Effect::Quit(Left::Quit)];
        }
        if !self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Leave(_))) {
            self.overlays.push(Overlay::Leave(Leave::Asked));
        }
        Vec::new()
    }

    /// Says once that the demo was removed from outside, in place of cards that could do nothing more.
    pub fn tell_removal(&mut self) {
        if self.mode == Mode::Demo && !self.removed {
            self.removed = true;
            self.overlays.clear();
            self.overlays.push(Overlay::Leave(Leave::Removed));
        }
    }

    /// Takes that back: another demo was begun in its place.
    pub fn take_removal_back(&mut self) {
        if self.removed {
            self.removed = false;
            self.overlays.retain(|overlay| !matches!(overlay, Overlay::Leave(Leave::Removed)));
        }
    }

    /// Brings the pane in line with the world, and follows what is looked at.
    pub fn settle(&mut self) -> Vec<Effect> {
        let area = view::body(Rect::new(0, 0, self.size.0, self.size.1));
        let (pane, scene) = self.parts();
        pane.settle(&scene, area);
        self.follow()
    }

    fn follow(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.tab == Tab::Logs {
            self.panes.logs.opened = true;
        }
        let wanted = self.panes.logs.opened.then(|| self.panes.logs.query.clone());
        if wanted != self.followed_logs {
            self.followed_logs.clone_from(&wanted);
            self.panes.logs.begin();
            effects.push(self.followed(Slot::Logs, wanted));
        }
        let wanted = match self.overlays.last() {
            Some(Overlay::Deploy(card)) => card.build(&self.world),
            _ if self.tab == Tab::Deployments => self.panes.deployments.wanted.clone(),
            _ => None,
        };
        let same = |one: &LogQuery, other: &LogQuery| (&one.app, one.build) == (&other.app, other.build);
        let changed = match (&wanted, &self.panes.deployments.following) {
            (None, None) => false,
            // A build that ended is followed to its end.
            (Some(wanted), Some(following)) => !same(wanted, following),
            _ => true,
        };
        if changed {
            self.panes.deployments.following.clone_from(&wanted);
            self.panes.deployments.build.clear();
            effects.push(self.followed(Slot::Build, wanted));
        }
        effects
    }

    fn followed(&mut self, slot: Slot, query: Option<LogQuery>) -> Effect {
        let generation = &mut self.generations[slot as usize];
        *generation += 1;
        Effect::Follow { slot, generation: *generation, query }
    }

    /// After a break everything followed is asked for anew.
    pub fn follow_anew(&mut self) {
        self.followed_logs = None;
        self.panes.deployments.following = None;
    }
}
