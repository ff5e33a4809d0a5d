//! Which edge serves: `edge.sock` is a link to its door, replaced as a whole.

use std::io;

use crate::{config::StateDir, model::edge::Slot};

/// The edge that serves, or did last; absent before the first one.
pub fn serving(state: &StateDir) -> Option<Slot> {
    let door = std::fs::read_link(state.edge_socket()).ok()?;
    Slot::all().find(|slot| state.edge_door(*slot).file_name() == door.file_name())
}

/// From now on whoever asks for the edge finds this one.
pub fn serve_as(state: &StateDir, slot: Slot) -> io::Result<()> {
    let (door, place) = (state.edge_door(slot), state.edge_socket());
    let draft = door.with_extension("new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(door.file_name().unwrap_or_default(), &draft)?;
    std::fs::rename(draft, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_came_last_serves() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        assert_eq!(serving(&state), None);
        for slot in Slot::all().take(3) {
            serve_as(&state, slot).unwrap();
            assert_eq!(serving(&state), Some(slot));
        }
    }
}
