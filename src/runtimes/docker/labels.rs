//! How our objects in Docker are told from all others: labels, names and tags.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::{
    config::Settings,
    model::{
        ids::{AppId, InstanceId, ReleaseId},
        instance::InstanceSpec,
    },
};

/// Which engine's it is: `mark` of its state folder.
pub const STATE: &str = "pilothouse.state";
pub const APP: &str = "pilothouse.app";
pub const RELEASE: &str = "pilothouse.release";
pub const INSTANCE: &str = "pilothouse.instance";
pub const PROCESS: &str = "pilothouse.process";
/// The name by which somebody asked for its image.
pub const IMAGE: &str = "pilothouse.image";
/// Digest of what the container was started with.
pub const SPEC: &str = "pilothouse.spec";
/// Variables whose values are masked in the log, with commas between.
pub const SECRETS: &str = "pilothouse.secrets";

/// Twelve digits that stand for a state folder: two engines on one Docker do not touch each other's objects.
pub fn mark(settings: &Settings) -> String {
    hex(settings.state.root().as_os_str().as_encoded_bytes())[..12].to_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name of an instance's container: `shop-1-a-3f1c09`.
pub(super) fn container_name(mark: &str, id: &InstanceId) -> String {
    format!("{id}-{}", &mark[..6])
}

/// Name of an app's volume: `shop-data-3f1c09`.
pub(super) fn volume_name(mark: &str, app: &AppId, volume: &str) -> String {
    format!("{app}-{volume}-{}", &mark[..6])
}

/// Name of an app's network: `shop-3f1c09`.
pub(super) fn network_name(mark: &str, app: &AppId) -> String {
    format!("{app}-{}", &mark[..6])
}

/// Name of the network of all containers that run alone: `pilothouse-3f1c09`.
pub(super) fn own_network_name(mark: &str) -> String {
    format!("pilothouse-{}", &mark[..6])
}

/// Repository under which this engine keeps the images of an app's releases.
pub fn repository(mark: &str, app: &AppId) -> String {
    format!("pilothouse-{}/{app}", &mark[..6])
}

/// Whether it is the name of an image that one of our engines keeps for a release.
pub(super) fn is_tag_of_any(reference: &str) -> bool {
    let mark = reference.strip_prefix("pilothouse-").and_then(|rest| rest.split_once('/')).map(|(mark, _)| mark);
    mark.is_some_and(|mark| mark.len() == 6 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Tag of a release's image; of a process that names its own: `7-db`.
pub fn tag(release: ReleaseId, process: Option<&str>) -> String {
    process.map_or_else(|| release.to_string(), |process| format!("{release}-{process}"))
}

/// The app and release that a tag of ours stands for.
pub(super) fn of_tag(mark: &str, reference: &str) -> Option<(AppId, ReleaseId)> {
    let rest = reference.strip_prefix(&format!("pilothouse-{}/", &mark[..6]))?;
    let (app, tag) = rest.split_once(':')?;
    let release = tag.split('-').next()?.parse().ok()?;
    Some((AppId::parse(app).ok()?, ReleaseId(release)))
}

/// What a container of ours carries.
pub(super) fn of_instance(mark: &str, instance: &InstanceSpec, spec: &str) -> HashMap<String, String> {
    let labels = [
        (STATE, mark.to_owned()),
        (APP, instance.app.to_string()),
        (RELEASE, instance.release.to_string()),
        (INSTANCE, instance.id.to_string()),
        (PROCESS, instance.process.clone()),
        (SPEC, spec.to_owned()),
        (SECRETS, instance.secrets.0.keys().map(String::as_str).collect::<Vec<_>>().join(",")),
    ];
    let image = instance.image_name.clone().map(|name| (IMAGE, name));
    labels.into_iter().chain(image).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_back() {
        let (mark, app) = ("3f1c09aabbcc", AppId::parse("shop").unwrap());
        for process in [None, Some("db")] {
            let reference = format!("{}:{}", repository(mark, &app), tag(ReleaseId(7), process));
            assert_eq!(of_tag(mark, &reference), Some((app.clone(), ReleaseId(7))));
            assert_eq!(of_tag("000000000000", &reference), None);
        }
        assert_eq!(of_tag(mark, "nginx:1.27"), None);
    }
}
