//! A proof tells who really answered.

use pilothouse::model::{edge::Door, ids::ReleaseId, units::Millis};

use crate::{
    app::{App, Manner},
    world::{World, instance, shop, split},
};

#[tokio::test]
async fn a_staged_release_is_proved_through_the_pool_before_it_gets_traffic() {
    let (old, new) = (App::named("old").await, App::named("new").await);
    let second = App::named("new").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[old.address]), split(2, 0, &[new.address, second.address])])]).await;
    let proof = world.prove(2, Door::Pool, &["shop-2-a", "shop-2-b"], Millis::seconds(5)).await.unwrap();
    assert_eq!((proof.release, proof.status), (ReleaseId(2), 200));
    assert_eq!(proof.instances, [instance("shop-2-a"), instance("shop-2-b")]);
    assert!(world.counters().await.releases.iter().all(|release| release.requests == 0), "proofs are not counted");
}

#[tokio::test]
async fn the_old_release_at_the_public_door_proves_nothing_for_the_new_one() {
    // It even says that it is release 2.
    let old = App::with(Manner { name: "release 2", head: "X-Pilothouse-Release: 2\r\n", ..Manner::default() }).await;
    let new = App::named("new").await;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[old.address]), split(2, 0, &[new.address])])]).await;
    let refused = world.prove(2, Door::Public, &[], Millis(500)).await.unwrap_err();
    assert!(refused.what.contains("release 1 (shop-1-a) answered instead"), "{refused}");
    world.put(vec![shop(vec![split(1, 0, &[old.address]), split(2, 100, &[new.address])])]).await;
    let proof = world.prove(2, Door::Public, &[], Millis::seconds(5)).await.unwrap();
    assert_eq!(proof.instances, [instance("shop-2-a")]);
    let asked = new.heads().len();
    assert_eq!(asked, 0, "nobody else asked");
    assert_eq!(world.counters().await.releases.iter().map(|release| release.requests).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_failed_proof_names_what_was_seen_last() {
    let ill = App::with(Manner { status: 502, ..Manner::default() }).await;
    let gone = App::named("gone").await.address;
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[ill.address]), split(2, 0, &[gone])])]).await;
    let told = |problem: pilothouse::model::problem::Problem| problem.what;
    let pool = told(world.prove(1, Door::Pool, &[], Millis(300)).await.unwrap_err());
    assert!(pool.contains(&format!("shop-1-a on {} answered 502 to GET /", ill.address)), "{pool}");
    let refused = told(world.prove(2, Door::Pool, &["shop-2-a"], Millis(300)).await.unwrap_err());
    assert!(refused.contains("connection refused"), "{refused}");
    let public = told(world.prove(1, Door::Public, &[], Millis(300)).await.unwrap_err());
    assert!(public.contains("answered 502"), "{public}");
    let unknown = told(world.prove(3, Door::Pool, &[], Millis(300)).await.unwrap_err());
    assert!(unknown.contains("release 3 of shop is not in the edge's route table"), "{unknown}");
}

#[tokio::test]
async fn an_app_that_boots_slowly_is_proved_as_soon_as_it_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 0, &[address])])]).await;
    let boot = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        App::on(tokio::net::TcpListener::bind(address).await.unwrap(), Manner::default())
    };
    let (proof, _app) = tokio::join!(world.prove(1, Door::Pool, &["shop-1-a"], Millis::seconds(10)), boot);
    let proof = proof.unwrap();
    assert!((350..900).contains(&proof.took_ms), "{}", proof.took_ms);
}
