//! Instances leave without a request being lost.

use std::{collections::HashMap, time::Duration};

use pilothouse::model::{instance::Health, units::Millis};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Manner},
    client::{Client, get},
    world::{World, instance, shop, split},
};

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// POSTs one after the other, on one connection, until told to end; gives the bodies that were not answered with 200.
async fn post_until(stop: CancellationToken, address: std::net::SocketAddr, name: usize) -> (usize, Vec<String>) {
    let mut client = Client::connect(address).await;
    let (mut sent, mut lost) = (0, Vec::new());
    while !stop.is_cancelled() {
        let body = format!("{name}-{sent}");
        sent += 1;
        match client.post("/order", &body).await {
            Ok(answer) if answer.status == 200 => {}
            _ => {
                lost.push(body);
                client = Client::connect(address).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (sent, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_apps_that_die_at_once_loses_nothing_and_doubles_nothing() {
    let busy = Manner { work: Duration::from_millis(3), ..Manner::default() };
    let mut world = World::start().await;
    let mut app = App::with(busy.clone()).await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let stop = CancellationToken::new();
    let mut clients = JoinSet::new();
    for name in 0..8 {
        clients.spawn(post_until(stop.clone(), world.public(), name));
    }
    let mut applied: HashMap<String, usize> = HashMap::new();
    let mut gather = |app: &App| app.applied().into_iter().for_each(|(body, n)| *applied.entry(body).or_default() += n);
    for release in 2..=8 {
        let next = App::with(busy.clone()).await;
        let old = instance(&format!("shop-{}-a", release - 1));
        // The old release stays in the table without weight, or leaves it: both ways are drained.
        let mut splits = vec![split(release, 100, &[next.address])];
        if release % 2 == 0 {
            splits.push(split(release - 1, 0, &[app.address]));
        }
        world.put(vec![shop(splits)]).await;
        assert_eq!(world.client.drain(&[old], Millis::seconds(10)).await.unwrap().left, 0);
        // Each was closed in order; the app needs a moment to see it.
        app.has_no_connection().await;
        gather(&app);
        app = next;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop.cancel();
    let done = clients.join_all().await;
    gather(&app);
    let sent: usize = done.iter().map(|(sent, _)| sent).sum();
    let lost: Vec<String> = done.into_iter().flat_map(|(_, lost)| lost).collect();
    assert!(lost.is_empty(), "{lost:?} of {sent}");
    assert!(applied.len() == sent && applied.values().all(|n| *n == 1), "{} of {sent} were applied", applied.len());
}

#[tokio::test]
async fn a_drain_waits_for_the_slow_request_and_then_has_no_connection() {
    let app = App::with(Manner { work: Duration::from_millis(300), ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    client.send("GET /slow HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await.unwrap();
    while app.heads().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let other = App::named("other").await;
    world.put(vec![shop(vec![split(2, 100, &[other.address]), split(1, 0, &[app.address])])]).await;
    assert_eq!(get(world.public(), "/").await.body, "other");
    assert_eq!(world.client.drain(&[instance("shop-1-a")], Millis::seconds(10)).await.unwrap().left, 0);
    assert_eq!(world.counters().await.backends[&instance("shop-1-a")].health, Health::Draining);
    assert_eq!(client.answer(false).await.unwrap().body, "app");
}

#[tokio::test]
async fn an_instance_that_left_the_table_finishes_what_it_has() {
    let app = App::with(Manner { work: Duration::from_millis(200), ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    client.send("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await.unwrap();
    while app.heads().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.put(vec![shop(Vec::new())]).await;
    assert_eq!(client.answer(false).await.unwrap().body, "app");
    assert_eq!(client.get("/").await.unwrap().status, 503);
}

#[tokio::test]
async fn a_warm_instance_serves_again_when_it_gets_weight_again() {
    let (old, new) = (App::named("old").await, App::named("new").await);
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 0, &[old.address]), split(2, 100, &[new.address])])]).await;
    world.client.drain(&[instance("shop-1-a")], Millis::seconds(10)).await.unwrap();
    world.put(vec![shop(vec![split(1, 100, &[old.address]), split(2, 0, &[new.address])])]).await;
    assert_eq!(get(world.public(), "/").await.body, "old");
}

#[tokio::test]
async fn a_tunnel_lives_through_a_drain_and_is_told_as_left() {
    let app = App::named("old").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    let switched = client.ask(UPGRADE).await.unwrap();
    assert_eq!((switched.status, switched.header("upgrade")), (101, Some("echo")));
    let other = App::named("new").await;
    world.put(vec![shop(vec![split(2, 100, &[other.address]), split(1, 0, &[app.address])])]).await;
    assert_eq!(world.client.drain(&[instance("shop-1-a")], Millis(200)).await.unwrap().left, 1);
    client.send("still there").await.unwrap();
    assert_eq!(client.exactly(11).await.unwrap(), b"still there");
    client.socket.shutdown().await.unwrap();
    assert_eq!(client.socket.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(world.client.drain(&[instance("shop-1-a")], Millis::seconds(10)).await.unwrap().left, 0);
    assert_eq!(get(world.public(), "/").await.body, "new");
}

#[tokio::test]
async fn an_instance_that_the_edge_does_not_know_is_drained_already() {
    let world = World::start().await;
    assert_eq!(world.client.drain(&[instance("shop-9-a")], Millis::seconds(10)).await.unwrap().left, 0);
}
