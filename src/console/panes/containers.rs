//! Containers: everything that this machine's Docker engine holds, in three views: containers, images, volumes.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Pane, Reply, container_detail, container_rows, empty,
    list_pane::{Details, ListPane},
    stored,
};
use crate::{
    console::{
        filter::Filter,
        flash::Thing,
        list::List,
        overlays::problem_lines,
        theme::Role,
        widgets::{
            strip::{Strip, draw, draw_line},
            table::Column,
        },
        world::Scene,
    },
    model::{
        container::{Container, ContainerId},
        fleet::Fleet,
        units::{Bytes, many},
        verbs::{Scope, Subject, Verb},
    },
};

/// What of Docker is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Containers,
    Images,
    Volumes,
}

impl View {
    pub const ALL: [Self; 3] = [Self::Containers, Self::Images, Self::Volumes];

    pub fn word(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::Images => "images",
            Self::Volumes => "volumes",
        }
    }

    fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Containers => container_rows::COLUMNS,
            Self::Images => stored::IMAGES,
            Self::Volumes => stored::VOLUMES,
        }
    }

    /// Keys of what passes `filter`, unsorted.
    fn rows(self, scene: &Scene<'_>, filter: &Filter) -> Vec<String> {
        let fleet = scene.fleet();
        match self {
            Self::Containers => {
                let passing = fleet.containers.values().filter(|it| container_rows::passes(filter, scene, it));
                passing.map(|it| it.id.0.clone()).collect()
            }
            Self::Images => fleet.images.values().filter(|it| stored::image_passes(filter, it)).map(|it| it.id.clone()).collect(),
            Self::Volumes => {
                fleet.volumes.values().filter(|it| stored::volume_passes(filter, it)).map(|it| it.name.clone()).collect()
            }
        }
    }

    fn count(self, fleet: &Fleet) -> usize {
        match self {
            Self::Containers => fleet.containers.len(),
            Self::Images => fleet.images.len(),
            Self::Volumes => fleet.volumes.len(),
        }
    }
}

/// The pane.
#[derive(Clone, Debug)]
pub struct Containers {
    pub view: View,
    /// One per view, by its place.
    pub lists: [List<String>; 3],
    pub details: Details,
}

impl Default for Containers {
    fn default() -> Self {
        let lists = [List::sorted_by(container_rows::STATE), List::sorted_by(stored::SIZE), List::sorted_by(stored::SIZE)];
        Self { view: View::default(), lists, details: Details::default() }
    }
}

/// Share of a wide screen that details take.
const SHARE: u16 = 40;

impl Containers {
    fn list(&self) -> &List<String> {
        &self.lists[self.view as usize]
    }

    /// The container under the cursor.
    pub fn current(&self, fleet: &Fleet) -> Option<ContainerId> {
        let id = ContainerId(self.list().current()?.clone());
        (self.view == View::Containers && fleet.containers.contains_key(&id)).then_some(id)
    }

    /// Below the line that names the views.
    fn below(area: Rect) -> Rect {
        let top = 1.min(area.height);
        Rect { y: area.y + top, height: area.height - top, ..area }
    }
}

impl Pane for Containers {
    fn scope(&self) -> Scope {
        Scope::Containers
    }

    fn settle(&mut self, scene: &Scene<'_>, area: Rect) {
        let fleet = scene.fleet();
        let view = self.view;
        let parts = self.details.parts(self.list(), Self::below(area), SHARE);
        let list = &mut self.lists[view as usize];
        let mut rows = view.rows(scene, &list.filter);
        let sort = list.sort;
        rows.sort_by(|one, other| {
            let order = match view {
                View::Containers => container_rows::compare(scene, sort.column, one, other),
                View::Images => stored::compare_images(fleet, sort.column, one, other),
                View::Volumes => stored::compare_volumes(fleet, sort.column, one, other),
            };
            (if sort.turned { order.reverse() } else { order }).then_with(|| one.cmp(other))
        });
        let before = list.current().cloned();
        list.fill(rows, view.count(fleet), parts.table.height.saturating_sub(1) as usize);
        if before.as_ref() != list.current() {
            self.details.scroll = 0;
        }
        self.details.lines = match (parts.details, list.current()) {
            (Some(place), Some(id)) => {
                let columns = place.width as usize;
                match view {
                    View::Containers => container_detail::lines(scene, &ContainerId(id.clone()), columns),
                    View::Images => stored::image_lines(scene, id, columns),
                    View::Volumes => stored::volume_lines(scene, id, columns),
                }
            }
            _ => Vec::new(),
        };
        let is_empty = list.rows.is_empty();
        self.details.settle(&parts, is_empty);
    }

    fn subject(&self, scene: &Scene<'_>) -> Subject {
        Subject { container: self.current(scene.fleet()), ..Subject::default() }
    }

    fn act(&mut self, verb: Verb, _scene: &Scene<'_>) -> Reply {
        if verb == Verb::View {
            self.view = self.view.next();
            self.details = Details::default();
            return Reply::Taken;
        }
        self.details.act(verb, &mut self.lists[self.view as usize], self.view.columns())
    }

    fn draw(&self, scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
        let fleet = scene.fleet();
        let Some(docker) = &fleet.docker else {
            let title = "The engine has not looked for Docker yet. Containers, images and volumes of this machine stand here.";
            empty(scene, area, title, &[("0", "what the engine does"), ("?", "all keys")], buf);
            return;
        };
        if !docker.up && fleet.containers.is_empty() {
            no_docker(scene, area, buf);
            return;
        }
        draw_line(buf, area, area.y, &self.views(scene, area.width as usize));
        let below = Self::below(area);
        if self.view.count(fleet) == 0 {
            let (title, hints) = nothing(self.view);
            empty(scene, below, title, hints, buf);
            return;
        }
        let shown = ListPane {
            what: self.view.word(),
            list: self.list(),
            columns: self.view.columns(),
            details: &self.details,
            flashing: &|id| scene.world.flashes.is_on(&Thing::Container(ContainerId(id.clone()))),
        };
        let parts = self.details.parts(self.list(), below, SHARE);
        match self.view {
            View::Containers => shown.draw(scene, below, &parts, buf, &|strip, id, column, columns| match fleet
                .containers
                .get(&ContainerId(id.clone()))
            {
                Some(it) => container_rows::cell(scene, strip, it, column, columns),
                None => strip,
            }),
            View::Images => shown.draw(scene, below, &parts, buf, &|strip, id, column, columns| match fleet.images.get(id) {
                Some(it) => stored::image_cell(scene, strip, it, column, columns),
                None => strip,
            }),
            View::Volumes => shown.draw(scene, below, &parts, buf, &|strip, id, column, columns| match fleet.volumes.get(id) {
                Some(it) => stored::volume_cell(scene, strip, it, column, columns),
                None => strip,
            }),
        }
    }

    fn filter(&mut self) -> Option<&mut Filter> {
        Some(&mut self.lists[self.view as usize].filter)
    }

    fn copy(&self, scene: &Scene<'_>, verb: Verb) -> Option<(&'static str, String)> {
        let fleet = scene.fleet();
        let id = self.list().current()?;
        match (self.view, verb) {
            (View::Containers, Verb::Copy) => Some(("the container's id", id.clone())),
            (View::Containers, _) => {
                let it: &Container = fleet.containers.get(&ContainerId(id.clone()))?;
                Some(("the container's name", it.name.clone()))
            }
            (View::Images, Verb::Copy) => Some(("the image's id", id.clone())),
            (View::Images, _) => Some(("the image's name", stored::image_name(fleet.images.get(id)?))),
            (View::Volumes, _) => Some(("the volume's name", id.clone())),
        }
    }

    fn press(&mut self, x: u16, y: u16, area: Rect) -> bool {
        let parts = self.details.parts(self.list(), Self::below(area), SHARE);
        self.details.press(&mut self.lists[self.view as usize], &parts, x, y)
    }
}

impl Containers {
    /// The three views with their counts, and the engine that holds them.
    fn views(&self, scene: &Scene<'_>, columns: usize) -> ratatui::text::Line<'static> {
        let fleet = scene.fleet();
        let mut strip = Strip::new(scene.theme).gap(2);
        for view in View::ALL {
            let here = view == self.view;
            let (role, count) = (if here { Role::Accent } else { Role::Muted }, view.count(fleet));
            strip = if here { strip.bold(view.word(), role) } else { strip.put(view.word(), role) };
            strip = strip.gap(1).put(count.to_string(), if here { Role::Text } else { Role::Muted });
            let bytes: u64 = match view {
                View::Containers => 0,
                View::Images => fleet.images.values().map(|it| it.size.0).sum(),
                View::Volumes => fleet.volumes.values().filter_map(|it| it.size).map(|size| size.0).sum(),
            };
            if bytes > 0 && columns >= 76 {
                strip = strip.gap(1).muted(Bytes(bytes).to_string());
            }
            strip = strip.gap(3);
        }
        let right = Strip::new(scene.theme);
        let right = match &fleet.docker {
            Some(docker) if !docker.up => right.put("✖ docker does not answer", Role::Danger),
            Some(docker) => right.muted(format!("docker {}", docker.version.as_deref().unwrap_or_default())),
            None => right,
        };
        strip.with_right(right.gap(1), columns)
    }
}

/// What an empty view says.
fn nothing(view: View) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match view {
        View::Containers => (
            "No container yet. Every container of this machine stands here, those of apps and foreign ones.",
            &[("n", "deploy an image or a repository with a Dockerfile"), ("v", "images, volumes")],
        ),
        View::Images => ("No image yet. What was pulled and built stands here, with its size.", &[("v", "volumes, containers")]),
        View::Volumes => {
            ("No volume yet. Named volumes stand here, with their size and who uses them.", &[("v", "containers, images")])
        }
    }
}

/// Why Docker cannot be used, and how to get it.
fn no_docker(scene: &Scene<'_>, area: Rect, buf: &mut Buffer) {
    let columns = (area.width as usize).clamp(1, 76);
    let strip = || Strip::new(scene.theme);
    let mut lines = vec![strip().text("Containers, images and volumes stand here once Docker answers.").line()];
    if let Some(docker) = &scene.fleet().docker {
        lines.push(strip().muted(format!("asked at {}, and again every few seconds", docker.address)).line());
        lines.push(ratatui::text::Line::default());
        if let Some(problem) = &docker.problem {
            lines.extend(problem_lines(scene.theme, problem, columns));
        }
    }
    lines.push(ratatui::text::Line::default());
    lines.push(strip().muted("Not needed: apps run as plain processes without it.").line());
    lines.push(strip().bold(format!("{:<7}", "n"), Role::Accent).gap(1).muted("deploy as a process").line());
    let x = area.x + area.width.saturating_sub(columns as u16) / 2;
    let y = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    let within = Rect { x, y, width: area.right().saturating_sub(x), height: area.bottom().saturating_sub(y) };
    let lines: Vec<_> = lines.into_iter().map(|line| crate::console::widgets::strip::cut(line, columns)).collect();
    draw(buf, within, &lines, 0);
}

/// `3 containers use it`.
pub(super) fn users(count: u32) -> String {
    match count {
        0 => "no container uses it".to_owned(),
        1 => "1 container uses it".to_owned(),
        more => format!("{} use it", many(more as usize, "container")),
    }
}
