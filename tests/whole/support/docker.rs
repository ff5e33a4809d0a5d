//! The Docker engine for tests, by its own command: images without a registry, and what an engine of ours has there.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::wait::has;

/// Image that every Docker engine for tests has.
pub const BUSYBOX: &str = "pilothouse-test/busybox:1";

/// Whether there is one; it is said when not, and in CI that is a failure. Engines find it by `DOCKER_HOST`.
pub fn is_there() -> bool {
    let address = std::env::var("PILOTHOUSE_TEST_DOCKER").ok().filter(|address| !address.is_empty());
    if !has("a Docker engine for tests", "tests/run starts one", address.is_some()) {
        return false;
    }
    assert_eq!(std::env::var("DOCKER_HOST").ok(), address, "set DOCKER_HOST as PILOTHOUSE_TEST_DOCKER");
    true
}

/// What `docker` prints; panics when it fails.
pub fn ask(arguments: &[&str]) -> String {
    let ran = Command::new("docker").args(arguments).output().expect("the docker command");
    assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

/// Builds `tag` from the lines of a Dockerfile, without any file.
pub fn build(tag: &str, lines: &str) {
    let mut build = Command::new("docker")
        .args(["build", "-q", "-t", tag, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the docker command");
    build.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("its input is read");
    assert!(build.wait().expect("its end").success(), "{tag} is built");
}

/// A base image with `program`, made from this machine's own; gives its name.
pub fn image(program: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/image");
    let ran = Command::new(script).arg(program).output().expect("a shell script runs");
    assert!(ran.status.success(), "image {program}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

/// The word by which a state folder's containers, images and volumes are known.
pub fn mark(state: &Path) -> String {
    use sha2::{Digest, Sha256};
    let digest: [u8; 32] = Sha256::digest(state.as_os_str().as_encoded_bytes()).into();
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn label(state: &Path) -> String {
    format!("label=pilothouse.state={}", mark(state))
}

/// Containers of a state folder that run, by Docker's own word.
pub fn running(state: &Path) -> Vec<String> {
    lines(&ask(&["ps", "-q", "--filter", &label(state)]))
}

/// Its containers are gone at once and may come back, as when the machine loses power.
pub fn power_off(state: &Path) {
    for container in running(state) {
        ask(&["kill", &container]);
    }
}

/// Removes whatever of a state folder is left. What an engine removes meanwhile is gone as well.
pub fn forget(state: &Path) {
    // Images that were only named, such as a database's, have no label of ours.
    let named = format!("reference=pilothouse-{}/*", &mark(state)[..6]);
    for image in lines(&ask(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &named])) {
        let _ = Command::new("docker").args(["rmi", "-f", &image]).output();
    }
    let label = label(state);
    let list = |arguments: &[&str]| {
        let ran = Command::new("docker").args(arguments).args(["--filter", &label]).output();
        ran.map_or_else(|_| Vec::new(), |ran| lines(&String::from_utf8_lossy(&ran.stdout)))
    };
    for (listed, removes) in [
        (&["ps", "-aq"][..], &["rm", "-fv"][..]),
        (&["network", "ls", "-q"], &["network", "rm"]),
        (&["volume", "ls", "-q"], &["volume", "rm", "-f"]),
        (&["images", "-q"], &["rmi", "-f"]),
    ] {
        for found in list(listed) {
            let _ = Command::new("docker").args(removes).arg(found).output();
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
