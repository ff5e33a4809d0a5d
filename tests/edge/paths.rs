//! Path routes: several apps at one host, each below its path.

use pilothouse::model::{
    edge::{Door, ProofRequest},
    ids::{AppId, InstanceId, ReleaseId},
    route::{Backend, Match, Route, Split, Target},
    units::{Millis, Weight},
};

use crate::{
    app::App,
    client::{Client, get},
    world::{World, shop, split},
};

/// A route of another app, with one release that serves.
fn other(name: &str, matches: Vec<Match>, address: std::net::SocketAddr) -> Route {
    let app = AppId::suggest(name);
    let backends = vec![Backend { instance: InstanceId::of(&app, ReleaseId(1), 0), address }];
    Route {
        app,
        matches,
        splits: vec![Split { release: ReleaseId(1), weight: Weight::ALL, target: Target::Pool { backends } }],
        ..shop(Vec::new())
    }
}

fn below(path: &str, strip: bool) -> Vec<Match> {
    vec![Match::below("shop.localhost", path, strip)]
}

#[tokio::test]
async fn the_longest_path_that_fits_has_the_request() {
    let mut world = World::start().await;
    let (page, api, admin) = (App::named("page").await, App::named("api").await, App::named("admin").await);
    world
        .put(vec![
            other("api", below("/api", false), api.address),
            shop(vec![split(1, 100, &[page.address])]),
            other("admin", below("/api/admin", false), admin.address),
        ])
        .await;
    for (path, who) in [
        ("/", "page"),
        ("/apiary", "page"),
        ("/API", "page"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api?x=1", "api"),
        ("/api/administer", "api"),
        ("/api/admin", "admin"),
        ("/api/admin/x?y", "admin"),
    ] {
        assert_eq!(get(world.public(), path).await.body, who, "{path}");
    }
}

#[tokio::test]
async fn a_stripped_path_is_told_apart_and_cannot_be_forged() {
    let mut world = World::start().await;
    let (page, api) = (App::named("page").await, App::named("api").await);
    let routes = vec![shop(vec![split(1, 100, &[page.address])]), other("api", below("/api", true), api.address)];
    world.put(routes).await;
    let mut client = Client::connect(world.public()).await;
    client.get("/api/users?page=2").await.expect("an answer");
    let ask = "GET /users HTTP/1.1\r\nHost: shop.localhost\r\nX-Forwarded-Prefix: /evil\r\n\r\n";
    client.ask(ask).await.expect("an answer");
    let head = api.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /users?page=2 "), "{head}");
    assert!(head.contains("x-forwarded-prefix: /api\r\n"), "{head}");
    assert!(!page.heads().remove(0).to_ascii_lowercase().contains("x-forwarded-prefix"));
}

#[tokio::test]
async fn what_no_path_covers_is_not_found() {
    let mut world = World::start().await;
    let api = App::named("api").await;
    world.put(vec![other("api", below("/api", false), api.address)]).await;
    let answer = get(world.public(), "/elsewhere").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("no app is served at shop.localhost"), "{}", answer.body);
}

#[tokio::test]
async fn a_proof_goes_below_the_path() {
    let mut world = World::start().await;
    let (page, api) = (App::named("page").await, App::named("api").await);
    let routes = vec![shop(vec![split(1, 100, &[page.address])]), other("api", below("/api", true), api.address)];
    world.put(routes).await;
    let at = Match::below("shop.localhost", "/api", true);
    let request = |path: String, door| ProofRequest {
        app: AppId::suggest("api"),
        host: "shop.localhost".to_owned(),
        release: ReleaseId(1),
        path,
        door,
        instances: Vec::new(),
        within: Millis::seconds(2),
    };
    let proof = world.client.prove(&request(at.asked("/healthz"), Door::Public)).await.expect("proved");
    assert_eq!(proof.instances, [InstanceId::of(&AppId::suggest("api"), ReleaseId(1), 0)]);
    world.client.prove(&request(at.seen("/healthz"), Door::Pool)).await.expect("proved");
    // Beside the path another app answers, which is no proof of this one.
    let problem = world.client.prove(&ProofRequest { within: Millis(300), ..request("/healthz".into(), Door::Public) }).await;
    assert!(problem.expect_err("another app's answer").what.contains("did not prove itself"));
}

#[tokio::test]
async fn two_processes_of_an_app_have_a_path_each() {
    let mut world = World::start().await;
    let (web, api) = (App::named("web").await, App::named("api").await);
    let second = Route {
        process: "api".to_owned(),
        splits: vec![Split {
            release: ReleaseId(1),
            weight: Weight::ALL,
            target: Target::Pool {
                backends: vec![Backend { instance: InstanceId("shop-1-b".to_owned()), address: api.address }],
            },
        }],
        matches: below("/api", false),
        ..shop(Vec::new())
    };
    world.put(vec![shop(vec![split(1, 100, &[web.address])]), second]).await;
    assert_eq!(get(world.public(), "/").await.body, "web");
    assert_eq!(get(world.public(), "/api").await.body, "api");
    world.counted(1, 2).await;
}
