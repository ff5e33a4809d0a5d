//! Worlds for the console's tests: fleets as an engine would tell them, by name; the same at every call.

use std::{collections::BTreeMap, path::PathBuf};

use pilothouse::model::{
    Problem,
    command::{DeployRequest, Overrides},
    container::{
        Container, ContainerHealth, ContainerId, ContainerSample, ContainerState, DockerStatus, Image, PruneKind, PruneObject,
        PrunePlan, PublishedPort, Volume,
    },
    deployment::{Aim, Deployment, Phase, Step, StepState},
    edge::EdgeStatus,
    fleet::{App, Desired, EngineStatus, Event, Fleet, Host, Level, Release, Serving, Task, TaskState},
    ids::{AppId, DeploymentId, Generation, HostId, InstanceId, ReleaseId, TaskId},
    instance::{Exit, Health, Instance, InstanceState},
    log::{LogLine, Stream},
    manifest::{BuildLimits, Keep, Ready, Resources, Runtime, Stop, Strategy},
    order::HostFacts,
    plan::{Artefact, Blueprint, Plan, PlanLine, ProcessPlan, RoutePlan, Sign},
    recipe::{Proof, Recipe},
    route::Match,
    sample::{AppSample, HostSample, InstanceSample},
    source::Source,
    tool::Tool,
    units::{Bytes, Millis, Timestamp},
};

/// 2026-11-20 02:47:18 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_795_142_838_000);

pub(crate) const NAMES: [&str; 8] =
    ["empty", "calm", "one-failing", "deploying", "stopped", "full", "docker-empty", "docker-down"];

/// The fleet of that name, as it is at `NOW`.
pub(crate) fn world(name: &str) -> Fleet {
    match name {
        "empty" => empty(),
        "calm" => calm(),
        "one-failing" => one_failing(),
        "deploying" => deploying(),
        "stopped" => stopped(),
        "full" => full(120),
        "docker-empty" => {
            let mut fleet = empty();
            fleet.docker = Some(docker());
            fleet
        }
        "docker-down" => {
            let mut fleet = empty();
            let problem = Problem::unavailable("no Docker engine answers: no such file or directory")
                .at("unix:///var/run/docker.sock")
                .hint("install and start Docker, or name its socket: --set docker.host=unix:///PATH");
            fleet.docker = Some(DockerStatus { up: false, version: None, api: None, problem: Some(problem), ..docker() });
            fleet
        }
        other => panic!("there is no world `{other}`"),
    }
}

pub(crate) fn app(name: &str) -> AppId {
    AppId::suggest(name)
}

fn before(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

/// What was found on the host: no Consul, no Vagrant.
fn tools() -> Vec<Tool> {
    let tool = |name: &str, version: Option<&str>, note: &str| Tool {
        name: name.to_owned(),
        path: version.map(|_| format!("/usr/bin/{name}")),
        version: version.map(str::to_owned),
        note: note.to_owned(),
    };
    vec![
        tool("docker", Some("28.2.2"), ""),
        tool("git", Some("2.39.5"), ""),
        tool("node", Some("20.11.1"), ""),
        tool("python3", Some("3.11.2"), ""),
        tool("ssh", Some("9.2p1"), "12 hosts in ~/.ssh/config"),
        tool("consul", None, ""),
        tool("vagrant", None, ""),
    ]
}

/// An engine that has just started: its host is known, nothing was deployed.
fn empty() -> Fleet {
    let mut fleet = Fleet {
        epoch: 1,
        engine: EngineStatus {
            pid: 4111,
            version: "0.1.0".to_owned(),
            socket: "/run/user/1000/pilothouse/engine.sock".to_owned(),
            state_dir: "/home/ops-1/.local/state/pilothouse".to_owned(),
            started_at: before(3_720),
            degraded: None,
            shut: std::collections::BTreeMap::new(),
        },
        edge: EdgeStatus {
            pid: 4119,
            version: "0.1.0".to_owned(),
            http: vec!["127.0.0.1:8080".parse().expect("an address")],
            https: Vec::new(),
            internal: None,
            generation: Generation(1),
            started_at: before(3_720),
            names: Vec::new(),
            troubles: Vec::new(),
            moved_from: None,
            domain: String::new(),
            up: true,
        },
        ..Fleet::default()
    };
    let facts = HostFacts {
        id: HostId::local(),
        name: "core-iad-1".to_owned(),
        os: "Debian 12".to_owned(),
        kernel: "6.1.0-25".to_owned(),
        arch: "x86_64".to_owned(),
        cores: 8,
        boot_id: "b".to_owned(),
        booted_at: before(1_209_600),
        tools: tools(),
    };
    fleet.hosts.insert(HostId::local(), Host { id: HostId::local(), facts: Some(facts), reachable: true, last_seen: before(1) });
    let history = (0..200).map(|n| {
        let wave = (f64::from(n) / 17.0).sin() * 12.0 + (f64::from(n) / 5.0).sin() * 5.0;
        HostSample {
            at: before(i64::from(200 - n) * 3),
            cpu_percent: (n > 0).then_some((34.0 + wave) as f32),
            memory_used: (9 << 30) + ((n as u64) << 22),
            memory_total: 16 << 30,
            disk_used: 211 << 30,
            disk_total: 480 << 30,
            received_per_s: Some(180_000.0 + wave * 6_000.0),
            sent_per_s: Some(940_000.0 + wave * 30_000.0),
            load_1m: (2.3 + wave / 20.0) as f32,
        }
    });
    fleet.host_history.insert(HostId::local(), history.collect());
    fleet.tasks.insert(TaskId(1), task(1, "edge watch", TaskState::Waiting, "every 3 s", Some(4)));
    fleet.tasks.insert(TaskId(2), task(2, "fleet upkeep", TaskState::Waiting, "hourly resync", Some(120)));
    fleet.events.push_back(event(3_720, "engine", "started, version 0.1.0", Level::Plain));
    fleet.events.push_back(event(3_719, "edge", "serves on 127.0.0.1:8080", Level::Good));
    fleet
}

fn task(id: u64, name: &str, state: TaskState, reason: &str, took: Option<u64>) -> Task {
    Task {
        id: TaskId(id),
        name: name.to_owned(),
        state,
        started_at: before(2),
        ended_at: None,
        reason: reason.to_owned(),
        note: String::new(),
        took: took.map(Millis),
        next_run: (state == TaskState::Waiting).then_some(Timestamp(NOW.0 + 1000 * i64::try_from(id).unwrap_or(0))),
        last_error: None,
        restarts: 0,
        deployment: None,
    }
}

fn event(ago: i64, subject: &str, what: &str, level: Level) -> Event {
    Event { at: before(ago), subject: subject.to_owned(), what: what.to_owned(), level }
}

fn blueprint(command: &str, replicas: u32) -> Blueprint {
    Blueprint {
        recipe: Recipe {
            language: "node".to_owned(),
            framework: Some("express".to_owned()),
            package_manager: Some("npm".to_owned()),
            runtime: "process".to_owned(),
            install: Some("npm ci".to_owned()),
            start: Some(command.to_owned()),
            proof: vec![Proof { file: "package-lock.json:4".to_owned(), why: "npm, lockfile version 3".to_owned() }],
            ..Recipe::default()
        },
        build: vec![("install".to_owned(), "npm ci".to_owned()), ("build".to_owned(), "npm run build".to_owned())],
        image: None,
        limits: BuildLimits::default(),
        output: None,
        processes: vec![ProcessPlan {
            name: "web".to_owned(),
            command: command.to_owned(),
            image: None,
            port: None,
            replicas,
            scaled_from: None,
            runtime: Runtime::Process,
            resources: Resources::default(),
            ready: Ready::default(),
            stop: Stop::default(),
            env: Vec::new(),
            volumes: Vec::new(),
            depends_on: Vec::new(),
            build: None,
            container: None,
            upkeep: pilothouse::model::container_plan::Upkeep::default(),
            routed: true,
        }],
        env: vec!["DATABASE_URL".to_owned()],
        secrets: BTreeMap::new(),
        routes: vec![RoutePlan { at: Match::host("shop.localhost"), process: "web".to_owned() }],
        strategy: Strategy::Rolling,
        keep: Keep::default(),
    }
}

pub(crate) fn plan(name: &str, release: u32, from: Option<u32>) -> Plan {
    let line = |sign, what: &str, why: &str| PlanLine { sign, what: what.to_owned(), why: why.to_owned() };
    let mut lines = vec![
        line(Sign::Add, "build", "npm ci, npm run build; at most 15m, 4 GB of memory and 10 GB of disk"),
        line(Sign::Add, "2 instances", "on local, port by PORT; ready when GET / answers below 500 within 60s"),
        line(Sign::Change, "route", &format!("{name}.localhost → release {release}, all at once after proof")),
    ];
    if let Some(from) = from {
        lines.push(line(Sign::Remove, "2 instances", &format!("of release {from}, after 10m warm, drained first")));
    }
    lines.push(line(Sign::Note, "checks", "no policy is in force yet: dependencies are not checked"));
    Plan {
        app: app(name),
        release: ReleaseId(release),
        from: from.map(ReleaseId),
        hosts: vec![HostId::local()],
        version: "9c1f02e".to_owned(),
        blueprint: blueprint("node dist/server.js", 2),
        lines,
        checks: "not checked".to_owned(),
        command: format!("pilothouse deploy https://code.example/social/{name}.git --ref main --name {name}"),
        undo: from.map_or_else(
            || "remove the app".to_owned(),
            |from| format!("R on the app, or pilothouse rollback {name} {from}: one routing change while warm"),
        ),
    }
}

fn release(name: &str, id: u32, ago: i64, subject: &str, proved: bool) -> Release {
    let commit = format!("{:07x}{:033x}", 0x9c1_f02e_u64.wrapping_mul(u64::from(id) + 7) & 0xfff_ffff, id);
    Release {
        app: app(name),
        id: ReleaseId(id),
        version: commit[..7].to_owned(),
        commit: Some(commit),
        subject: Some(subject.to_owned()),
        source: Source::Git { url: format!("https://code.example/social/{name}.git"), reference: Some("main".to_owned()) },
        created_at: before(ago),
        actor: "ops-2".to_owned(),
        deployment: DeploymentId(u64::from(id)),
        artefact: Some(Artefact {
            digest: format!("sha256:{id:064x}"),
            root: PathBuf::from("/srv"),
            bytes: 38 << 20,
            files: 1_412,
            image: None,
            images: BTreeMap::new(),
        }),
        blueprint: blueprint("node dist/server.js", 2),
        proved_at: proved.then(|| before(ago - 20)),
        started: 2,
    }
}

fn instance(name: &str, release: u32, ordinal: u32, port: u16) -> Instance {
    Instance {
        id: InstanceId::of(&app(name), ReleaseId(release), ordinal),
        app: app(name),
        release: ReleaseId(release),
        process: "web".to_owned(),
        runtime: Runtime::Process,
        host: HostId::local(),
        state: InstanceState::Running,
        health: Health::Passing,
        address: format!("127.0.0.1:{port}").parse().ok(),
        pid: Some(5_000 + u32::from(port)),
        restarts: 0,
        started_at: Some(before(2_460)),
        last_exit: None,
        wanted: true,
    }
}

/// Steps of a deployment up to `count`, the last one in `last`.
fn steps(ago: i64, count: usize, last: StepState) -> Vec<Step> {
    const NAMES: [(&str, i64, &str); 9] = [
        ("fetch", 1, "9c1f02e main, 214 files"),
        ("admit", 0, "not checked"),
        ("build", 48, "npm ci, npm run build; 38 MB, 1412 files"),
        ("attest", 0, "not checked"),
        ("start/web/0", 1, "127.0.0.1:41001"),
        ("ready/web/0", 2, "GET / 200 in 12 ms"),
        ("prove/pool", 1, "200 by shop-41-a, shop-41-b"),
        ("route/serving", 0, "generation 12"),
        ("prove/public", 1, "200 in 4 ms by shop-41-a"),
    ];
    let mut at = ago;
    let mut done = Vec::new();
    for (index, (name, took, note)) in NAMES.iter().take(count).enumerate() {
        let state = if index + 1 == count { last } else { StepState::Succeeded };
        let running = state == StepState::Started;
        done.push(Step {
            name: (*name).to_owned(),
            host: HostId::local(),
            state,
            started_at: before(at),
            ended_at: (!running).then(|| Timestamp(before(at).0 + took * 1000 + 310)),
            note: if running { "npm run build: 1214 modules".to_owned() } else { (*note).to_owned() },
            tries: 1,
        });
        at -= took;
    }
    done
}

fn deployment(id: u64, name: &str, aim: Aim, release: u32, phase: Phase, ago: i64) -> Deployment {
    let over = phase.is_over();
    let built = aim == Aim::Deploy;
    Deployment {
        id: DeploymentId(id),
        app: app(name),
        aim,
        release: ReleaseId(release),
        from: (release > 1).then(|| ReleaseId(release - 1)),
        actor: "ops-2".to_owned(),
        origin: "cli".to_owned(),
        request: built.then(|| DeployRequest {
            source: Source::Git { url: format!("https://code.example/social/{name}.git"), reference: Some("main".to_owned()) },
            overrides: Overrides::default(),
        }),
        plan: built.then(|| plan(name, release, (release > 1).then_some(release - 1))),
        phase,
        asked_at: before(ago),
        phase_since: before(ago - 50),
        ended_at: over.then(|| before(ago - 54)),
        remaining: Millis::minutes(15),
        steps: match phase {
            Phase::Live => steps(ago, 9, StepState::Succeeded),
            Phase::Building => steps(ago, 3, StepState::Started),
            Phase::Queued => Vec::new(),
            _ => steps(ago, 6, StepState::Failed),
        },
        asked_end: None,
        starts: Vec::new(),
        pool: Vec::new(),
        key: format!("key-{id}"),
        cause: None,
    }
}

fn put_app(fleet: &mut Fleet, name: &str, release_id: u32, replicas: u32, rate: f64, p95: f64) {
    let id = app(name);
    let first = release_id.saturating_sub(3).max(1);
    let subjects = ["Add like counter", "Retry payments once", "Fix search index", "Faster cold start"];
    let releases: BTreeMap<ReleaseId, Release> = (first..=release_id)
        .map(|n| {
            let ago = 2_460 + i64::from(release_id - n) * 90_000;
            (ReleaseId(n), release(name, n, ago, subjects[n as usize % 4], true))
        })
        .collect();
    fleet.releases.insert(id.clone(), releases);
    let port = 41_000 + u16::try_from(fleet.instances.len()).unwrap_or(0);
    for ordinal in 0..replicas {
        let it = instance(name, release_id, ordinal, port + u16::try_from(ordinal).unwrap_or(0));
        let sample = InstanceSample {
            at: before(1),
            cpu_percent: Some(14.5 + ordinal as f32 * 3.0),
            memory: (108 << 20) + (u64::from(ordinal) << 21),
        };
        fleet.instance_samples.insert(it.id.clone(), sample);
        fleet.instances.insert(it.id.clone(), it);
    }
    let history = (0..200).map(|n| {
        let wave = 1.0 + (f64::from(n) / 19.0 + rate).sin() * 0.3 + (f64::from(n) / 4.0).cos() * 0.05;
        AppSample {
            at: before(i64::from(199 - n) * 3),
            requests_per_s: rate * wave,
            error_share: Some(if n % 40 == 7 { 0.0009 } else { 0.0 }),
            p50_ms: Some(p95 * 0.3 * wave),
            p95_ms: Some(p95 * wave),
            by_release: vec![(ReleaseId(release_id), (rate * 3.0) as u64)],
        }
    });
    fleet.app_history.insert(id.clone(), history.collect());
    fleet.apps.insert(
        id.clone(),
        App {
            id: id.clone(),
            desired: Desired::Running,
            asked: Some(ReleaseId(release_id)),
            routed: Some(ReleaseId(release_id)),
            serving: Some(Serving { release: ReleaseId(release_id), since: before(2_400) }),
            previous: (release_id > 1).then(|| ReleaseId(release_id - 1)),
            replicas: None,
            pool: Vec::new(),
            url: Some(format!("http://{name}.localhost:8080")),
            next_release: ReleaseId(release_id + 1),
            created_at: before(900_000),
            watch: None,
            warm: None,
        },
    );
}

fn docker() -> DockerStatus {
    DockerStatus {
        host: HostId::local(),
        address: "unix:///var/run/docker.sock".to_owned(),
        up: true,
        version: Some("28.2.2".to_owned()),
        api: Some("1.50".to_owned()),
        problem: None,
    }
}

fn container(name: &str, image: &str, state: ContainerState, of: Option<(&str, u32)>, ago: i64) -> Container {
    let id =
        format!("{:016x}", name.bytes().fold(0x9c1f_02e5_u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)));
    Container {
        id: ContainerId(id.repeat(4)),
        name: name.to_owned(),
        image: image.to_owned(),
        image_id: format!("sha256:{:064x}", image.len()),
        command: "docker-entrypoint.sh serve".to_owned(),
        state,
        health: None,
        exit_code: (!state.is_alive()).then_some(0),
        ports: Vec::new(),
        mounts: Vec::new(),
        created_at: before(ago + 4),
        started_at: state.is_alive().then(|| before(ago)),
        project: None,
        app: of.map(|(name, _)| app(name)),
        release: of.map(|(_, release)| ReleaseId(release)),
        instance: of.map(|(name, release)| InstanceId::of(&app(name), ReleaseId(release), 0)),
        process: of.map(|_| "web".to_owned()),
    }
}

fn port(outside: Option<(&str, u16)>, inside: u16) -> PublishedPort {
    let outside = outside.map(|(address, port)| (address.parse().expect("an address"), port));
    PublishedPort { inside, protocol: "tcp".to_owned(), outside }
}

/// Docker with containers of an app and of others; `failing`: a crash loop and a check that fails.
fn with_docker(fleet: &mut Fleet, failing: bool) {
    fleet.docker = Some(docker());
    let mut shop = container("pilothouse-shop-41-a", "shop:41", ContainerState::Running, Some(("shop", 41)), 2_460);
    shop.health = Some(ContainerHealth::Healthy);
    shop.ports = vec![port(Some(("127.0.0.1", 20_001)), 3_000)];
    let mut postgres = container("social-db-1", "postgres:16.4-alpine", ContainerState::Running, None, 1_209_000);
    postgres.ports = vec![port(Some(("0.0.0.0", 5_432)), 5_432)];
    postgres.mounts = vec!["social_data:/var/lib/postgresql/data".to_owned()];
    postgres.project = Some("social".to_owned());
    let mut cache = container("social-cache-1", "redis:7.4", ContainerState::Running, None, 1_209_000);
    cache.ports = vec![port(None, 6_379)];
    cache.project = Some("social".to_owned());
    let mut old = container("shop-migrate", "shop:40", ContainerState::Exited, Some(("shop", 40)), 90_000);
    if failing {
        cache.state = ContainerState::Restarting;
        postgres.health = Some(ContainerHealth::Unhealthy);
        old.exit_code = Some(137);
    }
    let idle = container(
        "kind_wozniak",
        "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1",
        ContainerState::Created,
        None,
        600_000,
    );
    for (n, it) in [shop, postgres, cache, old, idle].into_iter().enumerate() {
        if it.state == ContainerState::Running {
            let history = (0_i32..200).map(|at| {
                let wave = 1.0 + (f64::from(at) / 15.0 + n as f64).sin() * 0.5;
                ContainerSample {
                    at: before(i64::from(199 - at) * 3),
                    cpu_percent: (at > 0).then_some((9.0 * wave + n as f64) as f32),
                    memory: (140 << 20) + ((n as u64) << 26) + (at as u64) * 40_960,
                    memory_limit: (n == 0).then_some(512 << 20),
                    received_per_s: (at > 0).then_some(48_000.0 * wave),
                    sent_per_s: (at > 0).then_some(310_000.0 * wave),
                }
            });
            fleet.container_history.insert(it.id.clone(), history.collect());
        }
        let image = Image {
            id: it.image_id.clone(),
            tags: if it.image.starts_with("sha256:") { Vec::new() } else { vec![it.image.clone()] },
            size: Bytes(180_000_000 + 61_000_000 * n as u64),
            created_at: before(400_000 + 90_000 * n as i64),
            containers: 1,
            app: it.app.clone(),
            kept: Vec::new(),
        };
        fleet.images.insert(image.id.clone(), image);
        fleet.containers.insert(it.id.clone(), it);
    }
    let volume = |name: &str, size, containers| Volume {
        name: name.to_owned(),
        driver: "local".to_owned(),
        size,
        containers,
        created_at: Some(before(1_209_000)),
        app: None,
    };
    for it in [volume("social_data", Some(Bytes(1_420_000_000)), 1), volume("old_uploads", None, 0)] {
        fleet.volumes.insert(it.name.clone(), it);
    }
}

/// What a prune of `calm` would remove.
pub(crate) fn prune_plan() -> PrunePlan {
    let object = |kind, name: &str, size: Option<u64>, why: &str| PruneObject {
        kind,
        id: name.to_owned(),
        name: name.to_owned(),
        size: size.map(Bytes),
        why: why.to_owned(),
    };
    PrunePlan {
        objects: vec![
            object(PruneKind::Container, "shop-migrate", None, "it ended, and no release names it"),
            object(PruneKind::Image, "shop:38", Some(241_000_000), "no release names it"),
            object(PruneKind::Image, "shop:37", Some(239_000_000), "no release names it"),
        ],
        bytes: Bytes(480_000_000),
        foreign: 4,
        kept_volumes: 1,
    }
}

/// Two apps that serve.
fn calm() -> Fleet {
    let mut fleet = empty();
    with_docker(&mut fleet, false);
    fleet.edge.generation = Generation(12);
    put_app(&mut fleet, "shop", 41, 2, 96.0, 31.0);
    put_app(&mut fleet, "tweet", 8, 1, 310.0, 143.0);
    fleet.deployments.insert(DeploymentId(11), deployment(11, "tweet", Aim::Deploy, 8, Phase::Live, 2_700));
    fleet.deployments.insert(DeploymentId(12), deployment(12, "shop", Aim::Deploy, 41, Phase::Live, 320));
    fleet.events.push_back(event(2_640, "tweet", "release 8 is live", Level::Good));
    fleet.events.push_back(event(266, "shop", "release 41 is live", Level::Good));
    fleet
}

/// `shop` is in a crash loop since its last deployment; `auth` returned to the release before.
fn one_failing() -> Fleet {
    let mut fleet = calm();
    with_docker(&mut fleet, true);
    put_app(&mut fleet, "auth", 4, 1, 402.0, 38.0);
    for ordinal in 0..2 {
        let id = InstanceId::of(&app("shop"), ReleaseId(41), ordinal);
        let it = fleet.instances.get_mut(&id).expect("an instance of shop");
        it.state = InstanceState::BackOff;
        it.health = Health::Failing;
        it.restarts = 4 + ordinal;
        it.last_exit = Some(Exit { code: None, signal: Some(9), out_of_memory: true, timed_out: false, at: before(200) });
        fleet.instance_samples.remove(&id);
    }
    fleet.apps.get_mut(&app("shop")).expect("shop").serving = None;
    let mut failed = deployment(13, "auth", Aim::Deploy, 5, Phase::Reverted, 400);
    failed.from = Some(ReleaseId(4));
    failed.cause = Some(
        Problem::app("auth-5-a exited with 1 before it was ready")
            .at("start/web/0 on local")
            .hint("pilothouse logs auth --build")
            .evidence(["Error: DATABASE_URL is not set".to_owned(), "    at connect (/srv/dist/db.js:12:9)".to_owned()]),
    );
    fleet.deployments.insert(DeploymentId(13), failed);
    fleet.apps.get_mut(&app("auth")).expect("auth").asked = Some(ReleaseId(4));
    fleet.events.push_back(event(346, "auth", "deploy of 5 reverted: exited with 1 before it was ready", Level::Danger));
    fleet.events.push_back(event(200, "shop", "restart 4: out of memory", Level::Danger));
    let mut failed = task(9, "prune shop", TaskState::Failed, "after 10m warm", Some(900));
    failed.ended_at = Some(before(90));
    failed.last_error = Some(Problem::unavailable("the disk did not answer in 5 s").hint("r runs it again"));
    fleet.tasks.insert(TaskId(9), failed);
    fleet
}

/// `shop` is being built, `docs` waits for its turn and was never released.
fn deploying() -> Fleet {
    let mut fleet = calm();
    fleet.deployments.insert(DeploymentId(13), deployment(13, "shop", Aim::Deploy, 42, Phase::Building, 49));
    let docs = App {
        id: app("docs"),
        desired: Desired::Running,
        asked: Some(ReleaseId(1)),
        routed: None,
        serving: None,
        previous: None,
        replicas: None,
        pool: Vec::new(),
        url: None,
        next_release: ReleaseId(2),
        created_at: before(12),
        watch: None,
        warm: None,
    };
    fleet.apps.insert(docs.id.clone(), docs);
    fleet.deployments.insert(DeploymentId(14), deployment(14, "docs", Aim::Deploy, 1, Phase::Queued, 12));
    fleet.apps.get_mut(&app("shop")).expect("shop").asked = Some(ReleaseId(42));
    let mut running = task(13, "deploy shop 42", TaskState::Running, "asked by ops-2", None);
    running.started_at = before(49);
    "building".clone_into(&mut running.note);
    running.deployment = Some(DeploymentId(13));
    fleet.tasks.insert(TaskId(13), running);
    fleet
}

fn stopped() -> Fleet {
    let mut fleet = calm();
    let shop = fleet.apps.get_mut(&app("shop")).expect("shop");
    shop.desired = Desired::Stopped;
    shop.serving = None;
    fleet.instances.retain(|_, it| it.app != app("shop"));
    fleet.deployments.insert(DeploymentId(13), {
        let mut it = deployment(13, "shop", Aim::Stop, 41, Phase::Done, 60);
        it.steps = Vec::new();
        it
    });
    fleet
}

/// More of everything than fits a screen.
pub(crate) fn full(count: u32) -> Fleet {
    let mut fleet = one_failing();
    let names = ["search", "checkout", "payments", "course", "teacher", "landing", "ledger", "mailer", "images", "reports"];
    for n in 0..count {
        let name = format!("{}-{n}", names[n as usize % names.len()]);
        put_app(&mut fleet, &name, n % 60 + 1, n % 4 + 1, f64::from(n) * 3.7 % 900.0, f64::from(n) * 11.3 % 800.0);
        let phase = match n % 9 {
            0 => Phase::Failed,
            1 => Phase::Cancelled,
            2 => Phase::Building,
            _ => Phase::Live,
        };
        let mut it = deployment(100 + u64::from(n), &name, Aim::Deploy, n % 60 + 1, phase, 5_000 + i64::from(n) * 61);
        if phase == Phase::Failed {
            it.cause = Some(
                Problem::app("the build ended with 1: `npm run build`")
                    .at("build")
                    .evidence(["Error: Cannot find module './like'".to_owned()]),
            );
        }
        fleet.deployments.insert(it.id, it);
        let mut it = task(
            100 + u64::from(n),
            &format!("deploy {name}"),
            if phase == Phase::Building { TaskState::Running } else { TaskState::Succeeded },
            "asked by ops-2",
            Some(54_000),
        );
        it.deployment = Some(DeploymentId(100 + u64::from(n)));
        fleet.tasks.insert(it.id, it);
    }
    for n in 0..60 {
        let state = [ContainerState::Running, ContainerState::Exited, ContainerState::Running][n % 3];
        let mut it = container(
            &format!("batch-job-{n}"),
            "registry.example/team/batch-worker:2024.11.3",
            state,
            None,
            4_000 + n as i64 * 700,
        );
        it.ports = vec![port(Some(("127.0.0.1", 30_000 + n as u16)), 8_080)];
        fleet.containers.insert(it.id.clone(), it);
    }
    for n in 0..9 {
        let id = HostId(format!("edge-fra-{n}"));
        let mut host = fleet.hosts[&HostId::local()].clone();
        host.id = id.clone();
        host.facts.as_mut().expect("facts").name.clone_from(&id.0);
        host.reachable = n != 4;
        host.last_seen = before(if n == 4 { 258 } else { 1 });
        let history = fleet.host_history[&HostId::local()]
            .iter()
            .map(|sample| HostSample { cpu_percent: sample.cpu_percent.map(|cpu| (cpu + n as f32 * 9.0).min(99.0)), ..*sample });
        fleet.host_history.insert(id.clone(), history.collect());
        fleet.hosts.insert(id, host);
    }
    fleet
}

/// Lines of logs as apps write them, `count` of them up to `NOW`.
pub(crate) fn lines(count: usize) -> Vec<LogLine> {
    (0..count)
        .map(|n| {
            let back = i64::try_from(count - n).unwrap_or(0) * 137;
            let (name, instance) = [("shop", "shop-41-a"), ("tweet", "tweet-8-a"), ("shop", "shop-41-b")][n % 3];
            let line = match n % 7 {
                0 => r#"{"level":"info","msg":"order paid","order":8810,"ms":31,"req":"4f0c11"}"#.to_owned(),
                1 => r#"{"level":"info","msg":"cart closed","cart":55120,"ms":88,"req":"4f0c11"}"#.to_owned(),
                2 => r#"level=warn msg="slow upstream payments" ms=402 limit=300 req=77d1a0"#.to_owned(),
                3 => r#"{"level":"error","msg":"connection reset by payments","try":1,"req":"c0ffee"}"#.to_owned(),
                4 => "GET /timeline 200 12 ms".to_owned(),
                5 => "\u{1b}[32mready\u{1b}[0m on port 41001, \u{1b}]0;evil title\u{7}nothing hidden".to_owned(),
                _ => format!("{n:>6} a long line that says a great deal about what happened, in more words than any screen of eighty columns can show at once"),
            };
            LogLine {
                time: Timestamp(NOW.0 - back),
                app: app(name),
                release: ReleaseId(if name == "shop" { 41 } else { 8 }),
                instance: instance.to_owned(),
                stream: if n % 41 == 40 { Stream::Keeper } else if n % 7 == 3 { Stream::Err } else { Stream::Out },
                line: if n % 41 == 40 { "exited with 1, starts again in 2 s".to_owned() } else { line },
            }
        })
        .collect()
}
