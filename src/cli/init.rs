//! `init`: writes `pilothouse.toml` with what was detected; without an engine.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Ended, context, detect, output::Output};
use crate::{
    config::manifest_file::{self, RunBy},
    deploy::{
        containers::{self, Way},
        name,
    },
    model::{command::Overrides, ids::AppId, log, manifest::Manifest, problem::Problem, source::Source},
    sources::folder,
};

#[derive(Debug, Args)]
pub struct Init {
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Name of the app [default: the folder's]
    #[arg(long, value_parser = context::app)]
    name: Option<AppId>,
}

impl Init {
    /// `--yes` replaces a manifest that is there.
    pub fn run(self, yes: bool, output: &Output) -> Result<Ended, Problem> {
        let real = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let source = Source::Folder { path: real };
        let is_named = self.name.is_some();
        let name = self.name.unwrap_or_else(|| name::default_name(&source));
        let made_from = name::made_from(&name, &source).filter(|_| !is_named);
        let path = write(&self.path, &name, yes)?;
        if let Some(written) = made_from {
            output.progress(&format!("named {name}, from `{}`; --name gives another", log::safe(&written)));
        }
        if output.json {
            output.document(&serde_json::json!({ "path": path, "next": "pilothouse deploy" }));
        } else {
            output.line(&path.display().to_string());
            output.progress("next: look it through, then `pilothouse deploy`");
        }
        Ok(Ended::Well)
    }
}

/// Writes the manifest of the folder at `path` and gives the file's path.
///
/// A manifest that is there is left alone unless `force`. The file appears as a whole or not at all.
fn write(path: &Path, name: &AppId, force: bool) -> Result<PathBuf, Problem> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let file = real.join(manifest_file::FILE_NAME);
    let place = file.display().to_string();
    if file.symlink_metadata().is_ok() && !force {
        return Err(Problem::conflict("there is a manifest already").at(place).hint("edit it, or overwrite it with --yes"));
    }
    let text = text(path, name)?;
    put(&file, &text).map_err(|error| Problem::unavailable(format!("cannot write it: {error}")).at(place))?;
    Ok(file)
}

/// The manifest of what the folder at `path` is without one.
fn text(path: &Path, name: &AppId) -> Result<String, Problem> {
    let survey = folder::look(path)?;
    let recipe = detect::of(&survey, path);
    let (containers, recipe) = containers::choose(&survey, &Manifest::default(), &Overrides::default(), recipe)?;
    let run_by = match &containers.way {
        Way::None | Way::Generated => RunBy::Commands,
        Way::Dockerfile(build) => RunBy::Dockerfile(&build.file),
        Way::Compose(compose) => RunBy::Compose(&compose.file),
    };
    Ok(manifest_file::write(name, &recipe?, run_by))
}

fn put(file: &Path, text: &str) -> std::io::Result<()> {
    let fresh = file.with_extension("toml.new");
    let mut new = fs::File::create(&fresh)?;
    new.write_all(text.as_bytes()).and_then(|()| fs::rename(&fresh, file)).inspect_err(|_| {
        // The half-written file is of no use to anyone.
        let _ = fs::remove_file(&fresh);
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        deploy::plan::{Asked, plan},
        model::{
            command::DeployRequest,
            fleet::Fleet,
            ids::{HostId, ReleaseId},
            plan::Plan,
        },
    };

    /// What `deploy --plan` says of the folder.
    fn planned(root: &Path) -> Result<Plan, Problem> {
        let survey = folder::look(root)?;
        let manifest = match survey.texts.get(manifest_file::FILE_NAME) {
            Some(text) => manifest_file::read(text, manifest_file::FILE_NAME)?,
            None => Manifest::default(),
        };
        let request = DeployRequest { source: Source::Folder { path: root.to_path_buf() }, overrides: Overrides::default() };
        let (containers, recipe) =
            containers::choose(&survey, &manifest, &request.overrides, crate::deploy::detect::detect(&survey))?;
        let app = AppId::suggest("shop");
        let asked = Asked {
            app: &app,
            release: ReleaseId(1),
            request: &request,
            manifest: &manifest,
            recipe: &recipe,
            containers: &containers,
            bases: &BTreeMap::new(),
            before: None,
            survey: &survey,
            hosts: &[(HostId::local(), "the only host".to_owned())],
            checks: "not checked",
        };
        plan(&asked, &Fleet::default())
    }

    #[test]
    fn what_init_writes_means_what_was_detected() {
        let dockerfile =
            ("Dockerfile", "FROM busybox\nEXPOSE 8000\nCMD [\"httpd\", \"-f\", \"-p\", \"8000\", \"-h\", \"/www\"]\n");
        let compose = (
            "compose.yaml",
            "services:\n  web:\n    image: shop:1\n    command: [sh, -c, \"echo 'a b'; serve\"]\n    ports: ['80:8000']\n    \
             depends_on: [db]\n    environment: {A: b}\n  db:\n    image: postgres:16\n    command: postgres -c x=1\n    \
             volumes: ['data:/var/lib/data']\n",
        );
        let package = ("package.json", r#"{"name": "shop", "scripts": {"start": "node server.js --name 'a b'"}}"#);
        let ways: [(&str, &[(&str, &str)]); 8] = [
            ("process", &[package, ("server.js", "")]),
            ("static", &[("index.html", "<h1>hello</h1>")]),
            ("Dockerfile", &[dockerfile]),
            ("Compose", &[compose]),
            ("Compose beside a Dockerfile", &[compose, dockerfile]),
            ("a language beside both", &[package, ("server.js", ""), compose, dockerfile]),
            ("Procfile", &[("Procfile", "web: ./serve --name 'a b'\nworker: ./work \"$HOME\"\n")]),
            ("files beside a worker", &[("index.html", ""), ("Procfile", "worker: ./work\n")]),
        ];
        for (way, files) in ways {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in files {
                fs::write(folder.path().join(path), text).unwrap();
            }
            let before = planned(folder.path()).unwrap();
            let file = write(folder.path(), &AppId::suggest("shop"), false).unwrap();
            let after = planned(folder.path()).unwrap();
            let written = fs::read_to_string(file).unwrap();
            assert_eq!(after.blueprint, before.blueprint, "{way}:\n{written}");
            // Which of two files is used needs no word any more once the manifest says it.
            let lines = |plan: &Plan| {
                let told = plan.lines.iter().filter(|line| !line.what.ends_with("is not used"));
                told.map(|line| format!("{} {}  {}", line.sign.symbol(), line.what, line.why)).collect::<Vec<_>>()
            };
            assert_eq!(lines(&after), lines(&before), "{way}:\n{written}");
        }
    }

    #[test]
    fn a_file_in_another_encoding_is_named_with_its_line() {
        for (file, text) in [
            ("Procfile", &b"# one\nweb: ./serve --name Caf\xe9\n"[..]),
            ("compose.yaml", &b"services:\n  # Caf\xe9\n  web:\n    image: a\n"[..]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(file), text).unwrap();
            let problem = write(folder.path(), &AppId::suggest("shop"), false).unwrap_err();
            assert!(problem.what.contains("not UTF-8"), "{}", problem.what);
            assert_eq!(problem.at, Some(format!("{file}:2")));
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(manifest_file::FILE_NAME), b"name = \"caf\xe9\"\n").unwrap();
        let problem = folder::look(folder.path()).unwrap().check_whole(manifest_file::FILE_NAME).unwrap_err();
        assert_eq!(problem.at.as_deref(), Some("pilothouse.toml:1"));
    }

    #[test]
    fn a_manifest_is_written_once_and_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("My Shop");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("server.py"), "").unwrap();
        let name = name::default_name(&Source::Folder { path: root.clone() });
        let file = write(&root, &name, false).unwrap();
        let manifest = manifest_file::read(&fs::read_to_string(&file).unwrap(), "pilothouse.toml").unwrap();
        assert_eq!(manifest.name.unwrap().as_str(), "my-shop");
        assert_eq!(manifest.process["web"].command.as_deref(), Some("python3 server.py"));
        fs::write(&file, "# mine").unwrap();
        assert!(write(&root, &name, false).unwrap_err().next.unwrap().contains("--yes"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine");
        write(&root, &name, true).unwrap();
        assert_ne!(fs::read_to_string(&file).unwrap(), "# mine");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 2, "nothing else is left");
    }
}
