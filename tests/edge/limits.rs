//! Clients and apps that are silent, slow or too many.

use std::time::Duration;

use pilothouse::{config::settings::EdgeSettings, model::units::Millis};
use tokio::time::Instant;

use crate::{
    app::{App, Manner},
    client::{Client, get},
    world::{World, settings, shop, split},
};

async fn hasty(app: &App) -> World {
    let edge = EdgeSettings {
        header_timeout: Millis(400),
        idle_timeout: Millis(900),
        answer_timeout: Millis(600),
        connections: 20,
        ..settings()
    };
    let mut world = World::with(edge).await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    world
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_off() {
    let app = App::named("app").await;
    let world = hasty(&app).await;
    let started = Instant::now();
    assert!(Client::connect(world.public()).await.is_ended().await);
    assert!((400..1_500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_drips_its_head_is_cut_off() {
    let app = App::named("app").await;
    let world = hasty(&app).await;
    let mut client = Client::connect(world.public()).await;
    let started = Instant::now();
    let mut letter = "GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-Long: ".to_owned();
    while client.send(&letter).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(5), "it still listens");
        "x".clone_into(&mut letter);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.heads().is_empty());
}

#[tokio::test]
async fn a_client_may_be_idle_between_requests_but_not_for_ever() {
    let app = App::named("app").await;
    let world = hasty(&app).await;
    let mut client = Client::connect(world.public()).await;
    client.get("/").await.unwrap();
    // Longer than a head may take, less than a client may be idle.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    let started = Instant::now();
    assert!(client.is_ended().await);
    assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_stops_within_its_body_is_cut_off() {
    let app = App::named("app").await;
    let world = hasty(&app).await;
    for length in [100, 1_000_000] {
        let mut client = Client::connect(world.public()).await;
        let head = format!("POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: {length}\r\n\r\npart");
        client.send(&head).await.unwrap();
        assert!(client.is_ended().await);
    }
    assert!(app.applied().is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let app = App::named("app").await;
    let mut world = hasty(&app).await;
    let root = world.path("site");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("big.bin"), vec![0_u8; 64 << 20]).unwrap();
    let mut site = split(1, 100, &[]);
    site.target = pilothouse::model::route::Target::Site { root, single_page: false };
    world.put(vec![shop(vec![site])]).await;
    let mut client = Client::connect(world.public()).await;
    client.send("GET /big.bin HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await.unwrap();
    // Its line in the access log is written when the connection ends.
    world.counted(1, 1).await;
}

#[tokio::test]
async fn an_app_that_does_not_answer_in_time_gets_its_client_a_504() {
    let app = App::with(Manner { work: Duration::from_secs(30), ..Manner::default() }).await;
    let world = hasty(&app).await;
    let started = Instant::now();
    assert_eq!(get(world.public(), "/").await.status, 504);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(app.heads().len(), 1, "a request that was late is not sent again");
}

#[tokio::test]
async fn too_many_connections_are_refused_with_a_reason() {
    let app = App::named("app").await;
    let world = hasty(&app).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(world.public()).await;
        client.get("/").await.unwrap();
        held.push(client);
    }
    let mut one_more = Client::connect(world.public()).await;
    let answer = one_more.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(held);
}
