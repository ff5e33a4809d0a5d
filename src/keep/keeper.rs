//! One keeper at work: a loop that waits for output, signals and deadlines, and acts on what came.

mod ending;

use std::{
    io,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, WaitOptions, WaitStatus, wait},
};
use signal_hook::consts::{SIGCHLD, SIGTERM};

use super::{
    child, clock,
    handed::Handed,
    log::Log,
    memory::Limit,
    output::Output,
    port,
    process::{self, Process},
    spec::{Restart, Spec},
    state::KeeperState,
};
use crate::model::{
    instance::{Exit, InstanceState},
    mask::Masker,
};
use ending::{Ending, KILL_EVERY};

const FIRST_BACK_OFF: Duration = Duration::from_millis(200);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
/// A program that ran so long is taken for healthy: its next back-off is the first one again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// A program that ended so soon may have found its port taken.
const YOUNG: Duration = Duration::from_secs(10);
const MOST_MOVES: u32 = 3;
/// A state that could not be written is tried again so often.
const SAVE_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Keeper {
    dir: PathBuf,
    spec: Spec,
    /// The environment's values, for each start of the program.
    handed: Handed,
    masker: Masker,
    state: KeeperState,
    saved: Option<KeeperState>,
    log: Log,
    limit: Limit,
    output: Output,
    signals: UnixStream,
    /// Set by SIGTERM: end everything, then this keeper.
    asked: Arc<AtomicBool>,
    /// Whether any process below this one is left, the program or another.
    any_left: bool,
    ending: Option<Ending>,
    started: Duration,
    limit_at: Duration,
    restart_at: Duration,
    back_off: Duration,
    /// How often its port was chosen anew.
    moves: u32,
    timed_out: bool,
    out_of_memory: bool,
}

impl Keeper {
    pub(super) fn new(dir: PathBuf, spec: Spec, handed: Handed) -> io::Result<Self> {
        let (signals, wake) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM, Arc::clone(&asked))?;
        signal_hook::low_level::pipe::register(SIGTERM, wake.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
        let me = Process::of(std::process::id()).ok_or_else(|| io::Error::other("/proc is not mounted"))?;
        let log = Log::open(dir.join("log"), spec.rotate_at.0, spec.keep_files);
        let limit = Limit::new(spec.memory, spec.control_group, &format!("{}-{}", me.pid, me.started));
        let state = KeeperState {
            boot_id: spec.boot_id.clone(),
            keeper: me,
            child: None,
            state: InstanceState::Starting,
            restarts: 0,
            address: spec.port.map(|port| ([127, 0, 0, 1], port).into()),
            started_at: None,
            ran: None,
            last_exit: None,
            restarts_at: None,
            control_group: limit.group().map(Into::into),
        };
        Ok(Self {
            dir,
            masker: spec.masker(),
            spec,
            handed,
            state,
            saved: None,
            log,
            limit,
            output: Output::default(),
            signals,
            asked,
            any_left: false,
            ending: None,
            started: Duration::ZERO,
            limit_at: Duration::ZERO,
            restart_at: Duration::ZERO,
            back_off: FIRST_BACK_OFF,
            moves: 0,
            timed_out: false,
            out_of_memory: false,
        })
    }

    /// What the launcher is told.
    pub(super) fn first_state(&self) -> String {
        serde_json::to_string(&self.state).unwrap_or_default()
    }

    /// Without a first state on disk nobody could find this keeper again: then it must not go on.
    pub(super) fn save_first(&mut self) -> io::Result<()> {
        self.log.flush();
        let saved = self.state.write(&self.dir);
        if saved.is_err() {
            self.kill_all();
        }
        self.saved = Some(self.state.clone());
        saved
    }

    /// Works until it was asked to end, or the program ended and is not to be started again.
    pub(super) fn run(&mut self) {
        loop {
            self.wait();
            self.output.read(&mut self.log);
            self.collect_exits();
            let is_over = self.act(clock::monotonic());
            // Lines first: who sees an exit in the state finds its last lines in the log.
            self.log.flush();
            self.save();
            if is_over {
                return;
            }
        }
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.started = now;
        self.limit_at = now;
        (self.timed_out, self.out_of_memory) = (false, false);
        self.state.restarts_at = None;
        let started = child::spawn(&self.dir, self.limit.group(), &self.handed).and_then(|child| {
            let process = Process::of(child.id()).ok_or(io::ErrorKind::NotFound)?;
            self.output = Output::of(child, &self.masker)?;
            Ok(process)
        });
        match started {
            Ok(process) => {
                self.any_left = true;
                self.state.child = Some(process);
                self.state.state = InstanceState::Running;
                self.state.started_at = Some(clock::now());
                self.log.say(&format!("started pid {}", process.pid));
            }
            Err(error) => {
                self.log.say(&format!("could not be started: {error}"));
                self.after_exit(Exit { code: None, signal: None, out_of_memory: false, timed_out: false, at: clock::now() });
            }
        }
    }

    fn wait(&mut self) {
        let timeout = self.deadline().map(|at| at.saturating_sub(clock::monotonic()));
        let timeout = timeout.and_then(|span| rustix::time::Timespec::try_from(span).ok());
        let mut all = vec![PollFd::new(&self.signals, PollFlags::IN)];
        all.extend(self.output.descriptors().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
        // Interrupted by a signal: what it brought is looked at in any case.
        let _ = poll(&mut all, timeout.as_ref());
        let mut bytes = [0; 64];
        while io::Read::read(&mut &self.signals, &mut bytes).is_ok_and(|read| read == bytes.len()) {}
    }

    /// When something is to be done even if nothing happens.
    fn deadline(&self) -> Option<Duration> {
        let running = self.state.child.is_some();
        let limit_at = self.limit.every().filter(|_| running).map(|every| self.limit_at + every);
        let time_up = self.time_up().filter(|_| running && self.ending.is_none());
        let ending = self.ending.as_ref().map(|ending| ending.kill_at.max(clock::monotonic() + KILL_EVERY));
        let restart = (!running && !self.any_left).then_some(self.restart_at);
        let save = (self.saved.as_ref() != Some(&self.state)).then(|| clock::monotonic() + SAVE_EVERY);
        [limit_at, time_up, ending, restart, save, self.output.deadline()].into_iter().flatten().min()
    }

    fn time_up(&self) -> Option<Duration> {
        self.spec.time_limit.map(|limit| self.started + limit.duration())
    }

    fn collect_exits(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.note_exit(pid, status),
                Ok(None) => return self.any_left = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return self.any_left = false,
            }
        }
    }

    fn note_exit(&mut self, pid: Pid, status: WaitStatus) {
        let number = pid.as_raw_nonzero().get() as u32;
        if self.state.child.is_none_or(|child| child.pid != number) {
            return;
        }
        self.output.drain(&mut self.log);
        self.out_of_memory |= self.limit.is_passed(std::process::id());
        self.after_exit(Exit {
            code: status.exit_status(),
            signal: status.terminating_signal(),
            out_of_memory: self.out_of_memory,
            timed_out: self.timed_out,
            at: clock::now(),
        });
    }

    fn after_exit(&mut self, exit: Exit) {
        let now = clock::monotonic();
        let ran = now.saturating_sub(self.started);
        self.log.say(&match self.spec.memory.filter(|_| exit.out_of_memory) {
            Some(limit) => format!("out of memory at {limit}"),
            None => exit.words(),
        });
        self.state.child = None;
        self.state.ran = Some(ran.into());
        self.state.last_exit = Some(exit);
        if self.is_over() {
            self.state.state = InstanceState::Stopping;
            return;
        }
        if ran < YOUNG && self.move_port() {
            self.restart_at = now;
            self.state.state = InstanceState::BackOff;
            return;
        }
        if ran >= HEALTHY_AFTER {
            self.back_off = FIRST_BACK_OFF;
        }
        self.log.say(&format!("restarts in {:.1} s", self.back_off.as_secs_f64()));
        self.restart_at = now + self.back_off;
        self.state.restarts_at = Some(clock::now().plus(self.back_off));
        self.state.state = InstanceState::BackOff;
        self.back_off = (self.back_off * 2).min(LONGEST_BACK_OFF);
    }

    /// Another port, when the chosen one was taken by somebody else before the program came to it.
    fn move_port(&mut self) -> bool {
        let Some(port) = self.spec.port.filter(|port| self.spec.port_chosen && port::is_taken(*port)) else {
            return false;
        };
        // What is left of the program itself may hold it.
        if self.moves == MOST_MOVES || !process::descendants(std::process::id()).is_empty() {
            return false;
        }
        let Some(other) = port::free(&[port]) else {
            return false;
        };
        let moved = Spec { port: Some(other), ..self.spec.clone() };
        if moved.write(&self.dir).is_err() {
            return false;
        }
        self.spec = moved;
        self.moves += 1;
        self.state.address = Some(([127, 0, 0, 1], other).into());
        self.log.say(&format!("port {port} was taken by another process: starts again with port {other}"));
        true
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether the program, which has ended, is not to be started again.
    fn is_over(&self) -> bool {
        let ended_well = || self.state.last_exit.as_ref().is_some_and(|exit| exit.code == Some(0));
        self.is_asked()
            || match self.spec.restart {
                Restart::Always => false,
                Restart::OnFailure => ended_well(),
                Restart::Never => true,
            }
    }

    /// Does what is due. True when the keeper has nothing left to do.
    fn act(&mut self, now: Duration) -> bool {
        if self.is_asked() && self.state.state != InstanceState::Stopping {
            self.state.state = InstanceState::Stopping;
            self.state.restarts_at = None;
            self.begin_to_end(now);
        }
        self.enforce_limits(now);
        self.end_tree(now);
        if self.state.child.is_some() || self.any_left {
            return false;
        }
        self.ending = None;
        self.output.drain(&mut self.log);
        if self.is_over() {
            self.state.state = InstanceState::Stopped;
            return true;
        }
        if now >= self.restart_at {
            self.state.restarts += 1;
            self.start(now);
        }
        false
    }

    fn save(&mut self) {
        if self.saved.as_ref() != Some(&self.state) && self.state.write(&self.dir).is_ok() {
            self.saved = Some(self.state.clone());
        }
    }
}
