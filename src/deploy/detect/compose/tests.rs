use super::*;
use crate::model::mount::MountFrom;

fn survey(files: &[(&str, &str)]) -> Survey {
    let mut listing: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    listing.sort();
    let texts = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Survey { listing, texts, ..Survey::default() }
}

fn of(text: &str) -> Result<Compose, Problem> {
    let survey =
        survey(&[("compose.yaml", text), ("Dockerfile", "FROM a"), ("api/Dockerfile.prod", "FROM a"), (".env", "TAG=16\n")]);
    read(&survey, &BTreeMap::new()).map(Option::unwrap)
}

fn service<'a>(compose: &'a Compose, name: &str) -> &'a Service {
    compose.services.iter().find(|service| service.name == name).unwrap()
}

const SHOP: &str = r#"
name: shop
x-shared: &shared
  restart: unless-stopped
services:
  db:
    <<: *shared
    image: postgres:${TAG:-15}
    environment:
      POSTGRES_PASSWORD: ${PASSWORD:-secret}
      PGDATA: /data/pg
    volumes: ["data:/data", "./init.sql:/docker-entrypoint-initdb.d/init.sql:ro"]
    ports: ["5432:5432"]
    healthcheck:
      test: ["CMD", "pg_isready"]
      interval: 1s
      retries: 10
    networks: [back]
  api:
    build:
      context: ./api
      dockerfile: Dockerfile.prod
      target: run
      args:
        - VERSION=1
    environment:
      - DATABASE_URL=postgres://db:5432/shop
    expose: ["9000"]
  web:
    build: .
    command: node server.js --name "two words"
    ports:
      - "127.0.0.1:8080:3000"
      - target: 9229
    depends_on:
      api:
        condition: service_started
      db:
        condition: service_healthy
    deploy:
      replicas: 2
      resources:
        limits: {memory: 256M, cpus: '0.5'}
    stop_grace_period: 5s
volumes:
  data:
networks:
  back:
"#;

#[test]
fn services_become_processes() {
    let compose = of(SHOP).unwrap();
    let (db, api, web) = (service(&compose, "db"), service(&compose, "api"), service(&compose, "web"));
    assert_eq!((db.image.as_deref(), db.port, db.routed, db.line), (Some("postgres:16"), Some(5432), false, 6));
    assert_eq!(db.env["POSTGRES_PASSWORD"], "secret");
    assert_eq!(db.volumes[0].from, MountFrom::Volume("data".to_owned()));
    assert!(db.volumes[1].read_only);
    let health = db.container.health.as_ref().unwrap();
    assert_eq!(
        (health.test.as_slice(), health.every, health.retries),
        (["CMD".to_owned(), "pg_isready".to_owned()].as_slice(), Some(Millis(1000)), Some(10))
    );
    let build = api.build.as_ref().unwrap();
    assert_eq!(
        (build.context.as_str(), build.file.as_str(), build.target.as_deref()),
        ("api", "api/Dockerfile.prod", Some("run"))
    );
    assert_eq!(
        (api.args["VERSION"].as_str(), build.args.as_slice(), api.port),
        ("1", ["VERSION".to_owned()].as_slice(), Some(9000))
    );
    assert_eq!(api.env["DATABASE_URL"], "postgres://db:5432/shop");
    assert!(web.routed && !api.routed);
    assert_eq!(
        (web.port, web.replicas, web.memory, web.kill_after),
        (Some(3000), Some(2), Some(Bytes::mib(256)), Some(Millis(5000)))
    );
    assert_eq!(web.depends_on, ["api", "db"]);
    assert_eq!(web.container.arguments, ["node", "server.js", "--name", "two words"]);
    assert_eq!(web.container.aliases, ["web"]);
}

#[test]
fn what_is_not_carried_over_is_said_with_its_line() {
    let compose = of(SHOP).unwrap();
    let said: Vec<String> = compose.notes.iter().map(|note| format!("{}: {}", note.at, note.what)).collect();
    for (line, field) in [
        (18, "services.db.networks"),
        (43, "services.web.deploy.resources.limits.cpus"),
        (47, "networks"),
        (6, "services.db.ports"),
    ] {
        assert!(
            said.iter().any(|note| note.starts_with(&format!("compose.yaml:{line} {field}: "))),
            "{line} {field} in {said:#?}"
        );
    }
    assert!(said.iter().any(|note| note.contains("db:5432")), "{said:#?}");
    let other = of("services:\n  web:\n    image: a\n    ports: ['80']\n    gpus: all\nconfigs: {}\n").unwrap();
    let said: Vec<&str> = other.notes.iter().map(|note| note.at.as_str()).collect();
    assert_eq!(said, ["compose.yaml:5 services.web.gpus", "compose.yaml:6 configs"]);
}

#[test]
fn mistakes_name_file_line_and_key() {
    for (text, at) in [
        ("services:\n  web:\n    imag: a\n", "compose.yaml:2 services.web"),
        ("services:\n  web:\n    image: [a]\n", "compose.yaml:3 services.web.image"),
        ("services:\n  web:\n    image: a\n    ports: ['x']\n", "compose.yaml:4 services.web.ports"),
        ("services:\n  web:\n    image: a\n    mem_limit: lots\n", "compose.yaml:4 services.web.mem_limit"),
        ("services:\n  web:\n    image: a\n    depends_on: [db]\n", "compose.yaml:4 services.web.depends_on"),
        ("services:\n  web:\n    image: a\n    depends_on:\n      - web\n", "compose.yaml:4 services.web.depends_on"),
        (
            "services:\n  a:\n    image: a\n    depends_on: [b]\n  b:\n    image: a\n    depends_on: [a]\n",
            "compose.yaml:4 services.a.depends_on",
        ),
        ("services:\n  web:\n    build: ../other\n", "compose.yaml:3 services.web.build"),
        ("services:\n  web:\n    build: {context: ., dockerfile: No}\n", "compose.yaml:3 services.web.build"),
        ("services:\n  web:\n    image: a\n    env_file: web.env\n", "compose.yaml:4 services.web.env_file"),
        ("services:\n  web:\n    image: a\n    volumes:\n      - data:x\n", "compose.yaml:5 services.web.volumes"),
        ("services:\n  web:\n    image: ${TAGS:?which}\n", "compose.yaml:3"),
        ("services:\n  web:\n    extends: {file: a, service: b}\n", "compose.yaml:3 services.web.extends"),
        ("services:\n  Web App:\n    image: a\n", "compose.yaml:2 services.Web App"),
        ("include: [a]\n", "compose.yaml:1 include"),
        ("- a\n", "compose.yaml:1"),
        ("services: {}\n", "compose.yaml"),
        ("services:\n  web: 5\n", "compose.yaml:2 services.web"),
    ] {
        let problem = of(text).expect_err(text);
        assert_eq!(problem.at.as_deref(), Some(at), "{text}: {problem}");
        assert!(problem.next.is_some(), "{text}: {problem}");
    }
}

#[test]
fn services_that_wait_for_each_other_are_named() {
    let own = of("services:\n  web:\n    image: a\n    depends_on: {web: {condition: service_started}}\n").unwrap_err();
    assert_eq!(own.what, "service `web` depends on itself: it would never start");
    let far = "services:\n  web: {image: a, depends_on: [api]}\n  api: {image: a, depends_on: [db]}\n  db:\n    image: a\n    depends_on: [api]\n";
    let problem = of(far).unwrap_err();
    assert!(problem.what.starts_with("they wait for each other: api → db → api"), "{problem}");
    assert_eq!(problem.at.as_deref(), Some("compose.yaml:3 services.api.depends_on"));
}

#[test]
fn requests_lead_to_the_service_that_is_for_them() {
    let routed =
        |text: &str| of(text).unwrap().services.iter().find(|service| service.routed).map(|service| service.name.clone());
    let two = "services:\n  admin:\n    image: a\n    ports: ['81:81']\n  frontend:\n    image: a\n    ports: ['80']\n";
    assert_eq!(routed(two).as_deref(), Some("frontend"));
    assert_eq!(
        routed(
            "services:\n  cache:\n    image: redis:7\n    ports: ['6379:6379']\n  shop:\n    image: a\n    ports: ['80:80']\n"
        )
        .as_deref(),
        Some("shop")
    );
    assert_eq!(routed("services:\n  worker:\n    image: a\n"), None);
    assert_eq!(routed("services:\n  app:\n    image: a\n    environment: {PORT: 3000}\n").as_deref(), Some("app"));
}

#[test]
fn variables_without_a_value_are_told_once() {
    let compose = of("services:\n  web:\n    image: a\n    environment:\n      A: $X\n      B: $X\n      C:\n").unwrap();
    let said: Vec<String> = compose.notes.iter().map(|note| format!("{} {}", note.at, note.what)).collect();
    assert_eq!(said.iter().filter(|note| note.contains("`X`")).count(), 1, "{said:#?}");
    assert!(said.iter().any(|note| note.contains("`C`")), "{said:#?}");
    let given = BTreeMap::from([("C".to_owned(), "from the command line".to_owned())]);
    let survey = survey(&[("docker-compose.yml", "services:\n  web:\n    image: a\n    environment: [C]\n")]);
    assert_eq!(read(&survey, &given).unwrap().unwrap().services[0].env["C"], "from the command line");
}

#[test]
fn an_anonymous_volume_gets_a_name_that_lasts() {
    let compose =
        of("services:\n  web:\n    image: a\n    volumes: ['/var/lib/x', {type: tmpfs, target: /t}, '.:/app:cached']\n").unwrap();
    let shown: Vec<String> = compose.services[0].volumes.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["web-var-lib-x:/var/lib/x", "./:/app"]);
    assert!(compose.notes[0].what.contains("tmpfs"));
}

#[test]
fn a_service_with_a_profile_is_left_out() {
    let compose = of("services:\n  web:\n    image: a\n    ports: ['80']\n    depends_on: [tool]\n  tool:\n    image: b\n    profiles: [tools]\n").unwrap();
    assert_eq!((compose.services.len(), compose.services[0].depends_on.len()), (1, 0));
    assert!(compose.notes[0].at.starts_with("compose.yaml:8 services.tool"));
}

#[test]
fn a_source_that_only_a_compose_file_explains_is_detected_by_it() {
    let recipe = super::super::detect(&survey(&[(
        "docker-compose.yml",
        "services:\n  web:\n    image: nginx:1\n    ports: ['8080:80']\n",
    )]))
    .unwrap();
    assert_eq!((recipe.language.as_str(), recipe.runtime.as_str(), recipe.port), ("compose", "docker", Some(80)));
    assert_eq!(recipe.proof[0].file, "docker-compose.yml:2");
}
