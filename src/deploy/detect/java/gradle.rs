//! Gradle: in Groovy or Kotlin, of one project or of several.

use super::language;
use crate::{
    deploy::detect::{
        reading::{field, is_plain, quoted_after},
        tree::Tree,
    },
    model::recipe::Recipe,
};

const FILES: &[&str] = &["build.gradle", "build.gradle.kts"];
const SETTINGS: &[&str] = &["settings.gradle", "settings.gradle.kts"];

pub(super) fn detect(tree: &Tree<'_>) -> Option<Recipe> {
    let file = tree.first(FILES).or_else(|| tree.first(SETTINGS)).or_else(|| tree.first(&["gradlew"]))?;
    let root = tree.text(file).unwrap_or_default();
    let wrapped = tree.has("gradlew");
    let gradle = if wrapped { "chmod +x gradlew && ./gradlew" } else { "gradle" };
    let project = project(tree, root);
    let Project { folder, text, place } = &project;
    let settings = tree.first_text(SETTINGS).map(|(_, text)| text).unwrap_or_default();
    let name = match folder.trim_end_matches('/').rsplit('/').next() {
        Some(last) if !last.is_empty() => Some(last),
        _ => quoted_after(settings, "rootProject.name"),
    };
    let name = name.filter(|name| is_plain(name));
    let line = |text: &str| field(text, "version").map(|version| version.trim_matches(['"', '\'']).to_owned());
    let told = quoted_after(text, "version =").or_else(|| quoted_after(text, "version '").or(None)).map(str::to_owned);
    let bare = text
        .lines()
        .find_map(|line| line.strip_prefix("version "))
        .and_then(|rest| rest.split(['\'', '"']).nth(1))
        .map(str::to_owned);
    let version = told.filter(|_| text.lines().any(|line| line.starts_with("version"))).or(bare);
    let version = version.or_else(|| line(tree.text("gradle.properties")?)).filter(|version| is_plain(version));
    let of = |task: &str| match folder.trim_end_matches('/') {
        "" => task.to_owned(),
        folder => format!(":{}:{task}", folder.replace('/', ":")),
    };
    let has = |word: &str| text.contains(word);
    let libs = format!("{folder}build/libs");
    // Beside the jar that runs, Gradle leaves a plain one.
    let search = |marks: &str| format!("$(ls {libs}/{marks} | grep -v -e -plain.jar -e -sources.jar | head -n 1)");
    let exact = |mark: &str| match (name, &version) {
        (Some(name), Some(version)) => format!("{libs}/{name}-{version}{mark}.jar"),
        (Some(name), None) if folder.is_empty() || !has("version") => format!("{libs}/{name}{mark}.jar"),
        _ => search(&format!("*{mark}.jar")),
    };
    let archive = quoted_after(text, "archiveFileName").filter(|name| is_plain(name)).map(|name| format!("{libs}/{name}"));
    let all = format!("{} -x test", if folder.is_empty() { "clean build".to_owned() } else { of("build") });

    let (framework, port, task, start) = if has("org.springframework.boot") || has("spring.boot") || has("springBoot") {
        let jar = archive.unwrap_or_else(|| exact(""));
        (Some("spring-boot"), Some(8080), all, format!("java -Dserver.port=$PORT -jar {jar}"))
    } else if has("io.quarkus") {
        let flags = "-Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port=$PORT";
        (Some("quarkus"), Some(8080), all, format!("java {flags} -jar {folder}build/quarkus-app/quarkus-run.jar"))
    } else if has("io.micronaut") {
        (Some("micronaut"), Some(8080), all, format!("MICRONAUT_SERVER_PORT=$PORT java -jar {}", exact("-all")))
    } else if has("io.ktor.plugin") || has("plugins.ktor") {
        let jar = archive.or_else(|| name.map(|name| format!("{libs}/{name}-all.jar"))).unwrap_or_else(|| search("*-all.jar"));
        (Some("ktor"), Some(8080), of("buildFatJar"), format!("java -jar {jar} -port=$PORT"))
    } else {
        let known = [
            ("io.ktor", "ktor"),
            ("libs.ktor", "ktor"),
            ("io.javalin", "javalin"),
            ("io.vertx", "vertx"),
            ("http4k", "http4k"),
            ("ratpack", "ratpack"),
        ];
        let framework = known.into_iter().find(|(package, _)| has(package)).map(|(_, name)| name);
        let (task, start) = if has("shadow") {
            (of("shadowJar"), format!("java -jar {}", archive.unwrap_or_else(|| exact("-all"))))
        } else if has("application") && !has("application/") {
            match name {
                Some(name) => (of("installDist"), format!("./{folder}build/install/{name}/bin/{name}")),
                None => (of("installDist"), format!("$(ls -d {folder}build/install/*/bin/* | grep -v .bat | head -n 1)")),
            }
        } else {
            (all, format!("java -jar {}", archive.unwrap_or_else(|| exact(""))))
        };
        (framework, framework.map(|_| 8080), task, start)
    };
    // `installDist` of the root finds the project below by itself.
    let task = if task.starts_with(':') && task.ends_with(":installDist") { "installDist".to_owned() } else { task };
    let why =
        if wrapped { "built by Gradle through its wrapper" } else { "built by Gradle, which must be installed on the host" };
    let mut recipe = Recipe::process(language(tree)).framework(framework).packages_by("gradle");
    recipe.port = port;
    let recipe = recipe.built_by(format!("{gradle} {task}")).started_by(start).because(tree.proof(file, why));
    Some(recipe.because(tree.proof(place, "starts what it builds")))
}

/// The project that is the app.
struct Project<'t> {
    /// Empty for the root, else ends in `/`.
    folder: String,
    text: &'t str,
    place: String,
}

fn project<'t>(tree: &Tree<'t>, root: &'t str) -> Project<'t> {
    const APPLIED: &[&str] = &[
        "org.springframework.boot",
        "io.quarkus",
        "io.micronaut",
        "io.ktor.plugin",
        "plugins.ktor",
        "application",
        "spring.boot",
    ];
    let applies = |text: &str| {
        APPLIED
            .iter()
            .filter(|plugin| text.contains(**plugin))
            .any(|plugin| text.lines().any(|line| line.contains(plugin) && !line.contains("apply false")))
    };
    let root_file = tree.first(FILES).or_else(|| tree.first(SETTINGS)).unwrap_or("gradlew");
    let own = Project { folder: String::new(), text: root, place: root_file.to_owned() };
    if tree.first(FILES).is_some() && (applies(root) || tree.has("src/main/")) {
        return own;
    }
    let below = tree.files_to(2).into_iter().filter(|path| {
        path.contains('/')
            && FILES.iter().any(|file| path.ends_with(file))
            && !path.starts_with("buildSrc/")
            && !path.starts_with("build-logic/")
    });
    let mut found: Vec<Project<'t>> = below
        .filter_map(|path| {
            let folder = FILES.iter().find_map(|file| path.strip_suffix(file))?;
            Some(Project { folder: folder.to_owned(), text: tree.text(path)?, place: path.to_owned() })
        })
        .filter(|project| is_plain(&project.folder))
        .collect();
    found
        .sort_by_key(|project| (!applies(project.text), !["app/", "server/", "web/", "api/"].contains(&project.folder.as_str())));
    found.into_iter().next().unwrap_or(own)
}
