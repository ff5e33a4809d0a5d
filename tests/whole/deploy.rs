//! What a user does on a good day: deploy, return, scale, restart, stop, remove.

use std::fs;

use crate::support::{
    app::{App, binary},
    engine::Engine,
    git::Repository,
    http,
    wait::{has, is_installed, seconds, until},
};

#[test]
fn a_folder_becomes_a_proved_url() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    let document = engine.deploy_live(&app);
    assert_eq!(document["app"], "shop");
    assert_eq!(document["release"], 1);
    assert!(document["took_ms"].as_u64().is_some_and(|took| took > 0), "{document:#}");
    let url = document["url"].as_str().expect("a URL");
    assert!(url.starts_with("http://shop.localhost:"), "{url}");
    let page = http::get(&format!("{url}/")).expect("the page answers");
    assert!(page.status == 200 && page.body.contains("shop v1"), "{page:?}");
    let status = engine.status("shop");
    assert_eq!(status["asked"]["release"], 1, "{status:#}");
    assert_eq!(status["running"][0]["release"], 1, "{status:#}");
    assert_eq!(status["running"][0]["instances"], 1, "{status:#}");
    assert_eq!(status["serving"]["release"], 1, "{status:#}");
    for field in ["id", "release", "state", "health", "runtime", "host", "restarts"] {
        assert!(!status["instances"][0][field].is_null(), "`{field}` of an instance: {status:#}");
    }
    let apps = engine.json(&["apps"]).document();
    assert_eq!(apps[0]["app"], "shop", "{apps:#}");
    engine.has_no_scratch();
}

#[test]
fn a_route_leads_to_a_process_that_another_file_names() {
    let engine = Engine::start();
    let sample = |version: &str| format!("SAMPLE_VERSION={version} exec {} sample", binary().display());
    let routes = |process: &str| {
        format!(
            "name = \"shop\"\n[[route]]\nhost = \"shop.localhost\"\n[[route]]\nhost = \"shop.localhost\"\npath = \"/api\"\nstrip = true\nprocess = \"{process}\"\n"
        )
    };
    let folder = engine.home().join("shop");
    fs::create_dir_all(&folder).expect("a folder");
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).expect("a file");
    write("Procfile", &format!("web: {}\napi: {}\n", sample("page"), sample("api")));
    write("pilothouse.toml", &routes("api"));
    let path = folder.to_str().expect("text");
    engine.live(engine.json(&["deploy", path]));
    assert_eq!(engine.version("shop"), "page");
    assert_eq!(engine.get("shop", "/api/version").json()["version"], "api");
    write("pilothouse.toml", &routes("apy"));
    let refused = engine.json(&["deploy", path]);
    assert!(refused.code == Some(1) && refused.text().contains("route[1].process"), "{refused}");
    assert!(refused.text().contains("there is `api`, `web`"), "the next step is told: {refused}");
    // Services of a Compose file are processes as well.
    fs::remove_file(folder.join("Procfile")).expect("it is there");
    fs::create_dir_all(folder.join("api")).expect("a folder");
    write("api/Dockerfile", "FROM shop:1\n");
    write("compose.yaml", "services:\n  web: {image: 'shop:1', ports: ['80:80']}\n  api: {build: api, ports: ['81:81']}\n");
    write("pilothouse.toml", &routes("api"));
    let plan = engine.json(&["deploy", path, "--plan"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    let planned = plan.document()["blueprint"]["routes"].clone();
    assert_eq!((&planned[0]["process"], &planned[1]["process"]), (&"web".into(), &"api".into()), "{plan}");
}

#[test]
fn a_second_release_takes_over_without_a_lost_request() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").replicas(2).write();
    engine.deploy_live(&app);
    let poll = engine.poll("shop");
    let document = engine.deploy_live(&app.version("v2").write());
    let seen = poll.stop();
    assert_eq!(document["release"], 2);
    assert!(seen.bad.is_empty() && seen.answers() > 10, "{seen:?}");
    assert_eq!(engine.version("shop"), "v2");
    engine.await_status("shop", "only release 2 runs, or 1 is kept warm", |status| status["serving"]["release"] == 2);
}

#[test]
fn an_app_is_told_where_the_others_are() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let asks = App::sample(engine.home(), "asker");
    let command = format!("echo shop is at $PILOTHOUSE_URL_SHOP; {}", asks.command);
    engine.deploy_live(&asks.command(&command).write());
    let told = format!("shop is at {}", engine.url("shop"));
    until("its log has the URL of the other app", seconds(10), || engine.cli(&["logs", "asker"]).stdout.contains(&told));
}

#[test]
fn git_gives_a_branch_a_tag_or_a_commit() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "repo");
    let manifest = |version: &str| App::sample(engine.home(), "repo").version(version).manifest();
    let repository = Repository::with(engine.home().join("repo.git.d"), &[("pilothouse.toml", &manifest("v1"))]);
    let first = repository.git(&["rev-parse", "HEAD"]).trim().to_owned();
    repository.git(&["tag", "one"]);
    let second = repository.commit("second", &[("pilothouse.toml", &manifest("v2"))]);
    repository.git(&["branch", "next"]);
    drop(app);
    let url = repository.url();
    let deploy = |reference: &[&str], version: &str, commit: &str| {
        let arguments = [&["deploy", url.as_str()], reference].concat();
        let document = engine.live(engine.json(&arguments));
        assert_eq!(document["commit"], commit, "{document:#}");
        assert_eq!(engine.version("repo"), version);
    };
    deploy(&[], "v2", &second);
    deploy(&["--ref", "one"], "v1", &first);
    deploy(&["--ref", "next"], "v2", &second);
    deploy(&["--ref", &first], "v1", &first);
    let third = repository.commit("third", &[("pilothouse.toml", &manifest("v3"))]);
    deploy(&["--ref", "main"], "v3", &third);
    let releases = engine.json(&["releases", "repo"]).document();
    assert!(releases.as_array().is_some_and(|list| list.len() >= 3), "{releases:#}");
}

#[test]
fn a_changed_working_tree_is_named_dirty() {
    let engine = Engine::start();
    let manifest = App::sample(engine.home(), "tree").manifest();
    let repository = Repository::with(engine.home().join("tree"), &[("pilothouse.toml", &manifest), ("note", "a")]);
    fs::write(repository.folder().join("note"), "b").expect("a file can be written");
    let document = engine.live(engine.json(&["deploy", repository.folder().to_str().expect("text")]));
    assert!(document["version"].as_str().is_some_and(|version| version.ends_with("+dirty")), "{document:#}");
}

#[test]
fn static_files_are_served_by_the_edge() {
    let engine = Engine::start();
    let folder = engine.home().join("pages");
    fs::create_dir_all(folder.join("about")).expect("a folder");
    fs::write(folder.join("index.html"), "<h1>home</h1>").expect("a file");
    fs::write(folder.join("about/index.html"), "<h1>about</h1>").expect("a file");
    let document = engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    assert_eq!(document["app"], "pages");
    assert!(document["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{document:#}");
    let page = engine.get("pages", "/");
    assert!(page.body.contains("home") && page.headers["content-type"].starts_with("text/html"), "{page:?}");
    assert!(engine.get("pages", "/about/").body.contains("about"));
    assert_eq!(engine.get("pages", "/../engine.lock").status / 100, 4);
    fs::write(folder.join("index.html"), "<h1>second</h1>").expect("a file");
    engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    assert!(engine.get("pages", "/").body.contains("second"));
}

#[test]
fn a_procfile_says_how_python_starts() {
    if !has("python3", "apt-get install python3", is_installed("python3")) {
        return;
    }
    let engine = Engine::start();
    let folder = engine.home().join("files");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("Procfile"), "web: python3 -m http.server --bind 127.0.0.1 $PORT\n").expect("a file");
    fs::write(folder.join("hello.txt"), "hello from python").expect("a file");
    engine.live(engine.json(&["deploy", folder.to_str().expect("text")]));
    assert_eq!(engine.get("files", "/hello.txt").body, "hello from python");
}

#[test]
fn an_answer_that_breaks_off_proves_nothing() {
    if !has("python3", "apt-get install python3", is_installed("python3")) {
        return;
    }
    let engine = Engine::start();
    let folder = engine.home().join("cut");
    fs::create_dir_all(&folder).expect("a folder");
    let app = "import os, socket\nserver = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n\
               while True:\n    peer, _ = server.accept()\n    peer.recv(65536)\n    \
               peer.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1000000\\r\\n\\r\\nshort')\n    peer.close()\n";
    fs::write(folder.join("app.py"), app).expect("a file");
    fs::write(folder.join("Procfile"), "web: python3 app.py\n").expect("a file");
    fs::write(folder.join("pilothouse.toml"), "[process.web]\nready = { within = \"3s\" }\n").expect("a file");
    let document = engine.not_live(engine.json(&["deploy", folder.to_str().expect("text")]), "failed");
    assert!(document["cause"].as_str().is_some_and(|cause| cause.contains("broke off its answer")), "{document}");
}

#[test]
fn a_rollback_returns_to_the_release_before() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    engine.deploy_live(&app.version("v2").write());
    let poll = engine.poll("shop");
    let document = engine.live(engine.json(&["rollback", "shop"]));
    assert_eq!((engine.version("shop").as_str(), document["release"].as_u64()), ("v1", Some(1)));
    let document = engine.live(engine.json(&["rollback", "shop", "2"]));
    assert_eq!((engine.version("shop").as_str(), document["release"].as_u64()), ("v2", Some(2)));
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
    let refused = engine.json(&["rollback", "shop", "9"]);
    assert_eq!(refused.code, Some(1), "{refused}");
}

#[test]
fn scale_changes_how_many_answer() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop").env("SAMPLE_LATENCY", "20ms").write());
    let poll = engine.poll("shop");
    let running = |count: u64| {
        engine.await_status("shop", &format!("{count} instances run"), |status| status["running"][0]["instances"] == count)
    };
    let ran = engine.json(&["scale", "shop", "3"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    running(3);
    // Requests at the same time: one after the other may all go to the fastest instance.
    let url = engine.url("shop") + "/version";
    let ask = || http::get(&url).expect("the edge answers").json()["instance"].to_string();
    let mut seen = std::collections::BTreeSet::new();
    until("all three answer", seconds(20), || {
        let several = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..9).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect::<Vec<_>>()
        });
        seen.extend(several);
        seen.len() == 3
    });
    let ran = engine.json(&["scale", "shop", "1"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    running(1);
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
}

#[test]
fn what_an_app_was_scaled_to_goes_with_the_next_deploy_and_the_plan_says_so() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    assert_eq!(engine.json(&["scale", "shop", "2"]).code, Some(0));
    let app = app.version("v2").write();
    let folder = app.path();
    let plan = engine.cli(&["deploy", folder, "--plan"]);
    assert!(plan.text().contains("scaled") && plan.text().contains("2 stays"), "{plan}");
    engine.deploy_live(&app);
    let replicas = |count: u64| {
        engine.await_status("shop", &format!("{count} instances of the newest run"), |status| {
            status["running"][0]["release"] == status["asked"]["release"] && status["running"][0]["instances"] == count
        })
    };
    replicas(2);
    let ran = engine.json(&["deploy", folder, "--replicas", "1", "--yes"]);
    engine.live(ran);
    replicas(1);
    let app = app.replicas(0).write();
    let refused = engine.deploy(&app);
    assert!(refused.text().contains("0 replicas"), "{refused}");
    engine.not_live(refused, "failed");
    replicas(1);
}

#[test]
fn restart_brings_fresh_instances_without_a_lost_request() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let before = engine.get("shop", "/version").json()["instance"].clone();
    let poll = engine.poll("shop");
    let ran = engine.json(&["restart", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let seen = poll.stop();
    assert_ne!(engine.get("shop", "/version").json()["instance"], before);
    assert!(seen.bad.is_empty(), "{seen:?}");
}

#[test]
fn a_stopped_app_answers_nothing_until_it_is_started() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let url = engine.url("shop");
    let ran = engine.json(&["stop", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.document()["serving"].is_null(), "what is stopped is not told as serving: {ran}");
    assert!(http::get(&url).is_ok_and(|answer| answer.status >= 500), "a stopped app is refused by the edge");
    until("no instance runs", seconds(10), || !engine.processes().iter().any(|found| found.command.ends_with("sample")));
    assert!(engine.status("shop")["serving"].is_null());
    let waited = engine.cli(&["wait", "shop", "--live"]);
    assert!(waited.code == Some(1) && waited.text().contains("pilothouse start shop"), "{waited}");
    let ran = engine.json(&["start", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(engine.version("shop"), "v1");
}

#[test]
fn remove_leaves_nothing() {
    let engine = Engine::start();
    engine.deploy_live(&App::sample(engine.home(), "shop").replicas(2).write());
    engine.deploy_live(&App::sample(engine.home(), "other"));
    let url = engine.url("shop");
    let ran = engine.json(&["--yes", "remove", "shop"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(http::get(&url).is_ok_and(|answer| answer.status == 404 || answer.status >= 500), "nothing answers for it");
    engine.leaves_nothing_of("shop");
    assert_eq!(engine.json(&["status", "shop"]).code, Some(1));
    assert_eq!(engine.version("other"), "v1");
    // The name is free again, and its numbers go on or begin anew without a clash.
    engine.deploy_live(&App::sample(engine.home(), "shop"));
}

#[test]
fn a_plan_changes_nothing() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    let ran = engine.json(&["deploy", app.path(), "--plan"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.document()["app"], "shop", "{ran}");
    assert_eq!(engine.json(&["apps"]).document(), serde_json::json!([]));
    assert!(!engine.processes().iter().any(|found| found.command.ends_with("sample")));
    let text = engine.cli(&["deploy", app.path(), "--plan"]);
    assert!(text.code == Some(0) && text.stdout.contains("nothing was changed"), "{text}");
}

#[test]
fn a_detached_deploy_is_waited_for_by_name() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "slow").env("SAMPLE_BOOT", "1500ms").write();
    let detached = engine.json(&["deploy", app.path(), "--detach"]);
    assert_eq!(detached.code, Some(0), "{detached}");
    assert_ne!(detached.document()["state"], "live", "{detached}");
    let waited = engine.json(&["wait", "slow", "--live"]);
    assert_eq!(waited.code, Some(0), "{waited}");
    assert_eq!(engine.version("slow"), "v1");
}

#[test]
fn a_newer_deployment_supersedes_the_one_under_way() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop");
    engine.deploy_live(&app);
    let poll = engine.poll("shop");
    let app = app.version("v2").env("SAMPLE_BOOT", "20s").ready_within("60s").write();
    let first = engine.begin(&["--json", "deploy", app.path()]);
    engine.await_status("shop", "an instance of release 2 starts", |status| {
        status["instances"].as_array().is_some_and(|list| list.iter().any(|one| one["release"] == 2))
    });
    let document = engine.deploy_live(&app.version("v3").without("SAMPLE_BOOT").write());
    assert_eq!(document["release"], 3);
    engine.not_live(first.end(), "superseded");
    assert_eq!(engine.version("shop"), "v3");
    let seen = poll.stop();
    assert!(seen.bad.is_empty(), "{seen:?}");
}

#[test]
fn an_app_without_a_route_is_running_and_never_serving() {
    let engine = Engine::start();
    let folder = engine.home().join("worker");
    fs::create_dir_all(&folder).expect("a folder");
    let manifest = "name = \"worker\"\n[process.worker]\ncommand = \"while true; do echo tick; sleep 0.2; done\"\n";
    fs::write(folder.join("pilothouse.toml"), manifest).expect("a file");
    let ran = engine.json(&["deploy", folder.to_str().expect("text")]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let status = engine.status("worker");
    assert!(status["serving"].is_null() && status["url"].is_null(), "{status:#}");
    assert_eq!(status["running"][0]["instances"], 1, "{status:#}");
}

#[test]
fn logs_are_kept_merged_and_told_by_line() {
    let engine = Engine::start();
    let app = App::sample(engine.home(), "shop").replicas(2).build("echo from-the-build").write();
    engine.deploy_live(&app);
    for _ in 0..6 {
        engine.get("shop", "/version");
    }
    let lines = || -> Vec<serde_json::Value> {
        let ran = engine.json(&["logs", "shop", "--tail", "200"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is a document")).collect()
    };
    until("requests are in the logs", seconds(5), || lines().iter().any(|line| line["line"].to_string().contains("/version")));
    let lines = lines();
    for field in ["time", "app", "release", "instance", "stream", "line"] {
        assert!(!lines[0][field].is_null(), "`{field}`: {}", lines[0]);
    }
    let times: Vec<String> = lines.iter().map(|line| line["time"].to_string()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let instances: std::collections::BTreeSet<String> = lines.iter().map(|line| line["instance"].to_string()).collect();
    assert!(instances.len() >= 2, "{instances:?}");
    let build = engine.json(&["logs", "shop", "--build"]);
    assert!(build.stdout.contains("from-the-build"), "{build}");
}

#[test]
fn an_engine_starts_in_the_background_and_tells_of_itself() {
    let engine = Engine::absent();
    let started = engine.json(&["engine", "start"]);
    assert_eq!(started.code, Some(0), "{started}");
    let status = engine.json(&["engine", "status"]).document();
    for field in ["pid", "version", "socket", "state_dir", "uptime_s"] {
        assert!(!status[field].is_null(), "`{field}`: {status:#}");
    }
    assert!(!status["edge"]["http"].is_null(), "{status:#}");
    engine.deploy_live(&App::sample(engine.home(), "shop"));
    let url = engine.url("shop");
    let stopped = engine.json(&["engine", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped}");
    let log = std::fs::read_to_string(engine.state().join("engine.log")).expect("the engine's log");
    assert!(log.contains("the engine ends") && !log.contains("did not end within"), "nothing was waited for in vain: {log}");
    assert_eq!(http::get(&url).expect("the edge answers without the engine").status, 200);
    // A command starts the engine that it needs.
    assert_eq!(engine.version("shop"), "v1");
}
