//! The table in force: put by the control door, kept on disk, taken up again by the next edge.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    routes,
    served::{Before, Live},
    watch::lock,
    worker::Edge,
};
use crate::model::{ids::Generation, problem::Problem, route::RouteTable};

fn path(edge: &Edge) -> PathBuf {
    edge.state.edge_table()
}

/// Puts a table in force once it is on disk. Only the edge that serves may: the others would not be asked again.
pub(super) fn put(edge: &Edge, table: RouteTable) -> Result<Generation, Problem> {
    routes::check(&table)?;
    let _one_at_a_time = lock(&edge.swap);
    if edge.is_replaced() {
        return Err(Problem::unavailable("this edge was replaced just now").hint("ask again: the new one answers"));
    }
    check_generation(edge, &table)?;
    let generation = table.generation;
    let place = path(edge);
    replace(&place, &serde_json::to_vec(&table).unwrap_or_default())
        .map_err(|error| Problem::unavailable(format!("cannot keep the route table: {error}")).at(place.display().to_string()))?;
    take(edge, table);
    Ok(generation)
}

/// Puts a table in force that another edge keeps: so that requests on connections from before go where they should.
pub(super) fn follow(edge: &Edge, table: RouteTable) -> Result<Generation, Problem> {
    routes::check(&table)?;
    let _one_at_a_time = lock(&edge.swap);
    check_generation(edge, &table)?;
    let generation = table.generation;
    take(edge, table);
    Ok(generation)
}

/// An older table than the one in force, or another one of its generation, is a conflict.
fn check_generation(edge: &Edge, table: &RouteTable) -> Result<(), Problem> {
    let held = edge.live.load();
    if table.generation < held.table.generation {
        return Err(Problem::conflict(format!(
            "the edge holds route table {}, which is newer than {}",
            held.table.generation, table.generation
        )));
    }
    if table.generation == held.table.generation && *table != held.table && held.table != RouteTable::default() {
        return Err(Problem::conflict(format!("the edge holds another route table of generation {}", table.generation)));
    }
    Ok(())
}

/// Takes up the table that was kept, unless a newer one is in force.
pub(super) fn restore(edge: &Edge) -> Result<(), Problem> {
    let _one_at_a_time = lock(&edge.swap);
    let place = path(edge);
    let text = match std::fs::read(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Problem::unavailable(format!("cannot read the route table: {error}")).at(place.display().to_string()));
        }
    };
    let table: Result<RouteTable, String> = serde_json::from_slice(&text).map_err(|error| error.to_string());
    match table.and_then(|table| routes::check(&table).map(|()| table).map_err(|problem| problem.what)) {
        Ok(table) if table.generation < edge.live.load().table.generation => {}
        Ok(table) => take(edge, table),
        Err(error) => {
            // Serving 404 until the engine puts its table again is better than not starting at all.
            tracing::error!(%error, place = %place.display(), "the kept route table is not understood; waiting for a new one");
            let aside = place.with_extension("json.odd");
            if let Err(error) = std::fs::rename(&place, aside) {
                tracing::warn!(%error, "cannot put the odd route table aside");
            }
        }
    }
    Ok(())
}

fn take(edge: &Edge, table: RouteTable) {
    let held = edge.live.load_full();
    let counters = |app: &_, release| edge.counters.of(app, release, edge.threads);
    let before = Before { live: &held, threads: edge.threads, now: edge.clock.now(), counters: &counters };
    let live = Arc::new(Live::new(table, &before));
    for (route, app) in live.table.routes.iter().zip(&live.apps) {
        for (split, served) in route.splits.iter().zip(&app.splits) {
            if split.weight.percent() > 0 {
                served.backends().iter().for_each(|backend| backend.mark_draining(false));
            }
        }
    }
    edge.live.store(Arc::clone(&live));
    // After the store: a request that still holds the old table sees the mark and chooses again.
    for (instance, backend) in &held.backends {
        if live.backends.get(instance).is_none_or(|stays| !Arc::ptr_eq(stays, backend)) {
            backend.mark_draining(true);
            lock(&edge.retired).entry(instance.clone()).or_default().push(Arc::clone(backend));
        }
    }
}

/// Closes what instances that left the table still have, and forgets those of which nothing is left.
pub(super) fn forget_retired(edge: &Edge) {
    lock(&edge.retired).retain(|_, backends| {
        backends.retain(|backend| {
            backend.close_idle();
            !backend.is_gone()
        });
        !backends.is_empty()
    });
}

/// Replaces a file as a whole; on return it is on disk.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file = File::create(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
