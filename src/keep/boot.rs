//! How a keeper comes to be nobody's child: launched by a process that ends at once, in a session of its own, without
//! descriptors of whoever launched it.

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    os::{fd::BorrowedFd, unix::process::CommandExt},
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use rustix::process::{getpid, set_child_subreaper, setsid};

use super::{clock, handed::Handed, keeper::Keeper, spec::Spec};

/// How long a keeper waits for one of the same folder that is about to end.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// Starts the keeper of `dir`, which answers on this process's standard output, and ends.
#[expect(clippy::disallowed_types, reason = "keepers are started here; no tokio in this room")]
pub(super) fn launch(dir: &Path) -> ExitCode {
    keep_descriptors_from_children();
    let keeper = std::process::Command::new("/proc/self/exe")
        .arg0("pilothouse")
        .args(["keep".as_ref(), dir.as_os_str()])
        .env_clear()
        // What this process was handed is for the keeper.
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn();
    match keeper {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // The launcher reads the answer and reports it.
            let _ = writeln!(io::stdout(), "!cannot run this program again: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program with `arguments`, in a session without terminal and with this process's standard output alone, and ends.
#[expect(clippy::disallowed_types, reason = "the intermediate process of `hosts::local::spawn_detached`")]
pub(super) fn detach(arguments: &[&str]) -> ExitCode {
    keep_descriptors_from_children();
    let _ = setsid();
    let mut program = std::process::Command::new("/proc/self/exe");
    program.arg0("pilothouse").args(arguments).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    if program.spawn().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Marks every descriptor but the standard ones as closed at the next exec: a keeper that held a pipe of its
/// grandparent open would keep a reader of it waiting for as long as the app runs.
#[expect(unsafe_code, reason = "descriptors that were inherited have no owner in this program")]
fn keep_descriptors_from_children() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    for number in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if number > 2 {
            // SAFETY: the number was just listed, and this process has one thread, so it is open until this loop ends it;
            // were it closed, fcntl would say so and change nothing.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
        }
    }
}

/// The role itself. Answers once on standard output: the first state, or `!` and what is wrong.
pub(super) fn keep(dir: &Path) -> ExitCode {
    match prepare(dir) {
        Ok((mut keeper, _lock)) => {
            answer(&keeper.first_state());
            keeper.run();
            ExitCode::SUCCESS
        }
        Err(error) => {
            answer(&format!("!{error}"));
            ExitCode::FAILURE
        }
    }
}

fn prepare(dir: &Path) -> io::Result<(Keeper, File)> {
    // Fails when it is a leader already, which is as good.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    let lock = lock(dir)?;
    let handed = Handed::inherited()?;
    let spec = Spec { env: handed.read()?, ..Spec::read(dir)? };
    let mut keeper = Keeper::new(dir.to_owned(), spec, handed)?;
    keeper.start(clock::monotonic());
    keeper.save_first()?;
    Ok((keeper, lock))
}

/// One keeper per folder.
fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join("lock"))?;
    let deadline = clock::monotonic() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if clock::monotonic() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another keeper has this folder")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Says it and closes the standard streams, so that the launcher's read ends.
fn answer(text: &str) {
    // Nobody may be reading any more; then nobody misses it.
    let _ = writeln!(io::stdout(), "{text}");
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}
