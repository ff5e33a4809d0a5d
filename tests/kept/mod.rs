//! What several whole-program tests share.
#![allow(clippy::expect_used, dead_code, unreachable_pub, reason = "helpers of tests")]

pub mod contract;

use std::{path::PathBuf, time::Duration};

use pilothouse::{
    config::{Settings, StateDir},
    keep::{KeeperState, Program, Spec},
    model::{
        ids::{AppId, ReleaseId},
        log::{LogLabels, read_record},
        units::Millis,
    },
    runtimes::keepers,
};

/// An engine's settings in a folder of their own; whatever is kept there is ended when it goes.
pub struct World {
    pub settings: Settings,
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path().join("state"));
        state.create().expect("a state folder");
        let settings = Settings {
            state,
            config: pilothouse::config::settings::ConfigFile::default(),
            binary: PathBuf::from(env!("CARGO_BIN_EXE_pilothouse")),
            boot_id: "this-boot".to_owned(),
        };
        Self { settings, folder }
    }

    /// A folder for what a program writes.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A command line that is restarted and killed half a second after it was asked to end.
    pub fn spec(&self, command: &str) -> Spec {
        let program = Program::Shell(command.to_owned());
        Spec { kill_after: Millis(500), ..keepers::spec(&self.settings, program, self.folder()) }
    }

    pub async fn launch(&self, name: &str, spec: &Spec) -> KeeperState {
        keepers::launch(&self.settings, name, spec, &labels(name)).await.expect("a keeper")
    }

    /// Texts of the log, oldest first, each after its stream's letter: `o hello`.
    pub fn log(&self, name: &str) -> Vec<String> {
        let folder = self.settings.state.keeper(name).join("log");
        let files = ["9", "8", "7", "6", "5", "4", "3", "2", "1", "current"];
        let text: String = files.iter().filter_map(|file| std::fs::read_to_string(folder.join(file)).ok()).collect();
        let records = text.lines().map(|record| read_record(record).expect("a whole record"));
        records.map(|(_, stream, line)| format!("{} {line}", letter(stream))).collect()
    }

    /// The state once it is as asked.
    pub async fn state_that(&self, name: &str, is: impl Fn(&KeeperState) -> bool) -> KeeperState {
        eventually(&format!("state of {name}"), || keepers::state(&self.settings, name).filter(&is)).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let entries = std::fs::read_dir(self.settings.state.keepers()).into_iter().flatten().flatten();
        let states: Vec<KeeperState> = entries.filter_map(|entry| KeeperState::read(&entry.path())).collect();
        for state in &states {
            state.keeper.signal(rustix::process::Signal::TERM);
        }
        for state in &states {
            pilothouse::keep::launch::await_end(&state.keeper, Duration::from_secs(10));
        }
    }
}

pub fn labels(name: &str) -> LogLabels {
    let app = AppId::parse("shop").expect("a name");
    LogLabels { app, release: ReleaseId(1), instance: name.to_owned() }
}

fn letter(stream: pilothouse::model::log::Stream) -> char {
    use pilothouse::model::log::Stream;
    match stream {
        Stream::Out => 'o',
        Stream::Err => 'e',
        Stream::Keeper => 'k',
    }
}

/// Waits until `look` finds it; fails after 20 s.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about in 20 s");
}
