//! Clients of HTTP/2 that are slow, greedy or hostile: none of them keeps the edge from serving others.

use std::time::Duration;

use pilothouse::{config::settings::EdgeSettings, model::units::Millis};
use tokio::net::TcpStream;

use crate::{
    app::{App, Manner},
    client::get,
    frames::{ACK, CONTINUATION, DATA, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS},
    secure::{request, speak, text},
    world::{PATIENCE, World, settings, shop, split},
};

/// Error codes (RFC 9113 §7).
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Streams of one connection that may be open at once, as the documentation says.
const STREAMS: u32 = 128;

async fn serving(app: &App, idle_timeout: Millis) -> World {
    let mut world = World::with(EdgeSettings { header_timeout: Millis(400), idle_timeout, ..settings() }).await;
    world.put(vec![shop(vec![split(1, 100, &[app.address])])]).await;
    world
}

/// Wants another client to be served, and the edge to be the one that began.
async fn still_serves(world: &mut World) {
    assert_eq!(get(world.public(), "/other").await.status, 200);
    let pid = world.status.pid;
    world.await_up().await;
    assert_eq!(world.status.pid, pid, "it has not been started again");
}

#[tokio::test]
async fn a_client_that_says_nothing_or_only_pings_is_let_go() {
    let app = App::named("app").await;
    let mut world = serving(&app, Millis(300)).await;
    let mut silent = Raw::connect(world.public()).await;
    silent.rest().await;
    let mut pinging = Raw::connect(world.public()).await;
    pinging.drip(&Frame::new(PING, 0, 0, [0; 8])).await;
    still_serves(&mut world).await;
}

#[tokio::test]
async fn a_head_that_drips_or_never_ends_ends_its_connection() {
    let app = App::named("app").await;
    let world = serving(&app, Millis(300)).await;
    let begun = Frame::new(HEADERS, END_STREAM, 1, crate::frames::head("/dripped", None));
    let mut dripping = Raw::connect(world.public()).await;
    dripping.send(&begun).await.unwrap();
    dripping.drip(&Frame::new(CONTINUATION, 0, 1, [0x00, 1, b'a', 1, b'b'])).await;
    // Without a limit on what belongs to one head, this would be kept in memory (CVE-2024-27316).
    let mut world = serving(&app, Millis::minutes(1)).await;
    let mut endless = Raw::connect(world.public()).await;
    endless.send(&begun).await.unwrap();
    let field = [&[0x00, 1, b'a', 100][..], &[b'b'; 100]].concat();
    endless.flood(&[Frame::new(CONTINUATION, 0, 1, field.repeat(100))]).await;
    assert!(!app.heads().iter().any(|head| head.contains("/dripped")));
    still_serves(&mut world).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_and_an_answer_that_is_not_taken_end_their_streams_alone() {
    let app = App::named("app").await;
    let mut world = serving(&app, Millis(500)).await;
    let mut client = Raw::connect(world.public()).await;
    client.send(&Frame::request(1, "/no-body", Some(5))).await.unwrap();
    // From now on no answer may be sent (SETTINGS_INITIAL_WINDOW_SIZE 0).
    client.send(&Frame::new(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0])).await.unwrap();
    client.send(&Frame::request(3, "/not-taken", None)).await.unwrap();
    let mut open = vec![1, 3];
    while !open.is_empty() {
        let ended = client.find(|frame| frame.kind == RST_STREAM || frame.is_last_of(frame.stream)).await;
        open.retain(|stream| *stream != ended.stream);
    }
    assert!(app.applied().is_empty(), "a request without its body is not done");
    still_serves(&mut world).await;
}

#[tokio::test]
async fn streams_past_the_limit_are_refused_and_the_others_go_on() {
    let app = App::named("app").await;
    let mut world = serving(&app, Millis::minutes(1)).await;
    let mut client = Raw::connect(world.public()).await;
    let told = client.find(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0).await;
    let limit = [&[0, 3][..], &STREAMS.to_be_bytes()].concat();
    assert!(told.payload.chunks(6).any(|setting| setting == limit), "clients are told of the limit: {told:?}");
    let streams: Vec<u32> = (0..STREAMS + 3).map(|number| number * 2 + 1).collect();
    for stream in &streams {
        client.send(&Frame::request(*stream, "/", Some(5))).await.unwrap();
    }
    for refused in &streams[STREAMS as usize..] {
        let reset = client.find(|frame| frame.kind == RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (*refused, REFUSED_STREAM));
    }
    for stream in &streams[..STREAMS as usize] {
        client.send(&Frame::new(DATA, END_STREAM, *stream, format!("{stream:05}"))).await.unwrap();
    }
    let mut answered = 0;
    for _ in 0..STREAMS {
        answered += usize::from(client.find(|frame| frame.kind == HEADERS || frame.kind == RST_STREAM).await.is_ok());
    }
    assert_eq!((answered, app.applied().len()), (STREAMS as usize, STREAMS as usize));
    still_serves(&mut world).await;
}

#[tokio::test]
async fn too_large_a_head_is_answered_and_the_connection_goes_on() {
    let app = App::named("app").await;
    let mut world = serving(&app, Millis::minutes(1)).await;
    let mut sender = speak(TcpStream::connect(world.public()).await.unwrap()).await;
    let mut large = request("GET", "http://shop.localhost/large", "");
    for number in 0..10 {
        let name = hyper::header::HeaderName::try_from(format!("x-{number}")).unwrap();
        large.headers_mut().insert(name, "x".repeat(8 << 10).parse().unwrap());
    }
    assert_eq!(sender.send_request(large).await.unwrap().status().as_u16(), 431);
    let answer = sender.send_request(request("GET", "http://shop.localhost/small", "")).await.unwrap();
    assert_eq!(text(answer).await, "app");
    assert!(app.heads().iter().all(|head| !head.contains("/large")));
    still_serves(&mut world).await;
}

#[tokio::test]
async fn a_client_that_resets_what_it_asks_for_is_told_to_calm_down_and_cut_off() {
    let app = App::named("app").await;
    let mut world = serving(&app, Millis::minutes(1)).await;
    let mut client = Raw::connect(world.public()).await;
    let mut number = 1;
    let frames = loop {
        let mut bytes = Vec::new();
        for _ in 0..200 {
            bytes.extend(Frame::request(number, "/reset", None).bytes());
            bytes.extend(Frame::new(RST_STREAM, 0, number, CANCEL.to_be_bytes()).bytes());
            number += 2;
        }
        if tokio::io::AsyncWriteExt::write_all(&mut client.socket, &bytes).await.is_err() {
            break client.rest().await;
        }
        assert!(number < 2_000_000, "it is still listened to");
    };
    // What was on its way when the edge closed may have been lost with the reset.
    let calm = frames.iter().filter(|frame| frame.kind == GOAWAY);
    assert!(calm.map(Frame::code).all(|code| code == ENHANCE_YOUR_CALM), "{frames:?}");
    still_serves(&mut world).await;
}

#[tokio::test]
async fn floods_of_pings_and_settings_that_are_not_read_end_their_connection() {
    let app = App::with(Manner { work: Duration::from_secs(60), ..Manner::default() }).await;
    let quick = App::named("quick").await;
    for frame in [Frame::new(PING, 0, 0, [0; 8]), Frame::new(SETTINGS, 0, 0, [])] {
        let mut world = serving(&app, Millis(500)).await;
        let mut client = Raw::connect(world.public()).await;
        // With a request in flight the connection may be silent.
        client.send(&Frame::request(1, "/slow", None)).await.unwrap();
        client.flood(&[frame]).await;
        world.put(vec![shop(vec![split(2, 100, &[quick.address])])]).await;
        still_serves(&mut world).await;
    }
}

#[tokio::test]
async fn an_edge_that_is_replaced_says_goodbye_and_finishes_what_is_in_flight() {
    let app = App::with(Manner { work: Duration::from_millis(700), ..Manner::default() }).await;
    let mut world = serving(&app, Millis::minutes(1)).await;
    let (mut busy, mut idle) = (Raw::connect(world.public()).await, Raw::connect(world.public()).await);
    idle.find(|frame| frame.kind == SETTINGS && frame.flags & ACK != 0).await;
    busy.send(&Frame::request(1, "/in-flight", None)).await.unwrap();
    while !app.heads().iter().any(|head| head.contains("/in-flight")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.replace(settings()).await;
    for (name, client) in [("idle", &mut idle), ("busy", &mut busy)] {
        let frames = client.rest().await;
        let goodbyes: Vec<u32> = frames.iter().filter(|frame| frame.kind == GOAWAY).map(Frame::code).collect();
        assert!(!goodbyes.is_empty() && goodbyes.iter().all(|code| *code == NO_ERROR), "{name}: {frames:?}");
        if name == "busy" {
            assert!(frames.iter().any(Frame::is_ok) && frames.iter().any(|frame| frame.is_last_of(1)), "{frames:?}");
        }
    }
    assert!(world.parting.remove(0).ends_well(PATIENCE).await);
    assert_eq!(get(world.public(), "/").await.status, 200);
}
