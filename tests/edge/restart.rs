//! The edge comes back as it was, and leaves in order.

use std::time::Duration;

use pilothouse::{
    config::settings::EdgeSettings,
    edge,
    model::{edge::Slot, instance::Health},
};

use crate::{
    app::{App, Manner},
    client::{Client, get},
    world::{PATIENCE, World, instance, shop, split},
};

#[tokio::test]
async fn a_killed_edge_serves_the_same_table_at_the_same_port_again() {
    let app = App::named("still here").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let before = world.status.clone();
    let mut held = Client::connect(world.public()).await;
    held.get("/").await.unwrap();
    for _ in 0..3 {
        world.kill();
        world.start_again().await;
    }
    assert_eq!((world.status.http.clone(), world.client.status().await.unwrap().generation.0), (before.http, 1));
    assert_eq!(get(world.public(), "/").await.body, "still here");
}

#[tokio::test]
async fn the_default_port_is_free_and_stays() {
    let mut world = World::with(EdgeSettings { threads: 1, ..EdgeSettings::default() }).await;
    let port = world.public().port();
    assert!(port >= 8080 && world.public().ip().is_loopback());
    world.kill();
    world.start_again().await;
    assert_eq!(world.public().port(), port);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_does_not_keep_the_edge_from_starting() {
    let mut world = World::start().await;
    world.put(vec![shop(Vec::new())]).await;
    world.kill();
    std::fs::write(world.path("edge/table.json"), "{\"generation\":").unwrap();
    world.start_again().await;
    assert_eq!(world.status.generation.0, 0);
    assert!(world.path("edge/table.json.odd").exists());
}

#[tokio::test]
async fn an_edge_that_ends_finishes_what_it_has_and_lets_tunnels_go() {
    let app = App::with(Manner { work: Duration::from_millis(700), ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    client.send("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await.unwrap();
    let mut idle = Client::connect(world.public()).await;
    while app.heads().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.client.stop().await.unwrap();
    let answer = client.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    drop(client);
    assert!(idle.is_ended().await);
    assert!(world.ends_well(PATIENCE).await);
    assert!(
        std::fs::read_to_string(world.path("edge/access.log")).unwrap().contains("\"status\":200"),
        "the last line is written"
    );
}

#[tokio::test]
async fn one_state_folder_has_one_edge() {
    let world = World::start().await;
    let state = world.state();
    let refused = tokio::task::spawn_blocking(move || edge::run(state, Slot::FIRST)).await.unwrap().unwrap_err();
    assert!(refused.what.contains("another edge runs"), "{refused}");
}

#[tokio::test]
async fn health_is_known_again_soon_after_a_restart() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    world.kill();
    world.start_again().await;
    let known = async {
        while world.counters().await.backends[&instance("shop-1-a")].health != Health::Passing {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap();
}

#[tokio::test]
async fn containers_are_listened_to_where_they_were_told_also_after_a_restart() {
    let app = App::named("inside").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let gateway = std::net::IpAddr::from([127, 0, 0, 77]);
    let told = world.client.open_internal(gateway).await.unwrap();
    assert_eq!(told.ip(), gateway);
    assert_eq!(get(told, "/").await.body, "inside");
    assert_eq!(world.client.open_internal(gateway).await.unwrap(), told);
    world.kill();
    world.start_again().await;
    let listens_again = async {
        while world.client.status().await.unwrap().internal != Some(told) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listens_again).await.unwrap();
    assert_eq!(get(told, "/").await.body, "inside");
    // A bridge that was made anew has another address, which need not be there yet.
    let moved = world.client.open_internal([198, 18, 255, 77].into()).await.unwrap();
    assert_eq!(world.client.status().await.unwrap().internal, Some(moved));
    let is_left = async {
        while tokio::net::TcpStream::connect(told).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_left).await.unwrap();
}
