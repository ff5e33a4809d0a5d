//! The demo's folder: marked as its own, so that nothing else is ever taken for it and removed.

use std::{io, path::PathBuf};

use crate::{config::StateDir, model::problem::Problem};

/// What a folder is to the demo.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Demo,
    /// It holds something that the demo did not put there.
    Other,
}

fn marker(state: &StateDir) -> PathBuf {
    state.root().join("demo.json")
}

pub(super) fn owner(state: &StateDir) -> Owner {
    if marker(state).exists() {
        return Owner::Demo;
    }
    match std::fs::read_dir(state.root()) {
        Ok(mut entries) => entries.next().map_or(Owner::Nobody, |_| Owner::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Owner::Nobody,
        Err(_) => Owner::Other,
    }
}

/// Makes the folder the demo's. One that is in use for something else is refused.
pub(super) fn claim(state: &StateDir) -> Result<(), Problem> {
    match owner(state) {
        Owner::Demo => return Ok(()),
        Owner::Nobody => {}
        Owner::Other => return Err(foreign(state)),
    }
    let made = state.create().and_then(|()| std::fs::write(marker(state), "{\"made_by\": \"pilothouse demo\"}\n"));
    made.map_err(|error| {
        Problem::user(format!("cannot make the demo's folder: {error}"))
            .at(state.root().display().to_string())
            .hint("name another one with --state DIR")
    })
}

pub(super) fn foreign(state: &StateDir) -> Problem {
    Problem::conflict("this folder holds something else than a demo: it stays as it is")
        .at(state.root().display().to_string())
        .hint("name a new folder with --state DIR, or leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_contents_is_never_the_demos() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::new(home.path().join("state"));
        assert_eq!(owner(&state), Owner::Nobody);
        claim(&state).unwrap();
        claim(&state).unwrap();
        assert_eq!(owner(&state), Owner::Demo);

        std::fs::write(home.path().join("thesis.txt"), "").unwrap();
        let other = StateDir::new(home.path().to_path_buf());
        assert!(claim(&other).is_err());
        assert_eq!(owner(&other), Owner::Other);
    }
}
