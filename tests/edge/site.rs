//! Static sites, served by the edge itself.

use std::path::Path;

use pilothouse::model::{
    edge::Door,
    route::{Split, Target},
    units::Millis,
};

use crate::{
    client::{Answer, Client},
    world::{World, shop, split},
};

fn site(release: u32, root: &Path, single_page: bool) -> Split {
    Split { target: Target::Site { root: root.to_owned(), single_page }, ..split(release, 100, &[]) }
}

async fn world_with(files: &[(&str, &str)], single_page: bool) -> World {
    let mut world = World::start().await;
    let root = world.path("site");
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
    world.put(vec![shop(vec![site(1, &root, single_page)])]).await;
    world
}

async fn ask(world: &World, line: &str, fields: &str) -> Answer {
    let mut client = Client::connect(world.public()).await;
    client.ask(&format!("{line} HTTP/1.1\r\nHost: shop.localhost\r\n{fields}\r\n")).await.expect("an answer")
}

#[tokio::test]
async fn pages_come_with_their_type_and_are_not_sent_twice() {
    let world = world_with(&[("index.html", "<h1>home</h1>"), ("app.js", "run()"), ("docs/index.html", "docs")], false).await;
    let home = ask(&world, "GET /", "").await;
    assert_eq!((home.status, home.body.as_str()), (200, "<h1>home</h1>"));
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(home.header("x-request-id").is_some() && home.header("last-modified").is_some());
    let tag = home.header("etag").unwrap();
    let again = ask(&world, "GET /", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
    let head = ask(&world, "HEAD /app.js", "").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    assert_eq!(head.header("content-type"), Some("text/javascript; charset=utf-8"));
    let folder = ask(&world, "GET /docs", "").await;
    assert_eq!((folder.status, folder.header("location")), (308, Some("/docs/")));
    assert_eq!(ask(&world, "POST /", "Content-Length: 0\r\n").await.status, 405);
    assert_eq!(ask(&world, "GET /app.js?v=3", "").await.body, "run()");
}

#[tokio::test]
async fn a_part_of_a_file_can_be_asked_for() {
    let world = world_with(&[("index.html", "home"), ("file.txt", "0123456789")], false).await;
    let part = ask(&world, "GET /file.txt", "Range: bytes=2-4\r\n").await;
    assert_eq!((part.status, part.body.as_str(), part.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    assert_eq!(ask(&world, "GET /file.txt", "Range: bytes=50-\r\n").await.status, 416);
}

#[tokio::test]
async fn a_large_file_is_streamed_whole() {
    let text = "0123456789abcdef".repeat(20_000);
    let world = world_with(&[("index.html", "home"), ("big.txt", &text)], false).await;
    let answer = ask(&world, "GET /big.txt", "").await;
    assert_eq!((answer.header("content-length"), answer.body == text), (Some("320000"), true));
    let end = ask(&world, "GET /big.txt", "Range: bytes=319998-\r\n").await;
    assert_eq!((end.status, end.body.as_str()), (206, "ef"));
}

#[tokio::test]
async fn nothing_outside_the_site_is_given() {
    let world = world_with(&[("index.html", "home"), (".env", "KEY=secret"), ("../secret.txt", "secret")], true).await;
    std::os::unix::fs::symlink(world.path("secret.txt"), world.path("site/link.txt")).unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/link.txt",
        "/.env",
        "/%2eenv",
        "/..%5csecret.txt",
    ] {
        let answer = ask(&world, &format!("GET {path}"), "").await;
        assert!(!answer.body.contains("secret"), "{path} gave {}", answer.body);
    }
}

#[tokio::test]
async fn a_missing_page_is_answered_as_the_site_wishes() {
    let plain = world_with(&[("index.html", "home")], false).await;
    assert_eq!(ask(&plain, "GET /cart", "").await.status, 404);
    let single = world_with(&[("index.html", "home")], true).await;
    let cart = ask(&single, "GET /cart/7", "").await;
    assert_eq!((cart.status, cart.body.as_str()), (200, "home"));
    let own = world_with(&[("index.html", "home"), ("404.html", "not here")], true).await;
    let lost = ask(&own, "GET /cart", "").await;
    assert_eq!((lost.status, lost.body.as_str()), (404, "not here"));
}

#[tokio::test]
async fn a_site_is_proved_by_its_page_and_an_empty_one_is_not() {
    let mut world = world_with(&[("index.html", "home")], false).await;
    for door in [Door::Pool, Door::Public] {
        let proof = world.prove(1, door, &[], Millis::seconds(5)).await.unwrap();
        assert!(proof.instances.is_empty() && proof.status == 200);
    }
    let empty = world.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    world.put(vec![shop(vec![site(2, &empty, false)])]).await;
    for door in [Door::Pool, Door::Public] {
        let refused = world.prove(2, door, &[], Millis(300)).await.unwrap_err();
        assert!(refused.what.contains("the site has no page for /"), "{refused}");
    }
}
