//! Django: `manage.py` marks it, the folder with `wsgi.py` or `asgi.py` is the project.

use super::{Project, Start};
use crate::deploy::detect::{reading::is_plain, tree::Tree};

pub(super) fn start(project: &Project<'_>) -> Option<Start> {
    let root = project.tree;
    let manage = root.files_to(2).into_iter().find(|path| *path == "manage.py" || path.ends_with("/manage.py"))?;
    let folder = manage.strip_suffix("manage.py").unwrap_or_default().trim_end_matches('/');
    if !folder.is_empty() && !project.needs("django") {
        return None;
    }
    let tree = if folder.is_empty() { root.clone() } else { root.below(folder) };
    let up = if folder.is_empty() { String::new() } else { "../".repeat(folder.matches('/').count() + 1) };
    let bin = if project.bin.is_empty() { String::new() } else { format!("{up}{}", project.bin) };
    let python = if bin.is_empty() { "python3".to_owned() } else { format!("{bin}python") };
    let within = |command: String| if folder.is_empty() { command } else { format!("cd {folder} && {command}") };

    let entry = |name: &str| {
        let mut found: Vec<&str> = tree.files().filter(|path| path.ends_with(name) && path.matches('/').count() <= 2).collect();
        // `manage.py` names the settings of the project in use.
        let package = settings(&tree, "manage.py").and_then(|settings| settings.split('.').next()).unwrap_or_default();
        found.sort_by_key(|path| !path.starts_with(&format!("{package}/")));
        found.first().map(|path| (*path, path.trim_end_matches(".py").replace('/', ".")))
    };
    let (asgi, wsgi) = (entry("/asgi.py"), entry("/wsgi.py"));
    let by = |tool: &str, (path, module): (&str, String), arguments: &dyn Fn(&str) -> String| {
        let command = format!("{bin}{tool} {}", arguments(&module));
        (command, tree.proof(path, format!("starts the project by {tool}")))
    };
    // A server starts with settings of its own: `manage.py` develops with others, whose packages are not installed.
    let served = [&wsgi, &asgi].into_iter().flatten().find_map(|(path, _)| settings(&tree, path));
    let (command, proof) = match (asgi, wsgi) {
        (Some(asgi), _) if project.needs("daphne") => {
            by("daphne", asgi, &|module| format!("-b 127.0.0.1 -p $PORT {module}:application"))
        }
        (_, Some(wsgi)) if project.needs("gunicorn") => {
            by("gunicorn", wsgi, &|module| format!("{module}:application --bind 127.0.0.1:$PORT"))
        }
        (Some(asgi), _) if project.needs("uvicorn") => {
            by("uvicorn", asgi, &|module| format!("{module}:application --host 127.0.0.1 --port $PORT"))
        }
        (_, Some(wsgi)) if project.needs("waitress") => {
            by("waitress-serve", wsgi, &|module| format!("--listen=127.0.0.1:$PORT {module}:application"))
        }
        _ => {
            let why = "starts Django's own server; gunicorn in the requirements gives a better one";
            (format!("{python} manage.py runserver 127.0.0.1:$PORT --noreload"), tree.proof("manage.py", why))
        }
    };
    let is_managed = command.contains("manage.py");
    let served =
        served.filter(|served| !is_managed && is_plain(served) && settings(&tree, "manage.py").is_some_and(|own| own != *served));
    let mut start = Start::new(Some("django"), within(command), Some(8000), proof);
    let collects = project.needs("whitenoise")
        || tree.files_to(3).into_iter().any(|path| path.contains("settings") && tree.says(path, "whitenoise"));
    let rooted = tree.files_to(3).into_iter().any(|path| path.contains("settings") && tree.says(path, "STATIC_ROOT"));
    start.build = (collects && rooted).then(|| {
        let with = served.map_or_else(String::new, |served| format!("DJANGO_SETTINGS_MODULE={served} "));
        within(format!("{with}{python} manage.py collectstatic --noinput"))
    });
    Some(start)
}

/// The settings that a file names for the process it is in.
fn settings<'t>(tree: &Tree<'t>, file: &str) -> Option<&'t str> {
    let (_, rest) = tree.text(file)?.split_once("DJANGO_SETTINGS_MODULE")?;
    rest.split(['"', '\'']).find(|word| word.contains('.') && !word.contains(' '))
}
