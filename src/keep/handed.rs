//! The values of a program's environment, handed from process to process in memory: they never lie on a disk.
//!
//! As JSON in an anonymous file (memfd_create(2)) on standard input: from the launcher to the keeper, which keeps it for as
//! long as it lives, and from the keeper to each program that it starts.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::model::plan::Env;

/// Largest environment that is taken: more than the system lets a program have.
const LARGEST: u64 = 8 << 20;

/// Values for a child's standard input.
#[derive(Debug)]
pub(super) struct Handed(File);

impl Handed {
    pub(super) fn new(env: &Env) -> io::Result<Self> {
        let mut file = File::from(memfd_create("pilothouse-environment", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(env)?)?;
        Ok(Self(file))
    }

    /// What this process was handed.
    pub(super) fn inherited() -> io::Result<Self> {
        Ok(Self(File::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }

    /// The values; none when nothing was handed.
    pub(super) fn read(&self) -> io::Result<Env> {
        let length = self.0.metadata()?.len();
        if length > LARGEST {
            return Err(io::Error::other("the environment is too large"));
        }
        let mut bytes = vec![0; length as usize];
        // Whoever read it before has moved the position that all share.
        self.0.read_exact_at(&mut bytes, 0)?;
        if bytes.is_empty() { Ok(Env::default()) } else { Ok(serde_json::from_slice(&bytes)?) }
    }

    /// For the standard input of one more process.
    pub(super) fn stdin(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_read_more_than_once() {
        let env = Env([("A".to_owned(), "x\ny".to_owned())].into());
        let handed = Handed::new(&env).unwrap();
        let copy = Handed(handed.stdin().unwrap().into());
        assert_eq!((copy.read().unwrap(), handed.read().unwrap()), (env.clone(), env));
    }

    #[test]
    fn nothing_handed_is_nothing() {
        let null = Handed(File::open("/dev/null").unwrap());
        assert_eq!(null.read().unwrap(), Env::default());
    }
}
