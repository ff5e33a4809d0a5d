//! What the console knows of the outside: a copy of the fleet, how the engine answers, and the time.

use std::collections::BTreeMap;

use super::{flash::Flashes, keymap::Keymap, theme::Theme, words};
use crate::model::{
    Problem,
    fleet::Fleet,
    ids::AppId,
    sample::AppSample,
    units::{Millis, Timestamp},
};

/// A copy of the fleet with its circumstances.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub fleet: Fleet,
    pub now: Timestamp,
    /// Of the local time from UTC, in seconds.
    pub offset_s: i32,
    pub link: Link,
    /// Changes that were missed for being too slow, since the console began.
    pub missed: u64,
    /// What changed its state a moment ago.
    pub flashes: Flashes,
}

/// The way to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nothing has answered yet.
    #[default]
    Connecting,
    Up {
        round_trip: Millis,
    },
    /// The last state is shown, with its age.
    Lost {
        since: Timestamp,
        problem: Problem,
    },
}

impl World {
    pub fn is_lost(&self) -> bool {
        matches!(self.link, Link::Lost { .. })
    }

    /// The newest sample of an app while it is fresh: old figures are not shown as present ones.
    pub fn app_sample(&self, app: &AppId) -> Option<&AppSample> {
        let sample = self.fleet.app_history.get(app)?.back()?;
        (sample.at.age(self.last_seen()).as_secs() < 30).then_some(sample)
    }

    /// Until when the state shown is true: now, or when the engine was last heard.
    pub fn last_seen(&self) -> Timestamp {
        match &self.link {
            Link::Lost { since, .. } => *since,
            _ => self.now,
        }
    }

    /// Cpu in percent of one core and memory of an app's instances; absent without samples.
    pub fn app_load(&self, app: &AppId) -> Option<(Option<f64>, u64)> {
        let mut found = false;
        let (mut cpu, mut memory) = (None::<f64>, 0);
        for instance in self.fleet.instances_of(app) {
            if let Some(sample) = self.fleet.instance_samples.get(&instance.id) {
                found = true;
                memory += sample.memory;
                if let Some(percent) = sample.cpu_percent {
                    cpu = Some(cpu.unwrap_or(0.0) + f64::from(percent));
                }
            }
        }
        found.then_some((cpu, memory))
    }

    /// Requests per second over all apps, by time in steps of 3 s.
    pub fn traffic(&self) -> Vec<(Timestamp, f64)> {
        const STEP: i64 = 3000;
        let mut by_time: BTreeMap<i64, f64> = BTreeMap::new();
        for history in self.fleet.app_history.values() {
            for sample in history {
                *by_time.entry(sample.at.0 / STEP).or_default() += sample.requests_per_s;
            }
        }
        by_time.into_iter().map(|(step, rate)| (Timestamp(step * STEP), rate)).collect()
    }
}

/// What drawing needs besides the pane itself.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub world: &'a World,
    pub theme: &'a Theme,
    pub keys: &'a Keymap,
    /// Times of day instead of ages.
    pub absolute: bool,
}

impl Scene<'_> {
    pub fn fleet(&self) -> &Fleet {
        &self.world.fleet
    }

    pub fn now(&self) -> Timestamp {
        self.world.now
    }

    /// An age or a time of day, as the operator wants it.
    pub fn time(&self, at: Timestamp) -> String {
        if self.absolute { words::clock(at, self.world.offset_s) } else { words::ago(at, self.world.now) }
    }

    pub fn clock(&self, at: Timestamp) -> String {
        words::clock(at, self.world.offset_s)
    }
}
