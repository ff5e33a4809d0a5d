//! HTTPS with certificates from files: the right one by name, read again, and told when it is wrong.

use std::time::Duration;

use pilothouse::{
    config::settings::EdgeSettings,
    model::{edge::Door, route::Match, units::Millis},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    app::App,
    client::{Client, get},
    secure::{certificate, connect, https},
    world::{PATIENCE, World, shop, split},
};

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_certificate_is_the_one_of_the_name_that_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = certificate(folder.path(), "first", &["first.example.org"]);
    let shops = certificate(folder.path(), "shop", &["shop.localhost"]);
    let wild = certificate(folder.path(), "wild", &["*.apps.example.org"]);
    let settings = EdgeSettings { hsts: Millis::seconds(60), ..https(vec![first.clone(), shops.clone(), wild.clone()]) };
    let mut world = World::with(settings).await;
    let app = App::named("app").await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let address = world.status.https[0];
    for (host, files) in [("first.example.org", &first), ("shop.localhost", &shops), ("x.apps.example.org", &wild)] {
        connect(address, host, &[files], &[]).await.expect("its own certificate");
    }
    assert!(connect(address, "other.example.org", &[&first, &shops, &wild], &[]).await.is_err(), "the first one is not for it");
    let mut stream = connect(address, "shop.localhost", &[&shops], &["http/1.1"]).await.expect("connected");
    let answer = ask(&mut stream, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("app"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("strict-transport-security: max-age=60\r\n"), "{answer}");
    assert!(app.heads()[0].to_ascii_lowercase().contains("x-forwarded-proto: https"));
    assert_eq!(world.status.url(&Match::host("shop.localhost")), Some(format!("https://shop.localhost:{}", address.port())));
    assert!(world.status.troubles.iter().all(|trouble| trouble.what.contains("private key")), "{:?}", world.status.troubles);
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = certificate(folder.path(), "shop", &["shop.localhost"]);
    let mut world = World::with(https(vec![old.clone()])).await;
    let app = App::named("app").await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let address = world.status.https[0];
    let mut before = connect(address, "shop.localhost", &[&old], &[]).await.expect("connected");
    let new = certificate(folder.path(), "shop", &["shop.localhost"]);
    let served = async {
        while connect(address, "shop.localhost", &[&new], &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("the new one is served");
    assert!(ask(&mut before, "/").await.ends_with("app"), "the old connection goes on");
}

#[tokio::test]
async fn a_pair_that_does_not_fit_is_told_and_the_others_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = certificate(folder.path(), "good", &["shop.localhost"]);
    let mut mixed = certificate(folder.path(), "mixed", &["mixed.localhost"]);
    mixed.key.clone_from(&good.key);
    let world = World::with(https(vec![mixed, good.clone()])).await;
    let told = format!("{:?}", world.status.troubles);
    assert!(told.contains("the private key does not belong to the certificate") && told.contains("good.key"), "{told}");
    connect(world.status.https[0], "shop.localhost", &[&good], &[]).await.expect("the good one is served");
}

#[tokio::test]
async fn plain_requests_are_led_to_https_but_not_those_that_must_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = certificate(folder.path(), "shop", &["shop.localhost"]);
    let mut world = World::with(EdgeSettings { redirect: true, ..https(vec![files]) }).await;
    let app = App::named("app").await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let led = get(world.public(), "/a/b?c=d").await;
    let port = world.status.https[0].port();
    assert_eq!((led.status, led.header("location")), (308, Some(format!("https://shop.localhost:{port}/a/b?c=d").as_str())));
    assert_eq!(get(world.public(), "/.well-known/acme-challenge/x").await.status, 200);
    let other = "GET / HTTP/1.1\r\nHost: other.localhost\r\n\r\n";
    let answer = Client::connect(world.public()).await.ask(other).await.expect("an answer");
    assert_eq!(answer.status, 404, "no certificate is for it");
    world.prove(1, Door::Public, &[], Millis::seconds(5)).await.expect("the edge's own proof is answered by the app");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_is_let_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = certificate(folder.path(), "shop", &["shop.localhost"]);
    let world = World::with(EdgeSettings { header_timeout: Millis(300), ..https(vec![files]) }).await;
    let mut silent = Client::connect(world.status.https[0]).await;
    silent.send("\u{16}\u{3}\u{1}").await.expect("sent");
    assert!(silent.is_ended().await);
}
