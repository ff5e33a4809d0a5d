//! All that Docker has, ours and foreign: containers, images, volumes, and figures of what runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bollard::{
    Docker,
    models::{ContainerStatsResponse, ContainerSummary, ImageSummary, MountPoint, PortSummary, Volume as DockerVolume},
    query_parameters::{InspectContainerOptions, ListContainersOptions, ListImagesOptions, ListVolumesOptions, StatsOptions},
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::{DockerRuntime, client::Client, image_names, labels, seen};
use crate::{
    config::clock,
    model::{
        container::{
            Container, ContainerHealth, ContainerId, ContainerSample, ContainerState, DockerStatus, Image, PublishedPort, Volume,
        },
        ids::{AppId, HostId, InstanceId, ReleaseId},
        order::{DockerReport, Report},
        problem::Problem,
        sample::InstanceSample,
        units::{Bytes, Timestamp},
    },
};

/// Containers that are measured in one turn; with more, each has its turn.
const MEASURED: usize = 16;
/// Questions for figures that are open at once.
const AT_ONCE: usize = 8;
/// Longest wait for the figures of one container.
const FIGURES: Duration = Duration::from_secs(2);

/// How often the sizes of volumes are counted, and at the soonest when there are others: Docker reads every file for it.
const COUNTED: Duration = Duration::from_secs(900);
const COUNTED_AGAIN: Duration = Duration::from_secs(30);

/// How Docker is when it does not answer.
pub(super) fn away(address: &str, problem: Problem) -> DockerStatus {
    let (host, address) = (HostId::local(), address.to_owned());
    DockerStatus { host, address, up: false, version: None, api: None, problem: Some(problem) }
}

pub(super) async fn status(client: &Client, docker: &Docker) -> Result<DockerStatus, Problem> {
    let version = docker.version().await.map_err(|error| client.problem("ask Docker for its version", error))?;
    Ok(DockerStatus {
        host: HostId::local(),
        address: client.address().to_owned(),
        up: true,
        version: version.version,
        api: Some(docker.client_version().to_string()),
        problem: None,
    })
}

/// What a look found.
pub(super) struct Observed {
    pub(super) report: DockerReport,
    /// Our instances' containers with their states.
    pub(super) ours: HashMap<InstanceId, (String, ContainerState)>,
}

/// What is known between two looks.
#[derive(Debug)]
pub(super) struct Observer {
    mark: String,
    /// Instances that ran out of memory and have not ended yet.
    pub(super) out_of_memory: BTreeSet<InstanceId>,
    running: Vec<(ContainerId, Option<InstanceId>)>,
    turn: usize,
    before: HashMap<ContainerId, Before>,
    /// Since when those run that do: asked once for each start.
    started: HashMap<ContainerId, Timestamp>,
    sizes: Sizes,
}

/// Sizes of volumes as they were counted last.
#[derive(Debug, Default)]
struct Sizes {
    of: HashMap<String, Bytes>,
    /// The volumes that there are, and those that there were when they were counted.
    names: BTreeSet<String>,
    counted: BTreeSet<String>,
    at: Option<Instant>,
}

/// Counters at the measurement before.
#[derive(Clone, Copy, Debug)]
struct Before {
    at: Instant,
    cpu_nanos: u64,
    received: u64,
    sent: u64,
}

impl Observer {
    pub(super) fn new(mark: String) -> Self {
        Self {
            mark,
            out_of_memory: BTreeSet::new(),
            running: Vec::new(),
            turn: 0,
            before: HashMap::new(),
            started: HashMap::new(),
            sizes: Sizes::default(),
        }
    }

    /// It may run since another time than before.
    pub(super) fn forget_start(&mut self, id: &str) {
        self.started.remove(&ContainerId(id.to_owned()));
    }

    /// Whether sizes of volumes are to be counted: there are others, or it was long ago. True once, then after its time.
    pub(super) fn wants_sizes(&mut self) -> bool {
        let sizes = &mut self.sizes;
        let age = sizes.at.map(|at| at.elapsed());
        let is_due = match age {
            None => true,
            Some(age) => age >= COUNTED || (age >= COUNTED_AGAIN && sizes.names != sizes.counted),
        };
        let wants = is_due && !sizes.names.is_empty();
        if wants {
            sizes.at = Some(Instant::now());
            sizes.counted.clone_from(&sizes.names);
        }
        wants
    }

    pub(super) fn take_sizes(&mut self, sizes: HashMap<String, Bytes>) {
        self.sizes.of = sizes;
    }

    pub(super) async fn all(&mut self, runtime: &DockerRuntime, docker: &Docker) -> Result<Observed, Problem> {
        let of = |error| runtime.problem("list what Docker has", error);
        let every = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let (containers, images, volumes) = tokio::join!(
            docker.list_containers(Some(every)),
            docker.list_images(None::<ListImagesOptions>),
            docker.list_volumes(None::<ListVolumesOptions>),
        );
        let (listed, images) = (containers.map_err(of)?, images.map_err(of)?);
        let volumes = volumes.map_err(of)?.volumes.unwrap_or_default();
        let (used_images, used_volumes) = used(&listed);
        let names = image_names::all(&images);
        let containers = listed.into_iter().map(|summary| {
            let asked = summary.labels.as_ref().and_then(|labels| labels.get(labels::IMAGE)).cloned();
            let mut container = self.container(summary);
            // One that was made by its image's id is named as people know it.
            if container.image.starts_with("sha256:")
                && let Some(name) = image_names::meant(&self.mark, &container, asked, &names)
            {
                container.image = name;
            }
            container
        });
        let mut containers: Vec<Container> = containers.collect();
        self.learn_starts(docker, &mut containers).await;
        let ours = containers.iter().filter_map(|seen| Some((seen.instance.clone()?, (seen.id.0.clone(), seen.state))));
        let ours = ours.collect();
        let running = containers.iter().filter(|container| container.state == ContainerState::Running);
        self.running = running.map(|container| (container.id.clone(), container.instance.clone())).collect();
        let is_running: BTreeSet<&ContainerId> = self.running.iter().map(|(id, _)| id).collect();
        self.before.retain(|id, _| is_running.contains(id));
        let images = images.into_iter().map(|image| self.image(image, &used_images)).collect();
        self.sizes.names = volumes.iter().map(|volume| volume.name.clone()).collect();
        let volumes = volumes.into_iter().map(|volume| self.volume(volume, &used_volumes)).collect();
        Ok(Observed { report: DockerReport::All { containers, images, volumes }, ours })
    }

    /// A list does not tell since when they run.
    async fn learn_starts(&mut self, docker: &Docker, containers: &mut [Container]) {
        let alive: BTreeSet<&ContainerId> = containers.iter().filter(|it| it.state.is_alive()).map(|it| &it.id).collect();
        self.started.retain(|id, _| alive.contains(id));
        let unknown: Vec<ContainerId> = alive.into_iter().filter(|id| !self.started.contains_key(id)).cloned().collect();
        let asked = stream::iter(unknown).map(|id| async move {
            let seen = docker.inspect_container(&id.0, None::<InspectContainerOptions>).await.ok()?;
            let micros = seen::micros(&seen.state?.started_at?)?;
            Some((id, Timestamp(micros / 1000)))
        });
        let learnt: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        self.started.extend(learnt.into_iter().flatten());
        for container in containers {
            container.started_at = self.started.get(&container.id).copied();
        }
    }

    fn container(&self, seen: ContainerSummary) -> Container {
        let labels = seen.labels.unwrap_or_default();
        let is_ours = labels.get(labels::STATE).is_some_and(|state| *state == self.mark);
        let own = |name: &str| if is_ours { labels.get(name).cloned() } else { None };
        let status = seen.status.unwrap_or_default();
        let name = seen.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        Container {
            id: ContainerId(seen.id.unwrap_or_default()),
            name: name.trim_start_matches('/').to_owned(),
            image: seen.image.unwrap_or_default(),
            image_id: seen.image_id.unwrap_or_default(),
            command: seen.command.unwrap_or_default(),
            state: ContainerState::of(&seen.state.map(|state| state.to_string()).unwrap_or_default()),
            health: health(&status),
            exit_code: exit_code(&status),
            ports: ports(seen.ports.unwrap_or_default()),
            mounts: seen.mounts.unwrap_or_default().iter().filter_map(mount).collect(),
            created_at: Timestamp(seen.created.unwrap_or(0) * 1000),
            started_at: None,
            project: labels.get("com.docker.compose.project").cloned(),
            app: own(labels::APP).and_then(|app| AppId::parse(&app).ok()),
            release: own(labels::RELEASE).and_then(|release| release.parse().ok()).map(ReleaseId),
            instance: own(labels::INSTANCE).map(InstanceId),
            process: own(labels::PROCESS),
        }
    }

    fn image(&self, seen: ImageSummary, used: &HashMap<String, u32>) -> Image {
        let tags: Vec<String> = seen.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect();
        let label = || {
            let is_ours = seen.labels.get(labels::STATE).is_some_and(|state| *state == self.mark);
            is_ours.then(|| seen.labels.get(labels::APP)).flatten().and_then(|app| AppId::parse(app).ok())
        };
        let of_ours = tags.iter().filter_map(|tag| Some((tag.clone(), labels::of_tag(&self.mark, tag)?)));
        let of_ours: Vec<(String, (AppId, ReleaseId))> = of_ours.collect();
        let app = of_ours.first().map(|(_, (app, _))| app.clone()).or_else(label);
        let is_of_app = |of: &AppId| app.as_ref() == Some(of);
        let kept =
            of_ours.iter().filter(|(_, (of, _))| is_of_app(of)).map(|(tag, (_, release))| (tag.clone(), *release)).collect();
        Image {
            containers: used.get(&seen.id).copied().unwrap_or(0),
            id: seen.id,
            tags,
            kept,
            size: Bytes(seen.size.max(0) as u64),
            created_at: Timestamp(seen.created * 1000),
            app,
        }
    }

    fn volume(&self, seen: DockerVolume, used: &HashMap<String, u32>) -> Volume {
        let is_ours = seen.labels.get(labels::STATE).is_some_and(|state| *state == self.mark);
        let app = seen.labels.get(labels::APP).filter(|_| is_ours).and_then(|app| AppId::parse(app).ok());
        Volume {
            containers: used.get(&seen.name).copied().unwrap_or(0),
            driver: seen.driver,
            size: self.sizes.of.get(&seen.name).copied(),
            created_at: seen.created_at.as_deref().and_then(seen::micros).map(|micros| Timestamp(micros / 1000)),
            name: seen.name,
            app,
        }
    }

    /// What is measured next of what runs: so much at a time that Docker has little to do with it.
    pub(super) fn next_measured(&mut self) -> Vec<(ContainerId, Option<InstanceId>)> {
        let count = self.running.len();
        let begin = if count > MEASURED { self.turn % count } else { 0 };
        self.turn = begin + MEASURED;
        (0..count.min(MEASURED)).map(|n| self.running[(begin + n) % count].clone()).collect()
    }

    pub(super) fn take_figures(&mut self, measured: Vec<Measured>) -> Vec<Report> {
        let mut samples = Vec::new();
        let mut reports = Vec::new();
        for Measured { id, instance, stats, at } in measured {
            let Some((sample, counters)) = figures(&stats, self.before.get(&id), at) else { continue };
            self.before.insert(id.clone(), counters);
            if let Some(id) = instance {
                let sample = InstanceSample { at: sample.at, cpu_percent: sample.cpu_percent, memory: sample.memory };
                reports.push(Report::InstanceSample { id, sample });
            }
            samples.push((id, sample));
        }
        if !samples.is_empty() {
            reports.push(Report::Docker(DockerReport::Samples(samples)));
        }
        reports
    }
}

/// Docker's counters of one container.
pub(super) struct Measured {
    id: ContainerId,
    instance: Option<InstanceId>,
    stats: ContainerStatsResponse,
    at: Instant,
}

/// Asks for the counters of `containers`; one that does not answer is left out.
pub(super) async fn measure(docker: Docker, containers: Vec<(ContainerId, Option<InstanceId>)>) -> Vec<Measured> {
    let docker = &docker;
    let answers = stream::iter(containers).map(|(id, instance)| async move {
        let options = StatsOptions { stream: false, one_shot: true };
        let mut answer = std::pin::pin!(docker.stats(&id.0, Some(options)));
        let stats = timeout(FIGURES, answer.next()).await.ok()??.ok()?;
        Some(Measured { id, instance, stats, at: Instant::now() })
    });
    answers.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

fn used(containers: &[ContainerSummary]) -> (HashMap<String, u32>, HashMap<String, u32>) {
    let (mut images, mut volumes) = (HashMap::new(), HashMap::new());
    for container in containers {
        *images.entry(container.image_id.clone().unwrap_or_default()).or_default() += 1;
        for name in container.mounts.iter().flatten().filter_map(|mount| mount.name.clone()) {
            *volumes.entry(name).or_default() += 1;
        }
    }
    (images, volumes)
}

/// One line per port, however many addresses Docker names it with.
fn ports(seen: Vec<PortSummary>) -> Vec<PublishedPort> {
    let port = |seen: PortSummary| {
        let outside = seen.public_port.and_then(|port| Some((seen.ip.as_deref()?.parse().ok()?, port)));
        let protocol = seen.typ.map_or_else(|| "tcp".to_owned(), |kind| kind.to_string());
        PublishedPort { inside: seen.private_port, protocol, outside }
    };
    let ports: BTreeSet<PublishedPort> = seen.into_iter().map(port).collect();
    ports.into_iter().collect()
}

fn mount(seen: &MountPoint) -> Option<String> {
    let from = seen.name.clone().filter(|name| !name.is_empty()).or_else(|| seen.source.clone())?;
    Some(format!("{from}:{}{}", seen.destination.as_ref()?, if seen.rw == Some(false) { ":ro" } else { "" }))
}

/// `Up 2 minutes (healthy)`
fn health(status: &str) -> Option<ContainerHealth> {
    let words = status.rsplit_once('(')?.1;
    match words.trim_end_matches(')') {
        "healthy" => Some(ContainerHealth::Healthy),
        "unhealthy" => Some(ContainerHealth::Unhealthy),
        "health: starting" => Some(ContainerHealth::Starting),
        _ => None,
    }
}

/// `Exited (137) 2 minutes ago`
fn exit_code(status: &str) -> Option<i64> {
    let rest = status.strip_prefix("Exited (").or_else(|| status.strip_prefix("Restarting ("))?;
    rest.split(')').next()?.parse().ok()
}

fn figures(stats: &ContainerStatsResponse, before: Option<&Before>, at: Instant) -> Option<(ContainerSample, Before)> {
    let cpu_nanos = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = stats.memory_stats.as_ref();
    // Pages of files that can be given back are no need of it (what `docker stats` shows).
    let pages = memory.and_then(|memory| memory.stats.as_ref());
    let cache = pages.and_then(|pages| pages.get("inactive_file").or_else(|| pages.get("total_inactive_file")));
    let usage = memory.and_then(|memory| memory.usage).unwrap_or(0);
    let networks: BTreeMap<_, _> = stats.networks.iter().flatten().collect();
    let sum =
        |of: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| networks.values().filter_map(|net| of(net)).sum::<u64>();
    let now = Before { at, cpu_nanos, received: sum(|net| net.rx_bytes), sent: sum(|net| net.tx_bytes) };
    let span = before.map(|before| (now.at - before.at).as_secs_f64()).filter(|span| *span > 0.0);
    let per_s = |of: fn(&Before) -> u64| {
        let (span, before) = (span?, before?);
        Some(of(&now).saturating_sub(of(before)) as f64 / span)
    };
    let has_network = !networks.is_empty();
    let sample = ContainerSample {
        at: clock::now(),
        cpu_percent: per_s(|counters| counters.cpu_nanos).map(|nanos| (nanos / 1e9 * 100.0) as f32),
        memory: usage.saturating_sub(cache.copied().unwrap_or(0)),
        // Without one Docker names the host's memory: told from a limit by nobody but the reader.
        memory_limit: memory.and_then(|memory| memory.limit).filter(|limit| *limit < 1 << 50),
        received_per_s: per_s(|counters| counters.received).filter(|_| has_network),
        sent_per_s: per_s(|counters| counters.sent).filter(|_| has_network),
    };
    Some((sample, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words_tell_health_and_exit() {
        assert_eq!(health("Up 2 minutes (healthy)"), Some(ContainerHealth::Healthy));
        assert_eq!(health("Up 1 second (health: starting)"), Some(ContainerHealth::Starting));
        assert_eq!((health("Exited (137) 2 minutes ago"), exit_code("Exited (137) 2 minutes ago")), (None, Some(137)));
        assert_eq!(exit_code("Up 2 minutes"), None);
    }
}
