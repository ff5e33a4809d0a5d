//! What each change of an app or a deployment does, how to undo it, and the command that does the same.

use crate::model::{
    command::Command,
    fleet::Fleet,
    ids::{AppId, DeploymentId, ReleaseId},
    plan::{PlanLine, Sign},
    units::many,
    verbs::earlier_releases,
};

/// One command with what it does.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub label: String,
    pub lines: Vec<PlanLine>,
    pub undo: String,
    pub command: Command,
    pub same: String,
}

pub(super) fn line(sign: Sign, what: impl Into<String>, why: impl Into<String>) -> PlanLine {
    PlanLine { sign, what: what.into(), why: why.into() }
}

/// How many instances of the routed process are wanted.
pub(super) fn wanted(fleet: &Fleet, app: &AppId) -> u32 {
    let Some(known) = fleet.apps.get(app) else {
        return 1;
    };
    let planned = known
        .routed
        .and_then(|release| fleet.release(app, release))
        .and_then(|release| release.blueprint.web())
        .map(|web| web.replicas);
    known.replicas.or(planned).unwrap_or(1)
}

fn routed(fleet: &Fleet, app: &AppId) -> Option<ReleaseId> {
    fleet.apps.get(app).and_then(|app| app.routed)
}

fn release_word(release: Option<ReleaseId>) -> String {
    release.map_or_else(|| "none".to_owned(), |release| format!("release {release}"))
}

pub(super) fn rollbacks(fleet: &Fleet, app: &AppId) -> Vec<Offer> {
    let now = routed(fleet, app);
    let warm = fleet.apps.get(app).and_then(|app| app.warm).map(|(release, _)| release);
    earlier_releases(fleet, app)
        .map(|release| {
            let is_warm = warm == Some(release.id);
            let count = fleet.instances_of(app).filter(|it| it.wanted && Some(it.release) == now).count();
            let mut lines = Vec::new();
            if !is_warm && release.blueprint.web().is_some() {
                let replicas = wanted(fleet, app);
                lines.push(line(
                    Sign::Add,
                    many(replicas as usize, "instance"),
                    format!("of release {}, from its kept files, proved before the switch", release.id),
                ));
            }
            let route = format!(
                "{} → release {}, all at once{}",
                release_word(now),
                release.id,
                if is_warm { "; it still runs" } else { "" }
            );
            lines.push(line(Sign::Change, "route", route));
            if count > 0 {
                lines.push(line(
                    Sign::Remove,
                    many(count, "instance"),
                    format!("of {}, drained, after its warm time", release_word(now)),
                ));
            }
            Offer {
                label: format!(
                    "release {:<4} {}  {}",
                    release.id,
                    release.version,
                    release.subject.as_deref().unwrap_or_default()
                ),
                lines,
                undo: now.map_or_else(String::new, |now| format!("roll back to {now}")),
                command: Command::Rollback { app: app.clone(), release: Some(release.id) },
                same: format!("pilothouse rollback {app} {}", release.id),
            }
        })
        .collect()
}

pub(super) fn restart(fleet: &Fleet, app: &AppId) -> Offer {
    let count = many(wanted(fleet, app) as usize, "instance");
    let now = release_word(routed(fleet, app));
    Offer {
        label: app.to_string(),
        lines: vec![
            line(Sign::Add, count.clone(), format!("fresh, of {now}, proved before the switch")),
            line(Sign::Change, "route", "to the fresh ones, all at once".to_owned()),
            line(Sign::Remove, count, "the present ones, drained first".to_owned()),
        ],
        undo: "none is needed: the release stays the same; when the fresh ones fail, the present ones serve on".to_owned(),
        command: Command::Restart { app: app.clone() },
        same: format!("pilothouse restart {app}"),
    }
}

pub(super) fn stop(fleet: &Fleet, app: &AppId) -> Offer {
    let count = fleet.instances_of(app).filter(|it| it.state.is_alive()).count();
    let url = fleet.apps.get(app).and_then(|app| app.url.clone());
    let mut lines = Vec::new();
    if let Some(url) = url {
        lines.push(line(Sign::Remove, "route", format!("{url} answers 503 from then on")));
    }
    lines.push(line(Sign::Remove, many(count, "instance"), "drained, then ended".to_owned()));
    Offer {
        label: app.to_string(),
        lines,
        undo: format!("U on the app, or pilothouse start {app}"),
        command: Command::Stop { app: app.clone() },
        same: format!("pilothouse stop {app}"),
    }
}

pub(super) fn start(fleet: &Fleet, app: &AppId) -> Offer {
    let known = fleet.apps.get(app);
    let release = known.and_then(|known| known.routed.or(known.asked));
    Offer {
        label: app.to_string(),
        lines: vec![
            line(Sign::Add, many(wanted(fleet, app) as usize, "instance"), format!("of {}", release_word(release))),
            line(Sign::Change, "route", "to them once they are proved".to_owned()),
        ],
        undo: format!("X on the app, or pilothouse stop {app}"),
        command: Command::Start { app: app.clone() },
        same: format!("pilothouse start {app}"),
    }
}

pub(super) fn scale(app: &AppId, now: u32, wanted: u32) -> Offer {
    let count = many(now.abs_diff(wanted) as usize, "instance");
    let lines = match wanted.cmp(&now) {
        std::cmp::Ordering::Greater => vec![line(Sign::Add, count, "proved before they get requests")],
        std::cmp::Ordering::Less => vec![line(Sign::Remove, count, "out of routing first, then drained, then ended")],
        std::cmp::Ordering::Equal => vec![line(Sign::Note, "nothing", "it is that number already")],
    };
    Offer {
        label: app.to_string(),
        lines,
        undo: format!("scale back to {now}"),
        command: Command::Scale { app: app.clone(), replicas: wanted },
        same: format!("pilothouse scale {app} {wanted}"),
    }
}

pub(super) fn remove(fleet: &Fleet, app: &AppId) -> Offer {
    let instances = fleet.instances_of(app).filter(|it| it.state.is_alive()).count();
    let releases = fleet.releases.get(app).map_or(0, std::collections::BTreeMap::len);
    let url = fleet.apps.get(app).and_then(|app| app.url.clone()).unwrap_or_else(|| "none".to_owned());
    let mut lines = vec![
        line(Sign::Remove, "route", url),
        line(Sign::Remove, many(instances, "instance"), "drained, then ended"),
        line(Sign::Remove, many(releases, "release"), "with their files, logs and build cache"),
    ];
    let volumes = fleet.volumes_of(app).count();
    if volumes > 0 {
        lines.push(line(Sign::Note, many(volumes, "volume"), "with its data stays; a prune can remove it afterwards"));
    }
    Offer {
        label: app.to_string(),
        lines,
        undo: "none: it can only be deployed again from its source".to_owned(),
        command: Command::Remove { app: app.clone() },
        same: format!("pilothouse remove {app}"),
    }
}

pub(super) fn cancel(fleet: &Fleet, id: DeploymentId) -> Option<Offer> {
    let it = fleet.deployments.get(&id)?;
    let kept = it
        .from
        .map_or_else(|| "nothing serves before it and nothing after it".to_owned(), |from| format!("release {from} serves on"));
    Some(Offer {
        label: format!("#{id}"),
        lines: vec![
            line(
                Sign::Remove,
                format!("{} {}", it.aim.word(), it.release),
                format!("of {}, now {}; its build ends within 2 s, what it staged is undone", it.app, it.phase.word()),
            ),
            line(Sign::Note, "route", kept),
        ],
        undo: "deploy it again".to_owned(),
        command: Command::Cancel { deployment: id },
        same: format!("pilothouse cancel {id}"),
    })
}
