use std::{
    fs::File,
    io::Write,
    pin::{Pin, pin},
    task::Poll,
};

use super::*;
use crate::model::{
    ids::InstanceId,
    log::{Stream as From, write_record},
};

/// A state folder whose logs are written by hand.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        StateDir::new(folder.path().to_owned()).create().unwrap();
        Self { folder }
    }

    fn store(&self) -> LogStore {
        LogStore::new(StateDir::new(self.folder.path().to_owned()))
    }

    fn write(&self, name: &str, labels: (&str, u32, &str), lines: &[(i64, &str)]) {
        let dir = self.folder.path().join("keepers").join(name);
        fs::create_dir_all(dir.join("log")).unwrap();
        let labels =
            LogLabels { app: AppId::parse(labels.0).unwrap(), release: ReleaseId(labels.1), instance: labels.2.to_owned() };
        fs::write(dir.join("labels.json"), serde_json::to_vec(&labels).unwrap()).unwrap();
        let mut bytes = Vec::new();
        for (ms, line) in lines {
            write_record(ms * 1000, From::Out, line.as_bytes(), &mut bytes);
        }
        let mut file = File::options().create(true).append(true).open(dir.join("log/current")).unwrap();
        file.write_all(&bytes).unwrap();
    }

    /// Two instances of shop, one of blog, two builds of shop, and the edge.
    fn busy() -> Self {
        let world = Self::new();
        world.write("shop-1-a", ("shop", 1, "shop-1-a"), &[(1, "a1"), (4, "a4"), (5, "a5")]);
        world.write("shop-1-b", ("shop", 1, "shop-1-b"), &[(2, "b2"), (3, "b3")]);
        world.write("blog-7-a", ("blog", 7, "blog-7-a"), &[(2, "blog")]);
        world.write("build-1", ("shop", 1, "build"), &[(1, "old build")]);
        world.write("build-2", ("shop", 2, "build"), &[(1, "new build")]);
        world.write("edge", ("edge", 0, "edge"), &[(1, "GET /")]);
        world
    }
}

fn query(app: &str) -> LogQuery {
    LogQuery { app: AppId::parse(app).ok(), ..LogQuery::default() }
}

fn texts(lines: Vec<LogLine>) -> Vec<String> {
    lines.into_iter().map(|line| line.line).collect()
}

#[test]
fn lines_of_an_app_are_merged_by_time() {
    let world = World::busy();
    let read = |query: LogQuery| texts(world.store().read(&query));
    assert_eq!(read(query("shop")), ["a1", "b2", "b3", "a4", "a5"]);
    assert_eq!(read(LogQuery { tail: Some(2), ..query("shop") }), ["a4", "a5"]);
    assert_eq!(read(LogQuery { tail: Some(0), ..query("shop") }), [""; 0]);
    assert_eq!(read(LogQuery { since: Some(Timestamp(3)), ..query("shop") }), ["b3", "a4", "a5"]);
    let instance = Some(InstanceId("shop-1-b".to_owned()));
    assert_eq!(read(LogQuery { instance, ..query("shop") }), ["b2", "b3"]);
    assert_eq!(read(LogQuery::default()).len(), 6, "all apps, without builds and the edge");
}

#[test]
fn builds_are_given_when_they_are_asked_for() {
    let world = World::busy();
    let build = |release| texts(world.store().read(&LogQuery { build: Some(ReleaseId(release)), ..query("shop") }));
    assert_eq!(build(1), ["old build"]);
    assert_eq!(build(0), ["new build"]);
    assert_eq!(build(9), [""; 0]);
}

async fn next(stream: &mut Pin<&mut impl Stream<Item = Vec<LogLine>>>) -> Vec<String> {
    let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context));
    texts(tokio::time::timeout(Duration::from_secs(10), next).await.unwrap().unwrap())
}

#[tokio::test]
async fn a_follower_gets_new_lines_and_new_instances() {
    let world = World::busy();
    let mut stream = pin!(world.store().follow(LogQuery { tail: Some(1), follow: true, ..query("shop") }));
    assert_eq!(next(&mut stream).await, ["a5"]);
    let waiting = std::future::poll_fn(|context| Poll::Ready(stream.as_mut().poll_next(context).is_pending()));
    assert!(waiting.await, "nothing new");
    world.write("shop-1-b", ("shop", 1, "shop-1-b"), &[(7, "b7")]);
    world.write("shop-1-a", ("shop", 1, "shop-1-a"), &[(6, "a6")]);
    assert_eq!(next(&mut stream).await, ["a6", "b7"]);
    world.write("blog-8-a", ("blog", 8, "blog-8-a"), &[(8, "not asked for")]);
    world.write("shop-2-a", ("shop", 2, "shop-2-a"), &[(8, "a new release")]);
    assert_eq!(next(&mut stream).await, ["a new release"]);
}

#[tokio::test]
async fn a_build_that_has_not_begun_can_be_followed() {
    let world = World::new();
    let query = LogQuery { build: Some(ReleaseId(0)), follow: true, ..query("shop") };
    let mut stream = pin!(world.store().follow(query));
    assert_eq!(next(&mut stream).await, [""; 0]);
    world.write("build-1", ("shop", 1, "build"), &[(1, "npm ci")]);
    assert_eq!(next(&mut stream).await, ["npm ci"]);
}
