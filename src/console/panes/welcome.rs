//! What a machine without apps is greeted with: the ways on, and what was found here.

use ratatui::text::Line;

use crate::{
    console::{
        theme::Role,
        widgets::strip::{Strip, cut, fold, heading},
        world::Scene,
    },
    model::{ids::HostId, tool::Tool, units::many},
};

/// Lines of `columns`; nothing in them was invented.
pub(super) fn lines(scene: &Scene<'_>, columns: usize) -> Vec<Line<'static>> {
    let strip = || Strip::new(scene.theme);
    let mut lines = vec![heading(scene.theme, "WELCOME", strip().muted("no app yet"), columns)];
    let about = "An app is a repository, a folder or an image that was deployed here: built, proved by a request, and served at a URL \
                 of its own.";
    lines.extend(fold(about, columns).into_iter().map(|text| strip().text(text).line()));
    lines.push(Line::default());
    for (key, what) in KEYS {
        lines.push(cut(strip().gap(2).bold(format!("{key:<18}"), Role::Accent).gap(1).muted(what).line(), columns));
    }
    let found = found(scene);
    if found.is_empty() {
        return lines;
    }
    lines.push(Line::default());
    lines.push(heading(scene.theme, "FOUND HERE", strip(), columns));
    let version_wide = found.iter().map(|it| it.version.chars().count()).max().unwrap_or(0).clamp(4, 16);
    for it in found {
        let (symbol, role) = if it.usable { ("✓", Role::Ok) } else { ("○", Role::Muted) };
        let name = strip().put(symbol, role).gap(1).cell(it.name, 9, if it.usable { Role::Text } else { Role::Muted });
        let row = name.gap(1).cell(&it.version, version_wide, Role::Text).gap(2);
        let indent = row.used();
        for (at, text) in fold(&it.about, columns.saturating_sub(indent).max(16)).into_iter().enumerate() {
            let begin = if at == 0 { row.clone() } else { strip().gap(indent) };
            lines.push(cut(begin.muted(text).line(), columns));
        }
    }
    lines
}

const KEYS: [(&str, &str); 4] = [
    ("n", "deploy: a folder, a git repository or an image"),
    ("5", "the containers of this machine"),
    ("?", "all keys"),
    ("pilothouse demo", "two small apps under load, in a folder of their own"),
];

struct Found {
    name: &'static str,
    version: String,
    usable: bool,
    about: String,
}

/// Docker as it answers, then the programs that the host reported.
fn found(scene: &Scene<'_>) -> Vec<Found> {
    let fleet = scene.fleet();
    let tools = fleet.hosts.get(&HostId::local()).and_then(|host| host.facts.as_ref()).map(|facts| facts.tools.as_slice());
    let Some(tools) = tools.filter(|tools| !tools.is_empty()) else {
        return Vec::new();
    };
    let tool = |name: &str| tools.iter().find(|tool| tool.name == name);
    let version = |name: &str| tool(name).and_then(|tool| tool.version.clone()).unwrap_or_default();
    let is_here = |name: &str| tool(name).is_some_and(|tool: &Tool| tool.path.is_some());
    let mut found = vec![docker(scene, &version("docker"))];
    let mut say = |name: &'static str, with: String, without: &str| {
        let usable = is_here(name);
        let version = if usable { version(name) } else { "none".to_owned() };
        found.push(Found { name, version, usable, about: if usable { with } else { without.to_owned() } });
    };
    say(
        "git",
        "deploys any repository that this machine can clone".to_owned(),
        "folders can be deployed; for repositories install git",
    );
    say("node", "builds and runs Node apps as processes".to_owned(), "Node apps need it, or Docker");
    say("python3", "builds and runs Python apps as processes".to_owned(), "Python apps need it, or Docker");
    let hosts = tool("ssh").map(|tool| tool.note.clone()).filter(|note| !note.is_empty());
    say("ssh", hosts.unwrap_or_else(|| "no host in ~/.ssh/config".to_owned()), "clones by ssh need it");
    say("consul", "found; this version does not use it yet".to_owned(), "not needed");
    say("vagrant", "found; this version does not use it yet".to_owned(), "not needed");
    found
}

fn docker(scene: &Scene<'_>, of_program: &str) -> Found {
    let fleet = scene.fleet();
    match &fleet.docker {
        Some(docker) if docker.up => Found {
            name: "docker",
            version: docker.version.clone().unwrap_or_else(|| of_program.to_owned()),
            usable: true,
            about: format!(
                "runs apps as containers; {} and {} here",
                many(fleet.containers.len(), "container"),
                many(fleet.images.len(), "image")
            ),
        },
        Some(docker) => Found {
            name: "docker",
            version: if of_program.is_empty() { "none".to_owned() } else { of_program.to_owned() },
            usable: false,
            about: format!("does not answer at {}: apps run as processes; 5 says how to mend it", docker.address),
        },
        None => Found { name: "docker", version: of_program.to_owned(), usable: false, about: "not looked at yet".to_owned() },
    }
}
