use super::*;
use crate::model::{edge::BackendStatus, fleet::AppStatus, ids::ReleaseId, order::DockerReport, units::Timestamp};

/// An app in a container, served by an edge that is up.
fn world() -> (Fleet, AppId, InstanceId) {
    let app: App = serde_json::from_value(serde_json::json!({
        "id": "shop", "desired": "running", "asked": 1, "routed": 1, "pool": ["shop-1-a"],
        "serving": {"release": 1, "since": 0}, "previous": null, "replicas": null, "url": "http://shop.localhost",
        "next_release": 2, "created_at": 0, "warm": null
    }))
    .unwrap();
    let release = serde_json::json!({
        "app": "shop", "id": 1, "version": "folder", "commit": null, "subject": null,
        "source": {"kind": "image", "reference": "nginx:1.27"}, "created_at": 0, "actor": "op", "deployment": 1, "artefact": null,
        "blueprint": {
            "recipe": crate::model::recipe::Recipe::default(), "build": [],
            "limits": crate::model::manifest::BuildLimits::default(), "output": null, "processes": [], "env": [], "routes": [],
            "strategy": "rolling", "keep": crate::model::manifest::Keep::default()
        },
        "proved_at": null, "started": 1
    });
    let instance: Instance = serde_json::from_value(serde_json::json!({
        "id": "shop-1-a", "app": "shop", "release": 1, "process": "web", "runtime": "docker", "host": "local",
        "state": "running", "health": "passing", "address": "127.0.0.1:20000", "pid": 7, "restarts": 0, "started_at": null,
        "last_exit": null, "wanted": true
    }))
    .unwrap();
    let mut fleet = Fleet::default();
    fleet.edge.up = true;
    let (id, of) = (app.id.clone(), instance.id.clone());
    for change in
        [Change::App(app), Change::Release(Box::new(serde_json::from_value(release).unwrap())), Change::Instance(instance)]
    {
        fleet.apply(change);
    }
    (fleet, id, of)
}

fn take(fleet: &mut Fleet, changes: Vec<Change>) {
    for change in changes {
        fleet.apply(change);
    }
}

fn counted(fleet: &mut Fleet, health: Health) {
    let status = BackendStatus { health, in_flight: 0 };
    let counters = EdgeCounters { backends: [(InstanceId("shop-1-a".to_owned()), status)].into(), ..EdgeCounters::default() };
    let changes = healths(fleet, &counters);
    take(fleet, changes);
    let changes = serving(fleet, &BTreeMap::new());
    take(fleet, changes);
}

fn docker(fleet: &mut Fleet, up: bool) {
    let problem = (!up).then(|| Problem::unavailable("Docker does not answer: nobody listens there").hint("start Docker"));
    let status = crate::model::container::DockerStatus {
        host: HostId::local(),
        address: "unix:///d.sock".to_owned(),
        up,
        version: None,
        api: None,
        problem,
    };
    let changes = docker::digest(fleet, DockerReport::Status(status));
    take(fleet, changes);
}

fn container(state: &str) -> crate::model::container::Container {
    serde_json::from_value(serde_json::json!({
        "id": "c1", "name": "shop-1-a-3f1c09", "image": "nginx:1.27", "image_id": "sha256:aa", "command": "", "state": state,
        "health": null, "exit_code": null, "ports": [], "mounts": [], "created_at": 0, "started_at": null, "project": null,
        "app": "shop", "release": 1, "instance": "shop-1-a", "process": "web"
    }))
    .unwrap()
}

#[test]
fn without_docker_the_edge_alone_says_who_serves() {
    let (mut fleet, app, instance) = world();
    counted(&mut fleet, Health::Passing);
    assert_eq!(fleet.app_status(&app), AppStatus::Serving);
    docker(&mut fleet, false);
    assert_eq!(fleet.instances[&instance].state, InstanceState::Unknown);
    assert_ne!(fleet.app_status(&app), AppStatus::Serving, "nobody knows what runs");
    counted(&mut fleet, Health::Passing);
    assert!(fleet.apps[&app].serving.is_some(), "it answered the edge");
    counted(&mut fleet, Health::Unknown);
    assert!(fleet.apps[&app].serving.is_none(), "what is not proved does not serve");
    counted(&mut fleet, Health::Failing);
    assert_eq!((fleet.apps[&app].serving, fleet.app_status(&app)), (None, AppStatus::Down));
    assert!(fleet.blind(&app).is_some_and(|problem| problem.next.as_deref() == Some("start Docker")));
}

#[test]
fn a_docker_that_is_back_tells_again_what_runs() {
    for (state, known) in [("running", InstanceState::Running), ("exited", InstanceState::Lost)] {
        let (mut fleet, app, instance) = world();
        docker(&mut fleet, false);
        docker(&mut fleet, true);
        let all = DockerReport::All { containers: vec![container(state)], images: Vec::new(), volumes: Vec::new() };
        let changes = docker::digest(&fleet, all);
        take(&mut fleet, changes);
        assert_eq!(fleet.instances[&instance].state, known);
        assert!(fleet.blind(&app).is_none());
    }
}

#[test]
fn an_instance_that_is_being_started_again_serves_nobody() {
    let (mut fleet, app, instance) = world();
    let lost = Instance { state: InstanceState::Starting, health: Health::Unknown, ..fleet.instances[&instance].clone() };
    fleet.apply(Change::Instance(lost));
    counted(&mut fleet, Health::Failing);
    assert!(fleet.apps[&app].serving.is_none());
}

#[test]
fn a_new_engine_knows_nothing_until_it_has_looked_and_then_since_when() {
    for (edge_began, since) in [(0, Timestamp(5)), (9, clock::now())] {
        let (mut fleet, app, instance) = world();
        fleet.apps.get_mut(&app).unwrap().serving = Some(Serving { release: ReleaseId(1), since: Timestamp(5) });
        let (looks, surveyed, looked) = Looks::begin(&mut fleet);
        assert_eq!((fleet.apps[&app].serving, fleet.instances[&instance].state), (None, InstanceState::Unknown));
        assert!(!*surveyed.borrow() && !*looked.borrow());
        fleet.edge.up = true;
        let counters = EdgeCounters { started_at: Timestamp(edge_began), ..EdgeCounters::default() };
        let served = looks.served(&counters);
        let known = Instance { health: Health::Passing, ..fleet.instances[&instance].clone() };
        take(&mut fleet, vec![Change::Instance(known)]);
        let changes = serving(&fleet, &served);
        take(&mut fleet, changes);
        let told = fleet.apps[&app].serving.unwrap();
        assert!(told.since >= since, "another edge tells nothing of before: {told:?}");
        assert_eq!(told.since == Timestamp(5), edge_began == 0);
        assert!(looks.served(&counters).is_empty(), "what fails and comes back serves since then");
    }
}

#[test]
fn a_process_that_no_survey_tells_of_is_lost_and_a_container_is_not_known() {
    let (mut fleet, _, instance) = world();
    Looks::begin(&mut fleet);
    assert!(looks::lost(&fleet).is_empty());
    fleet.instances.get_mut(&instance).unwrap().runtime = crate::model::manifest::Runtime::Process;
    let changes = looks::lost(&fleet);
    take(&mut fleet, changes);
    assert_eq!(fleet.instances[&instance].state, InstanceState::Lost);
}
