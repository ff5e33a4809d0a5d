//! Which module makes the app: `app = Flask(__name__)`.

use super::Project;
use crate::deploy::detect::reading::{ends, field};

/// Where people keep the module that holds the app, in order.
const MODULES: &[&str] = &[
    "app.py",
    "main.py",
    "server.py",
    "api.py",
    "wsgi.py",
    "asgi.py",
    "run.py",
    "index.py",
    "app/main.py",
    "app/app.py",
    "app/__init__.py",
    "app/server.py",
    "src/main.py",
    "src/app.py",
    "src/app/main.py",
    "src/app/__init__.py",
    "api/main.py",
    "api/index.py",
    "backend/main.py",
    "backend/app.py",
    "server/main.py",
    "backend/app/main.py",
];

/// A module and the app in it.
pub(super) struct Module<'t> {
    pub(super) file: &'t str,
    /// Dotted name, as servers import it.
    pub(super) name: String,
    /// The variable, or a call of its factory: `create_app()`.
    pub(super) app: String,
    /// The folder that must be importable; empty for the root.
    pub(super) folder: String,
    /// What to look for to find the line.
    pub(super) line: String,
}

/// Whether a file is beside the app: tests, tools, settings.
pub(super) fn is_beside(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    let tools = [
        "setup.py",
        "conftest.py",
        "noxfile.py",
        "gunicorn.conf.py",
        "gunicorn_config.py",
        "fabfile.py",
        "config.py",
        "conf.py",
        "pelicanconf.py",
        "publishconf.py",
        "__init__.py",
        "settings.py",
    ];
    let folders = ["tests/", "test/", "docs/", "scripts/", "migrations/", "examples/", "alembic/"];
    tools.contains(&last)
        || last.starts_with("test_")
        || last.ends_with("_test.py")
        || folders.iter().any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")))
}

/// The module that makes an app by one of `constructors`.
pub(super) fn find<'t>(project: &Project<'t>, constructors: &[&str]) -> Option<Module<'t>> {
    let known = MODULES.iter().copied().filter(|file| project.tree.has(file));
    let others = project.tree.files_to(2).into_iter().filter(|path| ends(path, ".py") && !MODULES.contains(path));
    // `__init__.py` of a package holds a factory as often as not.
    let others = others.filter(|path| !is_beside(path) || path.ends_with("/__init__.py") && !path.starts_with("tests/"));
    let own = |path: &&str| !is_of_another(project, path);
    let named = flask_app(project).filter(|_| constructors.contains(&"Flask("));
    let found = named.into_iter().chain(known).chain(others).filter(own).find_map(|file| module(project, file, constructors))?;
    Some(kept(project, &found).unwrap_or(found))
}

/// The root module that keeps what a factory elsewhere makes: `app = create_app()` in `wsgi.py`.
fn kept<'t>(project: &Project<'t>, made: &Module<'_>) -> Option<Module<'t>> {
    const KEEPERS: [&str; 6] = ["wsgi.py", "asgi.py", "main.py", "app.py", "run.py", "server.py"];
    let factory = made.app.strip_suffix("()")?;
    flask_app(project).into_iter().chain(KEEPERS).filter(|file| *file != made.file).find_map(|file| {
        let line = project.tree.text(file)?.lines().find(|line| {
            let made = line.split_once('=').map(|(_, made)| made.trim_start());
            !line.starts_with(char::is_whitespace) && made.is_some_and(|made| calls(made, &format!("{factory}(")))
        })?;
        let app = line.split([':', '=']).next().map(str::trim).filter(|app| is_name(app))?.to_owned();
        let (folder, name) = import(project, file);
        Some(Module { file, name, app, folder, line: line.to_owned() })
    })
}

/// The root module that `FLASK_APP` names: `microblog.py`, or `microblog`.
fn flask_app<'t>(project: &Project<'t>) -> Option<&'t str> {
    let told = [".flaskenv", ".env"].into_iter().find_map(|file| field(project.tree.text(file)?, "FLASK_APP"))?;
    let module = told.split(':').next()?.trim_end_matches(".py");
    project.tree.files_to(0).into_iter().find(|path| path.strip_suffix(".py") == Some(module))
}

/// Whether a project of its own lies between the root and the file.
fn is_of_another(project: &Project<'_>, path: &str) -> bool {
    path.match_indices('/').any(|(at, _)| project.tree.has(&format!("{}/pyproject.toml", &path[..at])))
}

fn module<'t>(project: &Project<'t>, file: &'t str, constructors: &[&str]) -> Option<Module<'t>> {
    let text = project.tree.text(file)?;
    let makes = |line: &&str| {
        let code = line.trim_start();
        !code.starts_with('#')
            && line
                .split_once('=')
                .map(|(_, made)| made)
                .or_else(|| code.strip_prefix("return "))
                .is_some_and(|made| constructors.iter().any(|constructor| calls(made, constructor)))
    };
    let line =
        text.lines().find(|line| makes(line) && !line.starts_with(char::is_whitespace)).or_else(|| text.lines().find(makes))?;
    let (app, needle) = if line.starts_with(char::is_whitespace) {
        // Made inside a function: a factory, which the servers call; or at the end of the module by that factory.
        let factory = ["create_app", "make_app", "get_app", "build_app", "app_factory"]
            .into_iter()
            .find(|name| text.contains(&format!("def {name}(")))?;
        let kept = text.lines().find_map(|line| {
            let (variable, made) = line.split_once('=')?;
            let variable = variable.split(':').next()?.trim();
            (!line.starts_with(char::is_whitespace) && made.trim_start().starts_with(&format!("{factory}(")) && is_name(variable))
                .then(|| variable.to_owned())
        });
        (
            kept.unwrap_or_else(|| format!("{factory}()")),
            constructors.iter().find(|one| line.contains(**one)).map(|one| (*one).to_owned())?,
        )
    } else {
        let variable = line.split(['=', ':', ',']).next()?.trim();
        is_name(variable).then(|| (variable.to_owned(), line.trim_end().to_owned()))?
    };
    let (folder, name) = import(project, file);
    Some(Module { file, name, app, folder, line: needle })
}

/// `FastAPI(` as a whole name, also behind a module: `fastapi.FastAPI(`.
fn calls(made: &str, constructor: &str) -> bool {
    made.match_indices(constructor).any(|(at, _)| !made[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The folder to import from, and the dotted name there.
fn import(project: &Project<'_>, file: &str) -> (String, String) {
    let stem = file.trim_end_matches(".py");
    let dotted = |path: &str| path.trim_end_matches("/__init__").replace('/', ".");
    let Some((folder, last)) = stem.rsplit_once('/') else {
        return (String::new(), dotted(stem));
    };
    if let Some(inner) = stem.strip_prefix("src/").filter(|inner| inner.contains('/')) {
        // A package in src: importable when it is installed.
        let installed = project.packages.is_some_and(|packages| packages.is_installed);
        return (if installed { String::new() } else { "src".to_owned() }, dotted(inner));
    }
    // Neighbours imported by their bare names are found from their own folder alone.
    let bare = last != "__init__"
        && imports(project.tree.text(file).unwrap_or_default()).any(|name| {
            let near = [format!("{folder}/{name}.py"), format!("{folder}/{name}/")];
            let root = [format!("{name}.py"), format!("{name}/")];
            near.iter().any(|path| project.tree.has(path)) && !root.iter().any(|path| project.tree.has(path))
        });
    if bare { (folder.to_owned(), last.to_owned()) } else { (String::new(), dotted(stem)) }
}

/// First parts of the names that a module imports.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line.strip_prefix("from ").or_else(|| line.strip_prefix("import "))?;
        rest.split([' ', '.', ',']).next().filter(|name| is_name(name))
    })
}
