//! A PostgreSQL server of a test's own, on loopback.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::wait::has;

/// A running server; it ends with this value.
pub struct Postgres {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one; absent when PostgreSQL is not installed, which is said.
    pub fn start() -> Option<Self> {
        let bin = programs();
        if !has("PostgreSQL", "apt-get install postgresql", bin.is_some()) {
            return None;
        }
        // Another process may take the port between here and the start: then the next one is tried.
        for _ in 0..5 {
            let folder = tempfile::Builder::new().prefix("pg-").tempdir_in("/tmp").expect("a temporary folder");
            let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
            let server = Self { folder, bin: bin.clone().expect("checked"), port };
            if server.initialise_and_start() {
                return Some(server);
            }
        }
        panic!("PostgreSQL does not start")
    }

    /// Address for `DATABASE_URL`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn initialise_and_start(&self) -> bool {
        let folder = self.folder.path();
        if rustix::process::getuid().is_root() {
            let chown = Command::new("chown").arg("postgres").arg(folder).status().expect("chown runs");
            assert!(chown.success(), "the user postgres is there");
        }
        let made = self.run("initdb", &format!("-A trust -U postgres -N -D {}/d", folder.display()));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let options = format!("-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off", self.port, folder.display());
        self.run("pg_ctl", &format!("-w -D {0}/d -l {0}/log -o '{options}' start", folder.display())).status.success()
    }

    /// PostgreSQL refuses to run as root: then it runs as the user that its package made.
    fn run(&self, program: &str, arguments: &str) -> Output {
        let line = format!("{} {arguments}", self.bin.join(program).display());
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("su");
            command.args(["postgres", "-s", "/bin/sh", "-c", &line]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", &line]);
            command
        };
        command.current_dir("/tmp").output().expect("a shell runs")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &format!("-D {}/d -m immediate stop", self.folder.path().display()));
    }
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    versions.filter(|bin| bin.join("initdb").exists()).max_by(|a: &PathBuf, b| Path::cmp(a, b))
}
