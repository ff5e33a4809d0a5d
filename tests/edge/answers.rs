//! Answers in every form that HTTP/1.1 has for them, and in some that it has not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    client::{Client, get},
    world::{World, shop, split},
};

/// An app that says the same to every request, byte for byte, in two pieces cut at `cut`.
struct Said {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Said {
    async fn each(answer: &'static str, cut: usize, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(say(socket, answer, cut, closes, Arc::clone(&counted)));
            }
        });
        Self { address, connections }
    }
}

async fn say(mut socket: TcpStream, answer: &'static str, cut: usize, closes: bool, connections: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    let mut is_first = true;
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        // Checks come over connections of their own.
        if std::mem::take(&mut is_first) && !String::from_utf8_lossy(&head).contains("pilothouse-edge/") {
            connections.fetch_add(1, SeqCst);
        }
        head.clear();
        let (first, rest) = answer.split_at(cut.min(answer.len()));
        socket.set_nodelay(true).expect("an open socket");
        for piece in [first, rest] {
            if socket.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        if closes {
            return;
        }
    }
}

async fn world_of(app: SocketAddr) -> World {
    let mut world = World::start().await;
    world.put(vec![shop(vec![split(1, 100, &[app])])]).await;
    world
}

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: t\r\n\r\n";

#[tokio::test]
async fn a_chunked_answer_comes_whole_wherever_it_is_cut() {
    for cut in [10, 30, 47, 48, 49, 51, 53, 54, 57, 64, 72, CHUNKED.len() - 1] {
        let app = Said::each(CHUNKED, cut, false).await;
        let world = world_of(app.address).await;
        let mut client = Client::connect(world.public()).await;
        for _ in 0..2 {
            assert_eq!(client.get("/").await.unwrap().body, "hello, world", "cut at {cut}");
        }
        assert_eq!(app.connections.load(SeqCst), 1, "the connection is kept: cut at {cut}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_comes_whole() {
    let app = Said::each("HTTP/1.1 200 OK\r\n\r\nhello, world", 25, true).await;
    let world = world_of(app.address).await;
    let mut client = Client::connect(world.public()).await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.unwrap().body, "hello, world");
    }
    assert_eq!(app.connections.load(SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nodd\r\n",
    ] {
        let app = Said::each(answer, 20, true).await;
        let world = world_of(app.address).await;
        let mut client = Client::connect(world.public()).await;
        assert!(client.get("/").await.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_said_on_the_way_to_an_answer_is_not_the_answer() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for cut in [10, 46, 60] {
        let app = Said::each(answer, cut, false).await;
        let world = world_of(app.address).await;
        let seen = get(world.public(), "/").await;
        assert_eq!((seen.status, seen.body.as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_order() {
    for (asked, answer, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", 304),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ] {
        let app = Said::each(answer, 5, false).await;
        let world = world_of(app.address).await;
        let mut client = Client::connect(world.public()).await;
        for _ in 0..3 {
            let seen = client.ask(&format!("{asked} / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")).await.unwrap();
            assert_eq!((seen.status, seen.body.as_str()), (status, ""), "{asked} {answer:?}");
        }
        assert_eq!(app.connections.load(SeqCst), 1, "{asked} {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_whose_end_can_be_read_in_two_ways_is_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        "220 mail.example ESMTP\r\n\r\n",
    ] {
        let app = Said::each(answer, 5, true).await;
        let world = world_of(app.address).await;
        assert_eq!(get(world.public(), "/").await.status, 502, "{answer:?}");
    }
}

#[tokio::test]
async fn what_an_app_says_unasked_goes_to_nobody() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    for cut in [10, 30] {
        let app = Said::each(answer, cut, false).await;
        let world = world_of(app.address).await;
        let mut client = Client::connect(world.public()).await;
        for _ in 0..5 {
            assert_eq!(client.get("/").await.unwrap().body, "ok", "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn an_answer_may_come_before_its_request_has_ended() {
    let app = Said::each("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nless", 20, false).await;
    let world = world_of(app.address).await;
    for head in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(world.public()).await;
        client.send(&format!("POST / HTTP/1.1\r\nHost: shop.localhost\r\n{head}\r\n\r\n5\r\nhello\r\n")).await.unwrap();
        let seen = client.answer(false).await.unwrap();
        assert_eq!((seen.status, seen.body.as_str()), (413, "less"), "{head}");
    }
}
