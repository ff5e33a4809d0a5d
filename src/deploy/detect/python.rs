//! Python: where its dependencies are written, and what its framework is started with.

use super::tree::{Tree, proof};
use crate::model::{
    Problem,
    recipe::{Proof, Recipe},
};

/// Where people keep the module that holds the app, in order.
const MODULES: &[&str] = &[
    "app.py",
    "main.py",
    "server.py",
    "api.py",
    "wsgi.py",
    "asgi.py",
    "run.py",
    "app/main.py",
    "app/app.py",
    "app/__init__.py",
    "src/main.py",
    "src/app.py",
];
/// Files that are started as they are when no framework is known, in order.
const SCRIPTS: &[&str] = &["app.py", "main.py", "server.py", "run.py", "src/main.py", "src/app.py"];

/// Where dependencies come from.
struct Packages {
    manager: &'static str,
    install: &'static str,
    proof: Proof,
    /// All that names dependencies, in lower case.
    named: String,
}

/// How it is started.
struct Start {
    framework: Option<&'static str>,
    command: String,
    port: Option<u16>,
    proof: Proof,
}

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let packages = packages(tree);
    if packages.is_none() && !tree.has("manage.py") && tree.first(SCRIPTS).is_none() {
        return Ok(None);
    }
    let Some(start) = start(tree, packages.as_ref()) else {
        // A Procfile may still say what is started; without one the problem below is told.
        let Some(packages) = packages else {
            return Ok(None);
        };
        if tree.has("Procfile") {
            return Ok(Some(recipe(Some(packages), None)));
        }
        return Err(Problem::not_found("this is Python, but nothing says how it is started")
            .at(packages.proof.file)
            .hint("add app.py, main.py or a Procfile (`web: COMMAND`), or say --start 'COMMAND'; it must listen on $PORT"));
    };
    Ok(Some(recipe(packages, Some(start))))
}

fn recipe(packages: Option<Packages>, start: Option<Start>) -> Recipe {
    let mut recipe = Recipe {
        language: "python".to_owned(),
        runtime: "process".to_owned(),
        // Without it lines stay in Python's buffer and the log seems dead.
        env: vec![("PYTHONUNBUFFERED".to_owned(), "1".to_owned())],
        ..Recipe::default()
    };
    if let Some(packages) = packages {
        recipe.package_manager = Some(packages.manager.to_owned());
        recipe.install = Some(packages.install.to_owned());
        recipe.proof.push(packages.proof);
    }
    if let Some(start) = start {
        recipe.framework = start.framework.map(str::to_owned);
        recipe.start = Some(start.command);
        recipe.port = start.port;
        recipe.proof.push(start.proof);
    }
    recipe
}

fn packages(tree: &Tree<'_>) -> Option<Packages> {
    let project = tree.text("pyproject.toml").unwrap_or_default();
    let named = |file: &str| format!("{}\n{project}", tree.text(file).unwrap_or_default()).to_lowercase();
    if tree.has("uv.lock") {
        return Some(Packages {
            manager: "uv",
            install: "uv sync --frozen --no-dev",
            proof: proof("uv.lock", "packages by uv, which must be installed on the host"),
            named: named("uv.lock"),
        });
    }
    if tree.has("requirements.txt") {
        return Some(Packages {
            manager: "pip",
            install: "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            proof: proof("requirements.txt", "packages by pip into .venv"),
            named: named("requirements.txt"),
        });
    }
    tree.has("pyproject.toml").then(|| Packages {
        manager: "pip",
        install: "python3 -m venv .venv && .venv/bin/pip install .",
        proof: proof("pyproject.toml", "packages by pip into .venv"),
        named: named("pyproject.toml"),
    })
}

fn start(tree: &Tree<'_>, packages: Option<&Packages>) -> Option<Start> {
    let needs = |package: &str| packages.is_some_and(|packages| names(&packages.named, package));
    let bin = if packages.is_some() { ".venv/bin/" } else { "" };
    let python = if packages.is_some() { ".venv/bin/python" } else { "python3" };
    if tree.has("manage.py") {
        return Some(django(tree, needs("gunicorn"), bin, python));
    }
    if let Some((file, module, app)) = holds(tree, "FastAPI(").or_else(|| holds(tree, "Starlette(")) {
        let framework = if needs("fastapi") { "fastapi" } else { "starlette" };
        let own = tree.text(file).is_some_and(|text| text.contains("uvicorn.run(")) && !needs("uvicorn");
        let command =
            if own { format!("{python} {file}") } else { format!("{bin}uvicorn {module}:{app} --host 127.0.0.1 --port $PORT") };
        let proof = proof(tree.place(file, &format!("{app} =")), format!("starts the app `{app}`"));
        return Some(Start { framework: Some(framework), command, port: Some(8000), proof });
    }
    if let Some((file, module, app)) = holds(tree, "Flask(") {
        let command = if needs("gunicorn") {
            format!("{bin}gunicorn '{module}:{app}' --bind 127.0.0.1:$PORT")
        } else {
            format!("{bin}flask --app {module} run --host 127.0.0.1 --port $PORT")
        };
        let place = tree.place(file, "Flask(");
        return Some(Start {
            framework: Some("flask"),
            command,
            port: Some(5000),
            proof: proof(place, format!("starts the app `{app}`")),
        });
    }
    let script = tree.first(SCRIPTS)?;
    let (framework, command, port) = if needs("streamlit") {
        let flags = "--server.address 127.0.0.1 --server.port $PORT --server.headless true";
        (Some("streamlit"), format!("{bin}streamlit run {script} {flags}"), Some(8501))
    } else {
        let known = [("aiohttp", 8080), ("tornado", 8888), ("sanic", 8000), ("bottle", 8080)];
        let known = known.into_iter().find(|(package, _)| needs(package));
        (known.map(|(name, _)| name), format!("{python} {script}"), known.map(|(_, port)| port))
    };
    Some(Start { framework, command, port, proof: proof(script, "starts a file with a usual name") })
}

/// `manage.py` marks Django; the folder with `wsgi.py` is the project.
fn django(tree: &Tree<'_>, gunicorn: bool, bin: &str, python: &str) -> Start {
    let wsgi = tree.files().find(|path| path.ends_with("/wsgi.py") && path.matches('/').count() <= 2);
    let (command, proof) = match wsgi.filter(|_| gunicorn) {
        Some(path) => {
            let module = path.trim_end_matches(".py").replace('/', ".");
            (format!("{bin}gunicorn {module}:application --bind 127.0.0.1:$PORT"), proof(path, "starts the project by gunicorn"))
        }
        None => (
            format!("{python} manage.py runserver 127.0.0.1:$PORT --noreload"),
            proof("manage.py", "starts Django's own server; gunicorn in the requirements gives a better one"),
        ),
    };
    Start { framework: Some("django"), command, port: Some(8000), proof }
}

/// The module that makes an app by `constructor`: file, dotted name and the variable.
fn holds<'t>(tree: &Tree<'t>, constructor: &str) -> Option<(&'static str, String, &'t str)> {
    MODULES.iter().find_map(|file| {
        let line = tree.text(file)?.lines().find(|line| line.contains(constructor) && line.contains('='))?;
        let variable = line.split(['=', ':']).next()?.trim();
        let within = line.starts_with(char::is_whitespace);
        let module = file.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
        match (
            within,
            tree.text(file)?.lines().find(|line| line.starts_with("def create_app(") || line.starts_with("def make_app(")),
        ) {
            // Made inside a function: a factory, which the servers call.
            (true, Some(line)) => Some((*file, module, if line.contains("create_app") { "create_app()" } else { "make_app()" })),
            (true, None) => None,
            (false, _) => variable.chars().all(|c| c.is_alphanumeric() || c == '_').then_some((*file, module, variable)),
        }
    })
}

/// Whether a requirement of exactly this package stands in `text` (PEP 508 names, `name = "x"` of lock files).
fn names(text: &str, package: &str) -> bool {
    text.match_indices(package).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + package.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
        !part(before) && !part(after)
    })
}
