use super::*;

fn made(manifest: &Manifest, recipe: Recipe, overrides: Overrides) -> Result<Plan, Problem> {
    let app = AppId::parse("shop").unwrap();
    let request = DeployRequest { source: Source::Folder { path: "/src/shop".into() }, overrides };
    let survey = Survey { commit: Some("9c1f02e55".to_owned()), dirty: true, ..Survey::default() };
    let asked = Asked {
        app: &app,
        release: ReleaseId(1),
        request: &request,
        manifest,
        recipe: &Ok(recipe),
        containers: &Containers::default(),
        bases: &BTreeMap::new(),
        before: None,
        survey: &survey,
        hosts: &[(HostId::local(), "the only host".to_owned())],
        checks: "not checked",
    };
    plan(&asked, &Fleet::default())
}

fn node() -> Recipe {
    Recipe {
        language: "node".into(),
        runtime: "process".into(),
        install: Some("npm ci".into()),
        start: Some("node server.js".into()),
        ..Recipe::default()
    }
}

#[test]
fn flags_win_over_the_manifest_and_the_manifest_over_detection() {
    let mut manifest = Manifest::default();
    manifest.build.install = Some("npm install".to_owned());
    let overrides = Overrides { start: Some("node other.js".into()), replicas: Some(2), ..Overrides::default() };
    let plan = made(&manifest, node(), overrides).unwrap();
    assert_eq!(plan.blueprint.build, [("install".to_owned(), "npm install".to_owned())]);
    assert_eq!((plan.blueprint.web().unwrap().command.as_str(), plan.blueprint.web().unwrap().replicas), ("node other.js", 2));
    assert_eq!(plan.version, "9c1f02e+dirty");
}

#[test]
fn files_have_no_replicas() {
    let files = Recipe::files("static", ".");
    let overrides = Overrides { replicas: Some(3), ..Overrides::default() };
    let problem = made(&Manifest::default(), files.clone(), overrides).unwrap_err();
    assert_eq!(problem.at.as_deref(), Some("--replicas"), "{problem}");
    assert!(made(&Manifest::default(), files, Overrides::default()).unwrap().blueprint.processes.is_empty());
}

#[test]
fn a_container_that_is_kept_is_not_listed_as_a_fresh_one() {
    let compose =
        "services:\n  web:\n    image: shop:1\n    ports: ['80']\n  db:\n    image: postgres:16\n    volumes: ['d:/d']\n";
    let app = AppId::parse("shop").unwrap();
    let request = DeployRequest { source: Source::Folder { path: "/src/shop".into() }, overrides: Overrides::default() };
    let survey = Survey {
        listing: vec!["compose.yaml".to_owned()],
        texts: [("compose.yaml".to_owned(), compose.to_owned())].into(),
        ..Survey::default()
    };
    let manifest = Manifest::default();
    let none = Err(Problem::not_found("?"));
    let (containers, recipe) = containers::choose(&survey, &manifest, &request.overrides, none).unwrap();
    let planned = |before: Option<&Blueprint>, fleet: &Fleet| {
        let env = environment(&manifest, &request.overrides, &containers);
        let asked = Asked {
            app: &app,
            release: ReleaseId(2),
            request: &request,
            manifest: &manifest,
            recipe: &recipe,
            containers: &containers,
            bases: &BTreeMap::new(),
            before: before.map(|before| (before, &env)),
            survey: &survey,
            hosts: &[(HostId::local(), "the only host".to_owned())],
            checks: "not checked",
        };
        plan(&asked, fleet).unwrap()
    };
    let first = planned(None, &Fleet::default());
    let mut fleet = Fleet::default();
    let entry = serde_json::json!({
        "id": "shop", "desired": "running", "asked": 1, "routed": 1, "pool": ["shop-1-a", "shop-1-b"], "serving": null,
        "previous": null, "replicas": null, "url": null, "next_release": 2, "created_at": 0, "warm": null
    });
    fleet.apps.insert(app.clone(), serde_json::from_value(entry).unwrap());
    for (id, process) in [("shop-1-a", "web"), ("shop-1-b", "db")] {
        let instance = serde_json::json!({
            "id": id, "app": "shop", "release": 1, "process": process, "runtime": "docker", "host": "local",
            "state": "running", "health": "unknown", "address": null, "pid": 7, "restarts": 0, "started_at": null,
            "last_exit": null, "wanted": true
        });
        fleet.instances.insert(crate::model::ids::InstanceId(id.to_owned()), serde_json::from_value(instance).unwrap());
    }
    let second = planned(Some(&first.blueprint), &fleet);
    let of = |plan: &Plan, process: &str| {
        let lines =
            plan.lines.iter().filter(|line| line.why.starts_with(&format!("{process}: ")) && line.what.contains("container"));
        lines.map(|line| format!("{} {}  {}", line.sign.symbol(), line.what, line.why)).collect::<Vec<_>>()
    };
    assert_eq!(of(&first, "db").len(), 1);
    assert!(of(&first, "db")[0].starts_with("+ 1 container"), "{:?}", of(&first, "db"));
    assert_eq!(of(&second, "db"), ["! 1 container stays  db: image postgres:16, runs already, and nothing of it has changed"]);
    assert!(of(&second, "web")[0].starts_with("+ 1 container"), "{:?}", of(&second, "web"));
    let gone = second.lines.iter().find(|line| line.what.ends_with("of release 1")).unwrap();
    assert_eq!(gone.what, "1 of release 1", "what stays is not drained");
}

#[test]
fn a_volume_of_what_is_no_container_is_refused() {
    let mut manifest = Manifest::default();
    let volumes = vec!["data:/data".parse().unwrap()];
    manifest.process.insert("web".to_owned(), Process { volumes, ..Process::default() });
    let problem = made(&manifest, node(), Overrides::default()).unwrap_err();
    assert_eq!(problem.at.as_deref(), Some("pilothouse.toml process.web.volumes"));
    assert!(problem.what.contains("`data:/data`") && problem.next.unwrap().contains("docker"));
}

#[test]
fn nobody_waits_for_a_web_that_there_is_not() {
    let mut manifest = Manifest::default();
    let waits = Process { command: Some("./work".into()), depends_on: vec!["web".into()], ..Process::default() };
    manifest.process.insert("worker".to_owned(), waits);
    let problem = made(&manifest, node(), Overrides::default()).unwrap_err();
    assert_eq!(problem.at.as_deref(), Some("pilothouse.toml process.worker.depends_on"));
}

#[test]
fn a_process_beside_the_files_of_the_edge_is_told_to_get_no_requests() {
    let overrides = Overrides { output: Some(".".into()), start: Some("node a.js".into()), ..Overrides::default() };
    let plan = made(&Manifest::default(), node(), overrides).unwrap();
    assert!(plan.lines.iter().any(|line| line.what == "web" && line.why.contains("gets no requests")), "{:?}", plan.lines);
    assert!(!plan.blueprint.processes[0].routed);
}

#[test]
fn an_empty_command_means_none() {
    let overrides = Overrides { install: Some(String::new()), ..Overrides::default() };
    assert!(made(&Manifest::default(), node(), overrides).unwrap().blueprint.build.is_empty());
}

#[test]
fn a_static_site_has_a_route_and_no_process() {
    let recipe = Recipe { language: "static".into(), output: Some(".".into()), ..Recipe::default() };
    let blueprint = made(&Manifest::default(), recipe, Overrides::default()).unwrap().blueprint;
    assert!(blueprint.processes.is_empty());
    assert_eq!(blueprint.routes, [RoutePlan { at: Match::host("shop.localhost"), process: "web".to_owned() }]);
}

#[test]
fn a_worker_alone_has_no_route() {
    let mut manifest = Manifest::default();
    manifest.process.insert("jobs".to_owned(), Process { command: Some("run".into()), ..Process::default() });
    let blueprint = made(&manifest, node(), Overrides::default()).unwrap().blueprint;
    assert!(blueprint.routes.is_empty());
    assert!(blueprint.web().is_none());
}

#[test]
fn the_values_of_the_environment_are_in_no_plan() {
    let env = Env([("TOKEN".to_owned(), "hunter2-hunter2".to_owned())].into());
    let plan = made(&Manifest::default(), node(), Overrides { env, ..Overrides::default() }).unwrap();
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
    assert_eq!(plan.blueprint.env, ["TOKEN"]);
}
