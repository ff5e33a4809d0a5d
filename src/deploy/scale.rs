//! How many instances of the routed process a new release begins with: the newest word wins, whoever said it.

use crate::model::{command::Overrides, fleet::App, plan::Blueprint, problem::Problem};

/// Keeps the number that the app was scaled to, unless the manifest says another one than before, or the request says one.
pub fn keep(blueprint: &mut Blueprint, overrides: &Overrides, app: Option<&App>, before: Option<&Blueprint>) {
    let Some(scaled) = app.and_then(|app| app.replicas).filter(|_| overrides.replicas.is_none()) else { return };
    let Some(before) = before.and_then(Blueprint::web) else { return };
    let Some(web) = blueprint.processes.iter_mut().find(|process| process.routed) else { return };
    let said_before = before.scaled_from.unwrap_or(before.replicas);
    let may_be_many = scaled == 1 || web.port.is_none();
    if web.replicas == said_before && web.replicas != scaled && may_be_many {
        web.scaled_from = Some(web.replicas);
        web.replicas = scaled;
    }
}

/// Refuses a routed process without an instance: nothing could answer.
pub fn check(blueprint: &Blueprint) -> Result<(), Problem> {
    match blueprint.web() {
        Some(web) if web.replicas == 0 => {
            Err(Problem::user(format!("0 replicas of `{}`: nothing would answer its route", web.name))
                .at(format!("pilothouse.toml process.{}.replicas, or --replicas", web.name))
                .hint("write 1 or more; `pilothouse stop APP` ends an app's instances"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::strategies::tests::blueprint as blueprint_of;

    fn blueprint(replicas: u32, scaled_from: Option<u32>) -> Blueprint {
        let mut blueprint = blueprint_of(true);
        blueprint.processes[0].replicas = replicas;
        blueprint.processes[0].scaled_from = scaled_from;
        blueprint
    }

    fn app(replicas: Option<u32>) -> App {
        serde_json::from_value(serde_json::json!({
            "id": "shop", "desired": "running", "asked": 1, "routed": 1, "serving": null, "previous": null, "replicas": replicas,
            "url": null, "next_release": 2, "created_at": 0, "warm": null
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_word_on_the_number_of_instances_wins() {
        // (what the manifest said before and the app was scaled to since, what it says now, --replicas, what comes of it)
        for (before, scaled, now, flag, expected) in [
            (blueprint(1, None), Some(3), 1, None, (3, Some(1))),
            (blueprint(3, Some(1)), Some(3), 1, None, (3, Some(1))),
            (blueprint(3, Some(1)), Some(3), 2, None, (2, None)),
            (blueprint(1, None), Some(3), 1, Some(1), (1, None)),
            (blueprint(2, None), None, 1, None, (1, None)),
            (blueprint(2, None), Some(2), 2, None, (2, None)),
        ] {
            let mut new = blueprint(now, None);
            let overrides = Overrides { replicas: flag, ..Overrides::default() };
            keep(&mut new, &overrides, Some(&app(scaled)), Some(&before));
            let web = new.web().unwrap();
            assert_eq!((web.replicas, web.scaled_from), expected, "{scaled:?} {now} {flag:?}");
        }
    }

    #[test]
    fn a_route_needs_an_instance() {
        assert!(check(&blueprint(1, None)).is_ok());
        assert!(check(&blueprint(0, None)).unwrap_err().next.unwrap().contains("stop"));
    }
}
