//! Failpoints for tests, in debug builds only: in a release build each of these does nothing.

use crate::{
    model::{order::OrderKey, problem::Problem},
    store::{NewRecord, Store},
};

/// Which faults are asked for.
///
/// `PILOTHOUSE_DIE_AT=KEY:after-intent` or `KEY:before-outcome` has the engine kill itself there;
/// `PILOTHOUSE_JOURNAL_FAULT=N:stored` or `N:lost` has the Nth append fail although, or before, it was stored.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    die_at: Option<(String, String)>,
    append: Option<(u64, bool)>,
}

impl Faults {
    #[cfg(debug_assertions)]
    pub fn from_environment() -> Self {
        let pair = |name: &str| std::env::var(name).ok()?.rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()));
        Self {
            die_at: pair("PILOTHOUSE_DIE_AT"),
            append: pair("PILOTHOUSE_JOURNAL_FAULT").and_then(|(number, how)| Some((number.parse().ok()?, how == "stored"))),
        }
    }

    #[cfg(not(debug_assertions))]
    pub fn from_environment() -> Self {
        Self::default()
    }

    pub(super) fn die_after_intent(&self, key: &OrderKey) {
        self.die(key, "after-intent");
    }

    pub(super) fn die_before_outcome(&self, key: &OrderKey) {
        self.die(key, "before-outcome");
    }

    fn die(&self, key: &OrderKey, point: &str) {
        if self.die_at.as_ref().is_some_and(|(at, when)| when == point && *at == key.to_string()) {
            // Nothing may run after this, no destructor either: that is what is tested.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }

    /// The fault of the `nth` append; its second try has none.
    pub(super) fn append_fault(&self, nth: u64, is_retry: bool) -> AppendFault {
        match self.append {
            Some((n, stored)) if n == nth && !is_retry => AppendFault { fails: true, stored },
            _ => AppendFault { fails: false, stored: true },
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AppendFault {
    fails: bool,
    stored: bool,
}

impl AppendFault {
    pub(super) fn append(self, store: &mut dyn Store, record: &NewRecord) -> Result<u64, Problem> {
        let appended = if self.stored { store.append(record) } else { Ok(0) };
        if self.fails { Err(Problem::unavailable("a fault that was asked for")) } else { appended }
    }
}
