//! What each change of a container does, how to undo it, and the command that does the same.

use super::offers::{Offer, line};
use crate::model::{
    command::Command,
    container::{Container, ContainerAct},
    fleet::Fleet,
    plan::Sign,
    units::many,
};

pub(super) fn offer(fleet: &Fleet, it: &Container, act: ContainerAct) -> Offer {
    let name = &it.name;
    let mut lines = vec![match act {
        ContainerAct::Start => line(Sign::Add, "container", format!("{name} starts as it was made, from {}", it.image)),
        ContainerAct::Stop => line(Sign::Change, "container", format!("{name} is asked to end, and killed when it does not")),
        ContainerAct::Restart => {
            line(Sign::Change, "container", format!("{name} ends and starts again; what it held in memory is gone"))
        }
        ContainerAct::Remove => {
            line(Sign::Remove, "container", format!("{name} ends, and with it what was written outside of volumes"))
        }
    }];
    let published: Vec<String> =
        it.ports.iter().filter_map(|port| port.outside).map(|(address, port)| format!("{address}:{port}")).collect();
    if it.state.is_alive() && !published.is_empty() {
        let until = if act == ContainerAct::Restart { "until it is up again" } else { "from then on" };
        lines.push(line(Sign::Remove, "ports", format!("no answer at {} {until}", published.join(", "))));
    }
    if act == ContainerAct::Remove && !it.mounts.is_empty() {
        let kept: Vec<&str> = it.mounts.iter().filter_map(|mount| mount.split(':').next()).collect();
        lines.push(line(Sign::Note, "mounts", format!("kept as they are: {}", kept.join(", "))));
    }
    if let Some(project) = &it.project {
        let others =
            fleet.containers.values().filter(|other| other.project.as_ref() == Some(project) && other.id != it.id).count();
        lines.push(line(Sign::Note, "project", format!("{project}: {} besides, left alone", many(others, "container"))));
    }
    match &it.app {
        Some(app) if act != ContainerAct::Restart => lines.push(line(Sign::Note, "app", format!("an instance of {app}"))),
        Some(app) => {
            let why = format!("an instance of {app}, not proved anew; T on the app restarts it without a lost request");
            lines.push(line(Sign::Note, "app", why));
        }
        None => lines.push(line(Sign::Note, "foreign", "Pilothouse did not start it, and does it only because you name it")),
    }
    let undo = match act {
        ContainerAct::Start => "X stops it",
        ContainerAct::Stop => "U starts it again",
        ContainerAct::Restart => "none is needed: it is the same container",
        ContainerAct::Remove => "none: it can only be made anew by whoever made it",
    };
    Offer {
        label: name.clone(),
        lines,
        undo: undo.to_owned(),
        command: Command::Container { id: it.id.clone(), act },
        same: format!("pilothouse container {} {name}", act.word()),
    }
}
