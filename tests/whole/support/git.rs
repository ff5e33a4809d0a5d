//! Git repositories made from folders, reached by `file://`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A repository.
pub struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Makes one at `folder` with `files` as its first commit on `main`; paths are relative.
    pub fn with(folder: PathBuf, files: &[(&str, &str)]) -> Self {
        fs::create_dir_all(&folder).expect("a folder can be made");
        let repository = Self { folder };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit("first", files);
        repository
    }

    /// Makes one at `folder` from what `from` holds; what its `.gitignore` names stays out.
    pub fn from(folder: PathBuf, from: &Path) -> Self {
        copy(from, &folder);
        let repository = Self { folder };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit("first", &[]);
        repository
    }

    /// Writes `files` and commits everything; gives the commit.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.folder.join(path);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs git there, apart from the settings of whoever runs the tests.
    pub fn git(&self, arguments: &[&str]) -> String {
        let run = Command::new("git")
            .current_dir(&self.folder)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
            .envs([("GIT_COMMITTER_NAME", "ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
            .args(arguments)
            .output()
            .expect("git runs");
        assert!(run.status.success(), "git {}: {}", arguments.join(" "), String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).into_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry can be read");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let left_out = ["node_modules", "dist", "__pycache__", ".git"].iter().any(|name| entry.file_name() == *name);
        match path.is_dir() {
            _ if left_out => {}
            true => copy(&path, &target),
            false => {
                fs::copy(&path, &target).expect("a file can be copied");
            }
        }
    }
}

/// A folder of `fixtures/systems/`.
pub fn system(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/systems").join(name)
}
