//! How many lines came in each second.

use std::collections::VecDeque;

use crate::model::units::Timestamp;

/// Seconds that are kept.
const SECONDS: usize = 900;

/// Lines of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    pub second: i64,
    pub all: u32,
    pub errors: u32,
}

/// The last seconds in which lines came, the newest last.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    pub beats: VecDeque<Beat>,
}

impl Pulse {
    /// Counts a line.
    pub fn beat(&mut self, second: i64, bad: bool) {
        match self.beats.back_mut() {
            // Lines of several sources arrive a little out of order.
            Some(beat) if second <= beat.second => {
                beat.all += 1;
                beat.errors += u32::from(bad);
            }
            _ => {
                self.beats.push_back(Beat { second, all: 1, errors: u32::from(bad) });
                if self.beats.len() > SECONDS {
                    self.beats.pop_front();
                }
            }
        }
    }

    /// Lines per second over the last five whole seconds.
    pub fn rate(&self, now: Timestamp) -> f64 {
        let second = now.0.div_euclid(1000);
        let counted: u32 =
            self.beats.iter().rev().take(8).filter(|beat| (second - 5..second).contains(&beat.second)).map(|beat| beat.all).sum();
        f64::from(counted) / 5.0
    }
}
