//! .NET: one project of C#, F# or Visual Basic, published into `out`.

use super::{
    reading::{element, ends, is_plain},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

const KINDS: &[&str] = &[".csproj", ".fsproj", ".vbproj"];
const OUTPUT: &str = "out";

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    let is_project = |path: &&str| KINDS.iter().any(|kind| path.ends_with(kind));
    let mut projects: Vec<(&str, &str)> =
        tree.files_to(3).into_iter().filter(is_project).filter_map(|path| Some((path, tree.text(path)?))).collect();
    let solution = tree.files_to(0).into_iter().find(|path| ends(path, ".sln") || ends(path, ".slnx"));
    let at_root = projects.iter().any(|(path, _)| !path.contains('/'));
    if projects.is_empty()
        || (!at_root
            && solution.is_none()
            && !tree.has("global.json")
            && !projects.iter().all(|(path, _)| path.starts_with("src/")))
    {
        return Ok(None);
    }
    let is_exe = |text: &str| text.contains("<OutputType>Exe") || text.contains("<OutputType>WinExe");
    projects.retain(|(path, text)| !text.contains("Microsoft.NET.Test.Sdk") && !path.contains("Tests/") && is_plain(path));
    let rank = |text: &str| match text {
        _ if text.contains("Microsoft.NET.Sdk.Web") => 0,
        _ if text.contains("Sdk.BlazorWebAssembly") => 1,
        _ if text.contains("Sdk.Worker") => 2,
        _ if is_exe(text) => 3,
        _ => 9,
    };
    projects.sort_by_key(|(path, text)| (rank(text), path.contains("AppHost"), path.matches('/').count()));
    let Some((path, text)) = projects.into_iter().find(|(_, text)| rank(text) < 9) else {
        return Err(Problem::not_found("this is .NET, but no project is a program: all are libraries or tests")
            .at(solution.unwrap_or("*.csproj"))
            .hint("say what is published and started: --build 'dotnet publish PROJECT -c Release -o out' --start 'dotnet out/NAME.dll'"));
    };
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = KINDS.iter().find_map(|kind| file.strip_suffix(kind)).unwrap_or(file);
    let name = element(text, "AssemblyName").filter(|name| is_plain(name)).unwrap_or(stem);
    // One project alone in the root needs no name.
    let only = !path.contains('/') && solution.is_none();
    let of = if only { String::new() } else { format!("{path} ") };
    let build = format!("dotnet publish {of}-c Release -o {OUTPUT}");
    let install = format!("dotnet restore {of}").trim_end().to_owned();
    let base = |recipe: Recipe| {
        let recipe = recipe.packages_by("nuget").installed_by(install.clone()).built_by(build.clone());
        match solution {
            Some(solution) => recipe.because(tree.proof(solution, "built by dotnet")),
            None => recipe,
        }
    };
    if rank(text) == 1 {
        let recipe = Recipe::files("dotnet", format!("{OUTPUT}/wwwroot")).framework(Some("blazor"));
        let proof = tree.proof_at(path, "Sdk=", "Blazor in the browser: static files in out/wwwroot");
        return Ok(Some(base(recipe).because(proof)));
    }
    let is_web = rank(text) == 0;
    let recipe = Recipe::process("dotnet").framework(if is_web {
        Some("aspnet")
    } else if rank(text) == 2 {
        Some("worker")
    } else {
        None
    });
    // Settings and pages are looked for in the current folder.
    let address = if is_web { "ASPNETCORE_URLS=http://127.0.0.1:$PORT " } else { "" };
    let recipe = base(recipe).started_by(format!("cd {OUTPUT} && {address}dotnet {name}.dll"));
    let recipe = if is_web { recipe.on_port(5000) } else { recipe };
    let recipe = recipe.with_env("DOTNET_ENVIRONMENT", "Production");
    let framework = element(text, "TargetFramework").map(|version| format!(" for {version}")).unwrap_or_default();
    Ok(Some(recipe.because(tree.proof_at(path, "Sdk=", format!("starts {name}.dll{framework}")))))
}
