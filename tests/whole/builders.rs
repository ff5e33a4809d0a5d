//! Real builds by the package managers beside npm and pip, each with one tiny dependency. `tests/run` installs what is
//! missing.

use std::{fs, path::PathBuf, process::Command};

use crate::support::{
    engine::Engine,
    wait::{has, is_installed},
};

/// A folder of a test with these files.
fn folder(engine: &Engine, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = engine.home().join("apps").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for (file, text) in files {
        fs::write(folder.join(file), text).expect("a file");
    }
    folder
}

/// Has the tool write its lock file, as its user would.
fn locked(folder: &std::path::Path, argv: &[&str]) {
    let ran = Command::new(argv[0]).args(&argv[1..]).current_dir(folder).output().expect("it is installed");
    assert!(ran.status.success(), "{argv:?}: {}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let _ = fs::remove_dir_all(folder.join("node_modules"));
}

/// Deploys twice; the second build finds the first one's downloads, which lie in the app's cache.
fn serves(engine: &Engine, name: &str, folder: &std::path::Path, body: &str) {
    for release in 1..=2 {
        let document = engine.live(engine.json(&["deploy", folder.to_str().expect("text"), "--name", name]));
        assert_eq!(document["release"], release);
        assert_eq!(engine.get(name, "/").body, body);
    }
    engine.has_no_scratch();
}

fn node(manager: &str, lock: &[&str]) {
    if !has(manager, "tests/run", is_installed(manager)) {
        return;
    }
    let engine = Engine::start();
    let package = r#"{"name": "tiny", "version": "1.0.0", "private": true, "dependencies": {"is-number": "7.0.0"},
        "scripts": {"build": "node build.js", "start": "node server.js"}}"#;
    let build = "require('fs').writeFileSync('built.txt', 'is 5 a number: ' + require('is-number')(5));\n";
    let server = "const body = require('fs').readFileSync('built.txt');\n\
                  require('http').createServer((_, answer) => answer.end(body)).listen(process.env.PORT);\n";
    let folder = folder(&engine, manager, &[("package.json", package), ("build.js", build), ("server.js", server)]);
    locked(&folder, lock);
    serves(&engine, manager, &folder, "is 5 a number: true");
    let cache = engine.state().join("cache").join(manager).join(manager);
    let kept = fs::read_dir(&cache).map_or(0, Iterator::count);
    assert!(kept > 0, "downloads lie in {}", cache.display());
}

#[test]
fn yarn_builds() {
    node("yarn", &["yarn", "install", "--silent"]);
}

#[test]
fn pnpm_builds() {
    node("pnpm", &["pnpm", "install", "--silent"]);
}

#[test]
fn bun_builds() {
    node("bun", &["bun", "install", "--silent"]);
}

/// Answers with the version of its one dependency.
const PYTHON: &str = r#"import os, six
from http.server import BaseHTTPRequestHandler, HTTPServer

class Tiny(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"six {six.__version__}".encode())

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Tiny).serve_forever()
"#;

/// `before` gets what lies beside the app and is no part of its text.
fn python(manager: &str, project: (&str, &str), before: &[&str], lock: &[&str]) {
    if !has(manager, "tests/run", is_installed(manager)) {
        return;
    }
    let engine = Engine::start();
    let folder = folder(&engine, manager, &[project, ("app.py", PYTHON)]);
    if !before.is_empty() {
        locked(&folder, before);
    }
    locked(&folder, lock);
    serves(&engine, manager, &folder, "six 1.16.0");
}

#[test]
fn uv_builds() {
    let project =
        "[project]\nname = \"tiny\"\nversion = \"0.1.0\"\nrequires-python = \">=3.9\"\ndependencies = [\"six==1.16.0\"]\n";
    python("uv", ("pyproject.toml", project), &[], &["uv", "lock", "--quiet"]);
}

#[test]
fn pipenv_builds() {
    python("pipenv", ("Pipfile", "[packages]\nsix = \"==1.16.0\"\n"), &[], &["pipenv", "lock", "--quiet"]);
}

/// Poetry asks the public index alone, whatever pip is told: the dependency lies beside the app.
#[test]
fn poetry_builds() {
    let project = "[tool.poetry]\npackage-mode = false\n\n[tool.poetry.dependencies]\npython = \">=3.9\"\n\
                   six = {path = \"six-1.16.0-py2.py3-none-any.whl\"}\n";
    let fetch = "python3 -m venv ../venv && ../venv/bin/pip download --quiet --no-deps six==1.16.0 --dest .";
    python("poetry", ("pyproject.toml", project), &["sh", "-c", fetch], &["poetry", "lock", "--quiet"]);
}
