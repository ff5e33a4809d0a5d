//! What is seen of Docker, merged into the fleet.

use std::collections::BTreeSet;

use crate::{
    config::clock,
    model::{
        change::Change,
        container::{Container, ContainerState, DockerStatus, Image, Volume},
        fleet::{Event, Fleet, Level},
        instance::{Instance, InstanceState},
        manifest::Runtime,
        order::DockerReport,
        sample::Sample,
    },
};

/// The changes that a report makes; what is as it was is dropped by the fleet's owner.
pub(super) fn digest(fleet: &Fleet, report: DockerReport) -> Vec<Change> {
    match report {
        DockerReport::Status(status) => {
            let unknown = if status.up { Vec::new() } else { unknown(fleet) };
            self::status(fleet, status).into_iter().chain(unknown).collect()
        }
        DockerReport::All { containers, images, volumes } => {
            let known = known_again(fleet, &containers);
            let seen: BTreeSet<_> = containers.iter().map(|container| &container.id).collect();
            let gone = fleet.containers.keys().filter(|id| !seen.contains(id)).cloned().map(Change::ContainerGone);
            let mut changes: Vec<Change> = gone.collect();
            changes.extend(containers.into_iter().map(|container| Change::Container(Box::new(container))));
            changes.extend(self::images(fleet, images));
            changes.extend(self::volumes(fleet, volumes));
            changes.extend(known);
            changes
        }
        DockerReport::Container(container) => vec![Change::Container(container)],
        DockerReport::ContainerGone { id } => vec![Change::ContainerGone(id)],
        DockerReport::Samples(samples) => {
            let known = samples.into_iter().filter(|(id, _)| fleet.containers.contains_key(id));
            known.map(|(id, sample)| Change::Sample(Sample::Container { id, sample })).collect()
        }
    }
}

fn status(fleet: &Fleet, status: DockerStatus) -> Vec<Change> {
    let mut changes = Vec::new();
    let was_up = fleet.docker.as_ref().is_some_and(|known| known.up);
    let event = |what: String, level| Change::Event(Event { at: clock::now(), subject: "docker".to_owned(), what, level });
    match (&fleet.docker, was_up, status.up) {
        (_, true, false) => {
            let why = status.problem.as_ref().map_or("does not answer", |problem| problem.what.as_str());
            changes.push(event(why.to_owned(), Level::Danger));
        }
        (Some(_), false, true) => changes.push(event("answers again".to_owned(), Level::Good)),
        _ => {}
    }
    changes.push(Change::Docker(status));
    changes
}

/// While Docker is away nobody knows what its containers do. Those that are being started are their orders' to tell of.
fn unknown(fleet: &Fleet) -> Vec<Change> {
    let is_gone_dark = |instance: &&Instance| {
        let may_run = instance.wanted && !matches!(instance.state, InstanceState::Starting | InstanceState::Stopped);
        instance.runtime == Runtime::Docker && may_run
    };
    let dark = fleet.instances.values().filter(is_gone_dark);
    dark.map(|instance| Change::Instance(Instance { state: InstanceState::Unknown, ..instance.clone() })).collect()
}

/// Of a Docker that is back: an instance that went on meanwhile is not reported anew.
fn known_again(fleet: &Fleet, containers: &[Container]) -> Vec<Change> {
    let of = |instance: &Instance| {
        let its = containers.iter().find(|container| container.instance.as_ref() == Some(&instance.id));
        match its.map(|container| container.state) {
            Some(ContainerState::Running | ContainerState::Paused) => InstanceState::Running,
            Some(ContainerState::Restarting) => InstanceState::BackOff,
            Some(ContainerState::Created) => InstanceState::Starting,
            Some(ContainerState::Removing) => InstanceState::Stopping,
            Some(ContainerState::Exited | ContainerState::Dead | ContainerState::Unknown) | None => InstanceState::Lost,
        }
    };
    let is_dark = |instance: &&Instance| instance.runtime == Runtime::Docker && instance.state == InstanceState::Unknown;
    let dark = fleet.instances.values().filter(is_dark);
    dark.map(|instance| Change::Instance(Instance { state: of(instance), ..instance.clone() })).collect()
}

fn images(fleet: &Fleet, images: Vec<Image>) -> Vec<Change> {
    let seen: BTreeSet<_> = images.iter().map(|image| image.id.as_str()).collect();
    let gone = fleet.images.keys().filter(|id| !seen.contains(id.as_str())).cloned().map(Change::ImageGone);
    let mut changes: Vec<Change> = gone.collect();
    changes.extend(images.into_iter().map(Change::Image));
    changes
}

fn volumes(fleet: &Fleet, volumes: Vec<Volume>) -> Vec<Change> {
    let seen: BTreeSet<_> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    let gone = fleet.volumes.keys().filter(|name| !seen.contains(name.as_str())).cloned().map(Change::VolumeGone);
    let mut changes: Vec<Change> = gone.collect();
    changes.extend(volumes.into_iter().map(Change::Volume));
    changes
}
