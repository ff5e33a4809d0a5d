//! Which of its names an image is told by.

use std::collections::HashMap;

use bollard::models::ImageSummary;

use super::labels;
use crate::model::container::Container;

/// The names of each image.
pub(super) fn all(images: &[ImageSummary]) -> HashMap<String, Vec<String>> {
    let named = |image: &ImageSummary| image.repo_tags.iter().filter(|tag| !tag.contains("<none>")).cloned().collect();
    images.iter().map(|image| (image.id.clone(), named(image))).collect()
}

/// The name of a container's image: of ours as it was `asked` for, else as its very release holds it; of a foreign one the
/// only one there is. Among several that people gave none is known to be meant.
pub(super) fn meant(
    mark: &str,
    container: &Container,
    asked: Option<String>,
    names: &HashMap<String, Vec<String>>,
) -> Option<String> {
    let names = names.get(&container.image_id).map_or(&[] as &[String], Vec::as_slice);
    if let Some(of) = container.app.clone().zip(container.release) {
        return asked.or_else(|| names.iter().find(|name| labels::of_tag(mark, name).as_ref() == Some(&of)).cloned());
    }
    let mut theirs = names.iter().filter(|name| !labels::is_tag_of_any(name));
    theirs.next().filter(|_| theirs.next().is_none()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_two_names_is_told_by_the_one_that_was_asked_for() {
        let mark = "3f1c09aabbcc";
        let of = |app: Option<&str>, asked: Option<&str>, tags: &[&str]| {
            let container: Container = serde_json::from_value(serde_json::json!({
                "id": "c1", "name": "c", "image": "sha256:aa", "image_id": "sha256:aa", "command": "", "state": "running",
                "health": null, "exit_code": null, "ports": [], "mounts": [], "created_at": 0, "started_at": null,
                "project": null, "app": app, "release": app.map(|_| 2), "instance": null, "process": null
            }))
            .unwrap();
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            meant(mark, &container, asked.map(str::to_owned), &HashMap::from([("sha256:aa".to_owned(), tags)]))
        };
        let shared = ["nginx:1.27", "pilothouse-3f1c09/blog:2", "pilothouse-3f1c09/shop:1", "pilothouse-3f1c09/shop:2"];
        assert_eq!(of(Some("shop"), Some("team/web:v2"), &shared).as_deref(), Some("team/web:v2"));
        assert_eq!(of(Some("shop"), None, &shared).as_deref(), Some("pilothouse-3f1c09/shop:2"));
        assert_eq!(of(Some("cart"), None, &shared), None, "never another app's");
        assert_eq!(of(None, None, &shared).as_deref(), Some("nginx:1.27"));
        assert_eq!(of(None, None, &["nginx:1.27", "nginx:latest"]), None, "nobody knows which");
        assert_eq!(of(None, Some("mine:1"), &["pilothouse-aabbcc/blog:2"]), None);
    }
}
