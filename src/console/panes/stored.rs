//! Images and volumes of Docker as rows and by themselves: what lies on the disk, and who uses it.

use std::cmp::Ordering;

use ratatui::{style::Modifier, text::Line};

use super::{container_rows::bytes, containers::users, labelled};
use crate::{
    console::{
        filter::{Filter, Value},
        theme::Role,
        widgets::{
            strip::{Strip, heading},
            table::Column,
        },
        words::ago,
        world::Scene,
    },
    model::{
        container::{Container, Image, Volume},
        fleet::Fleet,
    },
};

/// The column of sizes, in both tables.
pub(super) const SIZE: usize = 1;
pub(super) const IMAGES: &[Column] = &[
    Column::left("image", 26).grow(56),
    Column::right("size", 8),
    Column::right("used by", 7),
    Column::right("made", 5),
    Column::left("app", 12).grow(20),
    Column::left("id", 12),
];
pub(super) const VOLUMES: &[Column] = &[
    Column::left("volume", 26).grow(56),
    Column::right("size", 8),
    Column::right("used by", 7),
    Column::right("made", 5),
    Column::left("app", 12).grow(20),
    Column::left("driver", 10),
];

/// `nginx:1.27`; one that lost its names is told by its id.
pub(super) fn image_name(it: &Image) -> String {
    it.tags.first().cloned().unwrap_or_else(|| format!("untagged {}", short(&it.id)))
}

fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

pub(super) fn image_passes(filter: &Filter, it: &Image) -> bool {
    let owner = it.app.as_ref().map_or("foreign".to_owned(), ToString::to_string);
    filter.passes(&format!("{} {} {owner}", it.tags.join(" "), it.id), &|name| match name {
        "image" | "name" | "tag" => Some(Value::Text(image_name(it))),
        "app" => Some(Value::Text(owner.clone())),
        "size" => Some(Value::Number(it.size.0 as f64 / f64::from(1 << 20))),
        "used" => Some(Value::Number(f64::from(it.containers))),
        _ => None,
    })
}

pub(super) fn volume_passes(filter: &Filter, it: &Volume) -> bool {
    let owner = it.app.as_ref().map_or("foreign".to_owned(), ToString::to_string);
    filter.passes(&format!("{} {} {owner}", it.name, it.driver), &|name| match name {
        "volume" | "name" => Some(Value::Text(it.name.clone())),
        "app" => Some(Value::Text(owner.clone())),
        "size" => it.size.map(|size| Value::Number(size.0 as f64 / f64::from(1 << 20))),
        "used" => Some(Value::Number(f64::from(it.containers))),
        _ => None,
    })
}

pub(super) fn compare_images(fleet: &Fleet, column: usize, one: &str, other: &str) -> Ordering {
    let (Some(a), Some(b)) = (fleet.images.get(one), fleet.images.get(other)) else {
        return one.cmp(other);
    };
    let order = match column {
        SIZE => b.size.cmp(&a.size),
        2 => b.containers.cmp(&a.containers),
        3 => b.created_at.cmp(&a.created_at),
        4 => (a.app.is_none(), &a.app).cmp(&(b.app.is_none(), &b.app)),
        5 => a.id.cmp(&b.id),
        _ => Ordering::Equal,
    };
    order.then_with(|| image_name(a).cmp(&image_name(b)))
}

pub(super) fn compare_volumes(fleet: &Fleet, column: usize, one: &str, other: &str) -> Ordering {
    let (Some(a), Some(b)) = (fleet.volumes.get(one), fleet.volumes.get(other)) else {
        return one.cmp(other);
    };
    match column {
        SIZE => b.size.cmp(&a.size),
        2 => b.containers.cmp(&a.containers),
        3 => b.created_at.cmp(&a.created_at),
        4 => (a.app.is_none(), &a.app).cmp(&(b.app.is_none(), &b.app)),
        5 => a.driver.cmp(&b.driver),
        _ => one.cmp(other),
    }
}

pub(super) fn image_cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, it: &Image, column: usize, columns: usize) -> Strip<'t> {
    match column {
        0 => {
            let bold = scene.theme.style(if it.tags.is_empty() { Role::Muted } else { Role::Text }).add_modifier(Modifier::BOLD);
            strip.cell_styled(&image_name(it), columns, bold)
        }
        SIZE => bytes(strip, Some(it.size.0), columns),
        2 => count(strip, it.containers, columns),
        3 => strip.right(&ago(it.created_at, scene.now()), columns, Role::Muted),
        4 => owner(strip, it.app.as_ref().map(ToString::to_string), columns),
        _ => strip.cell(short(&it.id), columns, Role::Muted),
    }
}

pub(super) fn volume_cell<'t>(scene: &Scene<'_>, strip: Strip<'t>, it: &Volume, column: usize, columns: usize) -> Strip<'t> {
    match column {
        0 => strip.cell_styled(&it.name, columns, scene.theme.style(Role::Text).add_modifier(Modifier::BOLD)),
        SIZE => bytes(strip, it.size.map(|size| size.0), columns),
        2 => count(strip, it.containers, columns),
        3 => match it.created_at {
            Some(at) => strip.right(&ago(at, scene.now()), columns, Role::Muted),
            None => strip.right("–", columns, Role::Muted),
        },
        4 => owner(strip, it.app.as_ref().map(ToString::to_string), columns),
        _ => strip.cell(&it.driver, columns, Role::Muted),
    }
}

fn count(strip: Strip<'_>, used: u32, columns: usize) -> Strip<'_> {
    if used == 0 { strip.right("–", columns, Role::Muted) } else { strip.right(&used.to_string(), columns, Role::Text) }
}

fn owner(strip: Strip<'_>, app: Option<String>, columns: usize) -> Strip<'_> {
    match app {
        Some(app) => strip.cell(&app, columns, Role::Text),
        None => strip.cell("foreign", columns, Role::Muted),
    }
}

pub(super) fn image_lines(scene: &Scene<'_>, id: &str, columns: usize) -> Vec<Line<'static>> {
    let Some(it) = scene.world.fleet.images.get(id) else {
        return Vec::new();
    };
    let mut lines = vec![Strip::new(scene.theme).bold(image_name(it), Role::Text).line(), Line::default()];
    let mut say = |label: &str, value: &str| lines.extend(labelled(scene, label, value, Role::Text, columns));
    for tag in it.tags.iter().skip(1) {
        say("also", tag);
    }
    say("app", &it.app.as_ref().map_or("foreign".to_owned(), ToString::to_string));
    say("size", &format!("{}, with the layers it shares", it.size));
    say("made", &format!("{} · {}", scene.time(it.created_at), scene.clock(it.created_at)));
    say("used", &users(it.containers));
    say("id", short(&it.id));
    lines.extend(used_by(scene, columns, |container| container.image_id == it.id));
    lines
}

pub(super) fn volume_lines(scene: &Scene<'_>, name: &str, columns: usize) -> Vec<Line<'static>> {
    let Some(it) = scene.world.fleet.volumes.get(name) else {
        return Vec::new();
    };
    let mut lines = vec![Strip::new(scene.theme).bold(it.name.clone(), Role::Text).line(), Line::default()];
    let mut say = |label: &str, value: &str| lines.extend(labelled(scene, label, value, Role::Text, columns));
    say("app", &it.app.as_ref().map_or("foreign".to_owned(), ToString::to_string));
    say("size", &it.size.map_or("Docker does not say".to_owned(), |size| size.to_string()));
    say("driver", &it.driver);
    if let Some(at) = it.created_at {
        say("made", &format!("{} · {}", scene.time(at), scene.clock(at)));
    }
    say("used", &users(it.containers));
    let mounted = format!("{}:", it.name);
    lines.extend(used_by(scene, columns, |container| container.mounts.iter().any(|mount| mount.starts_with(&mounted))));
    lines
}

/// The containers that use it, by name.
fn used_by(scene: &Scene<'_>, columns: usize, uses: impl Fn(&Container) -> bool) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for container in scene.world.fleet.containers.values().filter(|container| uses(container)) {
        if lines.is_empty() {
            lines.push(Line::default());
            lines.push(heading(scene.theme, "USED BY", Strip::new(scene.theme), columns));
        }
        let mark = crate::console::marks::container(container);
        let name = Strip::new(scene.theme).put(mark.symbol, mark.role).gap(1).text(container.name.clone());
        lines.push(name.gap(2).muted(mark.word).line());
    }
    lines
}
