//! Several instances: the one that is dead or fails gets no traffic.

use std::time::Duration;

use pilothouse::model::{instance::Health, units::Millis};

use crate::{
    app::{App, Manner, Post},
    client::Client,
    world::{PATIENCE, World, instance, shop, split},
};

async fn health_is(world: &World, name: &str, health: Health) {
    let reached = async {
        while world.counters().await.backends[&instance(name)].health != health {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{name} is {:?}, not {health:?}", world.counters().await.backends[&instance(name)].health);
}

#[tokio::test]
async fn a_dead_instance_costs_no_request() {
    let (alive, dead) = (App::named("alive").await, App::named("dead").await);
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[alive.address, dead.address])])]).await;
    health_is(&world, "shop-1-b", Health::Passing).await;
    drop(dead);
    let mut client = Client::connect(world.public()).await;
    for n in 0..50 {
        assert_eq!(client.post("/", &n.to_string()).await.unwrap().status, 200);
    }
    assert_eq!(alive.applied().len(), 50);
    health_is(&world, "shop-1-b", Health::Failing).await;
}

#[tokio::test]
async fn an_instance_that_fails_at_once_is_taken_out() {
    let good = App::named("good").await;
    let bad = App::with(Manner { post: Post::Fail, ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[good.address, bad.address])])]).await;
    let mut client = Client::connect(world.public()).await;
    let mut failed = 0;
    for n in 0..300 {
        failed += u32::from(client.post("/", &n.to_string()).await.unwrap().status == 500);
    }
    assert!(failed <= 20, "{failed} of 300 failed");
}

#[tokio::test]
async fn an_instance_that_answers_nobody_is_known_soon_however_seldom_it_is_asked() {
    let app = App::named("only").await;
    let mut world = World::start().await;
    let mut route = shop(vec![split(1, 100, &[app.address])]);
    route.check_every = Millis::minutes(10);
    world.put(vec![route]).await;
    health_is(&world, "shop-1-a", Health::Passing).await;
    drop(app);
    let mut client = Client::connect(world.public()).await;
    assert_eq!(client.get("/").await.unwrap().status, 502);
    health_is(&world, "shop-1-a", Health::Failing).await;
}

#[tokio::test]
async fn an_app_without_traffic_has_a_health() {
    let (well, ill) = (App::named("well").await, App::with(Manner { status: 503, ..Manner::default() }).await);
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[well.address]), split(2, 0, &[ill.address])])]).await;
    health_is(&world, "shop-1-a", Health::Passing).await;
    health_is(&world, "shop-2-a", Health::Failing).await;
    assert!(world.counters().await.releases.iter().all(|release| release.requests == 0), "checks are not counted");
}

#[tokio::test]
async fn a_canary_gets_its_exact_share_although_it_is_slow() {
    let fast = App::named("fast").await;
    let slow = App::with(Manner { name: "slow", work: Duration::from_millis(5), ..Manner::default() }).await;
    let mut world = World::with(pilothouse::config::settings::EdgeSettings { threads: 1, ..crate::world::settings() }).await;
    let mut route = shop(vec![split(1, 95, &[fast.address]), split(2, 5, &[slow.address])]);
    route.check_every = Millis::seconds(5);
    world.put(vec![route]).await;
    let mut client = Client::connect(world.public()).await;
    let mut of_slow = 0;
    for _ in 0..1_000 {
        of_slow += u32::from(client.get("/").await.unwrap().body == "slow");
    }
    assert_eq!(of_slow, 50);
}
