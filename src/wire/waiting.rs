//! Why an edge does not serve yet, in a file: one that waits for its port answers nobody.

use std::io;

use crate::{
    config::StateDir,
    model::{edge::Slot, problem::Problem},
};

/// Says why; replaces what was said before.
pub fn tell(state: &StateDir, slot: Slot, problem: &Problem) -> io::Result<()> {
    let path = state.edge_waits(slot);
    let draft = path.with_extension("json.new");
    std::fs::write(&draft, serde_json::to_vec_pretty(problem)?)?;
    std::fs::rename(draft, path)
}

/// What was said last by an edge that does not serve. One that was killed meanwhile may have left it.
pub fn why(state: &StateDir, slot: Slot) -> Option<Problem> {
    serde_json::from_slice(&std::fs::read(state.edge_waits(slot)).ok()?).ok()
}

/// Nothing keeps it from serving. Idempotent.
pub fn over(state: &StateDir, slot: Slot) -> io::Result<()> {
    match std::fs::remove_file(state.edge_waits(slot)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
