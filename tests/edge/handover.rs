//! The edge is replaced while clients come and go: none of them is to notice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use pilothouse::{
    config::settings::{CertificateFiles, EdgeSettings},
    model::{
        ids::Generation,
        problem::ProblemKind,
        route::{Route, RouteTable},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    app::{App, Manner},
    client::{Client, get},
    secure::{certificate, connect, https, request, speak, text},
    world::{PATIENCE, World, ends_well, launch, settings, shop, split},
};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where a load goes, and how it does.
#[derive(Clone)]
struct Load {
    name: &'static str,
    address: SocketAddr,
    /// By TLS, trusting this.
    trusted: Option<CertificateFiles>,
    /// Many requests on a connection, as long as the edge lets it.
    is_kept: bool,
    sent: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    async fn connect(&self) -> std::io::Result<Client<Box<dyn Stream>>> {
        let socket: Box<dyn Stream> = match &self.trusted {
            None => Box::new(TcpStream::connect(self.address).await?),
            Some(files) => Box::new(connect(self.address, "shop.localhost", &[files], &["http/1.1"]).await?),
        };
        Ok(Client::over(socket))
    }

    /// POSTs, each with a body of its own, until it is over; what failed.
    async fn run(self) -> Vec<String> {
        let mut failed = Vec::new();
        let mut kept = None;
        while !self.is_over.load(SeqCst) {
            let number = self.sent.fetch_add(1, SeqCst);
            let body = format!("{}-{number}", self.name);
            let asked = async {
                let mut client = match kept.take() {
                    Some(client) => client,
                    None => self.connect().await?,
                };
                let answer = client.post("/", &body).await?;
                Ok::<_, std::io::Error>((client, answer))
            };
            match asked.await {
                Ok((client, answer)) if answer.status == 200 => {
                    let is_last = answer.header("connection") == Some("close");
                    kept = Some(client).filter(|_| self.is_kept && !is_last);
                }
                Ok((_, answer)) => failed.push(format!("{body}: {}", answer.status)),
                Err(error) => failed.push(format!("{body}: {error}")),
            }
        }
        failed
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.unwrap_or_else(|_| panic!("{what}, within {PATIENCE:?}"));
}

fn to(app: &App) -> Vec<Route> {
    vec![shop(vec![split(1, 100, &[app.address])])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_replaces_under_load_lose_no_request_and_do_none_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = certificate(folder.path(), "shop", &["shop.localhost"]);
    let app = App::named("app").await;
    let mut world = World::with(https(vec![files.clone()])).await;
    world.put(to(&app)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let internal = (world.client.open_internal([127, 0, 0, 2].into()).await.unwrap(), None);
    let (plain, secure) = ((world.public(), None), (world.status.https[0], Some(files.clone())));
    let kinds = [
        ("kept", &plain, true),
        ("single", &plain, false),
        ("kept-tls", &secure, true),
        ("single-tls", &secure, false),
        ("internal", &internal, false),
    ];
    let loads = kinds.map(|(name, (address, trusted), is_kept)| Load {
        name,
        address: *address,
        trusted: trusted.clone(),
        is_kept,
        sent: Arc::default(),
        is_over: Arc::clone(&is_over),
    });
    let mut running = JoinSet::new();
    for load in &loads {
        running.spawn(load.clone().run());
    }
    for _ in 0..5 {
        let before = loads.each_ref().map(|load| load.sent.load(SeqCst));
        until("each load goes on", || loads.iter().zip(before).all(|(load, before)| load.sent.load(SeqCst) > before + 20)).await;
        let pid = world.status.pid;
        world.replace(https(vec![files.clone()])).await;
        assert_ne!(world.status.pid, pid);
        assert_eq!((world.status.http[0], world.status.https[0]), (plain.0, secure.0), "the ports stay");
        assert_eq!(world.status.internal, Some(internal.0), "the one for containers too");
    }
    for parting in std::mem::take(&mut world.parting) {
        assert!(parting.ends_well(PATIENCE).await, "it ends once its clients have had their last answer");
    }
    is_over.store(true, SeqCst);
    let failed: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
    let (applied, sent) = (app.applied(), loads.iter().map(|load| load.sent.load(SeqCst)).sum::<usize>());
    assert_eq!((applied.len(), applied.values().sum::<usize>()), (sent, sent), "each once");
}

#[tokio::test]
async fn when_the_new_edge_cannot_begin_the_old_one_serves_on() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(to(&app)).await;
    let mut kept = Client::connect(world.public()).await;
    kept.get("/").await.unwrap();
    let odd = EdgeSettings { trusted_proxies: vec!["nobody".to_owned()], ..settings() };
    let (mut new, _) = world.begin_replace(odd);
    let status = tokio::task::spawn_blocking(move || new.wait()).await.unwrap().unwrap();
    assert!(!status.success());
    assert_eq!(world.client.status().await.unwrap().pid, world.status.pid);
    let answer = kept.get("/").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, None), "its clients notice nothing");
    assert_eq!(get(world.public(), "/").await.status, 200);
    world.put(to(&app)).await;
}

#[tokio::test]
async fn of_changed_addresses_those_that_stay_are_not_closed() {
    let app = App::named("app").await;
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut world = World::with(EdgeSettings { http: vec![any, any], ..settings() }).await;
    world.put(to(&app)).await;
    let (stays, goes) = (world.status.http[0], world.status.http[1]);
    world.replace(EdgeSettings { http: vec![any, stays], threads: 3, ..settings() }).await;
    assert_eq!(world.status.http[1], stays);
    for address in world.status.http.clone() {
        assert_eq!(get(address, "/").await.body, "app");
    }
    assert!(world.parting.remove(0).ends_well(PATIENCE).await);
    assert!(TcpStream::connect(goes).await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn one_address_becomes_all_addresses_with_the_same_port() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(to(&app)).await;
    let everywhere = SocketAddr::from(([0, 0, 0, 0], world.public().port()));
    world.replace(EdgeSettings { http: vec![everywhere], ..settings() }).await;
    assert_eq!(world.status.http, [everywhere]);
    assert!(world.parting.remove(0).ends_well(PATIENCE).await);
    for host in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        assert_eq!(get(SocketAddr::from((host, everywhere.port())), "/").await.body, "app");
    }
}

#[tokio::test]
async fn clients_of_before_follow_the_table_of_now() {
    let (old, new) = (App::named("old").await, App::named("new").await);
    let mut world = World::start().await;
    world.put(to(&old)).await;
    let mut kept = Client::connect(world.public()).await;
    assert_eq!(kept.get("/").await.unwrap().body, "old");
    world.replace(settings()).await;
    let table = RouteTable { generation: Generation(7), routes: to(&new) };
    let before = world.parting[0].client.clone();
    let refused = async {
        // It is told that it is replaced a moment after the new one answers.
        loop {
            match before.put_table(&table).await {
                Err(problem) => return problem,
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.expect("it is refused");
    assert_eq!(refused.kind, ProblemKind::Unavailable, "{refused}");
    let table = RouteTable { generation: Generation(8), routes: to(&new) };
    world.client.put_table(&table).await.unwrap();
    before.follow_table(&table).await.unwrap();
    let answer = kept.get("/").await.unwrap();
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("new", Some("close")));
}

#[tokio::test]
async fn a_tunnel_and_a_slow_answer_live_through_a_replace() {
    let app = App::with(Manner { work: Duration::from_millis(700), ..Manner::default() }).await;
    let mut world = World::start().await;
    world.put(to(&app)).await;
    let mut tunnel = Client::connect(world.public()).await;
    let upgrade = "GET /t HTTP/1.1\r\nHost: shop.localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    assert_eq!(tunnel.ask(upgrade).await.unwrap().status, 101);
    let mut sender = speak(TcpStream::connect(world.public()).await.unwrap()).await;
    let asked = sender.send_request(request("GET", "http://shop.localhost/slow", ""));
    let (answer, ()) = tokio::join!(asked, async {
        until("the slow request is there", || app.heads().iter().any(|head| head.contains("/slow"))).await;
        world.replace(settings()).await;
    });
    assert_eq!(text(answer.unwrap()).await, "app");
    tunnel.send("still there").await.unwrap();
    assert_eq!(tunnel.exactly(11).await.unwrap(), b"still there");
    tunnel.socket.shutdown().await.unwrap();
    assert!(world.parting.remove(0).ends_well(PATIENCE).await, "with its last client");
}

#[tokio::test]
async fn an_edge_that_was_killed_after_its_place_was_taken_is_not_needed_again() {
    let mut world = World::start().await;
    let first = world.slot();
    world.replace(settings()).await;
    let mut again = launch(&world.state(), first);
    assert!(ends_well(&mut again, PATIENCE).await, "its keeper need not start it once more");
    assert_eq!(world.client.status().await.unwrap().pid, world.status.pid);
}

#[tokio::test]
async fn a_new_edge_that_is_killed_at_any_moment_is_started_again_and_serves() {
    let app = App::named("app").await;
    let mut world = World::start().await;
    world.put(to(&app)).await;
    for wait_ms in [0, 5, 15, 40, 80] {
        let (mut new, slot) = world.begin_replace(settings());
        // Whatever it has come to by then.
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        new.kill().unwrap();
        new.wait().unwrap();
        let new = launch(&world.state(), slot);
        world.replaced_by(new, slot).await;
        assert!(world.parting.remove(0).ends_well(PATIENCE).await);
        assert_eq!(get(world.public(), "/").await.body, "app");
    }
}
