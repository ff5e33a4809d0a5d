//! What of Docker's objects could go: ours alone, and only what no app needs.

use crate::model::{
    container::{Container, Image, PruneKind, PruneObject, PrunePlan, Volume},
    fleet::Fleet,
    units::Bytes,
};

/// The plan of a prune. Volumes are named only when they are asked for, and never those of an app that is there.
pub fn plan(fleet: &Fleet, volumes: bool) -> PrunePlan {
    let mut objects: Vec<PruneObject> =
        fleet.containers.values().filter_map(|container| of_container(fleet, container)).collect();
    objects.extend(fleet.images.values().flat_map(|image| of_image(fleet, image)));
    let unneeded = fleet.volumes.values().filter_map(|volume| of_volume(fleet, volume));
    let kept_volumes = if volumes {
        objects.extend(unneeded);
        0
    } else {
        unneeded.count() as u32
    };
    let bytes = Bytes(objects.iter().filter_map(|object| object.size).map(|size| size.0).sum());
    let containers = fleet.containers.values().filter(|container| !container.is_ours() && !container.state.is_alive()).count();
    let images = fleet.images.values().filter(|image| image.app.is_none() && image.containers == 0).count();
    let unused = fleet.volumes.values().filter(|volume| volume.app.is_none() && volume.containers == 0).count();
    PrunePlan { objects, bytes, foreign: (containers + images + unused) as u32, kept_volumes }
}

fn of_container(fleet: &Fleet, container: &Container) -> Option<PruneObject> {
    let instance = container.instance.as_ref()?;
    if container.state.is_alive() || fleet.instances.contains_key(instance) {
        return None;
    }
    let (id, name) = (container.id.0.clone(), container.name.clone());
    Some(PruneObject { kind: PruneKind::Container, id, name, size: None, why: format!("{instance} is not wanted any more") })
}

/// The names by which releases held it that are gone; it goes with its last name.
fn of_image(fleet: &Fleet, image: &Image) -> Vec<PruneObject> {
    let Some(app) = image.app.as_ref().filter(|_| image.containers == 0) else { return Vec::new() };
    let object = |id: &str, name: &str, size, why: String| PruneObject {
        kind: PruneKind::Image,
        id: id.to_owned(),
        name: name.to_owned(),
        size,
        why,
    };
    if image.tags.is_empty() {
        let short = image.id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        return vec![object(&image.id, &short, Some(image.size), format!("made for {app}, and no release names it"))];
    }
    let is_only_ours = image.tags.len() == image.kept.len();
    let gone = image.kept.iter().filter(|(_, release)| fleet.release(app, *release).is_none());
    let gone: Vec<_> = gone.collect();
    let goes = is_only_ours && gone.len() == image.kept.len();
    let objects = gone.iter().enumerate().map(|(index, (tag, release))| {
        let size = (goes && index + 1 == gone.len()).then_some(image.size);
        object(tag, tag, size, format!("release {release} of {app} is not kept any more"))
    });
    objects.collect()
}

fn of_volume(fleet: &Fleet, volume: &Volume) -> Option<PruneObject> {
    let app = volume.app.as_ref()?;
    if volume.containers > 0 || fleet.apps.contains_key(app) {
        return None;
    }
    let why = format!("{app} was removed, and its data with this is lost");
    Some(PruneObject { kind: PruneKind::Volume, id: volume.name.clone(), name: volume.name.clone(), size: volume.size, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ids::{AppId, ReleaseId},
        units::Timestamp,
    };

    fn image(id: &str, tags: &[&str], kept: &[(&str, u32)], app: Option<&str>) -> Image {
        Image {
            id: id.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            kept: kept.iter().map(|(tag, release)| ((*tag).to_owned(), ReleaseId(*release))).collect(),
            size: Bytes::mib(10),
            created_at: Timestamp(0),
            containers: 0,
            app: app.map(|app| AppId::parse(app).unwrap()),
        }
    }

    #[test]
    fn what_is_foreign_is_counted_and_never_named() {
        let mut fleet = Fleet::default();
        let images = [
            image("a", &["nginx:1.27"], &[], None),
            image("b", &["shop:1", "pilothouse-x/shop:1"], &[("pilothouse-x/shop:1", 1)], Some("shop")),
            image("c", &["pilothouse-x/shop:2"], &[("pilothouse-x/shop:2", 2)], Some("shop")),
        ];
        fleet.images = images.into_iter().map(|image| (image.id.clone(), image)).collect();
        let plan = plan(&fleet, true);
        assert_eq!(
            plan.objects.iter().map(|object| object.id.as_str()).collect::<Vec<_>>(),
            ["pilothouse-x/shop:1", "pilothouse-x/shop:2"]
        );
        // The first one keeps the name that somebody else gave it.
        assert_eq!((plan.bytes, plan.foreign), (Bytes::mib(10), 1));
    }

    #[test]
    fn a_volume_goes_only_when_asked_and_its_app_is_gone() {
        let mut fleet = Fleet::default();
        let app = Some(AppId::parse("shop").unwrap());
        let volume =
            Volume { name: "shop-data".into(), driver: "local".into(), size: None, containers: 0, created_at: None, app };
        fleet.volumes.insert(volume.name.clone(), volume);
        let (without, with) = (plan(&fleet, false), plan(&fleet, true));
        assert_eq!((without.objects.len(), without.kept_volumes), (0, 1));
        assert_eq!((with.objects.len(), with.kept_volumes), (1, 0));
    }
}
