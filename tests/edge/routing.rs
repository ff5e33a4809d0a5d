//! Which requests go where, and what is told to both sides.

use pilothouse::model::route::Route;

use crate::{
    app::{App, Manner},
    client::{Client, get},
    world::{PATIENCE, World, shop, split},
};

#[tokio::test]
async fn a_host_leads_to_its_app_and_an_unknown_one_to_a_clear_404() {
    let app = App::named("hello").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    assert_eq!(get(world.public(), "/").await.body, "hello");
    let mut client = Client::connect(world.public()).await;
    let shouted = client.ask("GET / HTTP/1.1\r\nHost: SHOP.localhost:8080\r\n\r\n").await.unwrap();
    assert_eq!(shouted.body, "hello");
    let absolute = client.ask("GET http://shop.localhost/x HTTP/1.1\r\nHost: other\r\n\r\n").await.unwrap();
    assert_eq!(absolute.body, "hello");
    let unknown = client.ask("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n").await.unwrap();
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body, "no app is served at nobody.localhost\n");
    assert_eq!(world.counters().await.unrouted, 1);
}

#[tokio::test]
async fn an_app_that_serves_nothing_asks_to_come_again() {
    let mut world = World::start().await;
    world.put(vec![shop(Vec::new())]).await;
    let answer = get(world.public(), "/").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
}

#[tokio::test]
async fn weights_are_exact_and_counted_per_release() {
    let (old, new) = (App::named("old").await, App::named("new").await);
    let mut world = World::with(pilothouse::config::settings::EdgeSettings { threads: 1, ..crate::world::settings() }).await;
    world.put(vec![shop(vec![split(1, 90, &[old.address]), split(2, 10, &[new.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    let mut of_new = 0;
    for _ in 0..500 {
        of_new += u32::from(client.get("/").await.unwrap().body == "new");
    }
    assert_eq!(of_new, 50);
    let counted = world.counted(2, 50).await;
    assert_eq!((counted.requests, counted.errors), (50, 0));
    assert_eq!(counted.latency_us.iter().map(|(_, count)| count).sum::<u64>(), 50);
    assert_eq!(world.counted(1, 450).await.requests, 450);
}

#[tokio::test]
async fn the_app_learns_who_asked_and_the_client_its_request_id() {
    let app =
        App::with(Manner { head: "X-Pilothouse-Release: 9\r\nConnection: X-Hop\r\nX-Hop: 1\r\n", ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    let request = "GET /a?b=c HTTP/1.1\r\nHost: shop.localhost\r\nX-Forwarded-For: 9.9.9.9\r\nX-Request-Id: mine-1\r\n\r\n";
    let answer = client.ask(request).await.unwrap();
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!((answer.header("x-pilothouse-release"), answer.header("x-hop")), (None, None));
    let odd = client.ask("GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-Request-Id: a\"b\r\n\r\n").await.unwrap();
    assert_eq!(odd.header("x-request-id").map(str::len), Some(32));
    let head = app.heads()[0].to_ascii_lowercase();
    for told in
        ["get /a?b=c http/1.1", "x-forwarded-for: 127.0.0.1\r", "x-forwarded-proto: http\r", "x-forwarded-host: shop.localhost\r"]
    {
        assert!(head.contains(told), "{told} in {head}");
    }
    assert!(head.contains("x-request-id: mine-1"));
}

#[tokio::test]
async fn a_request_that_two_parsers_could_read_differently_is_not_passed_on() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    for odd in [
        "POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: shop.localhost\r\nHost: other.localhost\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: shop.localhost\r\nBad Name: x\r\n\r\n",
    ] {
        let mut client = Client::connect(world.public()).await;
        let answer = client.ask(odd).await.unwrap();
        assert_eq!(answer.status, 400, "{odd}");
    }
    // Both lengths: only the one that was obeyed is passed on.
    let mut client = Client::connect(world.public()).await;
    let both = "POST /both HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let _ = client.ask(both).await;
    assert!(app.heads().iter().all(|head| !head.to_ascii_lowercase().contains("content-length: 4")), "{:?}", app.heads());
}

#[tokio::test]
async fn the_access_log_tells_of_each_request_but_not_its_query() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(7, 100, &[app.address])])]).await;
    get(world.public(), "/cart?token=secret").await;
    let path = world.path("edge/access.log");
    let line = async {
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.ends_with('\n') {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, line).await.unwrap();
    assert!(!text.contains("secret"));
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["app"], &line["release"], &line["instance"]), (&"shop".into(), &7.into(), &"shop-7-a".into()));
    assert_eq!((&line["path"], &line["status"], &line["bytes"]), (&"/cart".into(), &200.into(), &3.into()));
}

#[tokio::test]
async fn an_older_table_is_refused_and_the_same_one_is_fine() {
    let mut world = World::start().await;
    world.put(vec![shop(Vec::new())]).await;
    world.put(vec![shop(Vec::new())]).await;
    let table = |generation, routes: Vec<Route>| pilothouse::model::route::RouteTable {
        generation: pilothouse::model::ids::Generation(generation),
        routes,
    };
    let refused = world.client.put_table(&table(1, Vec::new())).await.unwrap_err();
    assert!(refused.what.contains("newer"), "{refused}");
    assert_eq!(world.client.put_table(&table(2, vec![shop(Vec::new())])).await.unwrap().0, 2);
    let other = world.client.put_table(&table(2, Vec::new())).await.unwrap_err();
    assert!(other.what.contains("another route table of generation 2"), "{other}");
    assert_eq!(world.client.status().await.unwrap().generation.0, 2);
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let app = App::named("done").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let body = "x".repeat(3_000_000);
    let mut client = Client::connect(world.public()).await;
    assert_eq!(client.post("/upload", &body).await.unwrap().body, "done");
    assert_eq!(app.applied().get(&body), Some(&1));
}
