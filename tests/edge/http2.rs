//! HTTP/2 to clients: agreed on by TLS or known before, many streams at once, each counted, none lost when the edge ends.

use std::time::Duration;

use crate::{
    app::{App, Manner},
    secure::{certificate, connect, https, request, speak, text},
    world::{PATIENCE, World, shop, split},
};

#[tokio::test]
async fn many_streams_share_a_connection_and_each_is_counted_and_logged() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = certificate(folder.path(), "shop", &["shop.localhost"]);
    let mut world = World::with(https(vec![files.clone()])).await;
    let app = App::with(Manner { name: "app", work: Duration::from_millis(20), ..Manner::default() }).await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let stream = connect(world.status.https[0], "shop.localhost", &[&files], &["h2", "http/1.1"]).await.expect("connected");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let sender = speak(stream).await;
    let asked = (0..50).map(|number| {
        let mut sender = sender.clone();
        async move {
            let url = format!("https://shop.localhost/{number}");
            let answer = sender.send_request(request("POST", &url, format!("body-{number}"))).await.expect("an answer");
            assert!(answer.headers().contains_key("x-request-id"));
            (answer.status().as_u16(), text(answer).await)
        }
    });
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|(status, body)| *status == 200 && body == "app"), "{answers:?}");
    let applied = app.applied();
    assert_eq!((applied.len(), applied.values().sum::<usize>()), (50, 50), "each once");
    let head = app.heads().remove(0).to_ascii_lowercase();
    assert!(
        head.contains(" http/1.1\r\n") && head.contains("host: shop.localhost\r\n") && head.contains("x-forwarded-proto: https")
    );
    world.counted(1, 50).await;
}

#[tokio::test]
async fn a_client_that_knows_speaks_http2_without_tls() {
    let mut world = World::start().await;
    let app = App::named("app").await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut sender = speak(tokio::net::TcpStream::connect(world.public()).await.expect("connected")).await;
    let mut asked = request("GET", "http://shop.localhost/x", "");
    asked.headers_mut().append("cookie", "a=1".parse().expect("a value"));
    asked.headers_mut().append("cookie", "b=2".parse().expect("a value"));
    let answer = sender.send_request(asked).await.expect("an answer");
    assert_eq!(text(answer).await, "app");
    assert!(app.heads()[0].to_ascii_lowercase().contains("cookie: a=1; b=2\r\n"));
}

#[tokio::test]
async fn streams_in_flight_end_well_when_the_edge_ends() {
    let mut world = World::start().await;
    let app = App::with(Manner { name: "slow", work: Duration::from_millis(800), ..Manner::default() }).await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut sender = speak(tokio::net::TcpStream::connect(world.public()).await.expect("connected")).await;
    let asked = sender.send_request(request("GET", "http://shop.localhost/", ""));
    let (answer, ()) = tokio::join!(asked, async {
        while app.connections() == 0 || app.heads().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.client.stop().await.expect("asked to end");
    });
    assert_eq!(text(answer.expect("an answer")).await, "slow");
    assert!(world.ends_well(PATIENCE).await);
}
