//! C and C++: built by CMake, Meson or make; the first program that the build file names is started.

use super::{
    reading::{field, is_plain, quoted_after},
    tree::Tree,
};
use crate::model::{Problem, recipe::Recipe};

pub(super) fn detect(tree: &Tree<'_>) -> Result<Option<Recipe>, Problem> {
    if let Some(root) = tree.text("CMakeLists.txt") {
        return cmake(tree, root).map(Some);
    }
    if let Some(root) = tree.text("meson.build") {
        return meson(tree, root).map(Some);
    }
    Ok(make(tree))
}

/// `cpp` when any of it is, else `c`.
fn language(tree: &Tree<'_>) -> &'static str {
    let kinds = [".cpp", ".cc", ".cxx", ".c++", ".hpp"];
    let has = |ends: &[&str]| tree.files_to(3).into_iter().any(|path| ends.iter().any(|end| path.ends_with(end)));
    if !has(&kinds) && has(&[".c"]) { "c" } else { "cpp" }
}

fn cmake(tree: &Tree<'_>, root: &str) -> Result<Recipe, Problem> {
    let project = argument(root, "project");
    let mut found = tree.files_to(2).into_iter().filter(|path| path.ends_with("CMakeLists.txt")).filter_map(|path| {
        let text = tree.text(path)?;
        let folder = path.trim_end_matches("CMakeLists.txt");
        let tests = folder.contains("test") || folder.contains("example") || folder.contains("third_party");
        let name = argument(text, "add_executable").filter(|_| !tests)?;
        let named = variable(text, name).or_else(|| variable(root, name)).or(Some(name).filter(|name| !name.contains('$')));
        let name = if name.contains("PROJECT_NAME") || name.contains("CMAKE_PROJECT_NAME") {
            argument(text, "project").or(project)
        } else {
            named
        };
        name.filter(|name| is_plain(name)).map(|name| (path, folder, name))
    });
    let Some((path, folder, name)) = found.next() else {
        return Err(Problem::not_found("CMakeLists.txt names no program that can be started")
            .at("CMakeLists.txt")
            .hint("add add_executable(NAME ...), or say --start './build/NAME'"));
    };
    let folder = match quoted_or_word(root, "CMAKE_RUNTIME_OUTPUT_DIRECTORY") {
        Some(told) => told.strip_prefix("${CMAKE_BINARY_DIR}/").map_or_else(|| folder.to_owned(), |told| format!("{told}/")),
        None => folder.to_owned(),
    };
    let recipe = Recipe::process(language(tree)).packages_by("cmake");
    let recipe = if tree.has("conanfile.txt") || tree.has("conanfile.py") {
        recipe.installed_by("conan install . --output-folder=build --build=missing")
    } else {
        recipe
    };
    let toolchain = if tree.has("conanfile.txt") || tree.has("conanfile.py") {
        " -DCMAKE_TOOLCHAIN_FILE=build/conan_toolchain.cmake"
    } else {
        ""
    };
    let recipe = recipe.built_by(format!("cmake -B build -DCMAKE_BUILD_TYPE=Release{toolchain} && cmake --build build"));
    let recipe = recipe.started_by(format!("./build/{folder}{name}")).because(tree.proof("CMakeLists.txt", "built by CMake"));
    Ok(recipe.because(tree.proof_at(path, "add_executable", format!("starts {name}"))))
}

fn meson(tree: &Tree<'_>, root: &str) -> Result<Recipe, Problem> {
    let mut found = tree.files_to(2).into_iter().filter(|path| path.ends_with("meson.build")).filter_map(|path| {
        let text = tree.text(path)?;
        let name = quoted_after(text, "executable(")
            .or_else(|| text.contains("executable(meson.project_name()").then(|| quoted_after(root, "project("))?)?;
        is_plain(name).then(|| (path, path.trim_end_matches("meson.build"), name))
    });
    let Some((path, folder, name)) = found.next() else {
        return Err(Problem::not_found("meson.build names no program that can be started")
            .at("meson.build")
            .hint("add executable('NAME', ...), or say --start './build/NAME'"));
    };
    let recipe = Recipe::process(language(tree)).packages_by("meson").because(tree.proof("meson.build", "built by Meson"));
    let recipe = recipe.built_by("meson setup build --buildtype=release && meson compile -C build");
    Ok(recipe.started_by(format!("./build/{folder}{name}")).because(tree.proof_at(path, "executable(", format!("starts {name}"))))
}

/// A Makefile beside sources in C or C++ that names its program.
fn make(tree: &Tree<'_>) -> Option<Recipe> {
    let text = tree.text("Makefile")?;
    let sources = [".c", ".cpp", ".cc", ".cxx"];
    let source = tree.files_to(1).into_iter().find(|path| sources.iter().any(|end| path.ends_with(end)))?;
    let told = ["TARGET", "BIN", "PROGRAM", "EXECUTABLE", "EXEC", "NAME", "PROG", "OUT"];
    let told = told.into_iter().find_map(|name| field(text, name).or_else(|| field(text, &format!("{name} :"))));
    let by_flag =
        || text.lines().find_map(|line| line.split_once("-o ")?.1.split_whitespace().next()).filter(|word| !word.contains('$'));
    let by_rule = || {
        let rule = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
        let phony = ["all", "clean", "install", "test", "run", ".PHONY", "build", "default"];
        let named = |name: &String| is_plain(name) && !name.contains('.') && !phony.contains(&name.as_str());
        text.lines().filter(|line| !line.starts_with(['\t', ' ', '#'])).filter_map(rule).find(named)
    };
    let name = told.map(str::to_owned).or_else(|| by_flag().map(str::to_owned)).or_else(by_rule).filter(|name| is_plain(name))?;
    let name = name.trim_start_matches("./");
    let recipe = Recipe::process(language(tree)).packages_by("make").built_by("make").started_by(format!("./{name}"));
    Some(
        recipe
            .because(tree.proof_at("Makefile", name, format!("built by make; starts {name}")))
            .because(tree.proof(source, "its source")),
    )
}

/// The first argument of a command of CMake.
fn argument<'t>(text: &'t str, command: &str) -> Option<&'t str> {
    let code = |at: usize| !text[..at].rsplit('\n').next().unwrap_or_default().contains('#');
    let (at, _) =
        text.match_indices(command).find(|(at, _)| code(*at) && text[at + command.len()..].trim_start().starts_with('('))?;
    let rest = text[at + command.len()..].trim_start().trim_start_matches('(').trim_start();
    rest.split(|c: char| c.is_whitespace() || c == ')').next().map(|word| word.trim_matches('"')).filter(|word| !word.is_empty())
}

/// What `set(NAME value)` gives for `${NAME}`.
fn variable<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    quoted_or_word(text, word.strip_prefix("${")?.strip_suffix('}')?)
}

fn quoted_or_word<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let rest = text.split_once(&format!("set({name} ")).or_else(|| text.split_once(&format!("SET({name} ")))?.1;
    rest.split(|c: char| c.is_whitespace() || c == ')').next().map(|word| word.trim_matches('"'))
}
