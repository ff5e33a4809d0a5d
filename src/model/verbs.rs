//! The verb table: every deed of the console with its word, keys, place and help; footer, `?`, palette and `docs/keys.md` are
//! made from it.

use super::{
    container::{ContainerId, ContainerState},
    fleet::{Desired, Fleet},
    ids::{AppId, DeploymentId},
};

/// A deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Open,
    Back,
    Leave,
    Quit,
    Overview,
    Apps,
    Containers,
    Hosts,
    Deployments,
    Logs,
    Tasks,
    Deploy,
    AppLogs,
    Why,
    Rollback,
    Restart,
    Scale,
    Stop,
    Start,
    Remove,
    Cancel,
    BuildLog,
    Shell,
    View,
    Prune,
    Copy,
    CopyName,
    Mark,
    Filter,
    Find,
    NextHit,
    PreviousHit,
    NextError,
    PreviousError,
    Pause,
    Live,
    Wrap,
    Times,
    SortNext,
    SortPrevious,
    SortTurn,
    NextPart,
    PreviousPart,
    Up,
    Down,
    Top,
    Bottom,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Palette,
    Help,
    Theme,
    Mouse,
    Redraw,
    Suspend,
}

/// Where a verb's key is heard. The narrower scope wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Everywhere,
    Overview,
    Apps,
    Containers,
    Hosts,
    Deployments,
    Logs,
    Tasks,
}

impl Scope {
    pub const PANES: [Self; 7] =
        [Self::Overview, Self::Apps, Self::Containers, Self::Hosts, Self::Deployments, Self::Logs, Self::Tasks];

    pub fn word(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Overview => "overview",
            Self::Apps => "apps",
            Self::Containers => "containers",
            Self::Hosts => "hosts",
            Self::Deployments => "deployments",
            Self::Logs => "logs",
            Self::Tasks => "tasks",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub verb: Verb,
    /// As the footer and the palette name it.
    pub word: &'static str,
    /// The first one is shown in the footer. Empty: only by the palette.
    pub keys: &'static [&'static str],
    pub scopes: &'static [Scope],
    pub help: &'static str,
    /// Place in the footer, lowest first; absent: not shown there.
    pub footer: Option<u8>,
}

const ALL: &[Scope] = &[Scope::Everywhere];
const LISTS: &[Scope] = &[Scope::Apps, Scope::Containers, Scope::Hosts, Scope::Deployments, Scope::Tasks];
const FILTERED: &[Scope] = &[Scope::Apps, Scope::Containers, Scope::Hosts, Scope::Deployments, Scope::Logs, Scope::Tasks];
const WITH_APP: &[Scope] = &[Scope::Overview, Scope::Apps, Scope::Deployments];
const WITH_LOGS: &[Scope] = &[Scope::Overview, Scope::Apps, Scope::Containers, Scope::Deployments];
const ON_APP: &[Scope] = &[Scope::Overview, Scope::Apps];
const ON_ONE: &[Scope] = &[Scope::Overview, Scope::Apps, Scope::Containers];
const DOCKER: &[Scope] = &[Scope::Containers];

const fn row(
    verb: Verb,
    word: &'static str,
    keys: &'static [&'static str],
    scopes: &'static [Scope],
    footer: Option<u8>,
    help: &'static str,
) -> Row {
    Row { verb, word, keys, scopes, help, footer }
}

/// The verbs, in the order in which help shows them.
pub const TABLE: &[Row] = &[
    row(
        Verb::Open,
        "open",
        &["Enter", "d"],
        &[Scope::Overview, Scope::Apps, Scope::Containers, Scope::Hosts, Scope::Deployments, Scope::Tasks],
        Some(1),
        "go into what is selected",
    ),
    row(Verb::Deploy, "deploy", &["n"], ALL, Some(6), "deploy a folder, a git repository or an image: source, plan, then go"),
    row(Verb::AppLogs, "logs", &["l"], WITH_LOGS, Some(2), "follow the logs of the selected app or container"),
    row(Verb::Why, "why", &["w"], WITH_APP, Some(3), "what is wrong with it, the evidence, and what helps"),
    row(Verb::Rollback, "roll back", &["R"], WITH_APP, Some(4), "return to an earlier release, after showing what happens"),
    row(Verb::Restart, "restart", &["T"], ON_ONE, Some(12), "fresh instances of the same release, one after the other proved"),
    row(Verb::Scale, "scale", &["S"], ON_APP, Some(9), "another number of instances"),
    row(Verb::Stop, "stop", &["X"], ON_ONE, Some(13), "no instance runs and no request is answered until it is started"),
    row(Verb::Start, "start", &["U"], ON_ONE, Some(5), "start a stopped app with the release it had"),
    row(
        Verb::Remove,
        "remove",
        &["D"],
        &[Scope::Apps, Scope::Containers],
        Some(15),
        "the app with its releases and logs, or the container; asks for its name",
    ),
    row(
        Verb::Cancel,
        "cancel",
        &["X"],
        &[Scope::Deployments, Scope::Tasks],
        Some(4),
        "end the deployment; what served before serves on",
    ),
    row(
        Verb::BuildLog,
        "build log",
        &["b"],
        &[Scope::Overview, Scope::Apps, Scope::Deployments],
        Some(8),
        "the output of the build",
    ),
    row(Verb::Shell, "shell", &["s"], DOCKER, Some(3), "a shell inside the container; its end comes back here"),
    row(Verb::View, "view", &["v"], DOCKER, Some(4), "containers, images, volumes in turn"),
    row(Verb::Prune, "prune", &["P"], DOCKER, Some(16), "remove what is ours and not needed; shows objects and bytes first"),
    row(Verb::Pause, "pause", &["Space"], &[Scope::Logs], Some(1), "hold the view; lines go on arriving"),
    row(Verb::Live, "live", &["G", "End"], &[Scope::Logs], Some(2), "jump to the newest line and follow"),
    row(Verb::Find, "find", &["f", "ctrl-f"], &[Scope::Logs], Some(4), "find text in the lines shown"),
    row(Verb::NextHit, "next hit", &["n"], &[Scope::Logs], Some(5), "to the next line that holds what was looked for"),
    row(Verb::PreviousHit, "previous hit", &["N"], &[Scope::Logs], None, "to the previous one"),
    row(Verb::NextError, "next error", &["e"], &[Scope::Logs], Some(6), "to the next line that reports an error"),
    row(Verb::PreviousError, "previous error", &["E"], &[Scope::Logs], None, "to the previous one"),
    row(Verb::Wrap, "wrap", &["w"], &[Scope::Logs], Some(8), "fold long lines, or cut them"),
    row(Verb::Filter, "filter", &["/"], FILTERED, Some(3), "words, -words, field:value, field>number; the count left is shown"),
    row(Verb::Mark, "mark", &["Space"], &[Scope::Apps], Some(11), "mark several apps: restart, stop and start act on all marked"),
    row(
        Verb::Copy,
        "copy",
        &["y"],
        FILTERED_AND_OVERVIEW,
        Some(10),
        "the URL of an app, the id of a deployment, the line of a log",
    ),
    row(Verb::CopyName, "copy name", &["Y"], FILTERED_AND_OVERVIEW, None, "the name of what is selected"),
    row(Verb::Times, "times", &["t"], ALL, None, "relative or absolute; in logs also none"),
    row(Verb::SortNext, "sort", &["o", ">"], LISTS, Some(14), "sort by the next column"),
    row(Verb::SortPrevious, "sort back", &["<"], LISTS, None, "sort by the previous column"),
    row(Verb::SortTurn, "turn order", &["O"], LISTS, None, "sort the other way round"),
    row(Verb::Palette, "commands", &[":", "ctrl-p"], ALL, Some(20), "every verb, pane and app by a few letters"),
    row(Verb::Help, "help", &["?", "F1"], ALL, Some(21), "these keys; type to search"),
    row(Verb::Overview, "overview", &["1"], ALL, None, "what needs you, and how the fleet is"),
    row(Verb::Apps, "apps", &["2"], ALL, None, "apps with release, instances, health and figures"),
    row(Verb::Containers, "containers", &["5"], ALL, None, "every container of Docker, its images and volumes"),
    row(Verb::Hosts, "hosts", &["6"], ALL, None, "cpu, memory, disk, network and load"),
    row(Verb::Deployments, "deployments", &["7"], ALL, None, "every deployment with its steps and its cause"),
    row(Verb::Logs, "logs of all", &["8"], ALL, None, "lines of all apps, merged by time"),
    row(Verb::Tasks, "tasks", &["0"], ALL, None, "what the engine does, when and why"),
    row(Verb::NextPart, "next part", &["Tab"], ALL, None, "to the list, to its details, and back"),
    row(Verb::PreviousPart, "previous part", &["shift-Tab"], ALL, None, "the other way round"),
    row(Verb::Up, "up", &["k", "Up"], ALL, None, "one row up"),
    row(Verb::Down, "down", &["j", "Down"], ALL, None, "one row down"),
    row(Verb::Top, "top", &["g", "Home"], ALL, None, "to the first row"),
    row(Verb::Bottom, "bottom", &["G", "End"], ALL, None, "to the last row"),
    row(Verb::PageUp, "page up", &["PageUp", "ctrl-b"], ALL, None, "one page up"),
    row(Verb::PageDown, "page down", &["PageDown"], ALL, None, "one page down"),
    row(Verb::HalfUp, "half a page up", &["ctrl-u"], ALL, None, "half a page up"),
    row(Verb::HalfDown, "half a page down", &["ctrl-d"], ALL, None, "half a page down"),
    row(Verb::Back, "back", &["Esc"], ALL, None, "one step back; never quits"),
    row(Verb::Leave, "quit", &["q"], ALL, Some(22), "one step back, at the end quit; apps go on"),
    row(Verb::Quit, "quit at once", &["ctrl-c"], ALL, None, "leave the console from anywhere; apps go on"),
    row(Verb::Theme, "theme: light or dark", &[], ALL, None, "change between pilot-dark and pilot-light"),
    row(Verb::Mouse, "mouse", &["M"], ALL, None, "let the terminal have the mouse, to select text, and take it back"),
    row(Verb::Redraw, "redraw", &["ctrl-l"], ALL, None, "draw the whole screen anew"),
    row(Verb::Suspend, "suspend", &["ctrl-z"], ALL, None, "back to the shell; `fg` returns"),
];

const FILTERED_AND_OVERVIEW: &[Scope] =
    &[Scope::Overview, Scope::Apps, Scope::Containers, Scope::Hosts, Scope::Deployments, Scope::Logs, Scope::Tasks];

impl Verb {
    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        // Every verb has a row: a test sees to it.
        TABLE.iter().find(|row| row.verb == self).unwrap_or(&TABLE[0])
    }
}

/// What a verb is applied to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub app: Option<AppId>,
    pub deployment: Option<DeploymentId>,
    pub container: Option<ContainerId>,
}

/// Why `verb` cannot be done to `subject` now; absent when it can.
pub fn refusal(verb: Verb, fleet: &Fleet, subject: &Subject) -> Option<String> {
    match verb {
        Verb::AppLogs | Verb::Why | Verb::Rollback | Verb::Restart | Verb::Scale | Verb::Stop | Verb::Start | Verb::Remove => {
            match (&subject.container, &subject.app) {
                (Some(container), _) => refusal_of_container(verb, fleet, container),
                (None, Some(app)) => refusal_of_app(verb, fleet, app),
                (None, None) => Some("nothing is selected that this could be done to".to_owned()),
            }
        }
        Verb::Shell => match &subject.container {
            Some(container) => refusal_of_container(verb, fleet, container),
            None => Some("no container is selected".to_owned()),
        },
        Verb::Prune => match &fleet.docker {
            Some(docker) if docker.up => None,
            _ => Some("docker does not answer".to_owned()),
        },
        Verb::Cancel => match subject.deployment.and_then(|id| fleet.deployments.get(&id)) {
            None => Some("no deployment is selected".to_owned()),
            Some(deployment) if deployment.is_over() => Some(format!("it is over: {}", deployment.phase.word())),
            Some(_) => None,
        },
        Verb::BuildLog => {
            let built = subject
                .deployment
                .and_then(|id| fleet.deployments.get(&id))
                .is_some_and(super::deployment::Deployment::has_build_log);
            let has_release = subject.app.as_ref().is_some_and(|app| fleet.releases.contains_key(app));
            (!built && !has_release).then(|| "nothing was built for it".to_owned())
        }
        _ => None,
    }
}

fn refusal_of_container(verb: Verb, fleet: &Fleet, id: &ContainerId) -> Option<String> {
    let Some(container) = fleet.containers.get(id) else {
        return Some(format!("the container {id} is gone"));
    };
    if !fleet.docker.as_ref().is_some_and(|docker| docker.up) {
        return Some("docker does not answer".to_owned());
    }
    let instance = container.instance.as_ref().and_then(|instance| fleet.instances.get(instance));
    if let (Verb::Stop | Verb::Remove, Some(instance)) = (verb, instance.filter(|instance| instance.wanted)) {
        return Some(format!("{}: {} wants it and would bring it back; stop or scale the app", container.name, instance.app));
    }
    let why = match verb {
        Verb::Start if container.state.is_alive() => "it runs already",
        Verb::Stop if !container.state.is_alive() => "it does not run",
        Verb::Shell if container.state != ContainerState::Running => "it does not run; U starts it",
        Verb::Why | Verb::Rollback | Verb::Scale => "this is done to apps",
        _ => return None,
    };
    Some(format!("{}: {why}", container.name))
}

fn refusal_of_app(verb: Verb, fleet: &Fleet, id: &AppId) -> Option<String> {
    let Some(app) = fleet.apps.get(id) else {
        return Some(format!("{id} is gone"));
    };
    let why = match verb {
        Verb::Rollback if earlier_releases(fleet, id).next().is_none() => "no earlier release of it was proved",
        Verb::Restart | Verb::Scale if app.routed.is_none() => "nothing of it was released yet",
        Verb::Restart | Verb::Scale | Verb::Stop if app.desired == Desired::Stopped => "it is stopped; U starts it",
        Verb::Start if app.desired == Desired::Running => "it is not stopped",
        Verb::Scale if is_static(fleet, id) => "its files are served by the edge; there are no instances",
        _ => return None,
    };
    Some(format!("{id}: {why}"))
}

/// Releases that `id` can return to without asking: proved before, newest first, without the one that is routed now.
pub fn earlier_releases<'a>(fleet: &'a Fleet, id: &'a AppId) -> impl Iterator<Item = &'a super::fleet::Release> {
    let routed = fleet.apps.get(id).and_then(|app| app.routed);
    fleet
        .releases
        .get(id)
        .into_iter()
        .flat_map(|releases| releases.values().rev())
        .filter(move |release| release.proved_at.is_some() && Some(release.id) != routed)
}

/// Whether the routed release consists of files only.
pub fn is_static(fleet: &Fleet, id: &AppId) -> bool {
    let routed = fleet.apps.get(id).and_then(|app| app.routed).and_then(|release| fleet.release(id, release));
    routed.is_some_and(|release| release.blueprint.output.is_some() && release.blueprint.processes.is_empty())
}

/// `docs/keys.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Keys\n\nMade from the verb table (`src/model/verbs.rs`); `?` in the console shows the same. Nothing destructive lies on a\n\
         `ctrl-` letter or a single lower-case key, and every change shows first what it will do.\n",
    );
    for scope in [Scope::Everywhere].into_iter().chain(Scope::PANES) {
        text.push_str(&format!("\n## {}\n\n| key | word | what it does |\n| --- | --- | --- |\n", capital(scope.word())));
        for row in TABLE.iter().filter(|row| row.scopes.contains(&scope)) {
            let keys: Vec<String> = row.keys.iter().map(|key| format!("`{key}`")).collect();
            let keys = if keys.is_empty() { "by `:`".to_owned() } else { keys.join(" ") };
            text.push_str(&format!("| {keys} | {} | {} |\n", row.word, row.help));
        }
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for scope in [Scope::Everywhere].into_iter().chain(Scope::PANES) {
            let mut seen = HashMap::new();
            for row in TABLE.iter().filter(|row| row.scopes.contains(&scope)) {
                for key in row.keys {
                    if let Some(other) = seen.insert(*key, row.word) {
                        panic!("`{key}` is both {other} and {} in {}", row.word, scope.word());
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_destructive_lies_on_a_small_letter_or_a_control_key() {
        for verb in [Verb::Rollback, Verb::Restart, Verb::Scale, Verb::Stop, Verb::Start, Verb::Remove, Verb::Cancel, Verb::Prune]
        {
            for key in verb.row().keys {
                assert!(key.len() == 1 && key.chars().all(|c| c.is_ascii_uppercase()), "{verb:?} lies on `{key}`");
            }
        }
    }

    #[test]
    fn the_document_of_the_keys_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/keys.md");
        if std::env::var_os("PILOTHOUSE_WRITE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == document(), "docs/keys.md is not what the verb table says; run with PILOTHOUSE_WRITE_DOCS=1");
    }
}
