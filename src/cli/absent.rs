//! What was named and is not there, told with the nearest of what is.

use crate::{
    config::strict::nearest,
    model::{
        fleet::Fleet,
        ids::{AppId, InstanceId, ReleaseId},
        log,
        problem::Problem,
    },
};

/// There is no app of this name.
pub fn app(app: &AppId, fleet: &Fleet) -> Problem {
    let known = fleet.apps.keys().map(AppId::as_str);
    absent(format!("there is no app `{app}`"), app.as_str(), known, "`pilothouse apps` lists them; `pilothouse deploy` makes one")
}

/// There is no instance of this name, and no log of one.
pub fn instance(instance: &InstanceId, fleet: &Fleet) -> Problem {
    let what = format!("there is no instance `{}`, and nothing that it wrote", log::safe(&instance.0));
    let known = fleet.instances.keys().map(|known| known.0.as_str());
    absent(what, &instance.0, known, "`pilothouse status APP` lists an app's instances")
}

/// There is no build of this release.
pub fn build(app: &AppId, release: ReleaseId) -> Problem {
    Problem::not_found(format!("there is no release {release} of {app}, and no build of one"))
        .hint(format!("`pilothouse releases {app}` and `pilothouse deployments {app}` list them"))
}

fn absent<'a>(what: String, named: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> Problem {
    Problem::not_found(what).hint(match nearest(named, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_where_there_is_none_what_lists_them() {
        let mut fleet = Fleet::default();
        let next = |problem: Problem| problem.next.unwrap_or_default();
        let shop = AppId::parse("shop").unwrap();
        assert!(next(app(&shop, &fleet)).contains("pilothouse apps"));
        assert!(next(instance(&InstanceId("shop-1-a".to_owned()), &fleet)).contains("pilothouse status"));
        let known = serde_json::json!({
            "id": "shop", "desired": "running", "asked": null, "routed": null, "serving": null, "previous": null,
            "replicas": null, "url": null, "next_release": 1, "created_at": 0, "warm": null,
        });
        fleet.apps.insert(shop, serde_json::from_value(known).unwrap());
        assert_eq!(next(app(&AppId::parse("shpo").unwrap(), &fleet)), "did you mean `shop`?");
    }
}
