//! Connections that change their protocol, over TLS too: copied both ways, in flight until they end.

use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use pilothouse::{config::settings::EdgeSettings, model::units::Millis};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    frames::Raw,
    secure::{certificate, connect, https, request, speak},
    world::{PATIENCE, World, instance, settings, shop, split},
};

/// Takes one connection, changes the protocol, and sends back what comes.
async fn echo(listener: TcpListener) {
    loop {
        let Ok((mut socket, _)) = listener.accept().await else { return };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if socket.read_buf(&mut head).await.unwrap_or(0) == 0 {
                break;
            }
        }
        // The edge's health checks come as well.
        let asks = String::from_utf8_lossy(&head).to_ascii_lowercase().contains("upgrade: websocket");
        if !asks {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            continue;
        }
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let _ = socket.write_all(switch).await;
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
        tokio::spawn(async move {
            let (mut read, mut write) = socket.split();
            tokio::io::copy(&mut read, &mut write).await
        });
    }
}

#[tokio::test]
async fn a_websocket_over_tls_goes_both_ways_and_is_in_flight_until_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = certificate(folder.path(), "shop", &["shop.localhost"]);
    let mut world = World::with(https(vec![files.clone()])).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    let app = tokio::spawn(echo(listener));
    world.put(vec![shop(vec![split(1, 100, &[address])])]).await;
    let mut client = connect(world.status.https[0], "shop.localhost", &[&files], &["http/1.1"]).await.expect("connected");
    let ask = "GET /live HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(ask.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, client.read_buf(&mut head)).await.expect("in time").expect("read");
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&head));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for word in [b"ahoy!", b"again"] {
        client.write_all(word).await.expect("sent");
        let mut back = [0; 5];
        tokio::time::timeout(PATIENCE, client.read_exact(&mut back)).await.expect("in time").expect("read");
        assert_eq!(&back, word);
    }
    world.put(vec![shop(vec![split(1, 0, &[address])])]).await;
    let drained = world.client.drain(&[instance("shop-1-a")], Millis(200)).await.expect("an answer");
    assert_eq!(drained.left, 1, "the open tunnel counts, up to the drain's limit");
    drop(client);
    let drained = world.client.drain(&[instance("shop-1-a")], Millis::seconds(5)).await.expect("an answer");
    assert_eq!(drained.left, 0);
    app.abort();
}

#[tokio::test]
async fn a_websocket_is_one_stream_of_http2_and_outlives_the_limit_of_silence() {
    let mut world = World::with(EdgeSettings { idle_timeout: Millis(300), ..settings() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    let app = tokio::spawn(echo(listener));
    world.put(vec![shop(vec![split(1, 100, &[address])])]).await;
    let mut sender = speak(TcpStream::connect(world.public()).await.expect("connected")).await;
    // The edge's settings, which allow it, come before its first answer.
    let plain = sender.send_request(request("GET", "http://shop.localhost/", "")).await.expect("an answer");
    assert_eq!(plain.status().as_u16(), 200);
    let mut asked = request("CONNECT", "http://shop.localhost/live", "");
    asked.extensions_mut().insert(Protocol::from_static("websocket"));
    asked.headers_mut().insert("sec-websocket-version", "13".parse().expect("a value"));
    let answer = sender.send_request(asked).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.headers().get("sec-websocket-accept").is_none());
    let mut tunnel = TokioIo::new(hyper::upgrade::on(answer).await.expect("a tunnel"));
    for word in [b"ahoy!", b"again"] {
        tunnel.write_all(word).await.expect("sent");
        let mut back = [0; 5];
        tokio::time::timeout(PATIENCE, tunnel.read_exact(&mut back)).await.expect("in time").expect("read");
        assert_eq!(&back, word);
        // Others that are silent for so long are gone by then.
        Raw::connect(world.public()).await.rest().await;
    }
    world.put(vec![shop(vec![split(1, 0, &[address])])]).await;
    let drained = world.client.drain(&[instance("shop-1-a")], Millis(200)).await.expect("an answer");
    assert_eq!(drained.left, 1, "the open tunnel counts");
    drop((tunnel, sender));
    let drained = world.client.drain(&[instance("shop-1-a")], Millis::seconds(5)).await.expect("an answer");
    assert_eq!(drained.left, 0);
    app.abort();
}

#[tokio::test]
async fn an_app_that_knows_no_websockets_does_not_open_a_tunnel_of_http2() {
    let mut world = World::start().await;
    let app = crate::app::App::named("app").await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    let mut sender = speak(TcpStream::connect(world.public()).await.expect("connected")).await;
    sender.send_request(request("GET", "http://shop.localhost/", "")).await.expect("an answer");
    let mut statuses = Vec::new();
    for protocol in ["websocket", "connect-udp"] {
        let mut asked = request("CONNECT", "http://shop.localhost/live", "");
        asked.extensions_mut().insert(Protocol::from(protocol));
        statuses.push(sender.send_request(asked).await.expect("an answer").status().as_u16());
    }
    assert_eq!(statuses, [502, 405]);
    let asked = app.heads().pop().expect("a head").to_ascii_lowercase();
    assert!(
        asked.starts_with("get /live http/1.1")
            && asked.contains("upgrade: websocket\r\n")
            && asked.contains("sec-websocket-key: "),
        "{asked}"
    );
}
