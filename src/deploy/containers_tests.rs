use super::*;
use crate::model::recipe::Recipe;

fn survey(files: &[(&str, &str)]) -> Survey {
    let mut listing: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    listing.sort();
    let texts = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Survey { listing, texts, ..Survey::default() }
}

fn node() -> Result<Recipe, Problem> {
    Ok(Recipe { language: "node".into(), runtime: "process".into(), start: Some("node a.js".into()), ..Recipe::default() })
}

fn way(files: &[(&str, &str)], overrides: Overrides, recipe: Result<Recipe, Problem>) -> (Way, Result<Recipe, Problem>) {
    let (containers, recipe) = choose(&survey(files), &Manifest::default(), &overrides, recipe).unwrap();
    (containers.way, recipe)
}

fn docker() -> Overrides {
    Overrides { runtime: Some(Runtime::Docker), ..Overrides::default() }
}

const BUILDS: (&str, &str) = (
    "compose.yaml",
    "services:\n  web:\n    build: .\n    ports: ['80']\n  db:\n    image: postgres:16\n    volumes: ['d:/d']\n",
);
const PULLS: (&str, &str) = ("compose.yaml", "services:\n  db:\n    image: postgres:16\n");
const FILE: (&str, &str) = ("Dockerfile", "FROM a\nEXPOSE 3000\nCMD [\"run\"]\n");

#[test]
fn a_recognised_language_runs_as_a_process_unless_containers_are_asked_for() {
    assert_eq!(way(&[FILE, BUILDS], Overrides::default(), node()).0, Way::None);
    assert!(matches!(way(&[FILE, BUILDS], docker(), node()).0, Way::Compose(_)));
    assert!(matches!(way(&[FILE, PULLS], docker(), node()).0, Way::Dockerfile(_)));
    assert!(matches!(way(&[], docker(), node()).0, Way::Generated));
    let process = Overrides { runtime: Some(Runtime::Process), ..Overrides::default() };
    assert_eq!(way(&[FILE], process, node()).0, Way::None);
}

#[test]
fn what_nothing_else_explains_runs_as_its_files_say() {
    let unknown = || Err(Problem::not_found("?"));
    let (found, recipe) = way(&[FILE], Overrides::default(), unknown());
    let recipe = recipe.unwrap();
    assert!(matches!(found, Way::Dockerfile(_)));
    assert_eq!((recipe.language.as_str(), recipe.start.as_deref(), recipe.port), ("dockerfile", Some("run"), Some(3000)));
    assert!(matches!(way(&[FILE, BUILDS], Overrides::default(), unknown()).0, Way::Compose(_)));
    assert!(matches!(way(&[PULLS], Overrides::default(), unknown()).0, Way::Compose(_)));
    assert!(way(&[], Overrides::default(), unknown()).1.is_err());
}

#[test]
fn a_dockerfile_that_is_named_decides_and_one_that_is_not_there_is_refused() {
    let named = |path: &str| Overrides { dockerfile: Some(path.to_owned()), ..Overrides::default() };
    let (found, recipe) = way(&[("deploy/app.Dockerfile", "FROM a\n")], named("./deploy/app.Dockerfile"), node());
    assert_eq!(found, Way::Dockerfile(ImageBuild { file: "deploy/app.Dockerfile".to_owned(), ..ImageBuild::default() }));
    assert_eq!(recipe.unwrap().language, "node");
    for path in ["No", "../Dockerfile", "/etc/passwd", ""] {
        let problem = choose(&survey(&[FILE]), &Manifest::default(), &named(path), node()).unwrap_err();
        assert!(problem.next.is_some_and(|next| next.contains("there are: Dockerfile")), "{path}");
    }
}

fn blueprint(compose: &str) -> (Blueprint, Env) {
    let files = survey(&[("compose.yaml", compose), FILE]);
    let (containers, recipe) = choose(&files, &Manifest::default(), &Overrides::default(), Err(Problem::not_found("?"))).unwrap();
    let mut processes = containers.processes(&Overrides::default()).unwrap();
    for process in &mut processes {
        process.routed = process.name == containers.routed();
    }
    let blueprint = Blueprint {
        recipe: recipe.unwrap(),
        build: Vec::new(),
        image: None,
        limits: crate::model::manifest::BuildLimits::default(),
        output: None,
        processes,
        env: Vec::new(),
        secrets: std::collections::BTreeMap::new(),
        routes: Vec::new(),
        strategy: crate::model::manifest::Strategy::Rolling,
        keep: crate::model::manifest::Keep::default(),
    };
    (blueprint, Env(containers.environment()))
}

fn upkeep(new: &str, old: &str) -> Vec<(String, Upkeep)> {
    let ((mut new, env), (old, old_env)) = (blueprint(new), blueprint(old));
    settle(&mut new, &env, Some((&old, &old_env)));
    new.processes.into_iter().map(|process| (process.name, process.upkeep)).collect()
}

#[test]
fn a_database_stays_when_it_is_unchanged_and_is_never_there_twice() {
    let one = BUILDS.1;
    assert_eq!(upkeep(one, one), [("web".to_owned(), Upkeep::Beside), ("db".to_owned(), Upkeep::Keep)]);
    let newer = one.replace("postgres:16", "postgres:17");
    assert_eq!(upkeep(&newer, one)[1].1, Upkeep::Replace);
    let other_value = format!("{one}    environment: {{A: b}}\n");
    let another_value = format!("{one}    environment: {{A: c}}\n");
    assert_eq!(upkeep(&another_value, &other_value)[1].1, Upkeep::Replace);
    let without_volume = one.replace("    volumes: ['d:/d']\n", "");
    assert_eq!(upkeep(one, &without_volume)[1].1, Upkeep::Replace);
}

#[test]
fn a_service_that_is_built_here_is_new_with_each_release() {
    let text = "services:\n  web:\n    build: .\n    ports: ['80']\n  worker:\n    build: .\n";
    assert_eq!(upkeep(text, text)[1].1, Upkeep::Beside);
    let with_volume = format!("{text}    volumes: ['d:/d']\n");
    assert_eq!(upkeep(&with_volume, &with_volume)[1].1, Upkeep::Replace);
}
