use std::os::unix::fs::symlink;

use super::*;
use crate::{
    config::{StateDir, settings::ConfigFile},
    model::ids::{AppId, ReleaseId},
};

fn settings(root: &Path) -> Settings {
    let state = StateDir::new(root.join("state"));
    state.create().unwrap_or_else(|error| panic!("{error}"));
    Settings { state, config: ConfigFile::default(), binary: PathBuf::new(), boot_id: "boot".to_owned() }
}

fn put(path: &Path, text: &str) {
    path.parent().map(fs::create_dir_all).transpose().unwrap_or_else(|error| panic!("{error}"));
    fs::write(path, text).unwrap_or_else(|error| panic!("{error}"));
}

fn keeper(settings: &Settings, name: &str, app: &str, release: u32, instance: &str) {
    let labels = LogLabels { app: AppId::suggest(app), release: ReleaseId(release), instance: instance.to_owned() };
    let text = serde_json::to_string(&labels).unwrap_or_default();
    put(&settings.state.keeper(name).join("labels.json"), &text);
}

fn shop() -> AppId {
    AppId::suggest("shop")
}

#[tokio::test]
async fn a_release_goes_with_its_builds_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    for release in [1, 2] {
        put(&settings.state.release(&shop(), ReleaseId(release)).join("tree/a"), "x");
        keeper(&settings, &format!("build-{release}-0"), "shop", release, "build");
    }
    keeper(&settings, "shop-1-a", "shop", 1, "shop-1-a");
    keeper(&settings, "build-9-0", "other", 1, "build");
    put(&settings.state.cache(&shop()).join("npm/x"), "x");
    let work = PruneWork { app: Some(shop()), releases: vec![ReleaseId(1)], ..PruneWork::default() };
    let Outcome::Done(Done::Pruned { freed }) = prune(&settings, &work).await else { panic!("not pruned") };
    assert!(freed.0 > 0);
    assert!(!settings.state.release(&shop(), ReleaseId(1)).exists());
    assert!(settings.state.release(&shop(), ReleaseId(2)).exists());
    let there = |name: &str| settings.state.keeper(name).exists();
    assert_eq!([there("build-1-0"), there("build-2-0"), there("shop-1-a"), there("build-9-0")], [false, true, true, true]);
    assert_eq!(prune(&settings, &work).await, Outcome::Done(Done::Pruned { freed: Bytes(0) }), "twice is as once");
}

#[tokio::test]
async fn a_whole_app_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    put(&settings.state.release(&shop(), ReleaseId(1)).join("site/index.html"), "x");
    put(&settings.state.cache(&shop()).join("go-mod/x"), "x");
    keeper(&settings, "shop-1-a", "shop", 1, "shop-1-a");
    keeper(&settings, "build-1-0", "shop", 1, "build");
    // Some tools make their caches read-only.
    let locked = settings.state.cache(&shop()).join("go-mod");
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    let work = PruneWork { app: Some(shop()), whole_app: true, ..PruneWork::default() };
    assert!(matches!(prune(&settings, &work).await, Outcome::Done(_)));
    for folder in [
        settings.state.app(&shop()),
        settings.state.cache(&shop()),
        settings.state.keeper("shop-1-a"),
        settings.state.keeper("build-1-0"),
    ] {
        assert!(!folder.exists(), "{}", folder.display());
    }
}

#[tokio::test]
async fn links_are_removed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let outside = folder.path().join("outside");
    put(&outside.join("1/precious"), "x");
    let release = settings.state.release(&shop(), ReleaseId(2));
    fs::create_dir_all(&release).unwrap();
    symlink(&outside, release.join("link")).unwrap();
    let work = PruneWork { app: Some(shop()), releases: vec![ReleaseId(2)], ..PruneWork::default() };
    assert!(matches!(prune(&settings, &work).await, Outcome::Done(_)));
    // The app's folder itself is a link out of the state.
    symlink(&outside, settings.state.app(&shop())).unwrap();
    let work = PruneWork { app: Some(shop()), releases: vec![ReleaseId(1)], ..PruneWork::default() };
    assert!(matches!(prune(&settings, &work).await, Outcome::Failed(_)));
    assert!(outside.join("1/precious").exists());
}

#[tokio::test]
async fn an_instance_that_is_a_path_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    put(&settings.state.root().join("journal.db"), "x");
    for name in ["..", "../..", "a/b", ""] {
        let work = PruneWork { instances: vec![InstanceId(name.to_owned())], ..PruneWork::default() };
        assert!(matches!(prune(&settings, &work).await, Outcome::Failed(_)), "{name}");
    }
    assert!(settings.state.journal().exists());
}
