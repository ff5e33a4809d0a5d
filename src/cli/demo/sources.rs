//! The demo's two apps, written as git repositories into its folder; as plain folders where there is no git.

use std::path::Path;

use crate::{
    cli::tool,
    config::{Settings, manifest_file},
    model::{problem::Problem, source::Source},
};

/// The apps: `shop` runs twice, `blog` receives the load.
pub(super) const APPS: [&str; 2] = ["shop", LOADED];
pub(super) const LOADED: &str = "blog";
/// Requests per second that the load generator sends at most, for as long as the demo is there.
pub(super) const LOAD_PER_SECOND: u32 = 20;
/// Asked of git alone, whatever the person's own configuration says of hooks and signatures.
const PLAIN_GIT: [(&str, &str); 4] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
    ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
];

/// Writes the app's source and says where it is. What is there already is taken as it is.
///
/// The repository has the tags `v1`, which is deployed, `v2`, and `broken`, which never becomes ready.
pub(super) async fn write(settings: &Settings, app: &str) -> Result<Source, Problem> {
    let folder = settings.state.root().join("demo").join(app);
    let git = Source::Git { url: folder.display().to_string(), reference: Some("v1".to_owned()) };
    if folder.join(".git").exists() {
        return Ok(git);
    }
    put(settings, app, &folder, "v1", "")?;
    if !is_ok(&folder, &["-c", "init.defaultBranch=main", "init", "--quiet"]).await {
        return Ok(Source::Folder { path: folder });
    }
    let versions = [
        ("broken", "broken", "SAMPLE_UNHEALTHY = \"1\"\n", "A release that never becomes ready"),
        ("v1", "v1", "", "The first version"),
        ("v2", "v2", "", "The second version"),
    ];
    for (tag, version, env, subject) in versions {
        put(settings, app, &folder, version, env)?;
        let made = commit(&folder, tag, subject).await;
        if !made {
            // Git is there and does not work: the folder does.
            put(settings, app, &folder, "v1", "")?;
            return Ok(Source::Folder { path: folder });
        }
    }
    Ok(git)
}

async fn commit(folder: &Path, tag: &str, subject: &str) -> bool {
    let person = ["-c", "user.name=Pilothouse demo", "-c", "user.email=demo@localhost"];
    let commit = [&person[..], &["commit", "--quiet", "--message", subject]].concat();
    is_ok(folder, &["add", "--all"]).await && is_ok(folder, &commit).await && is_ok(folder, &["tag", tag]).await
}

async fn is_ok(folder: &Path, arguments: &[&str]) -> bool {
    tool::ask("git", arguments, folder, &PLAIN_GIT).await.is_some()
}

fn put(settings: &Settings, app: &str, folder: &Path, version: &str, env: &str) -> Result<(), Problem> {
    let text = manifest(settings, app, version, env);
    let readme =
        format!("# {app}\n\nA sample app of `pilothouse demo`: a page, `/healthz`, `/metrics`, and switches to break it.\n");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(manifest_file::FILE_NAME), text))
        .and_then(|()| std::fs::write(folder.join("README.md"), readme))
        .map_err(|error| Problem::user(format!("cannot write the demo's source: {error}")).at(folder.display().to_string()))
}

fn manifest(settings: &Settings, app: &str, version: &str, env: &str) -> String {
    let program = quoted(&settings.binary);
    let replicas = if app == LOADED { 1 } else { 2 };
    let mut text = format!(
        "# Written by `pilothouse demo`.\nname = \"{app}\"\n\n[env]\nSAMPLE_VERSION = \"{version}\"\n{env}\n\
         [process.web]\ncommand = {}\nreplicas = {replicas}\nready = {{ http = \"/healthz\", within = \"10s\" }}\n",
        toml::Value::String(format!("exec {program} sample"))
    );
    if app == LOADED {
        let state = quoted(settings.state.root());
        let lock = quoted(&settings.state.root().join("demo/load.lock"));
        let load = format!(
            "exec {program} sample traffic --host {app}.localhost --rate {LOAD_PER_SECOND} --state {state} --lock {lock}"
        );
        let load = toml::Value::String(load);
        text.push_str(&format!("\n# The load generator: at most {LOAD_PER_SECOND} requests per second, to this app alone.\n"));
        text.push_str(&format!("[process.traffic]\ncommand = {load}\nstop = {{ kill = \"1s\" }}\n"));
    }
    text
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, load};

    #[test]
    fn the_manifests_are_valid_whatever_the_folders_are_called() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("it's \"here\"");
        let flags = Flags { state: Some(state), config: Some("/dev/null".into()), ..Flags::default() };
        let settings = load::load_from(&flags, &load::Environment::new()).unwrap();
        for app in APPS {
            let text = manifest(&settings, app, "v1", "SAMPLE_UNHEALTHY = \"1\"\n");
            let manifest = manifest_file::read(&text, "pilothouse.toml").unwrap();
            assert_eq!(manifest.name.unwrap().as_str(), app);
            assert_eq!(manifest.process.contains_key("traffic"), app == LOADED);
        }
    }

    #[tokio::test]
    async fn a_source_is_written_once() {
        let home = tempfile::tempdir().unwrap();
        let flags = Flags { state: Some(home.path().into()), config: Some("/dev/null".into()), ..Flags::default() };
        let settings = load::load_from(&flags, &load::Environment::new()).unwrap();
        let first = write(&settings, "shop").await.unwrap();
        assert_eq!(write(&settings, "shop").await.unwrap(), first);
        assert!(home.path().join("demo/shop/pilothouse.toml").exists());
    }
}
