//! Apps in containers reach each other by `PILOTHOUSE_URL_<APP>`.

use crate::{
    engine_support::{
        docker::{self, ask},
        engine::Engine,
        wait::{seconds, until_some},
    },
    whole::{image, page},
};

/// Serves, as its page, what another app answers by the variable, asked anew for each request.
const ASKS: &str = concat!(
    r#"RUN mkdir -p /www/cgi-bin && printf '#!/bin/sh\necho; wget -q -O - $PILOTHOUSE_URL_BOOK_STORE/index.html\n' "#,
    r#"> /www/cgi-bin/ask && chmod 755 /www/cgi-bin/ask"#,
    "\nEXPOSE 80\n",
    r#"CMD ["sh","-c","trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"]"#,
    "\n"
);

struct Two(Engine);

impl Drop for Two {
    fn drop(&mut self) {
        for app in ["asker", "book-store"] {
            self.0.cli(&["--yes", "remove", app]);
        }
    }
}

#[test]
fn a_container_asks_another_app_by_its_variable_over_releases_and_restarts_of_the_edge() {
    if !docker::is_there() {
        return;
    }
    page("pilothouse-test/books:v1", "first-edition");
    page("pilothouse-test/books:v2", "second-edition");
    image("pilothouse-test/asker:v1", ASKS);
    let two = Two(Engine::start());
    let engine = &two.0;
    let deploy = |tag: &str, app: &str| {
        engine.live(engine.json(&["deploy", "--image", &format!("pilothouse-test/{tag}"), "--name", app]));
    };
    deploy("books:v1", "book-store");
    deploy("asker:v1", "asker");
    let told = || engine.get("asker", "/cgi-bin/ask").body.trim().to_owned();
    assert_eq!(told(), "first-edition");
    // It is told of the app, not of one release of it.
    deploy("books:v2", "book-store");
    assert_eq!(told(), "second-edition");
    // The edge comes back where containers know it.
    let edge = engine.snapshot()["edge"]["pid"].as_i64().expect("the edge's process");
    let pid = rustix::process::Pid::from_raw(edge as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the edge is killed");
    until_some(
        "the edge serves containers again",
        seconds(30),
        || {
            Some(()).filter(|()| {
                let answer = crate::engine_support::http::get(&format!("{}/cgi-bin/ask", engine.url("asker")));
                answer.is_ok_and(|answer| answer.body.trim() == "second-edition")
            })
        },
        || engine.engine_output(),
    );
    // Its own network, and nothing of it when the apps are gone.
    let networks = || ask(&["network", "ls", "--format", "{{.Name}}", "--filter", "label=pilothouse.state"]);
    let container = engine.snapshot()["containers"]
        .as_object()
        .expect("containers")
        .values()
        .find(|one| one["app"] == "asker")
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .expect("the asker's");
    let network = ask(&["inspect", "-f", "{{.HostConfig.NetworkMode}}", &container]);
    assert!(networks().contains(&network), "{network}");
    for app in ["asker", "book-store"] {
        assert_eq!(engine.json(&["--yes", "remove", app]).code, Some(0));
    }
    assert!(!networks().contains(&network), "{network} is left");
}
