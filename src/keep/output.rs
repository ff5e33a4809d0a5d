//! The two pipes of a program, read into its log.

use std::{
    io::{ErrorKind, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use super::{clock, lines::Lines, log::Log};
use crate::model::{
    log::Stream,
    mask::{Masker, Masking},
};

/// The beginning of a line waits so long for its end.
const SILENCE: Duration = Duration::from_millis(200);
/// Read of one pipe before others have their turn.
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
struct Pipe {
    file: std::fs::File,
    stream: Stream,
    masking: Masking,
    lines: Lines,
    heard: Duration,
}

/// Output of the program that runs, or ran last.
#[derive(Debug, Default)]
pub(super) struct Output {
    pipes: Vec<Pipe>,
    buffer: Vec<u8>,
}

/// What a read gave.
#[derive(PartialEq)]
enum Got {
    Bytes,
    NothingYet,
    End,
}

impl Output {
    pub(super) fn of(child: std::process::Child, masker: &Masker) -> std::io::Result<Self> {
        let out = child.stdout.map(|pipe| (OwnedFd::from(pipe), Stream::Out));
        let err = child.stderr.map(|pipe| (OwnedFd::from(pipe), Stream::Err));
        let mut pipes = Vec::new();
        for (pipe, stream) in out.into_iter().chain(err) {
            rustix::io::ioctl_fionbio(&pipe, true)?;
            pipes.push(Pipe {
                file: pipe.into(),
                stream,
                masking: Masking::new(masker.clone()),
                lines: Lines::default(),
                heard: Duration::ZERO,
            });
        }
        Ok(Self { pipes, buffer: vec![0; CHUNK] })
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|pipe| pipe.file.as_fd())
    }

    /// When the beginning of a line has waited long enough.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.pipes.iter().filter(|pipe| pipe.lines.has_partial()).map(|pipe| pipe.heard + SILENCE).min()
    }

    /// Takes what there is now, a chunk of each pipe.
    pub(super) fn read(&mut self, log: &mut Log) {
        let now = clock::monotonic();
        let buffer = &mut self.buffer;
        self.pipes.retain_mut(|pipe| {
            let got = pipe.read(buffer, now, log);
            if got == Got::End {
                pipe.finish(log);
            } else if now >= pipe.heard + SILENCE {
                pipe.lines.flush(|line| log.add(pipe.stream, line));
            }
            got != Got::End
        });
    }

    /// Takes all there is, and the beginnings of lines: their program has ended.
    pub(super) fn drain(&mut self, log: &mut Log) {
        /// A pipe holds 1 MB at most; a descendant that writes on must not hold this up.
        const MOST: usize = 64;
        let now = clock::monotonic();
        for pipe in &mut self.pipes {
            let mut left = MOST;
            while left > 0 && pipe.read(&mut self.buffer, now, log) == Got::Bytes {
                left -= 1;
            }
            pipe.finish(log);
        }
    }
}

impl Pipe {
    /// Nothing more of this line comes.
    fn finish(&mut self, log: &mut Log) {
        let (lines, stream) = (&mut self.lines, self.stream);
        self.masking.finish(|shown| lines.push(shown, |line| log.add(stream, line)));
        lines.flush(|line| log.add(stream, line));
    }

    fn read(&mut self, buffer: &mut [u8], now: Duration, log: &mut Log) -> Got {
        match self.file.read(buffer) {
            Ok(0) => Got::End,
            Ok(read) => {
                self.heard = now;
                let (lines, stream) = (&mut self.lines, self.stream);
                self.masking.push(&buffer[..read], |shown| lines.push(shown, |line| log.add(stream, line)));
                Got::Bytes
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Got::NothingYet,
            Err(_) => Got::End,
        }
    }
}
