//! Which other apps a new instance is told of, and how it reaches them.

use crate::model::{fleet::Fleet, ids::AppId, peer::Peer};

/// Every app but its own that has a route, by name: as it is known now, whether or not it serves.
pub fn of(fleet: &Fleet, own: &AppId) -> Vec<Peer> {
    let others = fleet.apps.values().filter(|app| app.id != *own);
    let peer = |app: &crate::model::fleet::App| {
        let release = fleet.release(&app.id, app.routed.or(app.asked).or(app.previous)?)?;
        let first = &release.blueprint.routes.first()?.at;
        Some(Peer { app: app.id.clone(), path: first.path.clone(), url: fleet.edge.url(first), address: None })
    };
    others.filter_map(peer).collect()
}
