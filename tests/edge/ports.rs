//! Another program has the edge's port.

use std::{net::TcpListener, time::Duration};

use pilothouse::{config::settings::EdgeSettings, model::problem::Problem, wire::waiting};

use crate::{
    app::App,
    client::get,
    world::{PATIENCE, World, settings, shop, split},
};

/// A program that is not ours, on a port of its own.
fn another() -> (TcpListener, u16) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

/// How this process is named as the one that holds a port.
fn me() -> String {
    format!("(pid {})", std::process::id())
}

#[tokio::test]
async fn a_port_that_nobody_asked_for_is_another_one_when_it_was_taken_and_stays_from_then_on() {
    let mut world = World::with(EdgeSettings { http: Vec::new(), ..settings() }).await;
    world.kill();
    let (_held, port) = another();
    let remembered = format!("{{\"asked\": [], \"http\": [\"127.0.0.1:{port}\"]}}");
    std::fs::write(world.path("edge/ports.json"), remembered).unwrap();
    world.start_again().await;
    let now = world.public().port();
    assert_ne!(now, port);
    let [trouble] = world.status.troubles.as_slice() else { panic!("{:?}", world.status.troubles) };
    for told in [format!("port {port} is taken by"), me(), format!("port {now} now")] {
        assert!(trouble.what.contains(&told), "`{told}` in: {trouble}");
    }
    assert!(trouble.next.as_ref().is_some_and(|next| next.contains("edge.http")), "{trouble}");
    let kept = std::fs::read_to_string(world.path("edge/ports.json")).unwrap();
    assert!(kept.contains(&format!(":{now}\"")), "{kept}");
}

#[tokio::test]
async fn a_port_that_was_asked_for_is_waited_for_and_who_holds_it_is_told() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let asked = world.public();
    world.kill();
    let held = TcpListener::bind(asked).unwrap();
    world.begin_again();
    let told = told(&world).await;
    assert!(told.what.contains(&format!("port {} is taken by", asked.port())) && told.what.contains(&me()), "{told}");
    assert!(told.next.as_ref().is_some_and(|next| next.contains("edge.http")), "{told}");
    drop(held);
    world.await_up().await;
    assert_eq!((world.public(), get(asked, "/").await.body.as_str()), (asked, "app"));
    assert_eq!(waiting::why(&world.state(), world.slot()), None, "nothing keeps it any more");
}

#[tokio::test]
async fn settings_that_keep_the_edge_from_starting_are_told() {
    let mut world = World::start().await;
    world.kill();
    let odd = EdgeSettings { trusted_proxies: vec!["nobody".to_owned()], ..settings() };
    pilothouse::wire::edge::EdgeStart { edge: odd, replaces: None }.write(&world.state(), world.slot()).unwrap();
    world.begin_again();
    let told = told(&world).await;
    assert!(told.what.contains("`nobody` is not an address"), "{told}");
}

/// Why the edge does not serve, as soon as it says so.
async fn told(world: &World) -> Problem {
    let told = async {
        loop {
            if let Some(problem) = waiting::why(&world.state(), world.slot()) {
                return problem;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it says why it does not serve")
}
