//! A disk that is full.

use std::{fs, io::Write, path::Path, process::Command};

use super::still_serves;
use crate::support::{
    app::App,
    engine::Engine,
    processes,
    wait::{has, seconds, until},
};

#[test]
fn a_full_disk_stops_changes_and_never_what_serves() {
    let mut engine = Engine::absent();
    let disk = engine.home().join("s");
    fs::create_dir_all(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=400m", "none"]).arg(&disk).status();
    if !has("the right to mount a small disk", "run as root", mounted.is_ok_and(|status| status.success())) {
        return;
    }
    let _disk = Mounted(disk.clone());
    engine.run_engine();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let poll = engine.poll("shop");
    let filler = disk.join("filler");
    fill(&filler);
    let ran = engine.deploy(&app.version("v2").write());
    assert_eq!(ran.code, Some(1), "{ran}");
    let text = ran.text().to_lowercase();
    assert!(text.contains("disk") || text.contains("full") || text.contains("space"), "the cause is named: {ran}");
    let degraded = |engine: &Engine| engine.json(&["engine", "status"]).document()["degraded"].clone();
    until("the engine says that it is degraded", seconds(5), || degraded(&engine)["what"].as_str().is_some_and(has_disk));
    let ran = engine.cli(&["engine", "status"]);
    assert!(ran.text().contains("degraded") && ran.text().contains("free some space"), "{ran}");
    let ran = engine.json(&["doctor"]);
    let checks = ran.document()["checks"].as_array().cloned().unwrap_or_default();
    assert!(checks.iter().any(|check| check["name"] == "journal" && check["usable"] == false), "{ran}");
    let ran = engine.cli(&["edge", "replace"]);
    assert!(ran.code == Some(1) && has_disk(&ran.text()) && ran.text().contains("free some space"), "{ran}");
    fs::remove_file(&filler).expect("the filler can be removed");
    until("and that it is not any more, by itself", seconds(10), || degraded(&engine).is_null());
    // Without a restart: the journal takes records again.
    until("a deployment is accepted again", seconds(30), || {
        let ran = engine.deploy(&app_again(&engine));
        ran.code == Some(0)
    });
    assert_eq!(engine.version("shop"), "v3");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "the old release serves throughout: {seen:?}");
    engine.power_off();
}

#[test]
fn a_disk_that_fills_up_in_a_build_fails_that_build_alone() {
    let mut engine = Engine::absent();
    let disk = engine.home().join("s");
    let image = engine.home().join("disk.img");
    fs::create_dir_all(&disk).expect("a folder");
    let made = Command::new("sh")
        .args(["-c", "truncate -s 500M \"$0\" && mkfs.ext4 -q -F \"$0\" && mount -o loop \"$0\" \"$1\""])
        .args([&image, &disk])
        .status();
    if !has("the right to mount a disk image", "run as root, with e2fsprogs", made.is_ok_and(|status| status.success())) {
        return;
    }
    let _disk = Mounted(disk.clone());
    engine.run_engine();
    let app = App::sample(engine.home(), "shop").tables("[build.limits]\ndisk = \"100M\"\n").write();
    engine.deploy_live(&app);
    let app = app.version("v2").build("head -c 900M /dev/zero > big").tables("[build.limits]\ndisk = \"2G\"\n").write();
    let poll = engine.poll("shop");
    let ran = engine.deploy(&app);
    let text = ran.text().to_lowercase();
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(text.contains("disk") || text.contains("space"), "the cause is named: {ran}");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    still_serves(&engine);
    engine.power_off();
}

fn has_disk(text: &str) -> bool {
    text.contains("the disk is full")
}

fn app_again(engine: &Engine) -> App {
    App::sample(engine.home(), "shop").version("v3").write()
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// A mounted disk, unmounted at the end.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        processes::end_all(&self.0);
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
