//! Maven: `pom.xml`, of one module or of several.

use super::language;
use crate::{
    deploy::detect::{
        reading::{element, is_plain, without},
        tree::Tree,
    },
    model::recipe::Recipe,
};

const FILE: &str = "pom.xml";

pub(super) fn detect(tree: &Tree<'_>) -> Option<Recipe> {
    let root = tree.text(FILE)?;
    let mvn = if tree.has("mvnw") { "chmod +x mvnw && ./mvnw" } else { "mvn" };
    let (module, text) = module(tree, root);
    let place = format!("{module}{FILE}");
    let target = format!("{module}target");
    let jar = jar(text, root);
    let has = |word: &str| text.contains(word) || (module.is_empty() && root.contains(word));
    let packaged = |name: Option<String>| format!("{target}/{}", name.unwrap_or_else(|| "*.jar".to_owned()));
    let (framework, port, start) = if has("spring-boot") {
        (Some("spring-boot"), Some(8080), format!("java -Dserver.port=$PORT -jar {}", packaged(jar)))
    } else if has("io.quarkus") {
        let flags = "-Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port=$PORT";
        (Some("quarkus"), Some(8080), format!("java {flags} -jar {target}/quarkus-app/quarkus-run.jar"))
    } else if has("io.micronaut") {
        (Some("micronaut"), Some(8080), format!("MICRONAUT_SERVER_PORT=$PORT java -jar {}", packaged(jar)))
    } else if has("io.helidon") {
        (Some("helidon"), Some(8080), format!("java -Dserver.port=$PORT -jar {}", packaged(jar)))
    } else if has("io.dropwizard") {
        let config = tree.first(&["config.yml", "config.yaml"]).map(|config| format!(" {config}")).unwrap_or_default();
        (Some("dropwizard"), Some(8080), format!("java -jar {} server{config}", packaged(jar)))
    } else {
        let known = [
            ("io.javalin", "javalin"),
            ("io.vertx", "vertx"),
            ("io.ktor", "ktor"),
            ("com.sparkjava", "spark"),
            ("jetty", "jetty"),
        ];
        let framework = known.into_iter().find(|(package, _)| has(package)).map(|(_, name)| name);
        // A jar with its dependencies has a mark in its name.
        let jar = match (has("jar-with-dependencies"), jar) {
            (true, Some(jar)) => Some(jar.replace(".jar", "-jar-with-dependencies.jar")),
            (true, None) => Some("*-jar-with-dependencies.jar".to_owned()),
            (false, jar) => jar,
        };
        (framework, framework.map(|_| 8080), format!("java -jar {}", packaged(jar)))
    };
    let mut recipe = Recipe::process(language(tree)).framework(framework).packages_by("maven");
    recipe.port = port;
    let why = if tree.has("mvnw") {
        "built by Maven through its wrapper"
    } else {
        "built by Maven, which must be installed on the host"
    };
    let recipe = recipe.built_by(format!("{mvn} clean package -DskipTests")).started_by(start).because(tree.proof(FILE, why));
    Some(recipe.because(tree.proof_at(&place, "<artifactId>", "starts the jar that it packages")))
}

/// The module that is the app: its folder (empty, or with `/` at its end) and its `pom.xml`.
fn module<'t>(tree: &Tree<'t>, root: &'t str) -> (String, &'t str) {
    let Some(modules) = element(root, "modules") else {
        return (String::new(), root);
    };
    let names = modules.split("<module>").skip(1).filter_map(|part| part.split("</module>").next()).map(str::trim);
    let mut found: Vec<(String, &str)> = names
        .filter(|name| is_plain(name))
        .filter_map(|name| Some((format!("{name}/"), tree.text(&format!("{name}/{FILE}"))?)))
        .collect();
    let serves = [
        "spring-boot-maven-plugin",
        "quarkus-maven-plugin",
        "micronaut-maven-plugin",
        "maven-shade-plugin",
        "maven-assembly-plugin",
        "<mainClass>",
    ];
    let likely = ["web", "app", "server", "api", "application", "boot", "service"];
    found.sort_by_key(|(name, text)| {
        let name = name.trim_end_matches('/');
        let likely = likely.iter().position(|word| name == *word || name.ends_with(&format!("-{word}"))).unwrap_or(likely.len());
        (!serves.iter().any(|plugin| text.contains(plugin)), likely)
    });
    found.into_iter().next().unwrap_or((String::new(), root))
}

/// Name of the jar or war; absent when it depends on what only Maven knows.
fn jar(text: &str, root: &str) -> Option<String> {
    let own = ["parent", "dependencies", "dependencyManagement", "build", "profiles", "properties"]
        .iter()
        .fold(text.to_owned(), |text, tag| without(&text, tag));
    let kind = element(&own, "packaging").filter(|kind| *kind == "war").unwrap_or("jar");
    let artifact = element(&own, "artifactId")?;
    let properties = |word: &str| {
        element(text, "properties")
            .into_iter()
            .chain(element(root, "properties"))
            .find_map(|all| element(all, word).map(str::to_owned))
    };
    let inherited = || {
        // Of the project's own parent, not of a framework's.
        let parent = element(text, "parent")?;
        let outer = without(root, "parent");
        (element(parent, "artifactId") == element(&outer, "artifactId")).then(|| element(parent, "version"))?
    };
    let version = element(&own, "version").or_else(inherited);
    let resolve = |word: &str| {
        let word = word.replace("${project.artifactId}", artifact).replace("${artifactId}", artifact);
        let word = word.replace("${project.version}", version.unwrap_or("${?}"));
        match (word.find("${"), word.find('}')) {
            (Some(from), Some(to)) if from < to => {
                let value = properties(&word[from + 2..to])?;
                Some(format!("{}{value}{}", &word[..from], &word[to + 1..]))
            }
            _ => Some(word),
        }
    };
    let build = element(text, "build").map(|build| without(&without(build, "plugins"), "pluginManagement"));
    let name = match build.as_deref().and_then(|build| element(build, "finalName")) {
        Some(name) => resolve(name)?,
        None => format!("{artifact}-{}", resolve(version?)?),
    };
    is_plain(&name).then(|| format!("{name}.{kind}"))
}
