//! Frameworks that serve: what each is started with, on `$PORT`.

use super::{
    Project, Start,
    module::{self, Module},
};
use crate::deploy::detect::reading::{ends, is_plain};

/// Frameworks whose app object is served by ASGI: (constructors, framework, port without `PORT`).
const ASGI: &[(&[&str], &str, u16)] = &[
    (&["FastAPI("], "fastapi", 8000),
    (&["Litestar("], "litestar", 8000),
    (&["Starlette("], "starlette", 8000),
    (&["Quart("], "quart", 5000),
    (&["BlackSheep(", "blacksheep.Application("], "blacksheep", 8000),
    (&["falcon.asgi.App("], "falcon", 8000),
    (&["socketio.ASGIApp("], "socketio", 8000),
];
/// By WSGI.
const WSGI: &[(&[&str], &str, u16)] =
    &[(&["Flask(", "APIFlask(", "OpenAPI("], "flask", 5000), (&["falcon.App(", "falcon.API("], "falcon", 8000)];

pub(super) fn start(project: &Project<'_>) -> Option<Start> {
    tools(project)
        .or_else(|| ASGI.iter().find_map(|known| asgi(project, known)))
        .or_else(|| sanic(project))
        .or_else(|| dash(project))
        .or_else(|| WSGI.iter().find_map(|known| wsgi(project, known)))
}

fn found(project: &Project<'_>, module: &Module<'_>, framework: &'static str, command: String, port: u16) -> Start {
    let proof = project.tree.proof_at(module.file, &module.line, format!("starts the app `{}`", module.app));
    Start::new(Some(framework), command, Some(port), proof)
}

fn asgi(project: &Project<'_>, (constructors, framework, port): &(&[&str], &'static str, u16)) -> Option<Start> {
    let module = module::find(project, constructors)?;
    let Module { file, name, app, folder, .. } = &module;
    let bin = &project.bin;
    let is_factory = app.ends_with("()");
    let (app, factory) = (app.trim_end_matches("()"), if is_factory { " --factory" } else { "" });
    let below = |flag: &str| if folder.is_empty() { String::new() } else { format!(" {flag} {folder}") };
    let starts_itself = project.tree.says(file, "uvicorn.run(") || project.tree.says(file, "hypercorn.");
    let uvicorn = ["uvicorn", "fastapi", "starlette", "blacksheep"].iter().any(|package| project.needs(package));
    let command = if *framework == "litestar" && !folder.is_empty() {
        format!("{bin}litestar --app-dir {folder} --app {name}:{app} run --host 127.0.0.1 --port $PORT")
    } else if *framework == "litestar" && (!is_factory || app == "create_app") {
        format!("{bin}litestar --app {name}:{app} run --host 127.0.0.1 --port $PORT")
    } else if project.needs("hypercorn") && !project.needs("uvicorn") {
        let folder = if folder.is_empty() { String::new() } else { format!("PYTHONPATH={folder} ") };
        let call = if is_factory { "()" } else { "" };
        let app = if is_factory { format!("'{name}:{app}{call}'") } else { format!("{name}:{app}") };
        format!("{folder}{bin}hypercorn {app} --bind 127.0.0.1:$PORT")
    } else if project.needs("granian") && !project.needs("uvicorn") {
        format!("{bin}granian --interface asgi --host 127.0.0.1 --port $PORT {name}:{app}{factory}{}", below("--working-dir"))
    } else if *framework == "quart" && !project.needs("uvicorn") {
        let call = if is_factory { "'" } else { "" };
        format!(
            "{bin}quart --app {call}{name}:{app}{}{call} run --host 127.0.0.1 --port $PORT",
            if is_factory { "()" } else { "" }
        )
    } else if uvicorn && !(starts_itself && project.packages.is_none()) {
        format!("{bin}uvicorn {name}:{app}{factory}{} --host 127.0.0.1 --port $PORT", below("--app-dir"))
    } else if starts_itself {
        format!("{} {file}", project.python())
    } else {
        format!("{bin}uvicorn {name}:{app}{factory}{} --host 127.0.0.1 --port $PORT", below("--app-dir"))
    };
    Some(found(project, &module, framework, command, *port))
}

fn wsgi(project: &Project<'_>, (constructors, framework, port): &(&[&str], &'static str, u16)) -> Option<Start> {
    let module = module::find(project, constructors)?;
    // With factories elsewhere, `wsgi.py` or `run.py` usually keeps the app for the servers.
    let Module { name, app, folder, .. } = &module;
    let command = by_wsgi(project, name, app, folder).unwrap_or_else(|| {
        let path = if folder.is_empty() { String::new() } else { format!("PYTHONPATH={folder} ") };
        let bin = &project.bin;
        match *framework {
            // Flask looks for `app`, `application` and `create_app` by itself.
            "flask" if matches!(app.as_str(), "app" | "application" | "create_app()" | "make_app()") => {
                format!("{path}{bin}flask --app {name} run --host 127.0.0.1 --port $PORT")
            }
            "flask" => format!("{path}{bin}flask --app '{name}:{app}' run --host 127.0.0.1 --port $PORT"),
            _ => format!("{} {}", project.python(), module.file),
        }
    });
    Some(found(project, &module, framework, command, *port))
}

/// By the WSGI server among the dependencies.
fn by_wsgi(project: &Project<'_>, name: &str, app: &str, folder: &str) -> Option<String> {
    let bin = &project.bin;
    let python_path = if folder.is_empty() { String::new() } else { format!("PYTHONPATH={folder} ") };
    if project.needs("gunicorn") {
        let below = if folder.is_empty() { String::new() } else { format!(" --chdir {folder}") };
        return Some(format!("{bin}gunicorn '{name}:{app}'{below} --bind 127.0.0.1:$PORT"));
    }
    if project.needs("waitress") {
        let call = if app.ends_with("()") { " --call" } else { "" };
        return Some(format!(
            "{python_path}{bin}waitress-serve --listen=127.0.0.1:$PORT{call} {name}:{}",
            app.trim_end_matches("()")
        ));
    }
    if project.needs("uwsgi") {
        return Some(format!("{python_path}{bin}uwsgi --http 127.0.0.1:$PORT --module '{name}:{app}'"));
    }
    None
}

fn sanic(project: &Project<'_>) -> Option<Start> {
    let module = module::find(project, &["Sanic("])?;
    let Module { name, app, .. } = &module;
    let command = format!("{}sanic {name}:{} --host 127.0.0.1 --port $PORT", project.bin, app.trim_end_matches("()"));
    Some(found(project, &module, "sanic", command, 8000))
}

/// Dash keeps its WSGI app in `server`.
fn dash(project: &Project<'_>) -> Option<Start> {
    let module = module::find(project, &["Dash("])?;
    let server = format!("{}.server", module.app);
    let line = project.tree.text(module.file)?.lines().find(|line| line.contains(&server));
    let variable = line.and_then(|line| line.split('=').next()).map(str::trim);
    let command = variable.and_then(|variable| by_wsgi(project, &module.name, variable, &module.folder));
    let command = command.unwrap_or_else(|| format!("{} {}", project.python(), module.file));
    Some(found(project, &module, "dash", command, 8050))
}

/// Its package, the imports that tell it, its command for a file, its port without `PORT`.
type Tool<'c> = (&'static str, &'static [&'static str], &'c dyn Fn(&str) -> String, u16);

/// Tools that bring their own server and are told by an import.
fn tools(project: &Project<'_>) -> Option<Start> {
    let (tree, bin, python) = (project.tree, &project.bin, project.python());
    if project.needs("reflex") && tree.has("rxconfig.py") {
        let command = format!("{bin}reflex run --env prod --single-port --backend-port $PORT");
        return Some(Start::new(
            Some("reflex"),
            command,
            Some(3000),
            tree.proof("rxconfig.py", "starts the app that it configures"),
        ));
    }
    let notebook = || tree.files_to(0).into_iter().find(|path| ends(path, ".ipynb") && is_plain(path));
    if let Some(file) = notebook().filter(|_| project.needs("voila")) {
        let command = format!("{bin}voila {file} --no-browser --port=$PORT");
        return Some(Start::new(Some("voila"), command, Some(8866), tree.proof(file, "starts it by voila")));
    }
    let tools: &[Tool<'_>] = &[
        (
            "streamlit",
            &["import streamlit", "from streamlit"],
            &|file| format!("{bin}streamlit run {file} --server.address 127.0.0.1 --server.port $PORT --server.headless true"),
            8501,
        ),
        (
            "chainlit",
            &["import chainlit", "from chainlit"],
            &|file| format!("{bin}chainlit run {file} --host 127.0.0.1 --port $PORT --headless"),
            8000,
        ),
        ("marimo", &["import marimo"], &|file| format!("{bin}marimo run {file} --headless --host 127.0.0.1 --port $PORT"), 2718),
        ("mesop", &["import mesop"], &|file| format!("{bin}mesop {file} --port $PORT --prod"), 32123),
        ("gradio", &["import gradio", "from gradio"], &|file| format!("GRADIO_SERVER_PORT=$PORT {python} {file}"), 7860),
        ("fasthtml", &["from fasthtml", "import fasthtml"], &|file| format!("{python} {file}"), 5001),
        ("shiny", &["from shiny", "import shiny"], &|file| format!("{bin}shiny run --host 127.0.0.1 --port $PORT {file}"), 8000),
        (
            "solara",
            &["import solara", "from solara"],
            &|file| format!("{bin}solara run {file} --production --no-open --host 127.0.0.1 --port $PORT"),
            8765,
        ),
        ("panel", &["import panel"], &|file| format!("{bin}panel serve {file} --address 127.0.0.1 --port $PORT"), 5006),
    ];
    tools.iter().find_map(|(framework, imports, command, port)| {
        let needed = project.needs(framework) || (*framework == "fasthtml" && project.needs("python-fasthtml"));
        let usual = ["app.py", "main.py", "Home.py", "streamlit_app.py"];
        let known = usual.into_iter().filter(|file| tree.has(file));
        let files = known.chain(tree.files_to(1).into_iter().filter(|path| ends(path, ".py") && !module::is_beside(path)));
        let file = files.filter(|_| needed).find(|file| imports.iter().any(|import| tree.says(file, import)))?;
        // Beside an app object of FastAPI they are a part of it.
        if ["gradio", "fasthtml"].contains(framework) && tree.says(file, "FastAPI(") {
            return None;
        }
        let line = imports.iter().find(|import| tree.says(file, import))?;
        Some(Start::new(
            Some(framework),
            command(file),
            Some(*port),
            tree.proof_at(file, line, format!("starts it by {framework}")),
        ))
    })
}
