//! Every value that this engine has seen, to be masked wherever it turns up.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use crate::model::mask::Masker;

/// Grows while the engine runs: a value that was replaced may still stand in what the old one's users say.
#[derive(Clone, Default)]
pub struct Known {
    values: Arc<Mutex<BTreeSet<String>>>,
    masker: Arc<ArcSwap<Masker>>,
}

impl Known {
    /// Masks these from now on, too.
    pub fn learn(&self, values: impl IntoIterator<Item = String>) {
        let mut known = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        known.extend(values);
        if known.len() > before {
            self.masker.store(Arc::new(Masker::new(known.iter().map(String::as_str))));
        }
    }

    pub fn masker(&self) -> Arc<Masker> {
        self.masker.load_full()
    }
}

/// Writes lines without what is known. Each write must hold whole lines.
pub struct Masked<W> {
    pub known: Known,
    pub to: W,
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let masker = self.known.masker();
        if masker.is_empty() {
            return self.to.write(bytes);
        }
        self.to.write_all(masker.mask(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_is_masked_from_then_on() {
        let known = Known::default();
        let mut lines = Masked { known: known.clone(), to: Vec::new() };
        lines.write_all(b"hunter2-x\n").unwrap();
        known.learn(["hunter2-x".to_owned(), "other-value".to_owned()]);
        known.learn(["hunter2-x".to_owned()]);
        lines.write_all(b"a hunter2-x b other-value\n").unwrap();
        assert_eq!(lines.to, b"hunter2-x\na *** b ***\n");
    }
}
