//! `init`: writes `pilothouse.toml` with what was detected; without an engine.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Ended, context, detect, output::Output};
use crate::{
    config::manifest_file,
    deploy::name,
    model::{ids::AppId, log, problem::Problem, source::Source},
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
    let recipe = detect::recipe(path)?;
    let text = manifest_file::write(name, &recipe);
    put(&file, &text).map_err(|error| Problem::unavailable(format!("cannot write it: {error}")).at(place))?;
    Ok(file)
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
    use super::*;

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
